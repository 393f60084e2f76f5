"""`python -m app` is `pilot`."""

from app.cli import main

main()
