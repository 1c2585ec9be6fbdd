"""The front end of WebAssembly: bodies that the validator checked become SSA."""
