"""What classes can do: descriptors, metaclasses, protocols, dispatch, operators, context managers, weak references."""

import abc
import contextlib
import contextvars
import copy
import functools
import gc
import inspect
import operator
import types
import typing
import weakref


class Typed:
    def __init__(self, kind):
        self.kind = kind

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        return self if instance is None else instance.__dict__[self.name]

    def __set__(self, instance, value):
        if not isinstance(value, self.kind):
            raise TypeError(f"{type(instance).__name__}.{self.name} must be {self.kind.__name__}, got {value!r}")
        instance.__dict__[self.name] = value


class Registry(type):
    known: typing.ClassVar = {}

    def __new__(mcs, name, bases, space, **options):
        made = super().__new__(mcs, name, bases, dict(space))
        mcs.known[options.get("tag", name.lower())] = made
        return made

    def __init__(cls, name, bases, space, **options):
        super().__init__(name, bases, space)

    @classmethod
    def __prepare__(mcs, name, bases, **options):
        return {"order": []}

    def __call__(cls, *args, **kwargs):
        made = super().__call__(*args, **kwargs)
        made.born = len(args)
        return made

    def __contains__(cls, what):
        return hasattr(cls, what)


class Shape(metaclass=Registry):
    name = Typed(str)

    def __init__(self, name):
        self.name = name

    def __init_subclass__(cls, sides=0, **options):
        cls.sides = sides


class Square(Shape, tag="sq", sides=4):
    size = Typed(int)

    def __init__(self, name, size):
        super().__init__(name)
        self.size = size

    def __matmul__(self, other):
        return f"{self.name}@{other}"

    def __rsub__(self, other):
        return other - self.size

    def __iadd__(self, other):
        self.size += other
        return self

    def __format__(self, spec):
        return f"<{self.name}:{spec or 'plain'}>"

    def __getattr__(self, name):
        if name.startswith("times"):
            return self.size * int(name.removeprefix("times"))
        raise AttributeError(name, name=name, obj=self)


square = Square("s", 3)
square += 4
print(
    square @ 5, 100 - square, f"{square} {square:odd}", square.times6, square.born, Registry.known.keys(), Square.sides
)
for wrong in (lambda: Square("s", "x"), lambda: square.nothing, lambda: Square.size.__set__(square, 1.5)):
    try:
        wrong()
    except (TypeError, AttributeError) as error:
        print(type(error).__name__, error)
print("times" in Square, "name" in Square, Square.order, inspect.signature(Square.__init__), Square.__mro__[1].__name__)


class A:
    def f(self):
        return ["A"]


class B(A):
    def f(self):
        return ["B", *super().f()]


class C(A):
    def f(self):
        return ["C", *super().f()]


class D(B, C):
    def f(self):
        return ["D", *super().f()]


print(D().f(), [each.__name__ for each in D.__mro__])
try:
    type("E", (A, B), {})
except TypeError as error:
    print(str(error).split("\n")[0])


@typing.runtime_checkable
class Closes(typing.Protocol):
    def close(self) -> None: ...


class Base(abc.ABC):
    @property
    @abc.abstractmethod
    def value(self): ...

    @functools.cached_property
    def costly(self):
        calls.append("costly")
        return self.value * 2


class Real(Base):
    value = 21

    def close(self):
        pass


calls = []
real = Real()
print(real.costly, real.costly, calls, isinstance(real, Closes), isinstance(3, Closes))
try:
    Base()
except TypeError as error:
    print(error)


@functools.singledispatch
def shown(value, depth=0):
    return f"?{value}"


@shown.register(int | float)
def _(value, depth=0):
    return f"n{value}"


@shown.register
def _(value: list, depth=0):
    return "[" + " ".join(shown(each, depth + 1) for each in value) + f"]{depth}"


print(shown([1, [2.5, "x"], None]), shown.dispatch(bool) is shown.dispatch(int), shown(True))


@functools.total_ordering
class Version:
    def __init__(self, text):
        self.parts = tuple(map(int, text.split(".")))

    def __eq__(self, other):
        return self.parts == other.parts

    def __lt__(self, other):
        return self.parts < other.parts

    def __hash__(self):
        return hash(self.parts)


made = sorted(map(Version, ("1.10", "1.9", "1.9.1", "0.99")))
print([each.parts for each in made], made[0] >= made[1], len({*made, Version("1.9")}))
print(functools.reduce(operator.mul, range(1, 20)), functools.partial(int, base=7)("123"))


@contextlib.contextmanager
def noted(name, swallows=()):
    log.append(f"+{name}")
    try:
        yield name
    except swallows as error:
        log.append(f"!{error}")
    finally:
        log.append(f"-{name}")


log = []
with contextlib.ExitStack() as stack, noted("outer", ValueError):
    for each in "abc":
        stack.enter_context(noted(each))
    stack.callback(log.append, "callback")
    raise ValueError("inside")
print(log)
var = contextvars.ContextVar("var", default="none")
context = contextvars.copy_context()
print(context.run(lambda: (var.set("inner"), var.get())[1]), var.get(), context[var])


class Node:
    def __init__(self, *children):
        self.children, self.parent = children, None
        for child in children:
            child.parent = weakref.proxy(self)


tree = Node(Node(), Node(Node()))
gone = []
weakref.finalize(tree, gone.append, "tree")
seen = weakref.WeakValueDictionary(root=tree)
twin = copy.deepcopy(tree.children)
leaf = tree.children[1].children[0]
print(leaf.parent.parent.children[0] is tree.children[0], len(seen), len(twin))
del tree, leaf
gc.collect()
print(gone, len(seen))
ring = [Node() for _ in range(10)]
for one, other in zip(ring, ring[1:] + ring[:1], strict=True):
    one.next = other
refs = [*map(weakref.ref, ring)]
del ring, one, other
print(gc.collect() > 0, sum(ref() is not None for ref in refs))
point = types.SimpleNamespace(x=1, y=[2])
other = copy.copy(point)
other.y.append(3)
print(point, copy.replace(point, x=5), types.MappingProxyType({"a": 1}) | {"b": 2})


made = {"typing": typing}
exec(
    '''\
def generic[T: (int, str), *Ts, **P](first: T, *rest: *Ts, key: typing.Callable[P, T] = None) -> list[T]:
    """Generic."""
    return [first, *rest]


type Pair[X] = tuple[X, X]
''',
    made,
)
generic, Pair = made["generic"], made["Pair"]
print(generic(1, 2), generic.__type_params__, Pair[int].__value__, typing.get_type_hints(generic).keys())
print(inspect.getdoc(generic), inspect.signature(generic).parameters["rest"].kind.name, list[int] | None)
match {"kind": "move", "to": [1, 2, *range(3)], "who": Version("2.0")}:
    case {"kind": "stop"}:
        print("stopped")
    case {"kind": str(kind), "to": [x, *_, last], "who": Version(parts=(2, minor)), **rest} if x < last:
        print(kind, x, last, minor, rest)
