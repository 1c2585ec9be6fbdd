"""What the standard library's ``dataclasses``, ``typing`` and ``enum`` are used for here, so that it starts quickly.

The standard decorator of data classes compiles up to six functions for every class while a module is imported, used or
not; for the eighty classes of ``strata run`` that was a third of the start. Here the constructor is compiled when a few
instances were made, and everything else is shared. ``dataclasses.fields``, ``asdict`` and ``replace`` work on these
classes too. A class may give a decorator for its constructor: ``_decorate = checks_keywords`` in what users make by
hand names the field that is near a wrong one.

The other two modules alone took a tenth of the start to import. Type checkers read the originals; at run time
annotations are text that nobody evaluates, protocols are plain classes, and named tuples and enumerations of integers
are classes that behave as the originals do, and are made in a tenth of the time.
"""

from __future__ import annotations

import sys
from _collections_abc import Callable, Iterable
from _operator import attrgetter

TYPE_CHECKING = False  # true for type checkers only, which read what follows
if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
    from enum import IntEnum as IntEnum
    from functools import partial
    from types import FunctionType as FunctionType
    from typing import IO as IO
    from typing import Any as Any
    from typing import BinaryIO as BinaryIO
    from typing import ClassVar as ClassVar
    from typing import Final as Final
    from typing import Generic as Generic
    from typing import Literal as Literal
    from typing import NamedTuple as NamedTuple
    from typing import NoReturn as NoReturn
    from typing import ParamSpec as ParamSpec
    from typing import Protocol as Protocol
    from typing import Self as Self
    from typing import TextIO as TextIO
    from typing import TypeAlias as TypeAlias
    from typing import TypedDict as TypedDict
    from typing import TypeGuard as TypeGuard
    from typing import TypeVar as TypeVar
    from typing import TypeVarTuple as TypeVarTuple
    from typing import Unpack as Unpack
    from typing import cast as cast
    from typing import dataclass_transform as dataclass_transform
    from typing import final as final
    from typing import overload as overload
