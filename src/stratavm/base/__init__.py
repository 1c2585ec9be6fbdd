"""What every layer stands on: errors, data classes, events, vectors, budgets. Knows nothing of WebAssembly."""
