"""Tells griffe, which reads the sources for the documentation and the API snapshot, what Python would see of them."""

from __future__ import annotations

from typing import Any, Final

import griffe

from tools.dialect import for_c

OURS: Final = "stratavm.base.forms.dataclass"
"""Our decorator."""
griffe.stdlib_decorators["stratavm.base.cached.cached"] = griffe.stdlib_decorators["functools.cached_property"]


class DataClasses(griffe.Extension):
    """Lets a decorator of ``stratavm.base.forms`` pass for the standard one, from which griffe derives ``__init__``."""

    def on_class_instance(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called for each class when its decorators are known."""
        for decorator in cls.decorators:
            value: Any = decorator.value
            if isinstance(value, griffe.Expr) and value.canonical_path == OURS:
                name: Any = value.function if isinstance(value, griffe.ExprCall) else value
                name.parent = "dataclasses"


class CFunctions(griffe.Extension):
    """Leaves out functions that exist for C only, whatever they are called."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called for each class when its members are known."""
        source: Any = cls.filepath
        for owner, name in for_c(source) if source.suffix == ".py" else ():
            if owner == cls.name and name in cls.members:
                cls.del_member(name)


class Refused(griffe.Extension):
    """Leaves out ``**unknown``, which compiled functions take only to say which name is near."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """Called for each function when its parameters are known."""
        last = func.parameters[len(func.parameters) - 1] if func.parameters else None
        if last is not None and last.name == "unknown" and last.kind is griffe.ParameterKind.var_keyword:
            del func.parameters[last.name]


class Inherited(griffe.Extension):
    """Gives what a stub lists the docstrings of the classes above, where methods of a compiled class are written, and
    leaves out their C functions."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Called when everything is known."""
        pending: list[griffe.Object] = [pkg]
        while pending:
            for member in pending.pop().members.values():
                if isinstance(member, griffe.Module | griffe.Class):
                    pending.append(member)
                if isinstance(member, griffe.Class):
                    bases = above(member, pkg)
                    leave_out(member, bases)
                    document(member, bases)


def leave_out(cls: griffe.Class, bases: list[griffe.Class]) -> None:
    """Remove what overrides a function that exists for C only: where a class is final it cannot be declared again."""
    for base in bases:
        source: Any = base.filepath
        for owner, name in for_c(source) if source.suffix == ".py" else ():
            if owner == base.name and name in cls.members:
                cls.del_member(name)


def above(cls: griffe.Class, pkg: griffe.Module) -> list[griffe.Class]:
    """The first base of a class, the first base of that, and so on: bases of compiled classes are cimported."""
    found: list[griffe.Class] = []
    while cls.bases:
        base: Any = cls.bases[0]
        path = getattr(base, "canonical_path", str(base)).removeprefix("cython.cimports.").removeprefix("stratavm.")
        try:
            item = pkg[path]
        except KeyError:
            break
        if not isinstance(item, griffe.Class):
            break
        found.append(cls := item)
    return found


def document(cls: griffe.Class, bases: list[griffe.Class]) -> None:
    """Members of a class without a docstring get that of the nearest class above that has one."""
    for name, member in cls.members.items():
        if not member.is_alias and member.docstring is None:
            docstrings = (base.members[name].docstring for base in bases if name in base.members)
            member.docstring = next((text for text in docstrings if text), None)
