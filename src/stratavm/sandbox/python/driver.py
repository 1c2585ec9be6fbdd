"""What runs inside of the guest: one task for each turn. Sent as text; no interpreter of the host imports it.

The host believes nothing of what it answers: a guest may change all of this.
"""

from __future__ import annotations

import builtins
import sys
from _ast import Expr, Expression, Module
from binascii import b2a_base64
from json import dumps
from marshal import loads
from types import CodeType, ModuleType, TracebackType
from typing import Any

from _host import call  # type: ignore[import-not-found]

ONLY_TREE = 0x400
FUTURES = 0x1FE0000
NESTING = 64
ITEMS = 100_000
ITEM_CHARS = 16
VALUE_BYTES = 1 << 20
TEXT_CHARS = 1 << 16
INTEGER_BITS = 14_000
FRAMES = 100
SITE = ". Site initialization is disabled"
LOOPS = "asyncio.selector_events"
TWISTER = "MT19937"
TWISTER_WORDS = 624
FOREVER_S = 3600.0
PLAIN = frozenset((type(None), bool, float))

modules = sys.modules


class NoForm(Exception):
    """A value that has no form but its ``repr``."""


def turn() -> None:
    """Do one task, and answer."""
    task = loads(call(b"\0t"))
    prepare(task)
    scope = scope_of(task["fresh"])
    if task["file"]:
        scope["__file__"] = task["file"]
    try:
        do(task, scope)
    finally:
        if not task["ends"]:  # turns begin among the names of that one
            modules["__main__"] = MAIN
            forget(sys._getframe(1).f_code)


def do(task: dict[str, Any], scope: dict[str, Any]) -> None:
    """Run the code of a task, and answer."""
    answer: dict[str, Any] = {"n": task["n"], "code": 0}
    try:
        value = execute(task["code"], task["name"], scope)
    except SystemExit as stop:
        answer["code"] = exit_code(stop)
    except BaseException as error:
        answer["code"], answer["error"] = 1, told(error, task)
    else:
        if value is not None and task["wants"]:
            answer.update(form_of(value))
        del value
    if task["ends"]:
        end()
    flush()
    if len(answer) == 2:  # as most are
        call(b'\0a{"n": %d, "code": %d}' % (answer["n"], answer["code"]))
    else:
        call(b"\0a" + dumps(answer).encode())


def forget(code: CodeType) -> None:
    """The text of the turn itself, which is the same each time, and which the reactor keeps for tracebacks."""
    texts = getattr(modules.get("linecache"), "_interactive_cache", None)
    if type(texts) is dict:
        texts.pop((code.co_filename, code.co_qualname, code.co_firstlineno), None)


def prepare(task: dict[str, Any]) -> None:
    """What the interpreter was begun with belonged to no run; nor did what its generators were begun with."""
    sys.argv[:] = task["args"]
    surround(task["env"])
    if task["path"] and task["path"] not in sys.path:
        sys.path.append(task["path"])
    if task["path"] and "importlib" in modules:
        modules["importlib"].invalidate_caches()
    if task["tools"]:  # others than those that ``host.tools`` has found
        modules.pop("host.tools", None)
        if "host" in modules:
            vars(modules["host"]).pop("tools", None)
    if task["input"]:
        drain()
    if task["seeds"]:
        reseed()


def drain() -> None:
    """What was read ahead of the input of the turn before is no part of this one's; behind it the host says once that
    there is no more."""
    try:
        sys.__stdin__.read()  # type: ignore[union-attr]
    except BaseException:  # it is closed, or another one, or no text
        return


def surround(variables: dict[str, str]) -> None:
    """The environment has these variables. Where it has them still, the C library is not told again."""
    environment = modules["os"].environ
    held = getattr(environment, "_data", None)
    if STATE.get("variables") == variables and type(held) is dict and held == STATE["kept"]:
        return
    for name in list(environment):
        if name not in variables:
            del environment[name]
    environment.update(variables)
    STATE["variables"], STATE["kept"] = variables, dict(held) if type(held) is dict else None


