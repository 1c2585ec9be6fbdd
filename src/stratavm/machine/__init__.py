"""Machine code without a machine: the IR between selection and emission, register allocation, scheduling, the code buffer."""
