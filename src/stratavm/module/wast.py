"""Scripts of the official test suite as data: commands, actions, constants, expected results. Runs nothing.

Modules inside a script stay text until they are asked for: most ``assert_malformed`` ones do not parse.
Source: the reference interpreter's script grammar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stratavm.base.errors import ParseError
from stratavm.base.forms import Final, Literal, dataclass, field
from stratavm.module.encode import encode
from stratavm.module.lexer import tokenize
from stratavm.module.parser import FIELDS, ModuleParser
from stratavm.module.parser_code import SHAPES
from stratavm.module.parser_numbers import F32, F64, FloatFormat
from stratavm.spec.types import CONCRETE, HeapType, ref, type_name

NANS: Final = ("nan:canonical", "nan:arithmetic")


@dataclass(frozen=True, slots=True)
class Const:
    """An argument: ``type`` is ``i32`` … ``v128``, ``ref.null``, ``ref.extern``, ``ref.host``; ``bits`` is raw, and
    ``heap`` is the type of a null, where the script says an abstract one."""

    type: str
    bits: int = 0
    heap: HeapType | None = None

    def __str__(self) -> str:
        return show(self.type, self.bits, self.heap)


@dataclass(frozen=True, slots=True)
class Pattern:
    """An expected result: exact ``bits``, any of them (None), a kind of NaN, vector lanes, or one of several; of a null
    it may be said of which ``heap`` type."""

    type: str
    bits: int | None = None
    heap: HeapType | None = None
    nan: str = ""
    lanes: tuple[Pattern, ...] = ()
    either: tuple[Pattern, ...] = ()

    def __str__(self) -> str:
        if self.either:
            return f"(either {' '.join(map(str, self.either))})"
        if self.lanes:
            return f"(v128 {' '.join(map(str, self.lanes))})"
        return f"{self.type} {self.nan}" if self.nan else show(self.type, self.bits, self.heap)

    def matches(self, bits: int) -> bool:
        """Whether the bits of a number fit. Of references, and of several patterns, the runner knows which fit."""
        if self.lanes:
            width = 128 // len(self.lanes)
            mask = (1 << width) - 1
            return all(p.matches(bits >> i * width & mask) for i, p in enumerate(self.lanes))
        if self.nan:
            form = F32 if self.type == "f32" else F64
            return matches_nan(bits, form, self.nan)
        return bits == self.bits


def matches_nan(bits: int, form: FloatFormat, kind: str) -> bool:
    """Canonical: the quiet bit alone, either sign. Arithmetic: the quiet bit and anything."""
    magnitude = bits & (1 << form.bits - 1) - 1
    return magnitude == form.quiet if kind == "nan:canonical" else magnitude & form.quiet == form.quiet


def show(type_: str, bits: int | None, heap: HeapType | None = None) -> str:
    """A value for people; ``heap`` is the type of a null."""
    if type_ == "ref.null" and heap is not None:
        return f"{type_name(ref(heap))} null"
    if bits is None or type_ == "ref.null":
        return type_
    if type_ in ("i32", "i64"):
        width = int(type_[1:])
        return f"{type_} {bits - (1 << width) if bits >> width - 1 else bits}"
    return f"{type_} {bits:#x}"


@dataclass(frozen=True, slots=True)
class ModuleText:
    """A module within a script; ``binary`` parses it and may raise what a parser raises."""

    line: int
    name: str | None
    parse: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Action:
    """``invoke`` with arguments, or ``get`` of a global; of the named or the current instance."""

    kind: Literal["invoke", "get"]
    instance: str | None
    field: str
    args: tuple[Const, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a script. ``kind`` is its keyword (``module`` also as ``definition`` and ``instance``)."""

    line: int
    kind: str
    module: ModuleText | None = None
    action: Action | None = None
    name: str | None = None
    """``register``: the name to register under; ``instance``: the new instance."""
    target: str | None = None
    """``register``: the instance; ``instance``: the definition."""
    expected: tuple[Pattern, ...] = ()
    message: str = ""
    error: ParseError | None = field(default=None, compare=False)
    """Where ``kind`` is ``broken``: why the command could not be read."""