def reseed() -> None:
    """Generators that lie in the snapshot begin anew, from the world's random bytes."""
    if "random" in modules:
        modules["random"]._inst.seed()
    if "tempfile" in modules:
        vars(modules["tempfile"])["_name_sequence"] = None
    if "numpy.random.mtrand" in modules:
        reseed_numpy(modules["numpy.random.mtrand"])


def reseed_numpy(random: Any) -> None:
    """The generator behind the functions of ``numpy.random``. To ``seed`` it takes half as long, but works with arrays,
    and a hundred pages more are written; by itself it takes twenty times as long to gather as much."""
    urandom = modules["os"].urandom
    made = random._rand._bit_generator
    if type(made).__name__ == TWISTER:
        random._rand.set_state((TWISTER, memoryview(urandom(4 * TWISTER_WORDS)).cast("I"), TWISTER_WORDS))
    else:  # the program has chosen another one
        random.set_bit_generator(type(made)(list(memoryview(urandom(32)).cast("I"))))


def scope_of(fresh: bool) -> dict[str, Any]:
    """The names of ``__main__``: a new one, or that of the turn before."""
    main: ModuleType | None = STATE.get("main")
    if fresh or main is None:
        main = STATE["main"] = ModuleType("__main__")
        main.__dict__["__builtins__"] = builtins
    modules["__main__"] = main
    return main.__dict__


def execute(text: str, name: str, scope: dict[str, Any]) -> Any:
    """Run it; the value of the last statement, where that is an expression."""
    tree: Any = compile(text, name, "exec", ONLY_TREE, True)
    last = tree.body.pop() if tree.body and type(tree.body[-1]) is Expr else None
    code: CodeType = compile(Module(tree.body, []) if last else text, name, "exec", 0, True)
    if tree.body or last is None:
        exec(code, scope)
    if last is None:
        return None
    return eval(compile(Expression(last.value), name, "eval", code.co_flags & FUTURES, True), scope)


def exit_code(stop: SystemExit) -> int:
    """The exit code; what is no number is said on standard error."""
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return int(stop.code) & 0xFFFFFFFF
    print(stop.code, file=sys.stderr)
    return 1


