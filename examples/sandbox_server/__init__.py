"""A server that runs the scripts of strangers: QuickJS and CPython guests in one event loop."""
