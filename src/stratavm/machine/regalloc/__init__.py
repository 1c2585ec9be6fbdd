"""Register allocators behind one interface."""
