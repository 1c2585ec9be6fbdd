"""What machine code and the runtime agree on: native structs, builtins, stubs."""
