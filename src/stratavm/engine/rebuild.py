"""An image of before, as a build uses it that follows: which bodies are the same, and their code.

What is equal byte for byte in an equal module was found to be valid then, and is not looked at again; nor is its code
copied function by function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stratavm.aot.container import REBUILD, Damaged, Memory
from stratavm.aot.contents import BINARY, CODE, SKELETON, difference, facts_of
from stratavm.aot.incremental import Changes, Parts, changes, dependents
from stratavm.aot.trust import NOTHING, believed
from stratavm.base.errors import DecodeError, ModuleError
from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.text import printable
from stratavm.engine.events import describe
from stratavm.engine.source import Source
from stratavm.module.decode import decode
from stratavm.module.skeleton import unpack
from stratavm.services.diskcache import digest

if TYPE_CHECKING:
    from stratavm.engine.config import Config
    from stratavm.module.model import Module as Model
    from stratavm.module.sections import Functions
    from stratavm.tiers.tier import PackedCode, TierModule


OPTIONS: Final = "options"
"""The fact that stands for all of them, as a digest."""


def _differences(there: Mapping[str, str], here: Mapping[str, str], names: Sequence[str]) -> str:
    """Words for the facts of an old image that are not those of the new one."""
    plain = [name for name in names if name != OPTIONS and there.get(name) != here[name]]
    said = [difference(name, there.get(name, "?"), here[name], "build") for name in plain]
    if there.get("tier") != here["tier"]:
        said.append(f"its code is of the tier {printable(there.get('tier', '?'))}, and this build of {here['tier']}")
    return "; ".join(said) or "it was built with other options"


class Predecessor:
    """An image of before.

    Args:
        source: it, read ``lean``, with what the caller says of it; from ``file``, as errors call it.
        build: what tells this build of Strata from any other: code of others is not used.
        way: what the module's engine accepts, and under what limits.

    Attributes:
        name: what it is called in events.
        why: why nothing of it is used; empty where something may be.
        is_foreign: it has not this user's mark.
        key: the caller's, where that is what it is believed by.
    """

    def __init__(self, source: Source, file: str, build: str, way: str, config: Config) -> None:
        self.name, self._file = source.name, file
        self.why = ""
        self._packed: PackedCode | None = None
        self._changes: Changes | None = None
        self._way = digest(way.encode()).hex()
        self._config = config
        assert source.image is not None
        self._facts: Mapping[str, str] = {}
        trust = source.trust or NOTHING
        self._image, self.why = believed(source.image, None, trust)
        self.is_foreign = self._image.key is None or self._image.key is not source.image.key
        found = self._image.sections
        self._memory = Memory(max([found[name].size for name in (BINARY, CODE) if name in found], default=0))
        self.key = trust.key if self._image.key is not None else None
        try:
            self._facts = facts_of(self._image)
            if not self.why and self._facts.get("build") != build:
                self.why = "it was built by another build of Strata"
        except (Damaged, OSError) as error:
            self.why = describe(error)

    def compare(self, model: Model) -> Sequence[int] | None:
        """Which bodies of a decoded module, by defined index, nobody found to be valid; None: any may not be.

        Raises:
            DecodeError: the old image is damaged.
        """
        if self.why:
            return None
        try:
            binary = self._image.section(BINARY, self._memory)
        except Damaged as error:
            if self.key is None:
                damage = DecodeError(f"damaged image: {error}", hint=REBUILD)
                damage.file = self._file
                raise damage from None
            self.why = str(error)
            return None
        try:
            self._old = self._functions(binary)
            self._new = Parts(model.binary, model.functions)
            self._changes = changes(Parts(binary, self._old), self._new)
        except (OSError, ValueError, ModuleError) as error:
            self.why = describe(error)
            return None
        self._memory.done.append(binary)  # its code takes its memory, and the code of now that
        # What leaves the instance is a fact of all bodies: it may be one that changed which did.
        if self._changes.everything or self._facts.get("way") != self._way or self._old.leaves:
            return None
        return self._changes.bodies

    def _functions(self, binary: bytes) -> Functions:
        """Those of the binary: where its skeleton says that they lie, or of a binary that others accept, decoded."""
        config = self._config
        if self._facts.get("way") == self._way and SKELETON in self._image.sections:
            found: Functions = unpack(self._image.section(SKELETON), len(binary))[0]
            return found
        return decode(binary, features=config.features, limits=config.limits).functions

    def reasons(
        self, code: TierModule, facts: Mapping[str, str], names: Sequence[str], first: int
    ) -> Mapping[int, str] | str:
        """Why functions are compiled again, by defined index; or why all are.

        Args:
            code: what compiles them.
            facts: what the code is compiled for; ``names`` of those that must be the same.
            first: how many functions the module imports.
        """
        if not self.why and any(self._facts.get(name) != facts[name] for name in names):
            self.why = _differences(self._facts, facts, names)
        if self.why or self._changes is None:
            return f"the old image is not used: {self.why}"
        if self._changes.everything:
            return self._changes.everything
        try:
            self._packed = code.packed(self._image.section(CODE, self._memory))
            if self._packed.count != len(self._new.functions):
                raise ValueError("its code is of another module")
        except (OSError, ValueError) as error:
            return f"the old image is not used: {describe(error)}"
        bodies = self._changes.bodies
        found = dict.fromkeys(bodies, "its body changed")
        if facts["tier"] != "jit0":
            found |= dependents(self._old, self._new, bodies, first)
        return found | dict.fromkeys({*self._packed.missing()} - found.keys(), "the old image has no code of it")

    def code_with(self, fresh: PackedCode, again: Mapping[int, str]) -> bytes:
        """The code of all functions: of before, and of those that were compiled ``again``."""
        assert self._packed is not None
        return self._packed.having(fresh, again)
