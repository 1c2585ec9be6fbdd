"""Public objects and the one composition root."""
