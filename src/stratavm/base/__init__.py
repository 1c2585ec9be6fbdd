"""What every layer stands on: errors, flags, arithmetic. Knows nothing of WebAssembly."""
