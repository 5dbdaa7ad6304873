"""The networks: the only room that knows torch."""
