"""A module that was decoded and validated, ready to be instantiated any number of times."""

from __future__ import annotations

import os
import time
from weakref import finalize

from stratavm.base.budget import Budget
from stratavm.base.cached import cached
from stratavm.base.errors import DecodeError, ModuleError, ModuleLimit, StrataError, Unsupported, ValidationError
from stratavm.base.forms import TYPE_CHECKING
from stratavm.base.importing import importing
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import seconds_or_none
from stratavm.base.text import printable
from stratavm.base.words import counted
from stratavm.engine.cache import SMALLEST, CodeCache, LoadedModule, ModuleCache
from stratavm.engine.engine import Engine, engine_of
from stratavm.engine.events import (
    ImageLaidOut,
    ImageRefused,
    ModuleCompiled,
    ModuleLoaded,
    ModuleRefused,
    describe,
)
from stratavm.engine.source import Source, SourceLike, read_source
from stratavm.module.decode import decode
from stratavm.module.model import Export, Import
from stratavm.module.model import Module as Model
from stratavm.module.valid import ValidModule
from stratavm.module.validate import validate
from stratavm.runtime.blueprint import Blueprint
from stratavm.runtime.image import NO_IMAGES, Images, make_images
from stratavm.spec.types import ExternType

if TYPE_CHECKING:
    from stratavm.engine.codecache import KeptModule
    from stratavm.engine.config import Config
    from stratavm.engine.report import CompileReport
    from stratavm.tiers.tier import TierModule


class Module:
    """A valid module.

    Args:
        source: a path, the bytes of a binary or of a text module, or WAT text.
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

    @checks_keywords
    def __init__(self, source: SourceLike, engine: Engine | None = None, *, timeout: float | None = None) -> None:
        timeout = seconds_or_none("timeout", timeout)
        self.engine = engine_of(engine)
        budgets = self._in_time(), Budget(timeout)
        with budgets[0], budgets[1]:
            origin = read_source(source, self.engine.config.limits.module_bytes)
        self.name = os.path.basename(origin.name)
        try:
            self._load(origin, budgets)
        except StrataError as error:
            if self.engine.source.hears(ModuleRefused):
                self.engine.source.emit(ModuleRefused(self.name, describe(error)))
            raise

    def _load(self, origin: Source, budgets: tuple[Budget, Budget]) -> None:
        """Take a binary from the engine's cache, or decode, validate and offer it to the cache."""
        cache = self.engine.services.get(ModuleCache)
        known = None if origin.binary is None else cache.find(origin.binary)
        if known is not None:
            self._use(known)
            return
        with budgets[0], budgets[1]:  # code of others, such as the cache, is not within
            loaded = self._made_of(origin)
        self._use(loaded)
        cache.keep(loaded)

    def _in_time(self) -> Budget:
        """What the engine allows loading to take."""
        return Budget(self.engine.config.load_timeout)

    def _made_of(self, origin: Source) -> LoadedModule:
        """Decode or parse, and validate: what was not found out by an earlier process."""
        kept = None if origin.binary is None else self._kept(origin.binary, origin.file, origin.total)
        model = None if kept is None else self._model_known(origin, kept)
        vouched = model is not None
        if model is None:
            model = self._model_of(origin)
        if origin.binary is None:
            kept = self._kept(model.binary)
        try:
            return self._prepare(model, kept, vouched)
        except (ValidationError, Unsupported) as error:
            if origin.text is not None:
                with importing:
                    from stratavm.module.wat_places import locate_in_text

                locate_in_text(error, origin.text, model)
            raise

    def _kept(self, binary: bytes, file: os.stat_result | None = None, total: bytes = b"") -> KeptModule | None:
        """What earlier processes kept of a binary, unless it takes no longer to find out again."""
        if len(binary) < SMALLEST:
            return None
        return self.engine.services.get(CodeCache).of(binary, self.name, file, total)

    def _model_known(self, origin: Source, kept: KeptModule) -> Model | None:
        """Decode what an earlier process did not, which found the module to be valid; None where none did."""
        config, binary = self.engine.config, origin.binary
        assert binary is not None
        known = kept.skeleton(way_of(config), len(binary))
        if known is None:
            return None
        try:
            model: Model = decode(binary, features=config.features, limits=config.limits, known=known)
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

    def _prepare(self, model: Model, kept: KeptModule | None = None, vouched: bool = False) -> LoadedModule:
        """Validate, and hand over to the tier, with what was kept of the binary. A model that was given has nothing: it
        may be another than its binary says. ``vouched``: an earlier process has validated the bodies."""
        config, tier = self.engine.config, self.engine.tier
        valid = validate(model, config.features, config.threads, limits=config.limits, vouched=vouched)
        if kept is None:
            return LoadedModule(model, valid, tier.load(valid, self.name))
        loaded = LoadedModule(model, valid, tier.load(valid, self.name, kept.restore))
        finalize(loaded, kept.keep, loaded.code, way_of(config), model.functions, model.datas, len(model.binary))
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
            source.emit(ModuleLoaded(self.name, len(self.model.functions), len(self.model.binary)))

    @classmethod
    def from_model(cls, model: Model, engine: Engine | None = None) -> Module:
        """A module that was decoded or built elsewhere; it is validated here."""
        self = cls.__new__(cls)
        self.engine = engine_of(engine)
        self.name = model.names.module or "module"
        with self._in_time():
            loaded = self._prepare(model)
        self._use(loaded)
        return self

    @property
    def imports(self) -> tuple[Import, ...]:
        """What the module wants: module name, name, kind and type of each import."""
        return self.model.imports

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
        return Blueprint(self.model, self.code, engine.runtime, self.name, engine.config.memory_plan)

    @cached
    def custom_sections(self) -> dict[str, bytes]:
        """Custom sections by name (the first of each)."""
        return {c.name: bytes(c.data) for c in reversed(self.model.customs)}

    def export_type(self, export: Export) -> ExternType:
        """The type of an export."""
        return self.model.export_type(export)

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
                return NO_IMAGES
        return self._images

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


def way_of(config: Config) -> str:
    """Under what features and limits a binary is valid."""
    limits = config.limits
    return repr((sorted(config.features), [getattr(limits, name) for name in type(limits).__match_args__]))
