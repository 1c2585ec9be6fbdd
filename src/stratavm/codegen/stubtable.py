"""Published stubs: the runtime's port ``Stubs`` on x86-64. Owns where the stubs of one engine lie."""

from __future__ import annotations

from stratavm.codegen.code import Code
from stratavm.codegen.execmem import CodeOwner
from stratavm.codegen.x64 import pycall, stubs
from stratavm.runtime.stubs import PythonFacts
from stratavm.spec.types import FuncType


class StubTable:
    """Stubs by function type, published at first use and kept as long as this object."""

    def __init__(self) -> None:
        self._owner = CodeOwner("stubs")
        self._array_entries: dict[FuncType, int] = {}
        self._host_entries: dict[FuncType, int] = {}
        self._python_entries: dict[FuncType, tuple[int, int]] = {}
        self.trap_exit, self.poll_stub = publish(self._owner, [stubs.trap_exit(), stubs.poll_stub()])

    def array_entry(self, type: FuncType) -> int:
        """Address of the array entry of a function type."""
        return self._array_entries.get(type) or self._add(self._array_entries, type, stubs.entry_stub(type))

    def host_entry(self, type: FuncType) -> int:
        """Address of the host entry of a function type."""
        return self._host_entries.get(type) or self._add(self._host_entries, type, stubs.host_stub(type))

    def python_entry(self, type: FuncType, facts: PythonFacts) -> tuple[int, int]:
        """Address of the Python entry of a function type, and of its landing. One set of facts per process."""
        known = self._python_entries.get(type)
        if known is None:
            code, landing = pycall.python_entry(type, facts)
            [address] = publish(self._owner, [code])
            known = self._python_entries.setdefault(type, (address, address + landing))
        return known

    def _add(self, known: dict[FuncType, int], type: FuncType, code: Code) -> int:
        # No lock, which a fork could leave locked: two threads may both publish, and one page is wasted.
        [address] = publish(self._owner, [code])
        return known.setdefault(type, address)


def publish(owner: CodeOwner, codes: list[Code], funcs: list[int | None] | None = None) -> list[int]:
    """Publish finished code in one batch; ``funcs`` are function indices, None for stubs. Returns the addresses."""
    indices = funcs or [None] * len(codes)
    addresses: list[int] = owner.publish_many(
        [(c.code, c.traps, c.returns, f, c.sites) for c, f in zip(codes, indices, strict=True)]
    )
    return addresses
