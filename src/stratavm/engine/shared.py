"""Shared memories as the public has them: those of the runtime, which finds engines by this room."""

from stratavm.engine.engine import engine_of
from stratavm.runtime.shared import SharedMemory, engines_are_found_by

engines_are_found_by(engine_of)

__all__ = ["SharedMemory"]
