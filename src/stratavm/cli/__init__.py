"""The strata command."""
