"""Ways to run a function, behind one protocol."""
