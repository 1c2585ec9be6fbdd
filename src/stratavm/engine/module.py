"""A module that was decoded and validated, ready to be instantiated any number of times."""

from __future__ import annotations

import os
import time
from _collections_abc import Callable, Sequence

from stratavm.base.budget import Budget
from stratavm.base.cached import cached
from stratavm.base.errors import DecodeError, ModuleError, ModuleLimit, StrataError, Unsupported, ValidationError
from stratavm.base.forms import TYPE_CHECKING, Final, TypeAlias, replace
from stratavm.base.importing import finalize, importing, partial
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import seconds_or_none, truth
from stratavm.base.text import printable
from stratavm.base.words import counted
from stratavm.engine.cache import SMALLEST, CodeCache, LoadedModule, ModuleCache
from stratavm.engine.composition import composition
from stratavm.engine.config import way_of
from stratavm.engine.engine import Engine, engine_of
from stratavm.engine.events import (
    ImageLaidOut,
    ImageRefused,
    ModuleCompiled,
    ModuleLoaded,
    ModuleRefused,
    describe,
)
from stratavm.engine.source import Source, SourceLike, check_plain_path, image_in, path_in, read_source, with_trust
from stratavm.module.decode import decode
from stratavm.module.model import Export, Import
from stratavm.module.model import Module as Model
from stratavm.module.valid import ValidModule
from stratavm.module.validate import validate
from stratavm.runtime.blueprint import Blueprint
from stratavm.runtime.image import NO_IMAGES, Images, make_images
from stratavm.runtime.values import told
from stratavm.spec.types import ExternType, names_types, resolved_extern

if TYPE_CHECKING:
    from stratavm.aot.container import Image
    from stratavm.aot.profile import Profile
    from stratavm.base.choices import TierName
    from stratavm.engine.aot import Built
    from stratavm.engine.codecache import KeptModule
    from stratavm.engine.config import Cpu
    from stratavm.engine.guestobjects import GuestType
    from stratavm.engine.linker import Namespaces
    from stratavm.engine.report import CompileReport
    from stratavm.runtime.snapshot import State
    from stratavm.tiers.tier import TierModule

    Compare: TypeAlias = Callable[[Model], Sequence[int] | None]


EXCHANGED: Final = "; did you mean Module(source, engine)?"


