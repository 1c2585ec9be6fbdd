"""``StrataExecutor``: smolagents' code agents run what their model writes in sandboxed Python.

Nothing of the host is sent into the sandbox but names and values: neither the source of tools nor what pip would
install. Nothing that comes out of it is unpickled.
"""

from __future__ import annotations

import inspect
import json
import keyword
import typing
import unicodedata
from collections.abc import Mapping
from functools import partial

from stratavm.adapters.peers import absent, python_of
from stratavm.adapters.telling import ENDED, MOST_CHARS, clipped, ending, logs
from stratavm.base.forms import TYPE_CHECKING, Any, Final, cast
from stratavm.base.keywords import checks_keywords
from stratavm.sandbox import Tool, ToolDenied
from stratavm.sandbox.python.asked import MAX_CALLS, MAX_FILES, MAX_MEMORY, MAX_OUTPUT, TIMEOUT_S, gate_of, limits
from stratavm.sandbox.python.tools import Unsayable, form

try:
    from smolagents.local_python_executor import CodeOutput, InterpreterError, PythonExecutor
except ImportError as error:
    raise absent("smolagents", error) from error

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from stratavm.sandbox import Python
    from stratavm.sandbox.arguments import Dirs
    from stratavm.sandbox.python.calls import Gate
    from stratavm.sandbox.python.session import Session

FINAL: Final = "final_answer"
LOST: Final = "the session was closed"
TYPES: Final[dict[str, Any]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": float,
    "array": list,
    "object": dict,
    "null": None,
    "any": typing.Any,
    "image": bytes,
    "audio": bytes,
}
"""Words of smolagents for types, and what guests have."""
BIND: Final = """\
def _bind(names):
    import host.tools
    def plain(value, depth=0):
        if depth < 40 and isinstance(value, dict):
            return {str(key): plain(item, depth + 1) for key, item in value.items()}
        if depth < 40 and isinstance(value, (list, tuple, set, frozenset)):
            return [plain(item, depth + 1) for item in value]
        if depth < 40 and hasattr(value, "tolist"):
            return plain(value.tolist(), depth + 1)
        if value is None or isinstance(value, (str, int, bytes)) or isinstance(value, float) and value - value == 0:
            return value
        return repr(value)
    def ends(tell):
        def final_answer(*args, **named):
            for form in (lambda value: value, plain, repr):
                try:
                    tell(*map(form, args), **{name: form(value) for name, value in named.items()})
                    raise SystemExit
                except host.ToolArgumentError as error:
                    wrong = error
            raise wrong
        return final_answer
    for name in names:
        tool = getattr(host.tools, name)
        globals()[name] = ends(tool) if name == "final_answer" else tool
_bind(%s)
del _bind
"""
"""Names of tools in the guest. An answer that has no form goes as what is like it and has one, or as its ``repr``."""
SEND: Final = """\
def _send():
    import base64, json, sys
    def made(found):
        return base64.b64decode(found["$bytes"]) if found.keys() == {"$bytes"} else found
    globals().update(json.loads(sys.stdin.buffer.read(), object_hook=made))
_send()
del _send
"""


