"""Strata: a WebAssembly virtual machine for Python, written in Python.

Call a module's functions::

    from stratavm import load

    add = load("add.wasm").exports.add
    add(1, 2)

Give it functions of yours: ``load(source, {"env": {"log": print}})``. Run a WASI program to its end::

    from stratavm import run

    done = run("app.wasm", ["x"], timeout=5, max_memory=64 << 20, text=True)
    print(done.reason, done.code, done.stdout)

``load`` takes a path, bytes or text. With several instances, limits or deadlines use ``Engine`` (options), ``Module``
(a program), ``Linker`` (imports), ``Store`` (a world of instances, with ``deadline`` and ``fuel``) and ``Instance``.
What modules and guests do wrong is a ``StrataError``: ``ModuleError`` for modules that cannot be used, ``LinkError``
for imports, ``Trap`` for what guests do. Wrong arguments are Python's own errors. `strata --help` shows the command.
"""

import gc
import os
import sys
from _frozen_importlib import ModuleSpec  # importlib.machinery, without importing it
from _frozen_importlib_external import MAGIC_NUMBER, ExtensionFileLoader, PathFinder, SourceFileLoader
from _imp import (  # type: ignore[attr-defined]
    _fix_co_filename,
    create_dynamic,
    exec_dynamic,
    extension_suffixes,
    source_hash,
)
from marshal import loads

__version__ = "0.1.0"

TYPE_CHECKING = False  # true for type checkers only, which read what follows
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import Any
else:
    import _signal as signal  # which makes nothing


def _leave(number: int, frame: object) -> None:
    """What Ctrl-C does to the process of the command until that has begun to work: one line, and no traceback."""
    try:
        os.write(2, b"strata: interrupted\n")
    finally:
        os._exit(130)


def _looked_for() -> bool:
    """Whether Python looks for the command just now: for the module ``stratavm`` of its ``-m``."""
    words = sys.orig_argv
    at = words.index("-m") if "-m" in words else 0
    return getattr(sys, "argv", [])[:1] == ["-m"] and words[at + 1 : at + 2] == ["stratavm"]


if _looked_for() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)  # as the scripts do in their first lines


