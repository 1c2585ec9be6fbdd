"""One package for each kind of processor: registers, rules, encodings, calls, stubs. None knows another."""
