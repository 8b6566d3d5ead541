"""The command line: words to calls; no torch, no Hydra and no logic at import."""

from align_cli.cli.app import app, main

__all__ = ["app", "main"]