else:
    from _collections import _tuplegetter  # what ``collections`` makes the fields of named tuples of
    from _functools import partial

    class Form:
        """A name for annotations: it can be called, subscripted, joined with others and inherited from, all of which
        means nothing; ``__args__`` is what it was subscripted with.
        """

        __slots__ = ("__args__", "name")

        def __init__(self, name, args=()):
            self.name = name
            self.__args__ = args

        def __getitem__(self, args):
            return Form(self.name, args if type(args) is tuple else (args,))

        def __call__(self, *args, **named):
            return self

        def __or__(self, other):
            return self

        __ror__ = __or__

        def __iter__(self):
            yield self  # of a type variable tuple

        def __mro_entries__(self, bases):
            return ()

        def __repr__(self):
            return f"{self.name}[{', '.join(map(repr, self.__args__))}]" if self.__args__ else self.name

    (
        IO, Any, BinaryIO, ClassVar, Final, Generic, Literal, NoReturn, ParamSpec, Protocol, Self, TextIO, TypeAlias,
        TypeGuard, TypeVar, TypeVarTuple, Unpack,
    ) = map(
        Form, (
            "IO", "Any", "BinaryIO", "ClassVar", "Final", "Generic", "Literal", "NoReturn", "ParamSpec", "Protocol",
            "Self", "TextIO", "TypeAlias", "TypeGuard", "TypeVar", "TypeVarTuple", "Unpack",
        ),
    )  # fmt: skip

    class TypedDict(dict):
        """A dictionary whose keys are known to type checkers."""

        def __init_subclass__(cls, total=True):
            cls.__total__ = total

    def cast(type_, value):
        """The value."""
        return value

    def final(thing):
        """The thing."""
        return thing

    def overload(function):
        """Nothing that could be called."""
        return None

    FunctionType = type(final)

    def dataclass_transform(**told):
        """A decorator that leaves what it decorates alone."""
        return final

    # The constructor of a named tuple is one of these under other names: nothing is compiled when the class is made.
    CONSTRUCTORS = (
        lambda cls: new(cls, ()),
        lambda cls, a: new(cls, (a,)),
        lambda cls, a, b: new(cls, (a, b)),
        lambda cls, a, b, c: new(cls, (a, b, c)),
        lambda cls, a, b, c, d: new(cls, (a, b, c, d)),
        lambda cls, a, b, c, d, e: new(cls, (a, b, c, d, e)),
        lambda cls, a, b, c, d, e, f: new(cls, (a, b, c, d, e, f)),
        lambda cls, a, b, c, d, e, f, g: new(cls, (a, b, c, d, e, f, g)),
        lambda cls, a, b, c, d, e, f, g, h: new(cls, (a, b, c, d, e, f, g, h)),
        lambda cls, a, b, c, d, e, f, g, h, i: new(cls, (a, b, c, d, e, f, g, h, i)),
        lambda cls, a, b, c, d, e, f, g, h, i, j: new(cls, (a, b, c, d, e, f, g, h, i, j)),
    )
    new = tuple.__new__

    def _make(cls, values):
        """An instance of the values in order."""
        made = new(cls, values)
        if len(made) != len(cls._fields):
            raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
        return made

    def _replace(self, /, **changes):
        """A copy with some fields changed."""
        made = self._make([changes.pop(name, value) for name, value in zip(self._fields, self, strict=True)])
        if changes:
            raise WRONG_FIELD(f"Got unexpected field names: {list(changes)!r}")
        return made

    def _asdict(self):
        """Names and values."""
        return dict(zip(self._fields, self, strict=True))

    def __repr__(self):
        shown = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
        return f"{self.__class__.__name__}({shown})"

    def __getnewargs__(self):
        return tuple(self)

    METHODS = {
        "__slots__": (), "_replace": _replace, "_asdict": _asdict, "__repr__": __repr__,
        "__getnewargs__": __getnewargs__, "__replace__": _replace, "_make": classmethod(_make),
    }  # fmt: skip

    WRONG_FIELD = ValueError if sys.version_info < (3, 13) else TypeError
    """What the original raises for names that a named tuple does not have."""

    class NamedTupleType(type):
        """Makes a plain subclass of ``tuple`` of a class statement."""

        def __new__(meta, name, bases, body):
            if body.get("__slots__") is meta:  # the base itself
                return super().__new__(meta, name, bases, {})
            annotations = annotations_of(body)
            fields = tuple(annotations)
            code = CONSTRUCTORS[len(fields)].__code__.replace(
                co_varnames=("_cls", *fields), co_name="__new__", co_qualname=f"{body['__qualname__']}.__new__"
            )
            defaults = {field: body[field] for field in fields if field in body}
            make = FunctionType(code, {"new": new}, "__new__", tuple(defaults.values()))
            make.__annotations__ = dict(annotations)
            added = {"__new__": make, "_fields": fields, "__match_args__": fields, "_field_defaults": defaults}
            for index, field in enumerate(fields):
                added[field] = _tuplegetter(index, f"Alias for field number {index}")
            return type(name, (tuple,), METHODS | body | added)

    class _NamedTuple(metaclass=NamedTupleType):
        __slots__ = NamedTupleType

    class NamedTupleForm(Form):
        """The base of a class statement that makes a named tuple."""

        __slots__ = ()

        def __mro_entries__(self, bases):
            return (_NamedTuple,)

    NamedTuple = NamedTupleForm("NamedTuple")

    class EnumType(type):
        """Makes an enumeration: the integers in its body become instances of it, with names."""

        def __new__(meta, name, bases, body):
            numbers = {n: v for n, v in body.items() if type(v) is int and n[0] != "_"}
            made = super().__new__(meta, name, bases, {n: v for n, v in body.items() if n not in numbers})
            made.__members__ = {}
            made._by_value = {}
            for own, value in numbers.items():
                member = made._by_value.get(value)
                if member is None:
                    member = made._by_value[value] = int.__new__(made, value)
                    facts = member.__dict__
                    facts["name"] = facts["_name_"] = own
                    facts["value"] = facts["_value_"] = value
                type.__setattr__(made, own, member)
                made.__members__[own] = member
            return made

        def __call__(cls, value):
            try:
                return cls._by_value[value]
            except (KeyError, TypeError):
                raise ValueError(f"{value!r} is not a valid {cls.__qualname__}") from None

        def __getitem__(cls, name):
            return cls.__members__[name]

        def __iter__(cls):
            return iter(cls._by_value.values())

        def __len__(cls):
            return len(cls._by_value)

        def __contains__(cls, value):
            return value in cls._by_value

        def __setattr__(cls, name, value):
            if name in cls.__dict__.get("__members__", ()):
                raise AttributeError(f"cannot reassign member {name!r}")
            super().__setattr__(name, value)

    class IntEnum(int, metaclass=EnumType):
        """Integers with names; of one value there is one."""

        def __repr__(self):
            return f"<{type(self).__name__}.{self.name}: {int(self)}>"

        def __str__(self):
            return int.__repr__(self)

        def __reduce_ex__(self, protocol):
            return type(self), (int(self),)

        def __copy__(self):
            return self

        def __deepcopy__(self, memo):
            return self

        def __setattr__(self, name, value):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r} to set")


