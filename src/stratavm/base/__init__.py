"""What every layer stands on: errors, data classes, events, vectors, budgets. Knows nothing of WebAssembly."""

from time import time_ns

IMPORTED_NS = time_ns()
"""When this package was imported, nanoseconds since the epoch: of files that are newer something else may run."""
