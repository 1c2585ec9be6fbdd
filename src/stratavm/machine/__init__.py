"""What holds for every processor: machine IR, register allocation, scheduling, the buffer of code."""
