"""One package for each kind of processor; they know nothing of each other."""