class _HotModules:
    """Import hook: a hot module runs compiled, for this Python and from its present source, or it does not run.

    Without it Python would quietly run the source of a module whose compiled file it does not find: arithmetic that is
    meant to wrap around would not. ``# strata: hot`` in its first lines makes a module hot (tools/build.py). Where one
    shared object has them all (tools/link.py) it is opened once, and no path is searched. It has the byte code of the
    other modules as well, which runs if it is that of the source which lies there (tools/bytecode.py).
    """

    def __init__(
        self,
        stale: "dict[str, str] | None",
        remedy: str,
        refusal: "Callable[[str, str], str] | None" = None,
        place: str = "",
        key: str = "",
    ) -> None:
        self.stale = stale  # module name → the file that makes it stale; None where nothing was ever built
        self.remedy = remedy
        self.refusal = refusal  # of a compiled file, in a source checkout
        self.place = place  # of the one shared object; empty: each module is a file
        self.key = key  # of the build that made it, in a source checkout
        self.times: dict[str, str] = {}  # of the files of other modules when it was made, in a source checkout
        self.hot: Any = None  # the object as a module, when it is open
        self.pure: dict[str, Any] = {}  # what it knows of the modules that are not hot
        self.code: Any = None  # their byte code
        self.groups: dict[str, Any] = {}  # module name → the modules that it imports, and where their code lies

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """What Python itself finds for a module of this package, if that may run."""
        if path is None or not name.startswith("stratavm."):
            return None
        if self.stale and name in self.stale:
            raise ImportError(f"{name} is not built from its present source: {self.remedy}", name=name)
        if self.place and self.stale is not None:
            if self.hot is None:
                self._open(name)
            if name in self.groups:
                self._load_ahead(name)
            if self.hot is not None and name in self.hot.numbers:
                self._check_file(name, self.place)
                return self._spec_in_one(name)
            if path and name in self.pure and (spec := self._spec_of_code(name, path[0])):
                return spec
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin is None:
            return spec
        if spec.origin.endswith(".so"):
            self._check_file(name, spec.origin)
        elif _is_hot(spec):
            version = ".".join(map(str, sys.version_info[:2]))
            raise ImportError(f"{name} is not compiled for Python {version}: {self.remedy}", name=name)
        return spec

    def _check_file(self, name: str, file: str) -> None:
        """Raise ImportError if a compiled file must not run."""
        if self.stale is None:
            raise ImportError(f"{name} is not built from its present source: {self.remedy}", name=name)
        if self.refusal is not None and (refusal := self.refusal(name, file)):
            raise ImportError(refusal, name=name)
        if self.hot is not None and file != self.place:
            raise ImportError(f"{name}: {file} is beside {self.place}, which lacks it: {self.remedy}", name=name)

    def _spec_in_one(self, name: str) -> "Any":
        """The spec of a module that the shared object has."""
        spec: Any = ModuleSpec(name, _InOne(name, self.place, self.hot), origin=self.place)
        spec._set_fileattr = True  # ``has_location``, without a call of Python for each of two hundred modules
        return spec

    def _open(self, name: str) -> None:
        """Open the shared object. An installed package may have none: then each module is a file."""
        try:
            whole = _is_whole(self.place)
        except OSError as error:
            if self.key:
                raise ImportError(f"{name}: {error}: {self.remedy}", name=name) from None
            self.place = ""
            return
        if not whole:
            raise ImportError(f"{self.place} is cut short: {self.remedy}", name=name)
        hot = _opened(self.place)
        if self.key and hot.key != self.key:
            raise ImportError(f"{self.place} is of another build: start this process anew, or {self.remedy}", name=name)
        self.hot = hot
        if not sys.flags.optimize:
            start = 4 + int.from_bytes(hot.code[:4], "little")
            magic, pure, groups = loads(hot.code[4:start])
            if magic == MAGIC_NUMBER:
                self.code = hot.code[start:]  # first: another thread may import as soon as it sees the table
                self.pure = pure
                self.groups = groups

    def _load_ahead(self, name: str) -> None:
        """Make and run what a module is known to import, without Python's import system (ADR-0034).

        Not where it could be seen: another thread would find modules half made, another hook wants to be asked. What
        fails is undone, and left for the import statement that wants it.
        """
        start, stop, names = self.groups.pop(name)
        if sys.meta_path[0] is not self or self.stale or not self.hot.alone():
            return
        codes = dict(zip(names, loads(self.code[start:stop]), strict=True))
        begun: dict[str, Any] = {}
        done: list[str] = []
        collects = gc.isenabled()
        gc.disable()  # an import makes objects by the thousand, and none that go
        is_quick = False
        try:
            self._check_file(name, self.place)
            is_quick = self.hot.quick_imports(True)
            specs = {each: self._spec_ahead(each, codes[each]) for each in names if each not in sys.modules}
            for each in specs:
                if each in begun or each not in sys.modules:
                    self._finish(each, begun.get(each) or self._begin(each, specs, codes, begun), codes[each])
                    del begun[each]
                    done.append(each)
        except BaseException as error:
            for each in (*done, *begun):
                if each in begun or each.rpartition(".")[0] in begun:  # it is an attribute of a package that goes
                    sys.modules.pop(each, None)
            if not isinstance(error, Exception):
                raise
        finally:
            if is_quick:
                self.hot.quick_imports(False)
            if collects:
                _collect_again()

    def _spec_ahead(self, name: str, code: "Any") -> "Any":
        """The spec of a module, whose package may not be there yet.

        Raises:
            ImportError: it is not what it was when the object was linked.
        """
        if code is None:
            return self._spec_in_one(name)
        parent = name.rpartition(".")[0]
        package = sys.modules.get(parent)
        folder = f"{__path__[0]}/{parent[9:].replace('.', '/')}" if package is None else package.__path__[0]
        spec = self._spec_of_code(name, folder)
        if spec is None:
            raise ImportError(f"{name} is not what it was when the object was linked", name=name)
        return spec

    def _begin(self, name: str, specs: "dict[str, Any]", codes: "dict[str, Any]", begun: "dict[str, Any]") -> "Any":
        """A module whose code has not run, in a package that may have to wait for it."""
        parent = name.rpartition(".")[0]
        if parent not in sys.modules:
            self._begin(parent, specs, codes, begun)
        spec = specs[name]
        spec._initializing = False  # as Python leaves it: each import statement asks, and its lack would cost each 1 µs
        if codes[name] is None:
            module: Any = spec.loader.create_module(spec)
            module.__spec__ = spec
        else:
            module = _Module(name)
            facts = module.__dict__
            facts["__file__"], facts["__loader__"], facts["__package__"] = spec.origin, spec.loader, parent
            facts["__spec__"] = spec
            if (cached := spec._cached or spec.cached) is not None:
                facts["__cached__"] = cached
            if spec.submodule_search_locations is not None:
                facts["__package__"], facts["__path__"] = name, spec.submodule_search_locations
            _fix_co_filename(codes[name], spec.origin)
        sys.modules[name] = begun[name] = module
        return module

    def _finish(self, name: str, module: "Any", code: "Any") -> None:
        """Run the code of a module, which is known to its package from then on."""
        if code is None:
            exec_dynamic(module)
        else:
            exec(code, module.__dict__)
        parent, _, stem = name.rpartition(".")
        setattr(sys.modules[parent], stem, module)

    def _spec_of_code(self, name: str, folder: str) -> "Any":
        """The spec of a module whose source is what it was when the object was linked; else None."""
        is_package, size, known, start, stop = self.pure[name]
        stem = name.rpartition(".")[2]
        if is_package:
            folder, stem = f"{folder}/{stem}", "__init__"
        path = f"{folder}/{stem}.py"
        try:
            written = self.times.get(name)
            if not (written and self.hot.is_as(path, written)) and not _is_source(path, size, known):
                return None
        except OSError:
            return None
        spec: Any = ModuleSpec(name, _FromCode(name, path, self.code[start:stop]), origin=path)
        spec._set_fileattr = True
        if sys.pycache_prefix is None:  # it is asked for each module, and takes long to find
            spec._cached = f"{folder}/__pycache__/{stem}.{sys.implementation.cache_tag}.pyc"
        if is_package:
            spec.submodule_search_locations = [folder]
        return spec


