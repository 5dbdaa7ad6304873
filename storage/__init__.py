"""The lake: schemas, snapshots, ledger, SQL. The only room that knows DuckDB."""
