"""What an instance exports, for tests that begin with a text, and what its calls end with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stratavm import Engine, Linker, Module, Store, Trap

if TYPE_CHECKING:
    from stratavm.engine.instance import Instance


class Exporting:
    """Makes instances of a text, or of another one, whose imports are of a module ``m``."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self, engine: Engine, text: str = "", store: Store | None = None, **imports: Any) -> Any:
        """The exports of one."""
        linker = Linker(engine)
        for name, item in imports.items():
            linker.define("m", name, item)
        return linker.instantiate(store or Store(engine), Module(text or self.text, engine=engine)).exports


def trapped(instance: Instance, name: str, *values: Any) -> Trap:
    """The trap that a call ends with."""
    with pytest.raises(Trap) as caught:
        instance.exports[name](*values)
    return caught.value
