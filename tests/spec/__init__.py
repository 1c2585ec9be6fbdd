"""The official test suite on every tier, with strict lists of expected failures."""
