"""`python -m flows` is `tagwright`."""

from flows.cli import main

main()