class Module:
    """A valid module.

    Args:
        source: a path, the bytes of a binary, of a text module or of an image, or WAT text. Code of an image runs if
            this user's Strata built it, else the binary in it is compiled.
        engine: the engine to use; a shared default where absent.
        timeout: seconds that loading may take, None: no limit but the engine's ``load_timeout``. Ctrl-C ends it, too.

    Raises:
        OSError: the file cannot be read.
        DecodeError, ParseError: the module is malformed.
        ValidationError: the module is invalid.
        Unsupported: it needs a proposal that is not enabled, or (strict engines) a function cannot be compiled.
        ResourceLimit: it is larger than the engine's limits allow.
        DeadlineExceeded: loading took longer than it may; nothing is kept of it.
    """

    _built: Built | None = None
    """What ``build`` made, for ``serialize``, and for who runs the module."""
    _is_unpublished = False
    """Whether that is not published yet."""
    _is_given = False
    """Whether it was made of a model."""
    _began: Image | None = None
    """The image that has what its instances hold from the beginning, until that is asked for."""
    _state: State | None = None
    """That, instead of what the binary says."""

    @checks_keywords
    def __init__(self, source: SourceLike, engine: Engine | None = None, *, timeout: float | None = None) -> None:
        self._begin(source, engine, seconds_or_none("timeout", timeout))

    def _begin(
        self,
        source: SourceLike,
        engine: Engine | None,
        timeout: float | None,
        taken: Callable[[Source], Source] = lambda origin: origin,
        compare: Compare | None = None,
    ) -> None:
        """Read and load. ``taken`` says what is taken of what was read; ``compare`` is asked instead of the cache."""
        self.engine = engine_of(engine, EXCHANGED if isinstance(source, Engine) else "")
        budgets = self._in_time(), Budget(timeout)
        try:
            self._read_and_load(source, budgets, taken, compare)
        except ModuleError as error:
            path = path_in(source)
            if path is not None:  # its own words are about what is in it
                error.add_note(f"the module is {printable(os.fsdecode(path))}")
            raise

    def _read_and_load(
        self,
        source: SourceLike,
        budgets: tuple[Budget, Budget],
        taken: Callable[[Source], Source],
        compare: Compare | None,
    ) -> None:
        with budgets[0], budgets[1]:
            config = self.engine.config
            origin = taken(read_source(source, config.limits.module_bytes))
        self.name = os.path.basename(origin.name)
        if origin.image is not None and "state" in origin.image.sections:
            self._began = origin.image
        try:
            self._load(origin, budgets, compare)
        except StrataError as error:
            if self.engine.source.hears(ModuleRefused):
                self.engine.source.emit(ModuleRefused(self.name, describe(error)))
            raise

    def _load(self, origin: Source, budgets: tuple[Budget, Budget], compare: Compare | None) -> None:
        """Take a binary from the engine's cache, or decode, validate and offer it to the cache."""
        cache = self.engine.services.get(ModuleCache)
        # Of what is not read in full nobody has an equal: it is the first of its process.
        known = None if origin.binary is None or origin.rest is not None else cache.find(origin.binary)
        if known is not None:
            self._use(known)
            return
        with budgets[0], budgets[1]:  # code of others, such as the cache, is not within
            loaded = self._made_of(origin, compare)
        self._use(loaded)
        cache.keep(loaded)

    def _in_time(self) -> Budget:
        """What the engine allows loading to take."""
        return Budget(self.engine.config.load_timeout)

    def _made_of(self, origin: Source, compare: Compare | None) -> LoadedModule:
        """Decode or parse, and validate: what was not found out by an earlier process."""
        kept = None if origin.binary is None or compare is not None else self._kept(origin.binary, origin)
        model = None if kept is None else self._model_known(origin, kept)
        known = vouched = model is not None
        if model is None:
            origin = origin.whole()
            model = self._model_of(origin)
        unsure: Sequence[int] | None = ()
        if compare is not None:
            vouched = (unsure := compare(model)) is not None
        elif origin.binary is None:
            kept = cached_of(self.engine, self.name, model.binary)
        try:
            return self._prepare(model, kept, vouched, unsure or (), known)
        except (ValidationError, Unsupported) as error:
            if origin.text is not None:
                with importing:
                    from stratavm.module.wat_places import locate_in_text

                locate_in_text(error, origin.text, model)
            raise

    def _kept(self, binary: bytes, origin: Source) -> KeptModule | None:
        """What an image has besides its binary, if that may be believed, or else what is in the cache."""
        if origin.image is None:
            return cached_of(self.engine, self.name, binary, origin)
        with importing:
            from stratavm.engine.aot import kept_in

        cached = partial(cached_of, self.engine, self.name, binary)  # which holds no module
        kept = kept_in(self.name, self.engine, origin, cached)
        return cached() if kept is None else kept

    def _model_known(self, origin: Source, kept: KeptModule) -> Model | None:
        """Decode what an earlier process did not, which found the module to be valid; None where none did."""
        config, binary = self.engine.config, origin.binary
        assert binary is not None
        known = kept.skeleton(way_of(config), len(binary))
        if known is None:
            return None
        try:
            model: Model = decode(binary, features=config.features, limits=config.limits, known=known, rest=origin.rest)
        except (ValueError, ModuleError) as error:  # what was kept is not of this binary
            kept.refuse(error)
            return None
        return model

    def _model_of(self, origin: Source) -> Model:
        """Decode or parse."""
        config = self.engine.config
        if origin.binary is not None:
            model: Model = decode(origin.binary, features=config.features, limits=config.limits)
            return model
        with importing:
            from stratavm.module.parser import parse_module

        assert origin.text is not None
        try:
            return parse_module(origin.text, features=config.features, limits=config.limits)
        except ModuleLimit:
            raise
        except (Unsupported, DecodeError) as error:
            refused = error
        if not getattr(refused, "line", 0):  # the decoder refused it: say where in the text
            with importing:
                from stratavm.module.wat_places import refuse_in_text

            refuse_in_text(origin.text, config.features)
        raise refused

    def _prepare(
        self,
        model: Model,
        kept: KeptModule | None = None,
        vouched: bool = False,
        unsure: Sequence[int] = (),
        known: bool = False,
    ) -> LoadedModule:
        """Validate, and hand over to the tier, with what was kept of the binary. A model that was given has nothing: it
        may be another than its binary says. ``vouched``: an earlier process has validated the bodies, but for those of
        functions that are ``unsure``; ``known``: and all of this very binary."""
        config, tier = self.engine.config, self.engine.tier
        valid = validate(
            model, config.features, config.threads, limits=config.limits, vouched=vouched, unsure=unsure, known=known
        )
        if kept is None:
            loaded = LoadedModule(model, valid, tier.load(valid, self.name))
        else:
            loaded = LoadedModule(model, valid, tier.load(valid, self.name, kept.restore), kept)
            loaded.code.is_foreign |= kept.is_foreign
            finalize(loaded, kept.keep, loaded.code, way_of(config), model)
        if config.profile is not None:
            with importing:
                from stratavm.engine.profiles import expect

            expect(config.profile, model, loaded.code, self.name)
        return loaded

    def _use(self, loaded: LoadedModule) -> None:
        """Become a module of what was loaded."""
        self._loaded = loaded
        self.model: Model = loaded.model
        self.valid: ValidModule = loaded.valid
        self.code: TierModule = loaded.code
        self._images: Images | None = None
        self._uses = 0
        source = self.engine.source
        if source.hears(ModuleLoaded):
            source.emit(ModuleLoaded(self.name, len(self.model.functions), self.model.size))

    @classmethod
    async def load_async(
        cls, source: SourceLike, engine: Engine | None = None, *, timeout: float | None = None, compile: bool = False
    ) -> Module:
        """A module for asyncio: it is read, decoded and validated in a thread, and the loop goes on meanwhile.

        Cancelling the task ends the work in the thread, within milliseconds, and then goes on.

        Args:
            source: as for ``Module``.
            engine: the same.
            timeout: the same.
            compile: compile every function now, in the same thread, instead of each at its first call, which holds up
                the loop when an asynchronous call meets it; the code cache has the code then.

        Raises:
            StrataError: as ``Module`` and ``compile_all``.
        """
        engine = engine_of(engine, EXCHANGED if isinstance(source, Engine) else "")

        def load() -> Module:
            """In the thread."""
            module = cls(source, engine, timeout=timeout)
            if truth("compile", compile):
                module.compile_all()
                module._keep()
            return module

        asynchronous = engine.runtime.asynchronous
        assert asynchronous is not None  # an engine has one
        loaded: Module = await asynchronous().work(load)
        return loaded

    def _keep(self) -> None:
        """Let the code cache have what there is by now, which it would get when the module goes."""
        loaded = self._loaded
        if loaded.kept is not None:
            loaded.kept.keep(loaded.code, way_of(self.engine.config), loaded.model, is_over=False)

    @classmethod
    def from_model(cls, model: Model, engine: Engine | None = None) -> Module:
        """A module that was decoded or built elsewhere; it is validated here."""
        self = cls.__new__(cls)
        self.engine = engine_of(engine)
        self.name = model.names.module or "module"
        with self._in_time():
            loaded = self._prepare(model)
        self._use(loaded)
        self._is_given = True
        return self

    @classmethod
    def bare(
        cls,
        source: SourceLike,
        engine: Engine | None = None,
        compare: Compare = lambda model: None,
        *,
        timeout: float | None = None,
        name: str = "",
    ) -> Module:
        """``Module(…)`` for who compiles it: of an image only the binary counts, and the code cache is not asked, for
        which a large binary would have to be digested. ``compare`` says which bodies of the decoded module have to be
        validated; None: all. ``name``: of a source that has none, for backtraces and messages."""
        return cls._taking(source, engine, timeout, lambda origin: replace(origin.called(name), image=None), compare)

    @classmethod
    def _taking(
        cls,
        source: SourceLike,
        engine: Engine | None,
        timeout: float | None,
        taken: Callable[[Source], Source],
        compare: Compare | None = None,
    ) -> Module:
        """A module of what ``taken`` says of a source."""
        self = cls.__new__(cls)
        self._begin(source, engine, seconds_or_none("timeout", timeout), taken, compare)
        return self

    def _publish(self) -> None:
        """Have the code that was built, when somebody wants it: who only writes an image does not."""
        if self._is_unpublished:
            self._is_unpublished = False
            with importing:
                from stratavm.engine.aot import publish

            assert self._built is not None
            publish(self, self._built)

    @classmethod
    @checks_keywords
    def build(
        cls,
        source: SourceLike,
        engine: Engine | None = None,
        *,
        old: SourceLike | None = None,
        tier: TierName | None = None,
        cpu: Cpu | None = None,
        key: bytes | None = None,
        trusted: bool = False,
        timeout: float | None = None,
        profile: Profile | None = None,
        progress: Callable[[int, int], None] | None = None,
        init: str | None = None,
        imports: Namespaces | None = None,
    ) -> Module:
        """A module whose functions are all compiled, for ``serialize``. Of an image, the binary in it is compiled.

        Args:
            source: as for ``Module``.
            engine: as for ``Module``; its options count, but for the tier.
            old: an image of before, as a path or bytes: functions that did not change have their code from there. The
                result is the same, byte for byte.
            tier: what compiles: ``jit1`` optimises (where there is no profile), ``jit0`` compiles fast.
            cpu: what the code may use of the processor (``Config.cpu``); None: as the engine says.
            key: as for ``deserialize_file``: whether the code of ``old`` may be used.
            trusted: the same.
            timeout: seconds that it may take, None: no limit.
            profile: what a run of the same binary has found hot is compiled as by ``jit1``, the rest as ``tier`` says,
                or as by ``jit0``. Not together with ``old``.
            progress: is called ten times a second, on a thread of its own, with how many functions of how many have
                code.
            init: an exported function without parameters that is called now, behind the start function and
                ``_initialize``: all instances of the module, and of its images, begin with what there is then. They
                share what the guest drew of random numbers until then.
            imports: what the guest imports meanwhile, as for ``load``.

        Raises:
            SnapshotRefused: what ``init`` has made has something that cannot be kept.
            ModuleError: and others, as ``Module`` raises for ``source``.
            ValueError: this processor lacks what ``cpu`` means.
            DeadlineExceeded: it took longer.
        """
        with importing:
            from stratavm.aot.trust import checked_key
            from stratavm.engine.aot import Order, build_module

        if init is not None and not isinstance(init, str):
            raise TypeError(f"init must be the name of an export, got {init!r:.60}")
        if progress is not None and not callable(progress):
            raise TypeError(f"progress must be callable, progress(done, total), got {progress!r:.60}")
        order = Order(tier, cpu, old, checked_key(key), trusted, timeout, profile)
        module: Module = build_module(cls, source, engine, order, progress)[0]
        if init is not None:
            module.run_first(init, imports)
        return module

    def run_first(self, init: str, imports: Namespaces | None = None) -> None:
        """Let instances begin with what one holds behind an exported function, as ``build`` says of ``init``."""
        self._state = composition().state_behind(self, init, imports)

    def profile(self) -> Profile:
        """What has run much so far, in all instances: for ``Config.profile`` and ``build`` of the same binary.

        Code of level 1 does not count: of functions that came compiled from the cache or an image it is known only that
        they are hot.

        Raises:
            ValueError: the engine's tier is not ``auto``, which counts.
        """
        with importing:
            from stratavm.engine.profiles import profile_of

        return profile_of(self)

    def serialize(self, *, key: bytes | None = None) -> bytes:
        """The module as an image: its binary, and the code of all its functions, which are compiled if they are not
        yet. It is marked, so that ``deserialize`` knows who made it.

        Args:
            key: for the mark, 16 to 64 bytes; None: this user's own, which lies beside the code cache.

        Raises:
            ValueError: the module was made of a model, which may be another than its binary says.
        """
        with importing:
            from stratavm.engine.aot import image_of

        return b"".join(image_of(self, key))

    def serialize_file(
        self, path: str | os.PathLike[str], *, key: bytes | None = None, executable: bool = False
    ) -> None:
        """Write the image to a file: beside it, then renamed, so that the file is whole whenever it is looked at.

        Args:
            path: where to.
            key: as for ``serialize``.
            executable: begin with a line that has ``strata run`` run it, and make the file executable.

        Raises:
            OSError: it cannot be written; what was there is there still.
            ValueError: as for ``serialize``.
        """
        with importing:
            from stratavm.engine.aot import write_image

        write_image(self, path, key, executable)

    @classmethod
    @checks_keywords
    def deserialize(
        cls,
        data: bytes | bytearray | memoryview,
        engine: Engine | None = None,
        *,
        key: bytes | None = None,
        trusted: bool = False,
        timeout: float | None = None,
    ) -> Module:
        """A module from an image.

        Machine code runs with the rights of this process. So the code of an image is used only if this user's Strata
        built it, else the binary in it is compiled, and ``BuiltCodeRefused`` says why. The same holds where it was
        built by another build of Strata, for other options than the engine's, or for another processor.

        Args:
            data: the image.
            engine: the engine to use; a shared default where absent.
            key: the code is used if the image was marked with this key, and not otherwise.
            trusted: the code is used whoever built it.
            timeout: as for ``Module``.

        Raises:
            DecodeError: it is no image, or a damaged one.
            ModuleError: and others, as ``Module`` raises for the binary in it.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data must be the bytes of an image, got {type(data).__name__}")
        return cls._taking(data, engine, timeout, lambda origin: with_trust(image_in(origin), key, trusted))

    @classmethod
    @checks_keywords
    def deserialize_file(
        cls,
        path: str | os.PathLike[str],
        engine: Engine | None = None,
        *,
        key: bytes | None = None,
        trusted: bool = False,
        timeout: float | None = None,
    ) -> Module:
        """``deserialize`` of a file. Its owner and its rights say nothing of who made its code.

        Raises:
            OSError: it cannot be read.
            DecodeError, and what ``Module`` raises: as for ``deserialize``.
        """
        check_plain_path(path)
        return cls._taking(path, engine, timeout, lambda origin: with_trust(image_in(origin), key, trusted))

    def __reduce__(self) -> tuple[Callable[[bytes], Module], tuple[bytes]]:
        """A module is pickled as an image, and is of the default engine afterwards."""
        return Module.deserialize, (self.serialize(),)

    @property
    def imports(self) -> tuple[Import, ...]:
        """What the module wants: module name, name, kind and type of each import. Types that these name are those of
        the engine, as instances show them."""
        return self._imports

    @cached
    def _imports(self) -> tuple[Import, ...]:
        """The imports with canonical ids; the model's own where they name no types."""
        wanted = self.model.imports
        if not any(names_types(i.type) for i in wanted):
            return wanted
        ids = self.blueprint.ids
        return tuple([replace(i, type=told(resolved_extern(i.type, ids), self)) for i in wanted])

    def object_type(self, which: int | str) -> GuestType:
        """A type of structs or arrays that the module declares, to test objects for it and to make some.

        Args:
            which: its name in the name section, or its index among all types of the module.

        Raises:
            KeyError, IndexError: there is no such type.
            TypeError: it is a type of functions.
        """
        with importing:
            from stratavm.engine.guestobjects import declared_type

        return declared_type(self.blueprint, which)

    @property
    def object_types(self) -> tuple[GuestType, ...]:
        """All types of structs and arrays that the module declares, in their order."""
        with importing:
            from stratavm.engine.guestobjects import declared_types

        return declared_types(self.blueprint)

    @property
    def exports(self) -> tuple[Export, ...]:
        """What the module offers: name, kind and index of each export."""
        return self.model.exports

    @cached
    def export_index(self) -> dict[str, tuple[str, int]]:
        """Kind and index of each export by name."""
        return {e.name: (e.kind, e.index) for e in self.model.exports}

    @cached
    def blueprint(self) -> Blueprint:
        """What its instances have in common."""
        engine = self.engine
        self._publish()
        return Blueprint(self.model, self.code, engine.runtime, self.name, engine.config.memory_plan)

    @cached
    def custom_sections(self) -> dict[str, bytes]:
        """Custom sections by name (the first of each)."""
        return {c.name: bytes(c.data) for c in reversed(self.model.customs)}

    def export_type(self, export: Export) -> ExternType:
        """The type of an export."""
        return self.model.export_type(export)

    def beginning(self) -> State | None:
        """What its instances hold from the beginning, if that is not what its binary says: it was built with ``init``.

        Raises:
            DecodeError: what an image has of that is damaged, or of another build of Strata.
            ResourceLimit: the process may have no more files.
        """
        if self._began is not None:
            self._state = composition().state_in(self, self._began)
            self._began = None
        return self._state

    def images(self, *, at_once: bool = False) -> Images:
        """What memories of the module's instances begin with: laid out at the second instance, or ``at_once``."""
        if self._images is None:
            self._uses += 1
            when = self.engine.config.memory_images
            if when == "never":
                self._images = NO_IMAGES
            elif at_once or self._uses > 1 or when == "always":
                self._images = self._lay_out()
            else:
                return self._kept_images()
        return self._images

    def _kept_images(self) -> Images:
        """What an earlier process laid out, for a module that may have one instance only: its file is not sealed. With
        slots more are expected, and it is worth its while from the first start on."""
        kept, config = self._loaded.kept, self.engine.config
        if kept is None:
            return NO_IMAGES
        return kept.images(way_of(config), self.model, at_once=config.memory_slots is not None) or NO_IMAGES

    def _lay_out(self) -> Images:
        """Write the images; data segments are copied as ever where the kernel gives no files."""
        source = self.engine.source
        try:
            with self._in_time():
                images = make_images(self.model)
        except OSError as error:
            if source.hears(ImageRefused):
                source.emit(ImageRefused(self.name, describe(error)))
            return NO_IMAGES
        for memory, image in images.by_memory.items():
            if source.hears(ImageLaidOut):
                source.emit(ImageLaidOut(self.name, memory, len(image.runs), sum(size for _, size, _ in image.runs)))
        return images

    @property
    def code_bytes(self) -> int:
        """Bytes of machine code compiled so far."""
        self._publish()
        return self.code.code_bytes

    def compile_all(self, timeout: float | None = None) -> CompileReport:
        """Compile every function now instead of at its first call.

        Args:
            timeout: seconds that it may take, None: no limit.

        Raises:
            DeadlineExceeded: it took longer; what was published of it stays, and the rest is compiled when needed.
            Unsupported: a strict engine met a function that its tier cannot compile.
        """
        timeout = seconds_or_none("timeout", timeout)
        begin = time.perf_counter()
        self._publish()
        with Budget(timeout):
            costs = self.code.compile_all(self.engine.config.worker_threads)
        seconds = time.perf_counter() - begin
        first = len(self.model.imported_funcs)
        fallbacks = tuple((f, self.model.func_name(f), reason) for f, reason in sorted(self.code.fallbacks.items()))
        if fallbacks and self.engine.config.strict:
            index, name, reason = fallbacks[0]
            raise Unsupported(
                f"{counted(len(fallbacks), 'function')} cannot be compiled, first {index} ({printable(name)}): {reason}"
            )
        if self.engine.source.hears(ModuleCompiled):
            self.engine.source.emit(ModuleCompiled(self.name, len(costs.times_ns), costs.code_bytes))
        else:
            self.engine.bus.drain()
        with importing:
            from stratavm.engine.report import CompileReport

        bodies = self.model.functions
        return CompileReport(
            functions=len(costs.times_ns),
            wasm_bytes=sum(bodies[f - first].end - bodies[f - first].start for f in costs.times_ns),
            code_bytes=costs.code_bytes,
            seconds=seconds,
            stages={name: ns / 1e9 for name, ns in costs.stages_ns.items()},
            times=tuple((f, self.model.func_name(f), ns / 1e3) for f, ns in costs.times_ns.items()),
            fallbacks=fallbacks,
        )

    def __repr__(self) -> str:
        functions, exports = len(self.model.functions), len(self.model.exports)
        return f"<Module {printable(self.name)}, functions: {functions}, exports: {exports}>"


def cached_of(
    engine: Engine,
    name: str,
    binary: bytes,
    origin: Source | None = None,
) -> KeptModule | None:
    """What earlier processes kept of a binary, unless it takes no longer to find out again; ``origin``: where it is
    from."""
    if len(binary) < SMALLEST:
        return None
    cache = engine.services.get(CodeCache)
    if origin is None:
        return cache.of(binary, name)
    return cache.of(binary, name, origin.file, origin.total, origin.ahead, origin.rest)


def module_called(name: str, source: SourceLike, engine: Engine, timeout: float | None) -> Module:
    """``Module(…)``, which backtraces and messages call by a name where the source has none: bytes, and text."""
    return Module._taking(source, engine, timeout, lambda origin: origin.called(name))