class ScriptParser(ModuleParser):
    """Reads the commands of a script one after the other."""

    def commands(self) -> Iterator[Command]:
        """Every command; one that cannot be read comes as ``broken`` and the next one follows."""
        if self.toks[self.i] == "(" and self.toks[self.i + 1] in FIELDS:
            yield Command(1, "module", ModuleText(1, None, self._inline_module))
            return
        while self.toks[self.i] != "":
            start = self.i
            line = self.line()
            try:
                self.expect("(")
                keyword = self.toks[self.i]
                self.skip_group()
            except ParseError as e:
                yield Command(line, "broken", error=e)
                return
            end = self.i
            self.i = start + 2
            try:
                yield self.command(line, keyword, start, end)
            except ParseError as e:
                yield Command(line, "broken", error=e)
            self.i = end

    def line(self) -> int:
        """The line of the next token."""
        return self.source.position(self.source.offsets[self.i])[0]

    def _inline_module(self) -> bytes:
        """A script that is the fields of one module."""
        parser = ModuleParser(self.source)
        draft = parser.fields()
        if parser.toks[parser.i] != "":
            raise parser.unexpected("the end of the text")
        return encode(draft)

    def command(self, line: int, keyword: str, start: int, end: int) -> Command:
        """Read the command whose keyword was taken."""
        if keyword == "module":
            return self._module_command(line, start)
        if keyword == "register":
            name = self.name()
            return self._finished(Command(line, keyword, name=name, target=self.accept_id()), end)
        if keyword in ("invoke", "get"):
            self.i = start
            return self._finished(Command(line, "action", action=self.action(), message=keyword), end, 0)
        if keyword == "assert_return":
            action = self.action()
            expected = []
            while self.toks[self.i] == "(":
                expected.append(self.pattern())
            return self._finished(Command(line, keyword, action=action, expected=tuple(expected)), end)
        if keyword == "assert_exception":
            return self._finished(Command(line, keyword, action=self.action()), end)
        if keyword.startswith("assert_"):
            return self._finished(self._assertion(line, keyword), end)
        return Command(line, keyword)

    def _finished(self, command: Command, end: int, closing: int = 1) -> Command:
        """The command must end where its parentheses do."""
        if self.i != end - closing:
            raise self.unexpected("`)`")
        return command

    def _module_command(self, line: int, start: int) -> Command:
        """``(module …)``, ``(module definition …)``, ``(module instance id? id?)``."""
        if self.accept("instance"):
            name, target = self.accept_id(), self.accept_id()
            return Command(line, "instance", name=name, target=target)
        kind = "definition" if self.accept("definition") else "module"
        return Command(line, kind, module=self._module_text(start, line))

    def _module_text(self, start: int, line: int) -> ModuleText:
        """The module whose ``(`` is token ``start``."""
        at = start + 2
        if self.toks[at] == "definition":
            at += 1
        name = self.toks[at] if self.toks[at][:1] == "$" else None
        return ModuleText(line, name, lambda: ModuleParser(self.source, start).module())

    def _assertion(self, line: int, keyword: str) -> Command:
        """``(assert_… (module …) "message")`` or ``(assert_… action "message")``."""
        if self.toks[self.i] == "(" and self.toks[self.i + 1] == "module":
            module = self._module_text(self.i, line)
            self.i += 1
            self.skip_group()
            return Command(line, keyword, module=module, message=self._message())
        action = self.action()
        return Command(line, keyword, action=action, message=self._message())

    def _message(self) -> str:
        """The expected error text."""
        return str(self.string("the expected message"), "utf-8", "replace")

    # ---- actions and values ----------------------------------------------------------------------

    def action(self) -> Action:
        """Take an action."""
        if self.accept_open("invoke"):
            instance, name = self.accept_id(), self.name()
            args = []
            while self.toks[self.i] == "(":
                args.append(self.const())
            self.expect(")")
            return Action("invoke", instance, name, tuple(args))
        if self.accept_open("get"):
            action = Action("get", self.accept_id(), self.name())
            self.expect(")")
            return action
        raise self.unexpected("(invoke …) or (get …)")

    def const(self) -> Const:
        """Take ``(i32.const 1)`` or a reference."""
        self.expect("(")
        keyword = self.toks[self.i]
        self.i += 1
        match keyword:
            case "i32.const" | "i64.const":
                const = Const(keyword[:3], self.integer(int(keyword[1:3])))
            case "f32.const" | "f64.const":
                const = Const(keyword[:3], self.float_bits(int(keyword[1:3])))
            case "v128.const":
                const = Const("v128", self.vector_constant())
            case "ref.null":
                heap = None if self.toks[self.i] == ")" else self.heap_type()
                # An index is one of types of a module, and which one a script does not say.
                const = Const("ref.null", heap=None if heap is not None and heap >= CONCRETE else heap)
            case "ref.extern" | "ref.host":
                const = Const(keyword, self.natural(32))
            case _:
                raise self.unexpected("a constant", self.i - 1)
        self.expect(")")
        return const

    def pattern(self) -> Pattern:
        """Take an expected result; ``either`` holds results, and nothing nests deeper."""
        if not self.accept_open("either"):
            return self._simple_pattern()
        options = []
        while self.toks[self.i] == "(":
            options.append(self._simple_pattern())
        self.expect(")")
        return Pattern("either", either=tuple(options))

    def _simple_pattern(self) -> Pattern:
        """Take one expected result that is not ``either``."""
        keyword, following = self.toks[self.i + 1], self.toks[self.i + 2]
        if keyword in ("f32.const", "f64.const") and following in NANS:
            self.i += 3
            found = Pattern(keyword[:3], nan=following)
        elif keyword == "v128.const" and following in ("f32x4", "f64x2"):
            self.i += 3
            found = Pattern("v128", lanes=tuple(self._lane(following) for _ in range(SHAPES[following][1])))
        elif keyword == "ref.func" or (keyword.startswith("ref.") and following == ")"):
            self.i += 2 if following == ")" else 3
            found = Pattern(keyword)
        else:
            const = self.const()
            return Pattern(const.type, const.bits, const.heap)
        self.expect(")")
        return found

    def _lane(self, shape: str) -> Pattern:
        """Take a float lane."""
        type_ = shape[:3]
        token = self.toks[self.i]
        if token in NANS:
            self.i += 1
            return Pattern(type_, nan=token)
        return Pattern(type_, self.float_bits(int(type_[1:])))


def parse_script(source: str | bytes) -> Iterator[Command]:
    """The commands of a script. Raises ParseError where it cannot even be split into tokens."""
    return ScriptParser(tokenize(source)).commands()
