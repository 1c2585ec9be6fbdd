"""Data classes that start quickly: the part of ``dataclasses`` that this package uses, with the same meaning.

The standard decorator compiles up to six functions for every class while a module is imported, used or not; for the
eighty classes of ``strata run`` that was a third of the start. Here the constructor is compiled when a few instances
were made, and everything else is shared. ``dataclasses.fields``, ``asdict`` and ``replace`` work on these classes too.
A class may give a decorator for its constructor: ``_decorate = checks_keywords`` in what users make by hand names the
field that is near a wrong one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final


class Missing:
    """The type of ``MISSING``, which signatures show as the default of a parameter whose field has a factory."""

    def __repr__(self) -> str:
        return "<factory>"


MISSING: Final = Missing()
FEW: Final = 12
"""Instances of a class that are made before its constructor is compiled."""


class Field:
    """What ``field`` says about one field."""

    __slots__ = ("compare", "default", "default_factory", "repr", "type")

    def __init__(self, default: Any, default_factory: Any, compare: bool, repr: bool) -> None:
        self.default = default
        self.default_factory = default_factory
        self.compare = compare
        self.repr = repr
        self.type: Any = None

    @property
    def is_needed(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING and self.default_factory is MISSING

    def value(self) -> Any:
        """The default."""
        return self.default_factory() if self.default is MISSING else self.default


class StandardFields:
    """``__dataclass_fields__`` of a class, made when a function of ``dataclasses`` asks for it."""

    def __init__(self, made: Any) -> None:
        self.made = made
        made.__dataclass_fields__ = self

    def __get__(self, instance: Any, owner: type) -> Any:
        fields = self.made.__dataclass_fields__ = _standard_fields(self.made)
        return fields


class Constructor:
    """``__init__`` of a class until it is worth compiling, which takes as long as twenty instances made here."""

    def __init__(self, made: Any) -> None:
        self.made = made
        self.left = FEW
        made.__init__ = self

    def __get__(self, instance: Any, owner: type) -> Any:
        if self.left > 0 and isinstance(instance, self.made):
            return partial(self.fill, instance)
        init = self.compiled()  # ``inspect`` asks too: without an instance, or with one of another class
        return init if instance is None else init.__get__(instance)

    def compiled(self) -> Any:
        """The real one, which takes the place of this."""
        init = _init(self.made)
        decorate = getattr(self.made, "_decorate", None)
        if decorate is not None:
            init = decorate(init)
        self.made.__init__ = init
        return init

    def fill(self, instance: Any, /, *values: Any, **named: Any) -> None:
        """Set the fields of an instance as the real one would."""
        self.left -= 1
        fields: dict[str, Field] = self.made.__fields__
        found = dict(zip(fields, values, strict=False)) | named
        missing = fields.keys() - found.keys()
        if len(values) + len(named) + len(missing) != len(fields) or any(fields[name].is_needed for name in missing):
            self.compiled()(instance, *values, **named)  # says what is wrong
            return
        for name, field in fields.items():
            object.__setattr__(instance, name, found[name] if name in found else field.value())
        if hasattr(instance, "__post_init__"):
            instance.__post_init__()


def make_field(
    *, default: Any = MISSING, default_factory: Any = MISSING, compare: bool = True, repr: bool = True
) -> Any:
    """``dataclasses.field``."""
    return Field(default, default_factory, compare, repr)


def make_class(
    cls: type | None = None, /, *, frozen: bool = False, slots: bool = False, weakref_slot: bool = False,
    eq: bool = True,
) -> Any:  # fmt: skip
    """``dataclasses.dataclass``, without order, ``InitVar`` and fields by keyword only."""
    if cls is None:
        return lambda cls: make_class(cls, frozen=frozen, slots=slots, weakref_slot=weakref_slot, eq=eq)
    inherited: dict[str, Field] = getattr(cls, "__fields__", {})
    own = {
        name: _field(cls.__dict__.get(name, MISSING), type_)
        for name, type_ in cls.__annotations__.items()
        if not str(type_).removeprefix("typing.").startswith("ClassVar")
    }
    if slots:
        cls = _with_slots(cls, own, tuple(n for n in own if n not in inherited), weakref_slot)
    else:
        for name in [n for n, f in own.items() if f is cls.__dict__.get(n)]:
            delattr(cls, name)
    fields = inherited | own
    cls.__fields__ = fields  # type: ignore[attr-defined]
    for name, method in _methods(fields, frozen, slots, eq).items():
        if name not in cls.__dict__:
            setattr(cls, name, method)
    Constructor(cls)
    StandardFields(cls)
    return cls


def make_changed(instance: Any, /, **changes: Any) -> Any:
    """``dataclasses.replace``."""
    return type(instance)(**{name: getattr(instance, name) for name in instance.__fields__} | changes)


def _field(value: Any, type_: Any) -> Field:
    found = value if isinstance(value, Field) else Field(value, MISSING, True, True)
    found.type = type_
    return found


def _methods(fields: dict[str, Field], frozen: bool, slots: bool, eq: bool) -> dict[str, Any]:
    """What a class gets unless it defines it itself."""
    methods: dict[str, Any] = {"__repr__": _repr, "__match_args__": tuple(fields), "__replace__": make_changed}
    if eq:
        compared = [name for name, f in fields.items() if f.compare]
        methods |= _equality(attrgetter(*compared) if compared else lambda self: (), frozen)
    if frozen:
        methods |= {"__setattr__": _refuse_set, "__delattr__": _refuse_delete}
        if slots:  # what copying and pickling do otherwise sets attributes
            methods |= {"__getstate__": _get_state, "__setstate__": _set_state}
    return methods


def _with_slots(cls: type, own: dict[str, Field], names: tuple[str, ...], weakref_slot: bool) -> type:
    """The class again: slots cannot be added to one that exists."""
    body = {k: v for k, v in cls.__dict__.items() if k not in own}
    body.pop("__dict__", None)
    body.pop("__weakref__", None)
    body["__slots__"] = (*names, "__weakref__") if weakref_slot else names
    body["__qualname__"] = cls.__qualname__
    return type(cls)(cls.__name__, cls.__bases__, body)


def _init(made: Any) -> Any:
    """Compile the constructor."""
    frozen = made.__setattr__ is _refuse_set
    names: dict[str, Any] = {"MISSING": MISSING, "put": object.__setattr__}
    parameters, body = [], []
    for name, field in made.__fields__.items():
        parameter, value = name, name
        if field.default is not MISSING:
            names[f"default_{name}"] = field.default
            parameter = f"{name}=default_{name}"
        elif field.default_factory is not MISSING:
            names[f"make_{name}"] = field.default_factory
            parameter = f"{name}=MISSING"
            value = f"make_{name}() if {name} is MISSING else {name}"
        parameters.append(parameter)
        body.append(f"put(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(made, "__post_init__"):
        body.append("self.__post_init__()")
    source = f"def make({', '.join(names)}):\n def __init__(self, {', '.join(parameters)}):\n  "
    made_here: dict[str, Any] = {}
    # In the module of the class, so that annotations are found there.
    exec(
        source + "\n  ".join(body or ["pass"]) + "\n return __init__", sys.modules[made.__module__].__dict__, made_here
    )
    init = made_here["make"](**names)
    init.__qualname__ = f"{made.__qualname__}.__init__"
    init.__annotations__ = {name: field.type for name, field in made.__fields__.items()} | {"return": None}
    return init


def _equality(key: Callable[[Any], Any], frozen: bool) -> dict[str, Any]:
    def __eq__(self: Any, other: Any) -> Any:
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(key(self))

    return {"__eq__": __eq__, "__hash__": __hash__ if frozen else None}


def _repr(self: Any) -> str:
    shown = (f"{name}={getattr(self, name)!r}" for name, f in self.__fields__.items() if f.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse_set(self: Any, name: str, value: Any) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: Any, name: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__fields__]


def _set_state(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__fields__, state, strict=True):
        object.__setattr__(self, name, value)


def _standard_fields(made: Any) -> Any:
    """For the functions of ``dataclasses``: what it would have made of the same fields."""
    from dataclasses import MISSING as NOTHING
    from dataclasses import field, make_dataclass

    described = []
    for name, f in made.__fields__.items():
        default: Any = NOTHING if f.default is MISSING else f.default
        factory: Any = NOTHING if f.default_factory is MISSING else f.default_factory
        given: Any = field(default=default, default_factory=factory, compare=f.compare, repr=f.repr)
        described.append((name, f.type, given))
    standard: Any = make_dataclass(made.__name__, described)
    return standard.__dataclass_fields__


if TYPE_CHECKING:  # a type checker knows the standard ones by name
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
else:
    dataclass, field, replace = make_class, make_field, make_changed
