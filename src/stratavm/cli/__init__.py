"""The strata command."""

from stratavm.cli.main import main

__all__ = ["main"]
