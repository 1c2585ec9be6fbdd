"""Images: a module and its machine code in one file, which code of them may run, and what a new build need not do."""
