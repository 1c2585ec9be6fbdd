"""What WebAssembly is, as data and pure functions: types, features, opcode rows, their meaning."""
