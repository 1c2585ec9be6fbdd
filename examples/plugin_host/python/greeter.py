"""A plugin in Python: trusted code, which its distribution offers by an entry point."""

from __future__ import annotations

from typing import ClassVar

from stratavm.plugins import ErrorAnswer


class Greeter:
    """Greets."""

    functions: ClassVar = {"greet": "text -> text"}

    def __init__(self, context: object) -> None:
        self.greeted = 0

    def greet(self, name: str) -> str:
        """With a number."""
        if not name:
            raise ErrorAnswer("nobody to greet")
        self.greeted += 1
        return f"hello {name}, you are number {self.greeted}"
