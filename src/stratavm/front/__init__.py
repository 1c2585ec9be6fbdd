"""Front ends: each makes SSA forms of the functions of one guest language."""
