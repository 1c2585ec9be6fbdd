"""The port to what an engine is made of: tiers and compilers are known to ``compose.py``, and to nothing else here."""

from __future__ import annotations

from _collections_abc import Callable, Mapping

from stratavm.base.forms import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from stratavm.aot.container import Image
    from stratavm.base.choices import UpdateWhen
    from stratavm.engine.config import Config
    from stratavm.engine.engine import Engine
    from stratavm.engine.instance import Instance
    from stratavm.engine.linker import Namespaces
    from stratavm.engine.metrics import EngineMetrics
    from stratavm.engine.module import Module
    from stratavm.engine.snapshot import Snapshot
    from stratavm.engine.source import SourceLike
    from stratavm.engine.update_plan import Update
    from stratavm.runtime.snapshot import State
    from stratavm.services.di import Container

Replacements: TypeAlias = Mapping[Any, Any]
"""Services by type, as the host gives them."""


class Composition(Protocol):
    """What the package gives its modules: ``compose.py`` is one."""

    def compose(self, config: Config, replaced: Replacements | None = None) -> Container:
        """The container of an engine."""
        ...

    def ssa_passes(self) -> tuple[str, ...]:
        """Names of the passes over the SSA form."""
        ...

    def machine_passes(self, level: int) -> tuple[str, ...]:
        """Names of the passes of the machine level that a level runs: level 1 runs all."""
        ...

    def metrics(self, engine: Engine) -> EngineMetrics:
        """What an engine has done since this was asked for first, and does now."""
        ...

    def snapshot(self, instance: Instance, first: Callable[[Instance], object] | None) -> Snapshot:
        """What an instance holds now."""
        ...

    def update(
        self, instance: Instance, source: SourceLike, dry_run: bool, when: UpdateWhen, deadline: float | None
    ) -> Update:
        """Have an instance go on with another version of its module."""
        ...

    async def update_async(
        self, instance: Instance, source: SourceLike, dry_run: bool, when: UpdateWhen, deadline: float | None
    ) -> Update:
        """The same for asyncio."""
        ...

    def rollback(self, instance: Instance, when: UpdateWhen, deadline: float | None) -> Update:
        """And with the one that it had before."""
        ...

    async def rollback_async(self, instance: Instance, when: UpdateWhen, deadline: float | None) -> Update:
        """The same for asyncio."""
        ...

    def state_in(self, module: Module, image: Image) -> State:
        """What an image has for the instances of its module to begin with."""
        ...

    def sections_of(self, module: Module, state: State) -> dict[str, bytes]:
        """What an image has of that."""
        ...

    def state_behind(self, module: Module, init: str, imports: Namespaces | None) -> State:
        """What an instance of a module holds when an exported function has run."""
        ...


_given: list[Composition] = []


def give(composition: Composition) -> None:
    """Use this one. The package does, while it is imported; which comes before any of its modules."""
    _given[:] = [composition]


def composition() -> Composition:
    """The one that was given."""
    return _given[0]
