"""Tells griffe, which reads the sources for the documentation and the API snapshot, that our data classes are some."""

from __future__ import annotations

from typing import Any, Final

import griffe

OURS: Final = "stratavm.base.data.dataclass"
"""Our decorator."""
griffe.stdlib_decorators["stratavm.base.cached.cached"] = griffe.stdlib_decorators["functools.cached_property"]


class DataClasses(griffe.Extension):
    """Lets a decorator of ``stratavm.base.data`` pass for the standard one, from which griffe derives ``__init__``."""

    def on_class_instance(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called for each class when its decorators are known."""
        for decorator in cls.decorators:
            value: Any = decorator.value
            if isinstance(value, griffe.Expr) and value.canonical_path == OURS:
                name: Any = value.function if isinstance(value, griffe.ExprCall) else value
                name.parent = "dataclasses"
