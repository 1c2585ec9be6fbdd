"""From SSA to machine code."""
