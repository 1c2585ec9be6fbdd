"""Images of modules: compiling all of a module beforehand, and taking what was compiled where it may run."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache

from stratavm.aot.container import Damaged, FileContent, write
from stratavm.aot.contents import (
    BINARY,
    CODE,
    FACTS,
    LAYOUT,
    MEMORY,
    PAGES,
    SKELETON,
    STATE,
    facts_of,
    mismatch,
    pack_facts,
)
from stratavm.aot.files import write_whole
from stratavm.aot.trust import NOTHING, believed, checked_key, user_key
from stratavm.base import switches
from stratavm.base.budget import Budget
from stratavm.base.errors import ModuleError, StrataError
from stratavm.base.events.core import Event
from stratavm.base.events.core import Source as EventSource
from stratavm.base.events.declare import event
from stratavm.base.forms import TYPE_CHECKING, Final, TypeAlias, dataclass, replace
from stratavm.base.importing import importing
from stratavm.base.numbers import seconds_or_none, truth
from stratavm.engine.codecache import PACKAGE, ImageRestored, KeptModule, check_package, package_identity
from stratavm.engine.composition import composition
from stratavm.engine.config import way_of
from stratavm.engine.engine import Engine, engine_of
from stratavm.engine.events import describe
from stratavm.engine.source import Source, SourceLike, check_plain_path, image_in, read_source, with_trust
from stratavm.module.decode import decode
from stratavm.services.diskcache import CacheRefused, DiskCache, default_folders, digest

if TYPE_CHECKING:
    from stratavm.aot.container import Image
    from stratavm.aot.profile import Profile
    from stratavm.base.choices import TierName
    from stratavm.engine.config import Config, Cpu
    from stratavm.engine.module import Module
    from stratavm.engine.rebuild import Predecessor
    from stratavm.module.model import Module as Model
    from stratavm.module.sections import Datas, Functions
    from stratavm.runtime.image import Images
    from stratavm.tiers.tier import TierModule

LEVELS: Final[dict[TierName, int]] = {"jit0": 0, "jit1": 1}
"""Levels of the tiers whose code an image may have."""
BYTES: Final = (bytes, bytearray, memoryview)
LOOK_S: Final = 0.1
"""Between two reports of progress."""
SHOWN: Final = ("version", "tier", "features", "memory_plan", "fuel", "switches")
"""Facts that people want to see."""
INTERPRETER: Final = "/usr/bin/env -S strata run"
GUARD: Final = "_build.py"
"""Of a checkout alone; no code depends on it."""

Cached: TypeAlias = "KeptModule | None"
Progress: TypeAlias = Callable[[int, int], None]
"""Hears how many functions of how many have code."""


@event
class ModuleBuilt(Event):
    """All functions of a module were compiled for an image: ``compiled`` of so many ``functions`` now, the others were
    in the image of before."""

    module: str
    functions: int
    compiled: int
    code_bytes: int


@event
class BuiltCodeUsed(Event):
    """The code of an image runs: of so many ``functions``, so many ``bytes``."""

    module: str
    functions: int
    bytes: int


@event
class BuiltCodeRefused(Event):
    """The code of an image does not run here, or is damaged: the binary in it is compiled instead. Or so with another
    ``part`` of it, or with an old image as a build should follow: of that all is compiled."""

    module: str
    reason: str
    part: str = "code"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be built; ``Module.build`` says what each means."""

    tier: TierName | None = None
    cpu: Cpu | None = None
    old: SourceLike | None = None
    key: bytes | None = None
    trusted: bool = False
    timeout: float | None = None
    profile: Profile | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """The code of a module, as an image has it: with what it depends on.

    Attributes:
        tier: by which ``code`` was asked for, and ``cpu``.
        key: of who made a part of it, where the module is foreign; None: nobody who can be named.
    """

    facts: Mapping[str, str]
    code: bytes
    tier: TierName = "jit1"
    cpu: Cpu | None = None
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What building a module did.

    Attributes:
        functions: how many the module defines; ``code_bytes``: of machine code of all.
        compiled: index, name and reason of those that were compiled now.
        fallbacks: index, name and reason of those that run on the oracle.
        seconds: that it took, loading included.
        hot: how many were compiled at level 1 since a profile says so; None where there was none.
        refused: why nothing of the old image was used; empty where something was, or there was none.
    """

    functions: int
    code_bytes: int
    compiled: tuple[tuple[int, str, str], ...]
    fallbacks: tuple[tuple[int, str, str], ...]
    seconds: float = 0.0
    hot: int | None = None
    refused: str = ""


def build_module(
    make: type[Module], source: SourceLike, engine: Engine | None, order: Order, progress: Progress | None = None
) -> tuple[Module, BuildReport]:
    """A module with the code of all functions, and what that took. ``Module.build`` says what is raised."""
    begin = time.perf_counter()
    tier: TierName = order.tier or ("jit1" if order.profile is None else "jit0")
    if tier not in LEVELS:
        raise ValueError(f"tier must be one of {', '.join(LEVELS)} for an image, got {tier!r:.80}")
    truth("trusted", order.trusted)
    if order.profile is not None and order.old is not None:
        raise ValueError("profile and old: an old image does not say of which profile it is, so nothing is taken of it")
    engine = engine_of(engine)
    with Budget(seconds_or_none("timeout", order.timeout)):
        old = None if order.old is None else _predecessor(order, engine.config)
        module = make.bare(source, engine, *([] if old is None else [old.compare]))
        module.code.is_foreign |= old is not None and not old.why and old.is_foreign
        hot = None if order.profile is None else _hot(order.profile, module)
        built, report = _build(module, tier, order.cpu, old, progress, hot)
    module._built, module._is_unpublished = built, True
    return module, replace(report, seconds=time.perf_counter() - begin)


def _hot(profile: Profile, module: Module) -> list[int]:
    """The functions that a profile says are hot, by defined index.

    Raises:
        TypeError: it is no profile.
        ProfileError: it is of another module.
    """
    with importing:
        from stratavm.engine.profiles import checked, hot_of

    first = len(module.model.imported_funcs)
    return [index - first for index in hot_of(checked(profile), module.model, module.name)]


def _predecessor(order: Order, config: Config) -> Predecessor:
    """The old image.

    Raises:
        TypeError: it is neither a path nor bytes.
        OSError, DecodeError, ModuleLimit: it cannot be read, is damaged, or none.
    """
    with importing:
        from stratavm.engine.rebuild import Predecessor

    assert order.old is not None
    given: object = order.old
    if not isinstance(given, (str, os.PathLike, *BYTES)):
        instead = "; pass its bytes: old.serialize(key=…)" if hasattr(given, "serialize") else ""
        raise TypeError(f"old must be a path or bytes of an image, got {type(given).__name__}{instead}")
    file = "the old image" if isinstance(order.old, BYTES) else os.fspath(order.old)
    try:
        old = image_in(read_source(order.old, config.limits.module_bytes, lean=True))
    except ModuleError as error:
        error.file = file
        raise
    return Predecessor(with_trust(old, order.key, order.trusted), file, build_identity(), way_of(config), config)


def _build(
    module: Module,
    tier: TierName,
    cpu: Cpu | None,
    old: Predecessor | None = None,
    progress: Progress | None = None,
    hot: list[int] | None = None,
) -> tuple[Built, BuildReport]:
    """Compile all functions of a module, or those that ``old`` has not; those that are ``hot`` at level 1. What code it
    has is not taken: that may be another's, whom this process trusts, and an image with this user's mark is trusted by
    all of them.

    Raises:
        StrataError: files of the package changed since this process imported it.
        DeadlineExceeded, Interrupted: the budget of the thread ended it.
    """
    build_identity()  # before anything is compiled
    with _compiler(module, tier, cpu) as code:
        facts = _facts_of(module, code, tier)
        functions, first = len(module.model.functions), len(module.model.imported_funcs)
        reasons: Mapping[int, str] | str = "no image of before was given"
        refused = ""
        if old is not None:
            reasons = old.reasons(code, facts, ("build", *code.code_facts, "options"), first)
            if isinstance(reasons, str):
                refused = reasons
                _refuse(module.engine.source, old.name, refused)
        again = None if isinstance(reasons, str) else sorted(reasons)
        if hot is not None:
            facts |= {"tier": "profile", "options": digest(code.code_key.encode(), repr(sorted(hot)).encode()).hex()}
            again = sorted({*range(functions)} - {*hot})
        with _told(code, functions, functions if again is None else len(again), progress):
            code.compile_all(module.engine.config.worker_threads, again)
        data, compiled = code.pack_code(by_index=True), code.compiled
        if hot is not None:
            data = code.packed(data).having(code.packed(_level_1(module, cpu, hot)), hot)
            compiled += len(hot)
        if old is not None and not isinstance(reasons, str):
            data = old.code_with(code.packed(data), reasons)
        if isinstance(reasons, str):
            reasons = dict.fromkeys(range(functions), reasons)
        built = Built(facts, data, tier, cpu, None if old is None else old.key)
        name = module.model.func_name
        report = BuildReport(
            functions=functions,
            code_bytes=code.packed(data).code_bytes,
            compiled=tuple((first + i, name(first + i), why) for i, why in sorted(reasons.items())),
            fallbacks=tuple((f, name(f), why) for f, why in sorted(code.fallbacks.items())),
            hot=None if hot is None else len(hot),
            refused=refused,
        )
        source = module.engine.source
        if source.hears(ModuleBuilt):
            source.emit(ModuleBuilt(module.name, report.functions, compiled, report.code_bytes))
    return built, report


def _facts_of(module: Module, code: TierModule, tier: TierName) -> dict[str, str]:
    """What an image of a module says of its code, which a tier's compiler makes."""
    way = digest(way_of(module.engine.config).encode()).hex()
    options = digest(code.code_key.encode()).hex()
    return _facts(code) | {"way": way, "tier": tier, "options": options, "name": module.name}


