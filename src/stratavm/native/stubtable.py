"""Published stubs: the runtime's port ``Stubs`` on x86-64. Owns where the stubs of one engine lie, and for how long."""

from __future__ import annotations

from _collections_abc import Callable, Sequence

from stratavm.base.errors import ResourceLimit
from stratavm.base.forms import Final
from stratavm.base.importing import WeakValues
from stratavm.contract.stubs import PythonFacts
from stratavm.machine.code import Code
from stratavm.native.execmem import CodeOwner
from stratavm.spec.types import FuncType
from stratavm.targets.x64 import pycall, stubs

MAX_STUBS: Final = 1 << 16
"""Array entries, and host entries, that an engine has at once; so many take some 20 MB."""
MAX_BATCH: Final = 1 << 12
"""Types of one module's imports, its share of an engine: no program has a hundredth of that."""
KEPT: Final = 512
"""Stubs that an engine keeps without a user, the newest: modules come and go, and most have the same few types."""
MAX_PYTHON: Final = 1 << 10
"""Function types with machine code for calls from Python; functions of further types are called without."""
OWNER_BYTES: Final = 1 << 16
"""Code that is published together or one after the other, and given back when nobody uses any of it."""


class Stub:
    """Machine code that lives as long as this object; a batch shares its memory."""

    __slots__ = ("__weakref__", "address", "owner")

    def __init__(self, address: int, owner: CodeOwner) -> None:
        self.address = address
        self.owner = owner


class Kept:
    """Stubs of one kind by function type, without a lock, which a fork could leave locked: two threads may both publish
    one, and either is good."""

    def __init__(self, make: Callable[[FuncType], Code], what: str) -> None:
        self._make = make
        self._what = what
        self._known: WeakValues[FuncType, Stub] = WeakValues()
        self._newest: dict[FuncType, Stub] = {}
        self._owner = CodeOwner("stubs")

    def get(self, type: FuncType) -> Stub:
        """The stub of a type."""
        return self.known(type) or self.add([type])[0]

    def known(self, type: FuncType) -> Stub | None:
        """The stub of a type, if it is there already."""
        return self._newest.get(type) or self._known.get(type)

    def add(self, types: Sequence[FuncType]) -> list[Stub]:
        """Stubs of some types, in a row where there are none yet.

        Raises:
            ResourceLimit: that many are in use.
        """
        found = {type: self._known.get(type) for type in dict.fromkeys(types)}
        missing = [type for type, stub in found.items() if stub is None]
        if len(missing) + len(self._known) > MAX_STUBS:
            raise ResourceLimit(
                f"the engine has {len(self._known)} {self._what} for function types, {len(missing)} more were wanted: "
                f"the limit is {MAX_STUBS}",
                limit="function_types",
            )
        if self._owner.pages_bytes >= OWNER_BYTES or len(missing) >= KEPT:
            self._owner = CodeOwner("stubs")
        owner = self._owner
        for type, address in zip(missing, publish(owner, [self._make(type) for type in missing]), strict=True):
            made = found[type] = Stub(address, owner)
            self._known[type] = self._newest[type] = made
        for type in list(self._newest)[: max(0, len(self._newest) - KEPT)]:
            self._newest.pop(type, None)
        return [stub for type in types if (stub := found[type]) is not None]


class StubTable:
    """Stubs by function type, published at first use."""

    def __init__(self) -> None:
        self._owner = CodeOwner("stubs")
        self._array_entries = Kept(stubs.entry_stub, "entries")
        self._host_entries = Kept(stubs.host_stub, "host entries")
        self._python_entries: dict[FuncType, tuple[int, int]] = {}
        gate, for_values = stubs.gate()
        codes = [stubs.trap_exit(), stubs.poll_stub(), gate, stubs.count_stub(), stubs.note_stub(), stubs.new_stub()]
        self.trap_exit, self.poll_stub, self.gate, self.count_stub, self.note_stub, self.new_stub = publish(
            self._owner, codes
        )
        self.value_gate = self.gate + for_values
        self._fibers: tuple[int, int, int, int] | None = None

    def fibers(self) -> tuple[int, int, int, int]:
        """The machine code of fibers, published at first use: the gate, the gate for values, start, resume."""
        if self._fibers is None:
            code, (gate, value_gate, start, resume) = stubs.fiber_gate()
            [at] = publish(self._owner, [code])
            self._fibers = at + gate, at + value_gate, at + start, at + resume
        return self._fibers

    def array_entry(self, type: FuncType) -> Stub:
        """The array entry of a function type."""
        return self._array_entries.get(type)

    def known_entry(self, type: FuncType) -> Stub | None:
        """The array entry of a function type, if it is there already."""
        return self._array_entries.known(type)

    def array_entries(self, types: Sequence[FuncType]) -> list[Stub]:
        """Those of some types, in a row: each alone may take a page."""
        return self._array_entries.add(types)

    def host_entry(self, type: FuncType) -> Stub:
        """The host entry of a function type."""
        return self._host_entries.get(type)

    def prepare_hosts(self, types: Sequence[FuncType]) -> list[Stub]:
        """Both entries of the types of host functions, in a row; the caller keeps them until it has used them.

        Raises:
            ResourceLimit: one module wants more than its share.
        """
        if len(types) > MAX_BATCH:
            raise ResourceLimit(
                f"the module imports functions of {len(types)} types, the limit is {MAX_BATCH}", limit="function_types"
            )
        return self._host_entries.add(types) + self._array_entries.add(types)

    def python_entry(self, type: FuncType, facts: PythonFacts) -> tuple[int, int]:
        """Address of the Python entry of a function type, and of its landing. One set of facts per process."""
        known = self._python_entries.get(type)
        if known is None:
            if len(self._python_entries) >= MAX_PYTHON:
                raise ResourceLimit(f"{MAX_PYTHON} function types have a Python entry", limit="function_types")
            code, landing = pycall.python_entry(type, facts)
            [address] = publish(self._owner, [code])
            known = self._python_entries.setdefault(type, (address, address + landing))
        return known


def lazy_entries(owner: CodeOwner, count: int) -> tuple[int, int]:
    """Publish entries of a module's functions that compile them at their first call: where the first is, and the bytes
    of each."""
    [address] = publish(owner, [stubs.lazy_stubs(count)])
    return address, stubs.LAZY_STUB_BYTES


def oracle_entry(type: FuncType, defined_index: int) -> Code:
    """Code that calls a function on the oracle."""
    return stubs.oracle_stub(type, defined_index)


def publish(owner: CodeOwner, codes: list[Code], funcs: list[int | None] | None = None) -> list[int]:
    """Publish finished code in one batch; ``funcs`` are function indices, None for stubs. Returns the addresses."""
    indices = funcs or [None] * len(codes)
    addresses: list[int] = owner.publish_many(
        [(c.code, c.traps, c.returns, f, c.sites, c.level, c.landings) for c, f in zip(codes, indices, strict=True)]
    )
    return addresses