def _opened(place: str) -> "Any":
    """The shared object there, which is opened once."""
    hot = create_dynamic(ModuleSpec("stratavm._hot", None, origin=place))
    exec_dynamic(hot)
    return hot


def _first_look(place: str, key: str) -> "Any":
    """The shared object, if it is that of the last build, for who has to look at hundreds of files; else None, without
    a word: who imports one of its modules says why."""
    try:
        hot = _opened(place) if key and _is_whole(place) else None
    except (OSError, ImportError):
        return None
    return hot if hot is not None and hot.key == key else None


def _collect_again() -> None:
    """The garbage collector runs again. What an import has made stays: it goes where what is old is at once, instead of
    being looked through twice on its way there."""
    if not gc.get_freeze_count():  # else somebody has frozen something himself
        gc.freeze()
        gc.unfreeze()
    gc.enable()


def _is_source(path: str, size: int, known: bytes) -> bool:
    """Whether a file has the bytes of which a hash is known."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        source = os.read(file, size + 1)
    finally:
        os.close(file)
    return len(source) == size and source_hash(_SOURCE_KEY, source) == known


_Module = type(sys)
_SOURCE_KEY = int.from_bytes(MAGIC_NUMBER, "little")  # as importlib.util.source_hash has it


class _FromCode(SourceFileLoader):
    """Loads a module from byte code that is its source's."""

    def __init__(self, name: str, path: str, code: "Any") -> None:
        self.name, self.path, self.code = name, path, code

    def get_code(self, fullname: str) -> "Any":
        """Its code, which names its file."""
        code = loads(self.code)
        _fix_co_filename(code, self.path)
        return code


class _InOne(ExtensionFileLoader):
    """Loads a hot module from the shared object that has them all."""

    def __init__(self, name: str, path: str, hot: "Any") -> None:
        self.name, self.path, self.hot = name, path, hot

    def create_module(self, spec: "Any") -> "Any":
        """The module, whose code has not run."""
        return self.hot.create(spec, self.hot.numbers[self.name])


