"""The doors: the command line and the Prefect flows."""

from flows.doors import settle

settle()
