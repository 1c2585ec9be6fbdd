"""``stratavm.load``: from a source to a running instance in one call."""

from __future__ import annotations

from stratavm.base.forms import Unpack
from stratavm.engine.config import Config, Options, check_options
from stratavm.engine.engine import Engine
from stratavm.engine.instance import Instance
from stratavm.engine.linker import Linker, Namespaces
from stratavm.engine.module import Module
from stratavm.engine.source import SourceLike
from stratavm.engine.store import Store


def load(
    source: SourceLike,
    imports: Namespaces | None = None,
    *,
    store: Store | None = None,
    config: Config | None = None,
    **options: Unpack[Options],
) -> Instance:
    """Load a module and instantiate it.

    Args:
        source: a path, the bytes of a binary or text module, or WAT text; not a ``Module``, which has an engine
            already: a ``Linker`` of that makes instances of it, and ``stratavm.run`` runs it.
        imports: ``{"env": {"log": print}}``: callables, objects of ``store``, or the namespaces of a ``Wasi``.
        store: where to put the instance; a new store where absent.
        config: the engine's options, where no store is given; ``options`` change single ones.

    Returns:
        The instance: ``load("(module …)").exports.add(1, 2)``.

    Raises:
        ModuleError: the module is malformed, invalid or unsupported.
        LinkError: an import is missing or of another type.
        Trap: an initialiser or the start function trapped.
        DeadlineExceeded: loading the module took longer than ``load_timeout``.
    """
    if "engine" in options:
        raise TypeError("load() has no option 'engine': a store has one, load(…, store=Store(engine))")
    check_options("load()", options, "imports", "store", "config")
    if store is not None and not isinstance(store, Store):
        raise TypeError(f"store must be a Store, got {store!r:.60}")
    if store is not None and (config is not None or options):
        raise TypeError("load() takes either a store or a configuration: a store has its engine already")
    if store is None:
        store = Store(Engine(config, **options) if config is not None or options else None)
    linker = Linker(store.engine)
    linker.define_namespaces(imports or {})
    return linker.instantiate(store, Module(source, engine=store.engine))
