"""The SSA form and what is done to it. Knows no WebAssembly beyond typed operations."""
