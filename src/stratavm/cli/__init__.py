"""The strata command."""

from stratavm.cli.main import command, main

__all__ = ["command", "main"]
