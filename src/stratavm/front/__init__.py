"""Front ends: each makes SSA forms of the functions of one guest language, and knows no target and no runtime."""
