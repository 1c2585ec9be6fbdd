"""Runs scripts of the official test suite over any tier that offers ``WastHost``. Owns what an assertion means.

Every assertion counts as passed, failed or skipped. A module or a bare action that should have worked and did not
counts as failed, so that no script passes by doing nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from stratavm.base.errors import (
    DecodeError,
    LinkError,
    ModuleError,
    ParseError,
    StrataError,
    Trap,
    Unsupported,
    ValidationError,
)
from stratavm.base.forms import Any, Final, NamedTuple, Protocol, dataclass, field
from stratavm.base.thrown import WasmException
from stratavm.module.parser import parse_wat_to_bytes
from stratavm.module.wast import Action, Command, Const, ModuleText, Pattern, parse_script, show
from stratavm.spec import types as T

MAX_SCRIPT_BYTES: Final = 64 << 20


class WastHost(Protocol):
    """What runs a script. Values are raw bits; a failure is an exception of ``stratavm.base.errors``."""

    def load(self, binary: bytes) -> Any:
        """Decode and validate a module; what comes back goes to ``instantiate``."""

    def instantiate(self, loaded: Any) -> Any:
        """Link with the registered instances, initialise, start."""

    def register(self, name: str, instance: Any) -> None:
        """Offer an instance's exports to later modules under a name."""

    def invoke(self, instance: Any, name: str, args: Sequence[int]) -> Sequence[int]:
        """Call an exported function."""

    def read_global(self, instance: Any, name: str) -> int:
        """The value of an exported global."""

    def result_types(self, instance: Any, name: str) -> Sequence[T.ValType]:
        """What an exported function returns, or the one type of an exported global, as it is outside of modules."""

    def is_object(self, wanted: T.HeapType, bits: int) -> bool:
        """Whether a reference below ``any`` that is not 0 is to what is of an abstract heap type."""

    def extern(self, number: int) -> int:
        """The raw reference to the host object that the script calls ``number``: never 0, the same each time."""


class Failure(NamedTuple):
    """What went wrong, and where."""

    line: int
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.line}: {self.what}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class Report:
    """The outcome of a script. ``warnings`` are errors of the right kind with other words than expected."""

    name: str = ""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[Failure] = field(default_factory=list)
    warnings: list[Failure] = field(default_factory=list)
    skips: dict[str, int] = field(default_factory=dict)

    def fail(self, line: int, what: str, expected: str, found: str) -> None:
        """Count a failure."""
        self.failed += 1
        self.failures.append(Failure(line, what, expected, found))

    def skip(self, reason: str) -> None:
        """Count what this runner does not do."""
        self.skipped += 1
        self.skips[reason] = self.skips.get(reason, 0) + 1


SKIPPED: Final = {"thread": "threads", "wait": "threads"}
"""Commands that are not run, and why."""

REFERENCES: Final[dict[str, T.HeapType]] = {
    "ref.func": T.FUNC, "ref.extern": T.EXTERN, "ref.exn": T.EXN, "ref.any": T.ANY, "ref.host": T.ANY, "ref.eq": T.EQ,
    "ref.i31": T.I31, "ref.struct": T.STRUCT, "ref.array": T.ARRAY,
}  # fmt: skip
"""What the references are that a pattern means; none of them is null."""

SPECTEST: Final = """(module
  (func (export "print"))
  (func (export "print_i32") (param i32))
  (func (export "print_i64") (param i64))
  (func (export "print_f32") (param f32))
  (func (export "print_f64") (param f64))
  (func (export "print_i32_f32") (param i32 f32))
  (func (export "print_f64_f64") (param f64 f64))
  (global (export "global_i32") i32 (i32.const 666))
  (global (export "global_i64") i64 (i64.const 666))
  (global (export "global_f32") f32 (f32.const 666.6))
  (global (export "global_f64") f64 (f64.const 666.6))
  (table (export "table") 10 20 funcref)
  (table (export "table64") i64 10 20 funcref)
  (memory (export "memory") 1 2)
  %s
)"""
"""The host module of the suite. Its functions print nothing, so it can be a module like any other."""

SHARED_MEMORY: Final = '(memory (export "shared_memory") 1 2 shared)'


def spectest_binary(shared: bool = False) -> bytes:
    """The suite's host module; ``shared``: with what scripts of threads import from it."""
    return parse_wat_to_bytes(SPECTEST % (SHARED_MEMORY * shared))


def run_script(source: str | bytes | Path, host: WastHost, *, name: str = "") -> Report:
    """Run a script (text, or the path of a file) from beginning to end."""
    if isinstance(source, Path):
        name = name or str(source)
        with source.open("rb") as file:
            source = file.read(MAX_SCRIPT_BYTES + 1)
    report = Report(name)
    if len(source) > MAX_SCRIPT_BYTES:
        report.fail(1, "script", f"at most {MAX_SCRIPT_BYTES} bytes", "more")
        return report
    try:
        commands = parse_script(source)
    except ParseError as e:
        report.fail(e.line, "script", "a script", str(e))
        return report
    run_commands(commands, host, report)
    return report


