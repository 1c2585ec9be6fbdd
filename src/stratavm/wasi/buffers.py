"""Lists of buffers as ``readv`` and ``writev`` take them: their size, their beginning, their rest."""

from __future__ import annotations

from _collections_abc import Sequence


def size_of(buffers: Sequence[memoryview]) -> int:
    """Bytes in all of them."""
    if len(buffers) == 1:  # as nearly always
        return buffers[0].nbytes
    return sum(b.nbytes for b in buffers)


def first(buffers: Sequence[memoryview], size: int) -> list[memoryview]:
    """The first ``size`` bytes, or all where they are fewer; none of the buffers is empty."""
    found = []
    for buffer in buffers:
        if not size:
            break
        found.append(buffer[:size])
        size -= found[-1].nbytes
    return found


def rest(buffers: Sequence[memoryview], done: int) -> list[memoryview]:
    """What is behind the first ``done`` bytes; none of the buffers is empty."""
    found = []
    for buffer in buffers:
        if done < buffer.nbytes:
            found.append(buffer[done:] if done else buffer)
        done = max(done - buffer.nbytes, 0)
    return found