def told(error: BaseException, task: dict[str, Any]) -> dict[str, Any]:
    """An exception as data; what Python prints of it is printed."""
    kind = type(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    found: dict[str, Any] = {"type": kind.__qualname__, "module": str(kind.__module__)}
    try:
        found["message"] = cut(str(error))
        found["frames"] = frames_of(trace)
        found["traceback"] = shown(error, trace, task)
    except BaseException as again:  # its own methods may do anything, and there may be no memory left
        found["unsaid"] = type(again).__qualname__
    return found


def shown(error: BaseException, trace: TracebackType | None, task: dict[str, Any]) -> str:
    """The traceback as text, which goes to standard error as well, unless the program says otherwise."""
    import linecache
    import traceback

    name, text = task["name"], task["code"]
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    told = traceback.TracebackException(type(error), error, trace, compact=True)
    if isinstance(error, ModuleNotFoundError):  # there are no site-packages to be found
        told._str = str(told._str).partition(SITE)[0]  # type: ignore[attr-defined]
    said = cut("".join(told.format()))
    if sys.excepthook is sys.__excepthook__:
        print(said, end="", file=sys.stderr)
    else:
        sys.excepthook(type(error), error, trace)
    return said


def frames_of(trace: TracebackType | None) -> list[list[Any]]:
    """File, line and function of each frame, the innermost ones where there are many."""
    found: list[list[Any]] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append([code.co_filename, trace.tb_lineno, code.co_qualname])
        trace = trace.tb_next
        if len(found) > 2 * FRAMES:
            del found[:FRAMES]
    return found[-FRAMES:]


def cut(text: str) -> str:
    """Its beginning and its end, where it is long."""
    half = TEXT_CHARS // 2
    return text if len(text) <= TEXT_CHARS else f"{text[:half]}\n[…]\n{text[-half:]}"


def form_of(value: Any) -> dict[str, Any]:
    """A value as JSON, or its ``repr``."""
    try:
        form = plain(value, 0, [ITEMS])
        if len(dumps(form)) <= VALUE_BYTES:
            return {"value": form}
    except (NoForm, ValueError, RecursionError):
        pass
    try:
        return {"repr": cut(repr(value))}
    except Exception as error:
        return {"repr": f"<{type(value).__qualname__} whose repr raises {type(error).__qualname__}>"}


def plain(value: Any, depth: int, left: list[int]) -> Any:
    """A value of those types that JSON knows, with bytes and odd keys under names that begin with a dollar."""
    kind = type(value)
    left[0] -= 1
    if left[0] < 0 or depth > NESTING:
        raise NoForm
    if kind in PLAIN:
        return value
    if kind is str:
        left[0] -= len(value) // ITEM_CHARS  # long before it is all made into one text
        if not value.isascii():
            value.encode()  # halves of surrogates are no text: ValueError
        return value
    if kind is int:
        if value.bit_length() > INTEGER_BITS:
            raise NoForm
        return value
    if kind is list or kind is tuple:
        return [plain(item, depth + 1, left) for item in value]
    if kind is dict:
        return plain_dict(value, depth, left)
    if kind in (bytes, bytearray):
        if len(value) > VALUE_BYTES:
            raise NoForm
        return {"$bytes": b2a_base64(value, newline=False).decode()}
    numpy = modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        item = value.item()
        if type(item) in PLAIN or type(item) in (int, str, bytes):
            return plain(item, depth, left)
    raise NoForm


def plain_dict(value: dict[Any, Any], depth: int, left: list[int]) -> dict[str, Any]:
    """A dictionary with string keys."""
    found = {}
    for key, item in value.items():
        if type(key) is not str:
            raise NoForm
        found[key] = plain(item, depth + 1, left)
    return {"$dict": list(found.items())} if any(key[:1] == "$" for key in found) else found


def end() -> None:
    """What Python does when a program ends."""
    import atexit

    try:
        atexit._run_exitfuncs()
    except BaseException as error:
        print(f"{type(error).__qualname__}: {error}", file=sys.stderr)


def flush() -> None:
    """Both streams, those that the program put in their place too."""
    for stream in {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}:
        try:
            stream.flush()  # type: ignore[union-attr]
        except BaseException:
            continue


class Loops:
    """Finds the event loops of ``asyncio`` and lets them do without what there is not: see ``adapt``."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """As all finders do."""
        if name != LOOPS or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec: Any = finder.find_spec(name, path, target)
            if spec is not None:
                spec.loader = Adapted(spec.loader)
                return spec
        return None


class Adapted:
    """A loader whose module is adapted."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: Any) -> Any:
        """As the loader does."""
        return self.loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """As the loader does, and more."""
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        adapt(module.BaseSelectorEventLoop)


def adapt(loop: Any) -> None:
    """There are no socket pairs, of which loops have one so that signals and other threads can wake them, which there
    are not either; nothing to poll is an error; and what loops do in threads they do between other things."""
    import selectors
    from time import sleep

    class Selector(selectors.DefaultSelector):
        """Which waits for nothing as well."""

        def select(self, timeout: float | None = None) -> Any:
            """What is ready."""
            if timeout is None and not self.get_map():
                sleep(FOREVER_S)
                return []
            return super().select(timeout)

    begin, in_executor = loop.__init__, loop.run_in_executor

    def begins(self: Any, selector: Any = None) -> None:
        begin(self, Selector() if selector is None else selector)

    def run_in_executor(self: Any, executor: Any, function: Any, *given: Any) -> Any:
        if executor is not None or self._default_executor is not None:
            return in_executor(self, executor, function, *given)
        future = self.create_future()
        self.call_soon(fulfil, future, function, given)
        return future

    def nothing(self: Any) -> None:
        return None

    loop.__init__, loop.run_in_executor = begins, run_in_executor
    for name in ("_make_self_pipe", "_close_self_pipe", "_write_to_self"):
        setattr(loop, name, nothing)


def fulfil(future: Any, function: Any, given: Any) -> None:
    """What a thread would do."""
    if future.cancelled():
        return
    try:
        result = function(*given)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


MAIN = modules["__main__"]
STATE: dict[str, Any] = {}
sys.meta_path.insert(0, Loops())
for _stream in (sys.stdout, sys.stderr):  # what was printed before a program was stopped is there
    _stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