def _level_1(module: Module, cpu: Cpu | None, hot: list[int]) -> bytes:
    """The code of level 1 of some functions, packed."""
    with _compiler(module, "jit1", cpu) as code:
        code.compile_all(module.engine.config.worker_threads, sorted(hot))
        return code.pack_code(by_index=True)


@contextmanager
def _compiler(module: Module, tier: TierName, cpu: Cpu | None) -> Iterator[TierModule]:
    """The module's code under the tier that compiles: of an engine of its own, so that nothing is in it yet."""
    config = module.engine.config
    changed = config.having(
        tier=tier,
        cpu=cpu or config.cpu,
        strict=False,
        memory_slots=None,
        cache=False,
        profile=None,
        lift_after=None,
    )
    with Engine(changed) as engine:
        code = engine.tier.load(module.valid, module.name)
        try:
            yield code
        finally:
            code.close()


@contextmanager
def _told(code: TierModule, functions: int, wanted: int, progress: Progress | None) -> Iterator[None]:
    """Report progress meanwhile, on a thread of its own. ``wanted``: how many of the functions are compiled."""
    if progress is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(LOOK_S):
            progress(functions - wanted + code.compiled, functions)

    watcher = threading.Thread(target=watch, name="strata-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    progress(functions, functions)


def image_of(module: Module, key: bytes | None, interpreter: str = "") -> list[bytes]:
    """A module's image, in pieces; with the mark of a key, or of this user's if there can be one.

    Args:
        interpreter: what runs it, as behind ``#!``.

    Raises:
        ValueError: the module was made of a model, or the key is none.
    """
    if module._is_given:
        raise ValueError(
            "a module that was made of a model has no image: the model may be another than its binary says"
        )
    key = checked_key(key)
    state = module.beginning()
    if module.code.is_foreign and (key is None or module._built is None or module._built.key != key):
        module = _made_here(module)
    built = module._built or _complete(module)
    with importing:
        from stratavm.engine.keptimage import lay_out
        from stratavm.module.skeleton import pack

    model = module.model
    skeleton = pack(model.functions, model.datas, len(model.binary))
    sections = {FACTS: pack_facts(built.facts), CODE: built.code, SKELETON: skeleton}
    layout, pages = lay_out(model, 0)
    if pages:
        sections |= {LAYOUT: layout, MEMORY: pages}
    if state is not None:
        sections |= composition().sections_of(module, state)
    sections[BINARY] = model.binary
    return write(sections, key or user_key(make=True)[0], interpreter)


def _made_here(module: Module) -> Module:
    """The same module of its binary alone, and compiled as it was, where others made something of it: whoever reads
    the mark of an image takes code, and what it says of bodies, for made by who has the key.

    Raises:
        ModuleError: it is not valid.
    """
    config, built = module.engine.config, module._built or Built({}, b"")
    model = decode(module.model.binary, features=config.features, limits=config.limits)
    made = type(module).from_model(model, module.engine)
    made.name, made._is_given = module.name, False
    made._built = _build(made, built.tier, built.cpu)[0]
    return made


def _complete(module: Module) -> Built:
    """The code of all functions of a module at level 1. Of what it has of that by now only code of an image with this
    user's mark is taken, which this user's Strata made: no other that this process trusts."""
    kept = module._loaded.kept
    own = kept.own(module.code) if isinstance(kept, KeptInImage) else None
    if own is not None:
        build_identity()
        with _compiler(module, "jit1", None) as code:
            facts = _facts_of(module, code, "jit1")
        if {**own.facts, "name": module.name} == facts:
            return Built(facts, own.code)
    return _build(module, "jit1", None)[0]


def write_image(module: Module, path: str | os.PathLike[str], key: bytes | None, executable: bool) -> None:
    """``Module.serialize_file``."""
    check_plain_path(path)
    truth("executable", executable)
    write_whole(path, image_of(module, key, INTERPRETER if executable else ""), executable=executable)


class KeptInImage(KeptModule):
    """What an image that may be believed has of a module besides the binary.

    Args:
        name: of the module, in events; ``source``: where they come from.
        image: it.
        facts: what it was built for.
        is_own: it has this user's mark.
        cached: gives what else is kept of the binary, where this is for other engines.
    """

    def __init__(
        self,
        name: str,
        source: EventSource,
        image: Image,
        facts: Mapping[str, str],
        is_own: bool,
        cached: Callable[[], Cached],
    ) -> None:
        self._name = name
        self.is_foreign = not is_own
        self._restored = 0
        self._source = source
        self._image: Image | None = image
        self._facts = facts
        self._cached = cached
        self._instead: Cached = None
        self._pages: Image | None = None

    def skeleton(self, way: str, size: int) -> tuple[Functions, Datas] | None:
        """The functions and data segments, if the binary was found to be valid in this way."""
        assert self._image is not None
        if SKELETON not in self._image.sections or self._facts.get("way") != digest(way.encode()).hex():
            return None
        with importing:
            from stratavm.module.skeleton import unpack

        try:
            found: tuple[Functions, Datas] = unpack(self._image.section(SKELETON), size)
        except (ValueError, OSError) as error:
            self.refuse(error, SKELETON)
            return None
        return found

    def restore(self, code: TierModule) -> None:
        """Publish its code, if it was compiled for such an engine, or else what is in the cache. Nothing else is asked
        of the image from here on, which goes."""
        image, self._image = self._image, None
        assert image is not None
        if isinstance(image.content, FileContent) and MEMORY in image.sections:
            self._pages = image
        try:
            why = mismatch(self._facts, _facts(code))
            if not why:
                data = image.section(CODE)
                functions = code.restore_code(data, origin="image")
                self._restored = code.compilations
                if self._source.hears(BuiltCodeUsed):
                    self._source.emit(BuiltCodeUsed(self._name, functions, len(data)))
                return
        except (ValueError, OSError, StrataError) as error:
            why = _words(error)
        _refuse(self._source, self._name, why)
        self._instead = self._cached()
        if self._instead is not None:
            self._instead.restore(code)

    def own(self, code: TierModule) -> Built | None:
        """The code of the image, which a module has, if it is this user's, is there whole, and is all that there is."""
        if self.is_foreign or not 0 < code.compilations == self._restored:
            return None
        data = code.pack_code(by_index=True)
        return None if code.packed(data).missing() else Built(self._facts, data)

    def refuse(self, error: Exception, part: str = SKELETON) -> None:
        """Say of a part that it was not used."""
        _refuse(self._source, self._name, _words(error), part)

    def images(self, way: str, model: Model, *, at_once: bool = False) -> Images | None:
        """What the module's memory begins with, to be mapped from a copy of what its file has; None where it has
        nothing of that, or is in no file. The file itself is not mapped: a guest may be given the folder that it is in,
        and who changes a mapped file changes the memory of all, or cuts it off under them."""
        image, self._pages = self._pages, None
        if image is None:
            return None
        with importing:
            from stratavm.engine.keptimage import image_of
            from stratavm.runtime.image import sealed_copy

        try:
            layout, found = image.section(LAYOUT), None
            descriptor, size = image.copy_section(MEMORY, sealed_copy)
            found = image_of(layout, model, descriptor, 0, size)
            if found is None:
                os.close(descriptor)
                raise Damaged("the pages of its memory are not what they were")
        except (Damaged, OSError) as error:
            self.refuse(error, MEMORY)
            return None
        if self._source.hears(ImageRestored):
            self._source.emit(ImageRestored(self._name, size))
        return found

    def keep(self, code: TierModule, way: str, model: Model, is_over: bool = True) -> None:
        """Nothing, but what is for the cache where that was looked at."""
        if self._instead is not None:
            self._instead.keep(code, way, model, is_over)


def kept_in(name: str, engine: Engine, origin: Source, cached: Callable[[], Cached]) -> KeptModule | None:
    """What an image has besides its binary; None, and an event says why, where nothing of it may be believed.
    ``cached`` gives what else is kept of the binary, where the code is for other engines."""
    assert origin.image is not None and origin.binary is not None
    image, why = believed(origin.image, origin.binary, origin.trust or NOTHING)
    try:
        facts = facts_of(image)
        if not why and facts.get("build") == build_identity():
            is_own = image.key is not None and image.key is origin.image.key
            return KeptInImage(name, engine.source, image, facts, is_own, cached)
        why = why or mismatch(facts, _here())
    except (Damaged, OSError, CacheRefused) as error:
        why = why or _words(error)
    _refuse(engine.source, name, why)
    return None


def _words(error: Exception) -> str:
    """What went wrong; damage says it itself."""
    return str(error) if isinstance(error, Damaged) else describe(error)


def _refuse(source: EventSource, name: str, why: str, part: str = CODE) -> None:
    if source.hears(BuiltCodeRefused):
        source.emit(BuiltCodeRefused(name, why, part))


def description(origin: Source) -> list[tuple[str, str]]:
    """What the code of an image is for, and whether this user's processes run it; for people."""
    assert origin.image is not None and origin.binary is not None
    image, refused = believed(origin.image, origin.binary, origin.trust or NOTHING)
    size = image.sections[CODE].size if CODE in image.sections else 0
    rows = [("code", f"{size} bytes")]
    try:
        facts = facts_of(image)
        if size:
            image.section(CODE)  # as it is
    except Damaged as error:
        return [*rows, ("used", f"no: {error}")]
    if STATE in image.sections:
        size = image.sections[PAGES].size if PAGES in image.sections else 0
        rows.append(("begins", f"behind a call (--init), with {size} bytes of memory"))
    words = {"True": "yes", "False": "no"}
    shown = [(name, value) for name, value in facts.items() if name in SHOWN and value]
    rows += [(name.replace("_", " "), words.get(value, value)) for name, value in shown]
    same = facts.get("build") == build_identity()
    why = refused or ("" if same else "it is of another build of Strata")
    return [*rows, ("used", f"no: {why}" if why else "yes, by engines with these options")]


def publish(module: Module, built: Built) -> None:
    """Let a module that was built have the code, where its engine may run that."""
    if not mismatch(built.facts, _facts(module.code)):
        module.code.restore_code(built.code)


def _facts(code: TierModule) -> dict[str, str]:
    """What code that fits a module's compiler says of itself; nothing where none does."""
    found = dict(code.code_facts)
    return {**_here(), **found} if found else {}


def _here() -> dict[str, str]:
    """What every image says that is built here."""
    return {"build": build_identity(), "version": sys.modules["stratavm"].__version__}


def build_identity() -> str:
    """What tells this build of Strata from any other, on whatever machine: all that its files have in them.

    Raises:
        CacheRefused: files changed since this process imported them, or may have.
    """
    check_package()
    return _content_identity().hex()


@cache
def _content_identity() -> bytes:
    """The digest of the package's files; kept in the user's cache, by their names, sizes and times."""
    files, disk = package_identity(), None
    key = digest(b"build", repr(files).encode())
    if not switches.CACHE.value():
        with suppress(CacheRefused):
            disk = DiskCache(*default_folders())
    known = disk.find(key)[0] if disk is not None else None
    if known is not None:
        return known
    parts = []
    for name, *_ in files:
        if name != GUARD:
            with open(f"{PACKAGE}/{name}", "rb") as file:
                parts += [name.encode(), file.read()]
    found = digest(*parts)
    if disk is not None:
        with suppress(OSError):
            disk.keep(key, found, "digest of this build of stratavm")
    return found