class StrataExecutor(PythonExecutor):  # type: ignore[misc]  # smolagents has no types
    """What ``CodeAgent(executor=…)`` takes: steps run in a session of sandboxed Python, which keeps names between them.

    The agent's tools, and agents that it manages, run on the host, and are called by name from the code; of their
    arguments those pass that are of the types which the tool's ``inputs`` say. ``final_answer`` ends the step: no call
    of a tool has an effect after it. What a tool raises stays on the host, unless it is ``stratavm.sandbox.ToolError``.
    A step that is stopped (by its time, or its memory) loses the names of those before it, and says so.

    Args:
        python: whose sessions are used, such as ``Python().warm("import numpy, pandas")``. None: ``Python()``.
        gate: as for ``Python.run``; of ``final_answer`` it is not asked.
        timeout: seconds for each step.
        files: as for ``Python.session``.
        dirs: so too.
        max_memory: so too.
        max_output: so too.
        max_files: so too.
        max_calls: calls of tools in each step.

    Attributes:
        files: files that the steps have written, by path; of more than ``max_files`` bytes the latest.
        state: what the agent looks at: ``_print_outputs`` is what the latest step has printed.

    Raises:
        TypeError, ValueError, OSError: an argument is not what it must be, as of ``Python.session``.
        GuestRefused: the interpreter has no sessions.
    """

    @checks_keywords
    def __init__(
        self,
        python: Python | None = None,
        *,
        gate: Gate | None = None,
        timeout: float | None = TIMEOUT_S,
        files: Mapping[str, bytes | str] | None = None,
        dirs: Dirs | None = None,
        max_memory: int | None = MAX_MEMORY,
        max_output: int = MAX_OUTPUT,
        max_files: int = MAX_FILES,
        max_calls: int = MAX_CALLS,
    ) -> None:
        limits(timeout, None, (max_memory, max_output, max_files, max_calls))
        self._python = python_of(python)
        self._begin = partial(
            self._python.session,
            files=files,
            dirs=dirs,
            max_memory=max_memory,
            max_output=max_output,
            max_files=max_files,
        )
        self._begin().close()  # what is wrong is refused here: a model could not help it
        self._asked, self._timeout, self._max_calls = gate_of(gate), timeout, max_calls
        self._max_files = max_files
        self._session: Session | None = None
        self._tools: list[Tool] | None = None
        self._is_bound = True
        self._variables: dict[str, Any] = {}
        self._unsent: dict[str, Any] = {}
        self._answer: list[Any] = []
        self.files: dict[str, bytes] = {}
        self.state: dict[str, Any] = {}

    def send_tools(self, tools: Mapping[str, Any]) -> None:
        """Tools of the agent, by name: the code can call them from now on.

        Raises:
            TypeError, ValueError: one cannot be described to the guest.
        """
        self._tools = [self._bound(name, tool) for name, tool in tools.items()]
        self._is_bound = False

    def send_variables(self, variables: Mapping[str, Any]) -> None:
        """Variables that the code has from now on: None, truth values, numbers, strings, bytes, lists, and dictionaries
        with string keys.

        Raises:
            TypeError: a value is something else.
        """
        for name, value in variables.items():
            if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
                raise TypeError(f"{name!r:.80} is no name of a variable")
            if unicodedata.normalize("NFKC", name) != name:  # which is what Python does to names in code
                raise TypeError(f"{name!r:.80} cannot be read: code that says it means another name")
            try:
                self._unsent[name] = form(value)
            except Unsayable as error:
                raise TypeError(f"variable {name}: {error}; give bytes, lists and dictionaries") from None
        self._variables.update(self._unsent)

    def __call__(self, code_action: str) -> CodeOutput:
        """Run a step.

        Raises:
            InterpreterError: it raised an exception, or was stopped; the message is for the model.
        """
        session = self._ready()
        self._answer.clear()
        done = session.run(
            code_action, tools=self._tools, gate=self._gate, timeout=self._timeout, max_calls=self._max_calls
        )
        printed = logs(done)
        if done.ok and session.ended is not None:
            gap = "" if printed.endswith("\n") else "\n"
            printed = f"{printed}{gap}{ENDED}"
        self.state["_print_outputs"] = printed
        self._keep(done.files)
        if self._answer:
            return CodeOutput(output=self._answer[0], logs=printed, is_final_answer=True)
        if not done.ok:
            raise InterpreterError(f"Code execution failed: {ending(done, session.ended)}")
        value = clipped(done.value, MOST_CHARS) if done.is_repr else done.value
        return CodeOutput(output=value, logs=printed, is_final_answer=False)

    def _keep(self, files: Mapping[str, bytes]) -> None:
        for path, data in files.items():
            self.files.pop(path, None)
            self.files[path] = data
        while sum(map(len, self.files.values())) > self._max_files:
            del self.files[next(iter(self.files))]

    def cleanup(self) -> None:
        """Let go of the interpreter, with all that the steps have made in it. Another step begins anew."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _ready(self) -> Session:
        """The session, with what it was sent."""
        if self._session is None or self._session.ended is not None:
            self._session = self._begin()
            self._is_bound = self._tools is None
            self._unsent = dict(self._variables)
        if not self._is_bound and self._tools is not None:
            self._prepared(BIND % sorted(tool.name for tool in self._tools), b"")
            self._is_bound = True
        if self._unsent:
            self._prepared(SEND, json.dumps(self._unsent).encode())
            self._unsent = {}
        return self._session

    def _prepared(self, code: str, given: bytes) -> None:
        """Run code of ours in the session.

        Raises:
            InterpreterError: what ran there before has made that impossible.
        """
        session = cast("Session", self._session)
        done = session.run(code, tools=self._tools, stdin=given, timeout=self._timeout, max_calls=0)
        if not done.ok:
            self.cleanup()
            raise InterpreterError(f"The interpreter takes no tools or variables: {ending(done, LOST)}")

    def _gate(self, tool: str, arguments: dict[str, Any]) -> bool | Awaitable[bool]:
        if self._answer:
            raise ToolDenied("the final answer was given: no tool is called after it")
        return True if tool == FINAL or self._asked is None else self._asked(tool, arguments)

    def _bound(self, name: str, tool: Any) -> Tool:
        """A tool of the agent as one of ours."""
        if not callable(tool):
            raise TypeError(f"tool {name!r:.60} cannot be called")

        def called(**arguments: Any) -> Any:
            """Replaced by the description."""
            value = tool(**arguments)
            if name != FINAL:
                return value
            self._answer.append(value)
            return None

        hints = {key: _hint(name, key, about) for key, about in dict(tool.inputs).items()}
        called.__annotations__ = hints
        cast(Any, called).__signature__ = inspect.Signature(
            [_parameter(key, hint, dict(tool.inputs)[key]) for key, hint in hints.items()]
        )
        return Tool(called, name, description=str(tool.description))


def _hint(tool: str, name: str, about: Mapping[str, Any]) -> Any:
    """The type of an argument, from a tool's ``inputs``."""
    words = about.get("type", "any")
    words = [words] if isinstance(words, str) else list(words)
    if unknown := [word for word in words if word not in TYPES]:
        raise TypeError(f"tool {tool}: argument {name} is of an unknown type {unknown[0]!r:.60}")
    words += ["null"] if about.get("nullable") else []
    return typing.Union[tuple(TYPES[word] for word in words)]  # noqa: UP007


def _parameter(name: str, hint: Any, about: Mapping[str, Any]) -> inspect.Parameter:
    default = None if about.get("nullable") else inspect.Parameter.empty
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
