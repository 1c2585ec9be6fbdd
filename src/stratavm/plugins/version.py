"""One version of a plugin: what it says of itself, what it was given, and the body that it lives in."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Any, NamedTuple, final
from stratavm.plugins.limits import PluginLimits
from stratavm.plugins.sources import Package

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from stratavm.engine.instance import Instance
    from stratavm.engine.module import Module
    from stratavm.engine.store import Store
    from stratavm.plugins.capability import Context
    from stratavm.plugins.policy import Grant


@final
class Body:
    """A module and an instance of it. A patch gives it other code, a swap makes another body.

    Attributes:
        number: of all bodies of a plugin, by which the ledger knows what belongs to which.
        data: the bytes of the module, from when it was verified until it has an instance.
        module: since it was resolved; ``store``, ``instance``, ``context``: since it was instantiated.
        entry, thing: instead of a module and an instance the entry point of a Python plugin, and what that made.
    """

    __slots__ = ("context", "data", "entry", "instance", "module", "number", "store", "thing")

    def __init__(self, number: int, data: bytes = b"", module: Module | None = None) -> None:
        self.number, self.data, self.module = number, data, module
        self.store: Store | None = None
        self.instance: Instance | None = None
        self.context: Context | None = None
        self.entry: EntryPoint | None = None
        self.thing: Any = None

    @property
    def is_resolved(self) -> bool:
        """Whether an instance can be made."""
        return self.module is not None or self.entry is not None

    def drop_data(self) -> None:
        """The module has what it needs of them."""
        self.data = b""

    def drop_module(self) -> None:
        """It is gone."""
        self.module = self.entry = None

    def drop_instance(self) -> None:
        """It is gone, and whoever kept its context gets nothing any more."""
        if self.context is not None:
            self.context.close()
        self.store = self.instance = self.context = self.thing = None


class Version(NamedTuple):
    """What one version of a plugin is. ``grant`` and ``limits`` are those since it was verified; ``code`` is the module
    that its body had, where a patch has given it another one."""

    package: Package
    body: Body
    grant: Grant | None = None
    limits: PluginLimits = PluginLimits()
    code: Module | None = None