def run_commands(commands: Iterable[Command], host: WastHost, report: Report) -> None:
    """Run the commands of a script beside the host module of the suite."""
    try:
        spectest = host.load(spectest_binary(shared=True))
    except StrataError:  # a host without threads, or without several memories
        spectest = host.load(spectest_binary())
    host.register("spectest", host.instantiate(spectest))
    runner = Runner(host, report)
    for command in commands:
        runner.run(command)


class Runner:
    """Executes commands and counts."""

    def __init__(self, host: WastHost, report: Report) -> None:
        self.host = host
        self.report = report
        self.current: Any = None
        self.instances: dict[str, Any] = {}
        self.definition: Any = None
        self.definitions: dict[str, Any] = {}
        self.steps: dict[str, Callable[[Command], None]] = {
            "module": self.module,
            "definition": self.define,
            "instance": self.instantiate,
            "register": self.register,
            "action": self.bare_action,
            "assert_return": self.assert_return,
            "assert_trap": self.assert_trap,
            "assert_exhaustion": self.assert_trap,
            "assert_exception": self.assert_exception,
            "assert_malformed": self.assert_malformed,
            "assert_malformed_custom": self.assert_custom,
            "assert_invalid_custom": self.assert_custom,
            "assert_invalid": self.assert_invalid,
            "assert_unlinkable": self.assert_unlinkable,
        }

    def run(self, command: Command) -> None:
        """Execute one command."""
        step = self.steps.get(command.kind)
        if command.kind in SKIPPED:
            self.report.skip(SKIPPED[command.kind])
        elif command.kind == "broken":
            self.report.fail(command.line, "script", "a command", str(command.error))
        elif step is None:
            self.report.fail(command.line, "script", "a known command", command.kind)
        else:
            try:
                step(command)
            except Exception as e:  # a script must not end the run, and a crash of ours must be seen
                self.report.fail(command.line, command.kind, "success", describe(e))

    # ---- modules ---------------------------------------------------------------------------------

    def module(self, command: Command) -> None:
        """Load and instantiate; the instance becomes the current one."""
        module = self._module(command)
        self.current = None
        if module.name is not None:
            self.instances.pop(module.name, None)
        loaded = self.host.load(module.parse())
        self.current = self.host.instantiate(loaded)
        if module.name is not None:
            self.instances[module.name] = self.current

    def define(self, command: Command) -> None:
        """Load only."""
        module = self._module(command)
        self.definition = self.host.load(module.parse())
        if module.name is not None:
            self.definitions[module.name] = self.definition

    def instantiate(self, command: Command) -> None:
        """Instantiate a definition."""
        loaded = self.definition if command.target is None else self.definitions[command.target]
        self.current = self.host.instantiate(loaded)
        if command.name is not None:
            self.instances[command.name] = self.current

    def register(self, command: Command) -> None:
        """Offer an instance to later modules."""
        self.host.register(command.name or "", self._instance(command.target))

    def _instance(self, name: str | None) -> Any:
        """The named or the current instance."""
        instance = self.current if name is None else self.instances.get(name)
        if instance is None:
            raise LinkError(f"no instance {name or 'is current'}: its module failed")
        return instance

    @staticmethod
    def _module(command: Command) -> ModuleText:
        """The module that the command must have."""
        if command.module is None:
            raise LinkError(f"{command.kind} has no module")
        return command.module

    # ---- actions ---------------------------------------------------------------------------------

    def perform(self, command: Command) -> Sequence[int]:
        """Do a command's action; raw results."""
        action = command.action
        if action is None:
            raise LinkError(f"{command.kind} has no action")
        instance = self._instance(action.instance)
        if action.kind == "get":
            return [self.host.read_global(instance, action.field)]
        return self.host.invoke(instance, action.field, [self._argument(a) for a in action.args])

    def _argument(self, const: Const) -> int:
        """Raw bits of an argument."""
        return self.host.extern(const.bits) if const.type in ("ref.extern", "ref.host") else const.bits

    def bare_action(self, command: Command) -> None:
        """An action whose results do not matter."""
        self.perform(command)

    def assert_return(self, command: Command) -> None:
        """The action returns values that fit the patterns."""
        try:
            results = self.perform(command)
        except StrataError as e:
            self._fail(command, " ".join(map(str, command.expected)) or "no result", describe(e))
            return
        expected, types = command.expected, self._result_types(command)
        if len(results) == len(expected) == len(types) and all(map(self._fits, expected, types, results)):
            self.report.passed += 1
            return
        found = " ".join(_shown(type_, bits) for type_, bits in zip(types, results, strict=True))
        self._fail(command, " ".join(map(str, expected)) or "no result", found or "no result")

    def _result_types(self, command: Command) -> Sequence[T.ValType]:
        """What the action that was done gives: bits alone do not tell an i32 from an i64, or a function from null."""
        assert command.action is not None
        return self.host.result_types(self._instance(command.action.instance), command.action.field)

    def _fits(self, pattern: Pattern, type_: T.ValType, bits: int) -> bool:
        """Whether a result fits, by its type and its bits; only the host knows its references."""
        if pattern.either:
            return any(self._fits(p, type_, bits) for p in pattern.either)
        if not T.is_ref(type_):
            return pattern.type == T.type_name(type_) and pattern.matches(bits)
        top = _top(T.abstract_of(T.heap(type_)))
        if bits == 0 or pattern.type == "ref.null":
            same = pattern.heap is None or _top(pattern.heap) == top
            return bits == 0 and pattern.type == "ref.null" and same
        if pattern.bits is not None and bits != self.host.extern(pattern.bits):
            return False
        wanted = REFERENCES.get(pattern.type)
        if wanted is None or _top(wanted) != top:
            return False
        if pattern.type == "ref.host":
            return not self.host.is_object(T.EQ, bits)
        return wanted == _top(wanted) or self.host.is_object(wanted, bits)

    def assert_trap(self, command: Command) -> None:
        """The action or the instantiation traps for the given reason."""
        try:
            if command.module is not None:
                self.host.instantiate(self.host.load(command.module.parse()))
            else:
                self.perform(command)
        except Trap as e:
            self._compare(command, f"trap: {command.message}", e.message, strict=True)
            return
        except StrataError as e:
            self._fail(command, f"trap: {command.message}", describe(e))
            return
        self._fail(command, f"trap: {command.message}", "success")

    def assert_exception(self, command: Command) -> None:
        """The action ends with an exception that nobody caught."""
        try:
            self.perform(command)
        except WasmException:
            self.report.passed += 1
            return
        except StrataError as e:
            self._fail(command, "an exception", describe(e))
            return
        self._fail(command, "an exception", "success")

    # ---- modules that must be refused --------------------------------------------------------------

    def assert_malformed(self, command: Command) -> None:
        """The module cannot be read."""
        self._refused(command, "malformed", (DecodeError, ParseError))

    def assert_custom(self, command: Command) -> None:
        """An annotation is wrong: the text is refused."""
        self._refused(command, "malformed", (ParseError,))

    def assert_invalid(self, command: Command) -> None:
        """The module can be read and is not valid."""
        self._refused(command, "invalid", (ValidationError,))

    def _refused(self, command: Command, word: str, kinds: tuple[type[ModuleError], ...]) -> None:
        """Loading raises one of ``kinds``."""
        expected = f"{word}: {command.message}"
        try:
            self.host.load(self._module(command).parse())
        except kinds as e:
            self._compare(command, expected, getattr(e, "message", str(e)))
        except StrataError as e:
            self._fail(command, expected, describe(e))
        else:
            self._fail(command, expected, "a valid module")

    def assert_unlinkable(self, command: Command) -> None:
        """The module is valid, and its imports do not fit."""
        expected = f"link error: {command.message}"
        try:
            self.host.instantiate(self.host.load(self._module(command).parse()))
        except LinkError as e:
            self._compare(command, expected, str(e), strict=True)  # unknown and incompatible are different things
        except StrataError as e:
            self._fail(command, expected, describe(e))
        else:
            self._fail(command, expected, "an instance")

    # ---- counting --------------------------------------------------------------------------------

    def _fail(self, command: Command, expected: str, found: str) -> None:
        """Count a failed assertion."""
        what = command.kind
        if command.action is not None:
            what += " " + show_action(command.action)
        self.report.fail(command.line, what, expected, found)

    def _compare(self, command: Command, expected: str, found: str, strict: bool = False) -> None:
        """The error is of the right kind: its words fail the assertion only where ``strict``."""
        if found and (found.startswith(command.message) or command.message.startswith(found)):
            self.report.passed += 1
        elif strict:
            self._fail(command, expected, found)
        else:
            self.report.passed += 1
            self.report.warnings.append(Failure(command.line, command.kind, expected, found))


def _top(heap: T.HeapType) -> T.HeapType:
    """What is above all else of an abstract heap type's hierarchy."""
    return T.ABOVE.get(heap, (heap,))[-1]


def _shown(type_: T.ValType, bits: int) -> str:
    """A result for people."""
    if T.is_ref(type_):
        return f"{T.type_name(type_)} {bits:#x}" if bits else f"{T.type_name(type_)} null"
    return show(T.type_name(type_), bits)


def show_action(action: Action) -> str:
    """An action for people."""
    args = " ".join(f"({a})" for a in action.args)
    return f'{action.kind} "{action.field}"{" " if args else ""}{args}'


def describe(error: Exception) -> str:
    """An exception for people: its kind and its words."""
    if isinstance(error, Trap):
        return f"trap: {error}"
    if isinstance(error, Unsupported):
        return f"unsupported ({error.feature or 'unnamed feature'}): {_first_line(error)}"
    return f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    """What an error says before excerpts and hints."""
    return str(error).partition("\n")[0]
