"""The module as data: binary and text format, validation."""