def _is_whole(path: str) -> bool:
    """Whether a shared object has every byte that its header speaks of: to touch one that is not there is a signal."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head, size = os.read(file, 4096), os.fstat(file).st_size
    finally:
        os.close(file)

    def number(at: int, width: int) -> int:
        return int.from_bytes(head[at : at + width], "little")

    if len(head) < 64 or head[:4] != b"\x7fELF":
        return False
    segments = range(number(32, 8), number(32, 8) + 56 * number(56, 2), 56)
    sections_end = number(40, 8) + number(58, 2) * number(60, 2)
    whole = segments.stop <= len(head) and sections_end <= size
    return whole and all(number(at + 8, 8) + number(at + 32, 8) <= size for at in segments)


def _is_hot(spec: "Any") -> bool:
    """Whether the source that Python found is of a hot module; its byte code, too, where there is no such file."""
    if spec.origin.endswith(".py"):
        try:
            source = os.open(spec.origin, os.O_RDONLY)  # a file object takes four times as long
        except OSError:  # inside an archive
            pass
        else:
            head = os.read(source, 400)
            os.close(source)
            return b"# strata: hot" in head.splitlines()[:5]
    code = spec.loader.get_code(spec.name)
    return code is not None and "cython" in code.co_names  # hot modules alone import it


try:
    import stratavm._build as _build
except ModuleNotFoundError:  # an installed wheel: only a source checkout has the guard
    _hook = _HotModules(
        {},
        "reinstall stratavm with the Python that is to run it",
        place=os.path.join(__path__[0], "_hot.modules" + extension_suffixes()[0]),
    )
else:
    _text = _build.begin()
    _one = _build.one_object()
    _stale = _build.verify(_text, _first_look(*_one))
    _hook = _HotModules(_stale, _build.HINT, _build.refusal, *_one)
    del _text, _one, _stale
    _hook.times = _build.PURE
sys.meta_path.insert(0, _hook)

if TYPE_CHECKING:
    from stratavm.aot.profile import Profile as Profile
    from stratavm.aot.profile import ProfileError as ProfileError
    from stratavm.base.errors import AllocatorFault as AllocatorFault
    from stratavm.base.errors import Closed as Closed
    from stratavm.base.errors import DeadlineExceeded as DeadlineExceeded
    from stratavm.base.errors import DecodeError as DecodeError
    from stratavm.base.errors import ExitError as ExitError
    from stratavm.base.errors import InstanceBusy as InstanceBusy
    from stratavm.base.errors import InstancePoisoned as InstancePoisoned
    from stratavm.base.errors import Interrupted as Interrupted
    from stratavm.base.errors import LinkError as LinkError
    from stratavm.base.errors import ModuleError as ModuleError
    from stratavm.base.errors import OutOfFuel as OutOfFuel
    from stratavm.base.errors import ParseError as ParseError
    from stratavm.base.errors import ResourceLimit as ResourceLimit
    from stratavm.base.errors import SlotsExhausted as SlotsExhausted
    from stratavm.base.errors import SnapshotRefused as SnapshotRefused
    from stratavm.base.errors import StackOverflow as StackOverflow
    from stratavm.base.errors import StoreBusy as StoreBusy
    from stratavm.base.errors import StrataError as StrataError
    from stratavm.base.errors import Trap as Trap
    from stratavm.base.errors import Unsupported as Unsupported
    from stratavm.base.errors import ValidationError as ValidationError
    from stratavm.base.thrown import WasmException as WasmException
    from stratavm.engine import Caller as Caller
    from stratavm.engine import Config as Config
    from stratavm.engine import Engine as Engine
    from stratavm.engine import Func as Func
    from stratavm.engine import Global as Global
    from stratavm.engine import HostSpec as HostSpec
    from stratavm.engine import Instance as Instance
    from stratavm.engine import InstancePre as InstancePre
    from stratavm.engine import Linker as Linker
    from stratavm.engine import Memory as Memory
    from stratavm.engine import Module as Module
    from stratavm.engine import Store as Store
    from stratavm.engine import Table as Table
    from stratavm.engine import Tag as Tag
    from stratavm.engine.asynchronous import to_thread as to_thread
    from stratavm.engine.guestfields import GuestField as GuestField
    from stratavm.engine.guestobjects import GuestObject as GuestObject
    from stratavm.engine.guestobjects import GuestType as GuestType
    from stratavm.engine.heapdump import HeapDump as HeapDump
    from stratavm.engine.heapdump import HeapRow as HeapRow
    from stratavm.engine.heapdump import HeapType as HeapType
    from stratavm.engine.live import LiveInstance as LiveInstance
    from stratavm.engine.load import load as load
    from stratavm.engine.metrics import EngineMetrics as EngineMetrics
    from stratavm.engine.recovery import Recovering as Recovering
    from stratavm.engine.shared import SharedMemory as SharedMemory
    from stratavm.engine.snapshot import Snapshot as Snapshot
    from stratavm.engine.swap import MigrationFailed as MigrationFailed
    from stratavm.engine.update_plan import Update as Update
    from stratavm.engine.update_plan import UpdateRefused as UpdateRefused
    from stratavm.heap.metrics import GcMetrics as GcMetrics
    from stratavm.pool.metrics import PoolMetrics as PoolMetrics
    from stratavm.pool.metrics import TenantMetrics as TenantMetrics
    from stratavm.pool.policy import Policy as Policy
    from stratavm.pool.policy import Tenant as Tenant
    from stratavm.pool.pool import Pool as Pool
    from stratavm.pool.rejected import Rejected as Rejected
    from stratavm.runtime.fibers import CannotSuspend as CannotSuspend
    from stratavm.runtime.i31 import I31 as I31
    from stratavm.runtime.limits import GcConfig as GcConfig
    from stratavm.runtime.limits import GcConstants as GcConstants
    from stratavm.runtime.limits import MemorySlots as MemorySlots
    from stratavm.runtime.limits import StoreLimits as StoreLimits
    from stratavm.sandbox.awaited import run_async as run_async
    from stratavm.sandbox.completed import Completed as Completed
    from stratavm.sandbox.completed import GuestFailed as GuestFailed
    from stratavm.sandbox.entry import run as run
    from stratavm.services.lifecycle import Restart as Restart
    from stratavm.wasi import Wasi as Wasi

# Public name → where it lives; resolved at first use, so that `import stratavm` stays cheap.
_EXPORTS: dict[str, str] = {
    **{
        name: f"stratavm.engine.{name}"
        for name in (
            "Caller",
            "Config",
            "Engine",
            "Func",
            "Global",
            "HostSpec",
            "Instance",
            "InstancePre",
            "Linker",
            "Memory",
            "Module",
            "Store",
            "Table",
            "Tag",
        )
    },
    **{
        name: f"stratavm.base.errors.{name}"
        for name in (
            "AllocatorFault",
            "Closed",
            "DeadlineExceeded",
            "DecodeError",
            "ExitError",
            "InstanceBusy",
            "InstancePoisoned",
            "Interrupted",
            "LinkError",
            "ModuleError",
            "OutOfFuel",
            "ParseError",
            "SlotsExhausted",
            "ResourceLimit",
            "SnapshotRefused",
            "StackOverflow",
            "StoreBusy",
            "StrataError",
            "Trap",
            "Unsupported",
            "ValidationError",
        )
    },
    "CannotSuspend": "stratavm.runtime.fibers.CannotSuspend",
    "Completed": "stratavm.sandbox.completed.Completed",
    "EngineMetrics": "stratavm.engine.metrics.EngineMetrics",
    "GcConfig": "stratavm.runtime.limits.GcConfig",
    "GcConstants": "stratavm.runtime.limits.GcConstants",
    "GcMetrics": "stratavm.heap.metrics.GcMetrics",
    "GuestFailed": "stratavm.sandbox.completed.GuestFailed",
    "GuestField": "stratavm.engine.guestfields.GuestField",
    "GuestObject": "stratavm.engine.guestobjects.GuestObject",
    "GuestType": "stratavm.engine.guestobjects.GuestType",
    "HeapDump": "stratavm.engine.heapdump.HeapDump",
    "HeapRow": "stratavm.engine.heapdump.HeapRow",
    "HeapType": "stratavm.engine.heapdump.HeapType",
    "I31": "stratavm.runtime.i31.I31",
    "Policy": "stratavm.pool.policy.Policy",
    "Pool": "stratavm.pool.pool.Pool",
    "LiveInstance": "stratavm.engine.live.LiveInstance",
    "MemorySlots": "stratavm.runtime.limits.MemorySlots",
    "MigrationFailed": "stratavm.engine.swap.MigrationFailed",
    "PoolMetrics": "stratavm.pool.metrics.PoolMetrics",
    "SharedMemory": "stratavm.engine.shared.SharedMemory",
    "Profile": "stratavm.aot.profile.Profile",
    "ProfileError": "stratavm.aot.profile.ProfileError",
    "Recovering": "stratavm.engine.recovery.Recovering",
    "Rejected": "stratavm.pool.rejected.Rejected",
    "Restart": "stratavm.services.lifecycle.Restart",
    "Snapshot": "stratavm.engine.snapshot.Snapshot",
    "StoreLimits": "stratavm.runtime.limits.StoreLimits",
    "Tenant": "stratavm.pool.policy.Tenant",
    "TenantMetrics": "stratavm.pool.metrics.TenantMetrics",
    "Update": "stratavm.engine.update_plan.Update",
    "UpdateRefused": "stratavm.engine.update_plan.UpdateRefused",
    "load": "stratavm.engine.load.load",
    "to_thread": "stratavm.engine.asynchronous.to_thread",
    "run": "stratavm.sandbox.entry.run",
    "run_async": "stratavm.sandbox.awaited.run_async",
    "Wasi": "stratavm.wasi.Wasi",
    "WasmException": "stratavm.base.thrown.WasmException",
}


if not TYPE_CHECKING:  # a type checker reads the imports above
    __all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> object:
    """Load a public name at first use."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'stratavm' has no attribute {name!r}")
    import importlib

    from stratavm.base.importing import importing

    module, _, attribute = _EXPORTS[name].rpartition(".")
    with importing:
        collects = gc.isenabled()
        gc.disable()
        try:
            value = getattr(importlib.import_module(module), attribute)
        finally:
            if collects:
                _collect_again()
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, loaded or not, and what every module has."""
    return sorted({*_EXPORTS, *(name for name in globals() if name.startswith("__"))})
