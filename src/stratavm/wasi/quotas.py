"""What a guest may use through WASI."""

from __future__ import annotations

from stratavm.base.data import dataclass


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits on one context. Every one of them ends in an error number, never in an exception.

    Attributes:
        descriptors: open descriptors, the pre-opened ones included (MFILE).
        list_items: entries of an iovec or subscription list (INVAL).
        path_bytes: length of a path (NAMETOOLONG).
        written_bytes: bytes that may be written to files and streams in total (NOSPC).
        captured_bytes: bytes that a ``bytearray`` given as output may hold (NOSPC).
        memory_bytes: content, names and nodes of all in-memory directories (NOSPC).
        directory_entries: entries that one reading of a directory holds (OVERFLOW).
    """

    descriptors: int = 1024
    list_items: int = 1024
    path_bytes: int = 4096
    written_bytes: int = 1 << 40
    captured_bytes: int = 64 << 20
    memory_bytes: int = 256 << 20
    directory_entries: int = 1_000_000
