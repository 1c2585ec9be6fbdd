"""What knows no processor: the IR between selection and emission, register allocation, scheduling, the code buffer."""