class Missing:
    """The type of ``MISSING``, which signatures show as the default of a parameter whose field has a factory."""

    def __repr__(self) -> str:
        return "<factory>"


MISSING: Final = Missing()
FEW: Final = 12
"""Instances of a class that are made before its constructor is compiled, where it must be."""


def _templates(put: Callable[[Any, str, Any], None]) -> tuple[Callable[..., None], ...]:
    """Constructors by the number of fields: under other names they are those of classes, and nothing is compiled."""

    def no(self: Any) -> None:
        pass

    def one(self: Any, a: Any) -> None:
        put(self, "a", a)

    def two(self: Any, a: Any, b: Any) -> None:
        put(self, "a", a)
        put(self, "b", b)

    def three(self: Any, a: Any, b: Any, c: Any) -> None:
        put(self, "a", a)
        put(self, "b", b)
        put(self, "c", c)

    def four(self: Any, a: Any, b: Any, c: Any, d: Any) -> None:
        put(self, "a", a)
        put(self, "b", b)
        put(self, "c", c)
        put(self, "d", d)

    def five(self: Any, a: Any, b: Any, c: Any, d: Any, e: Any) -> None:
        put(self, "a", a)
        put(self, "b", b)
        put(self, "c", c)
        put(self, "d", d)
        put(self, "e", e)

    def six(self: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> None:
        put(self, "a", a)
        put(self, "b", b)
        put(self, "c", c)
        put(self, "d", d)
        put(self, "e", e)
        put(self, "f", f)

    def seven(self: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any) -> None:
        put(self, "a", a)
        put(self, "b", b)
        put(self, "c", c)
        put(self, "d", d)
        put(self, "e", e)
        put(self, "f", f)
        put(self, "g", g)

    def eight(self: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> None:
        put(self, "a", a)
        put(self, "b", b)
        put(self, "c", c)
        put(self, "d", d)
        put(self, "e", e)
        put(self, "f", f)
        put(self, "g", g)
        put(self, "h", h)

    return no, one, two, three, four, five, six, seven, eight


TEMPLATES: Final = _templates(object.__setattr__)
LETTERS: Final = "abcdefgh"


def annotations_of(body: dict[str, Any]) -> dict[str, Any]:
    """Those in the body of a class statement."""
    if "__annotations__" not in body and "__annotate_func__" in body:  # Python 3.14, without the import of annotations
        return type("Annotated", (), dict(body)).__annotations__
    found: dict[str, Any] = body.get("__annotations__", {})
    return found


class Body:
    """A class statement whose class is not made yet. Where a class gets slots from a decorator, which has to make it a
    second time, byte code of the shared object gives the decorator this (``tools/bytecode.py``): nobody sees the first
    one, and it takes as long as three imports.
    """

    __slots__ = ("bases", "given", "name")

    def __init__(self, name: str, bases: tuple[type, ...], given: dict[str, Any]) -> None:
        self.name = name
        self.bases = bases
        self.given = given

    @classmethod
    def of(cls, made: Any) -> Body:
        """That of a class, or what is one already."""
        if type(made) is Body:
            return made
        given = {k: v for k, v in made.__dict__.items() if k not in ("__dict__", "__weakref__")}
        return cls(made.__name__, made.__bases__, given | {"__qualname__": made.__qualname__})

    def made(self, own: Iterable[str], added: dict[str, Any]) -> Any:
        """The class: without what stands in the statement for the fields ``own``, and with what is added."""
        body = {k: v for k, v in self.given.items() if k not in own} | added
        metaclass = type(self.bases[0]) if self.bases else type
        return metaclass(self.name, self.bases, body)

    def inherited(self, name: str) -> Any:
        """An attribute that the class will have from others; an empty dictionary where there is none."""
        return next((getattr(base, name) for base in self.bases if hasattr(base, name)), {})


def unmade(name: str, bases: tuple[type, ...], given: dict[str, Any]) -> Body:
    """Stands for the metaclass of a class statement that a decorator carries out."""
    return Body(name, bases, given)


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

    made: Any = None

    def __get__(self, instance: Any, owner: type) -> Any:
        fields = self.made.__dataclass_fields__ = _standard_fields(self.made)
        return fields


class Constructor:
    """``__init__`` of a class until it is worth compiling, which takes as long as twenty instances made here."""

    made: Any = None
    left = FEW

    def __get__(self, instance: Any, owner: type) -> Any:
        if self.left > 0 and isinstance(instance, self.made) and not _has_template(self.made):
            return partial(self.fill, instance)
        init = self.compiled()  # ``inspect`` asks too: without an instance, or with one of another class
        return init if instance is None else init.__get__(instance)

    def compiled(self) -> Any:
        """The real one, which takes the place of this."""
        init = _of_template(self.made) or _init(self.made)
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
    cls: type | Body | None = None, /, *, frozen: bool = False, slots: bool = False, weakref_slot: bool = False,
    eq: bool = True,
) -> Any:  # fmt: skip
    """``dataclasses.dataclass``, without order, ``InitVar`` and fields by keyword only."""
    if cls is None:
        return lambda cls: make_class(cls, frozen=frozen, slots=slots, weakref_slot=weakref_slot, eq=eq)
    body = Body.of(cls)
    inherited: dict[str, Field] = body.inherited("__fields__")
    given = body.given
    own = {
        name: _field(given.get(name, MISSING), type_)
        for name, type_ in annotations_of(given).items()
        if not str(type_).removeprefix("typing.").startswith("ClassVar")
    }
    fields = inherited | own
    constructor, standard = Constructor(), StandardFields()
    added = {name: method for name, method in _methods(fields, frozen, slots, eq).items() if name not in given}
    added |= {"__fields__": fields, "__init__": constructor, "__dataclass_fields__": standard}
    if slots:
        names = tuple([name for name in own if name not in inherited])
        added["__slots__"] = (*names, "__weakref__") if weakref_slot else names
        cls = body.made(own, added)
    else:
        for name in [n for n, f in own.items() if f is given.get(n)]:
            delattr(cls, name)
        for name, value in added.items():
            setattr(cls, name, value)
    constructor.made = standard.made = cls
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


def _has_template(made: Any) -> bool:
    """Whether the constructor does nothing but to set a few fields."""
    fields = made.__fields__
    return (
        len(fields) < len(TEMPLATES)
        and "put" not in fields
        and made.__setattr__ in (_refuse_set, object.__setattr__)
        and not hasattr(made, "__post_init__")
        and all(field.default_factory is MISSING for field in fields.values())
    )


def _of_template(made: Any) -> Any:
    """The constructor without compiling; None where it does more than a template."""
    if not _has_template(made):
        return None
    fields: dict[str, Field] = made.__fields__
    template: Any = TEMPLATES[len(fields)]
    names = dict(zip(LETTERS, fields, strict=False))
    code = template.__code__.replace(
        co_varnames=("self", *fields),
        co_consts=tuple([names.get(const, const) for const in template.__code__.co_consts]),
        co_name="__init__",
        co_qualname=f"{made.__qualname__}.__init__",
    )
    defaults = [field.default for field in fields.values()]
    given = tuple(defaults[sum(default is MISSING for default in defaults) :])
    if MISSING in given:
        return None  # one without a default behind one with: Python says so
    init = FunctionType(code, sys.modules[made.__module__].__dict__, "__init__", given, template.__closure__)
    init.__annotations__ = {name: field.type for name, field in fields.items()} | {"return": None}
    return init


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
    text = source + "\n  ".join(body or ["pass"]) + "\n return __init__"
    try:
        exec(text, sys.modules[made.__module__].__dict__, made_here)
    except SystemError as error:  # CPython's compiler says so, at times, where it has no memory
        raise MemoryError(f"no memory for the constructor of {made.__qualname__}") from error
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


if not TYPE_CHECKING:  # a type checker knows the standard ones
    make_class.unmade = unmade
    dataclass, field, replace = make_class, make_field, make_changed
