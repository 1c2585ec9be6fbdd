"""``import stratavm.importer``, and ``import app`` finds ``app.wasm`` (or ``app.wat``) where it would find ``app.py``.

The module's exports are its attributes; ``app.__wasm__`` is the instance. What the WebAssembly module imports from a
namespace ``env`` is looked up in the Python module of that name. WASI functions come with an empty world: no
directory, no variable, no arguments but the name; standard output and error are this process's.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from stratavm.base.endings import ENDINGS
from stratavm.base.errors import LinkError, ModuleError, StrataError
from stratavm.base.forms import Any, Final
from stratavm.base.words import some
from stratavm.engine.instance import Instance
from stratavm.engine.linker import Linker
from stratavm.engine.module import Module
from stratavm.engine.store import Store

WASI: Final = ("wasi_snapshot_preview1", "wasi_unstable")


class WasmFinder(importlib.abc.MetaPathFinder):
    """Finds WebAssembly modules on ``sys.path`` and in packages, after everything else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of ``fullname``, or None."""
        name = fullname.rpartition(".")[2]
        for folder in sys.path if path is None else path:
            for suffix in ENDINGS:
                file = Path(folder or ".", name + suffix)
                if file.is_file():
                    loader = WasmLoader(file)
                    return importlib.machinery.ModuleSpec(fullname, loader, origin=str(file))
        return None


class WasmLoader(importlib.abc.Loader):
    """Loads one file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """The usual kind of module object."""

    def exec_module(self, module: ModuleType) -> None:
        """Instantiate, and make the exports attributes. A ``_initialize`` export (WASI reactors) runs first."""
        try:
            instance = instantiate(self.file)
        except StrataError as error:
            if not isinstance(error, ModuleError):  # which says it itself
                error.add_note(f"{module.__name__} is {self.file}")
            if isinstance(error, LinkError) and error.problems:
                wanted = some(f"{namespace}.{name}" for namespace, name in error.problems)
                error.add_note(f"imports come from Python modules of these names: {wanted}")
            raise
        # Names like __spec__ are Python's.
        module.__dict__.update({k: v for k, v in instance.exports.items() if not (k[:2] == k[-2:] == "__")})
        module.__file__ = str(self.file)
        module.__dict__["__wasm__"] = instance
        instance.initialize()


def instantiate(file: Path) -> Instance:
    """An instance in a store of its own, its imports taken from Python modules."""
    compiled = Module(file)
    linker = Linker(compiled.engine)
    for namespace in dict.fromkeys(i.module for i in compiled.imports):
        linker.define_namespaces({namespace: _namespace(namespace, compiled, file.stem)})
    return linker.instantiate(Store(compiled.engine), compiled)


def _namespace(name: str, compiled: Module, program: str) -> Mapping[str, Any]:
    """What a namespace offers of what is wanted; the linker says what is missing."""
    if name in WASI:
        from stratavm.wasi.world import Wasi

        return Wasi(args=[program], stdout="inherit", stderr="inherit").namespaces()[name]
    try:
        python = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return {}
    wanted = [i.name for i in compiled.imports if i.module == name]
    return {w: getattr(python, w) for w in wanted if hasattr(python, w)}


def install() -> None:
    """Put the finder behind the others; importing this module does it. More than once is harmless."""
    if not any(isinstance(finder, WasmFinder) for finder in sys.meta_path):
        sys.meta_path.append(WasmFinder())


def uninstall() -> None:
    """Take the finder away; modules that are imported stay."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, WasmFinder)]


install()
