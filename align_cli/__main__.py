"""`python -m align_cli` is `align`."""

from align_cli.cli import main

main()
