"""A server of the Model Context Protocol, by its official SDK: a client's model runs Python in the sandbox.

Whoever holds the other end may run code; what it may use is the host's to say, and a model may only ask for less.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager, suppress
from functools import partial

from stratavm.adapters.peers import absent, python_of
from stratavm.adapters.pictures import pictures
from stratavm.adapters.telling import told, unfit
from stratavm.base.forms import TYPE_CHECKING, Any, Final, dataclass
from stratavm.base.numbers import seconds as number_of_seconds
from stratavm.sandbox import SessionBusy, SessionEnded
from stratavm.sandbox.python.asked import MAX_CALLS, MAX_FILES, MAX_MEMORY, TIMEOUT_S, gate_of, limits
from stratavm.sandbox.python.tools import toolbox

try:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp.server.mcpserver.tools import Tool
    from mcp_types import CallToolResult, ImageContent, TextContent, ToolAnnotations
except ImportError as error:
    raise absent("mcp", error) from error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from stratavm.sandbox import Python
    from stratavm.sandbox.arguments import Dirs
    from stratavm.sandbox.python.calls import Gate
    from stratavm.sandbox.python.results import PythonCompleted
    from stratavm.sandbox.python.session import Session

NAME: Final = "strata"
NAME_CHARS: Final = 64
MOST_PICTURES: Final = 4
PICTURE_BYTES: Final = 4 << 20
"""Of all pictures of an answer: they go to a model."""
ABOUT: Final = """Python runs in a sandbox without network, processes and threads: CPython 3.15 with numpy, pandas, \
scipy, scikit-learn and matplotlib. What code prints, and the value of its last expression, come back as text; PNG \
files that it writes come back as pictures."""
RUN: Final = """Run Python code in a fresh interpreter. Nothing is kept afterwards. Print what you want to see, or end \
with an expression; plt.savefig("plot.png") shows a plot. seconds: stop it earlier than usual. stdin: what it reads."""
IN_SESSION: Final = """Run Python code in a session: variables, imports and files stay for later code with the same \
session name. A name that is new begins a session. Else as run_python."""
END: Final = """End a session: its variables and files are gone, and there is room for another one."""
HINTS: Final = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server allows; a model cannot change it.

    Attributes:
        timeout: seconds for each piece of code; a call may ask for less.
        fuel: operators for each piece of code; None: not counted.
        max_memory: as for ``Python.run``.
        max_output: so too.
        max_files: so too.
        max_calls: so too.
        dirs: so too.
        env: so too.
        tools: so too.
        gate: so too.
        code_bytes: the longest code, and the longest standard input.
        sessions: how many there may be; 0: none.
        running: how many pieces of code run at once.
        waiting: how many may wait for those; further ones are refused.
    """

    timeout: float = TIMEOUT_S
    fuel: int | None = None
    max_memory: int | None = MAX_MEMORY
    max_output: int = 1 << 20
    max_files: int = MAX_FILES
    max_calls: int = MAX_CALLS
    dirs: Dirs | None = None
    env: Mapping[str, str] | None = None
    tools: Iterable[Callable[..., Any]] | None = None
    gate: Gate | None = None
    code_bytes: int = 1 << 20
    sessions: int = 8
    running: int = 4
    waiting: int = 64


def make_server(python: Python | None = None, settings: Settings | None = None) -> MCPServer[None]:
    """A server with the tools ``run_python``, ``run_in_session`` and ``end_session``; ``server.run("stdio")`` serves.

    Args:
        python: what runs the code, such as ``Python().warm("import numpy, pandas")``. None: ``Python()``.
        settings: limits, folders, tools.

    Raises:
        TypeError, ValueError, OSError: a setting is not what it must be, as of ``Python.run``.
        GuestRefused: sessions were asked for of an interpreter that has none.
    """
    served = _Served(python_of(python), settings or Settings())

    @asynccontextmanager
    async def life(server: MCPServer[None]) -> AsyncIterator[None]:
        """Sessions end with the server."""
        try:
            yield None
        finally:
            await served.close()

    tools = [_tool(served.run_python, RUN)]
    if served.settings.sessions:
        tools += [_tool(served.run_in_session, IN_SESSION), _tool(served.end_session, END)]
    return MCPServer(NAME, instructions=ABOUT, lifespan=life, log_level="ERROR", tools=tools)


def _tool(function: Callable[..., Awaitable[Any]], about: str) -> Tool:
    """A tool that takes the arguments it names, and no other."""
    tool = Tool.from_function(function, description=about, annotations=HINTS, structured_output=False)
    model = tool.fn_metadata.arg_model
    model.model_config["extra"] = "forbid"
    model.model_rebuild(force=True)
    tool.parameters = model.model_json_schema(by_alias=True)
    return tool


class _Served:
    """Sessions, and who may run."""

    def __init__(self, python: Python, settings: Settings) -> None:
        self.python, self.settings, self._tools = python, settings, toolbox(settings.tools)
        sizes = (settings.max_memory, settings.max_output, settings.max_files, settings.max_calls)
        limits(number_of_seconds("timeout", settings.timeout), settings.fuel, sizes)
        gate_of(settings.gate)
        self.sessions: dict[str, Session] = {}
        self._asked = 0
        self._room = asyncio.Semaphore(settings.running)
        if settings.sessions:
            self._begun().close()  # refused here, not at the first call

    async def run_python(self, code: str, stdin: str = "", seconds: float | None = None) -> CallToolResult:
        """``run_python``."""
        limits = self.settings
        given = self._given(code, stdin, seconds)
        run = partial(
            self.python.run_async,
            **given,
            dirs=limits.dirs,
            max_memory=limits.max_memory,
            max_output=limits.max_output,
            max_files=limits.max_files,
        )
        return await self._in_turn(run, None)

    async def run_in_session(
        self, session: str, code: str, stdin: str = "", seconds: float | None = None
    ) -> CallToolResult:
        """``run_in_session``."""
        given, found = self._given(code, stdin, seconds), self._session(session)
        try:
            return await self._in_turn(partial(found.run_async, **given), found)
        except SessionBusy:
            raise ToolError(f"session {session!r} runs other code; wait until that has ended") from None
        finally:
            if found.ended is not None and self.sessions.get(session) is found:
                del self.sessions[session]

    async def end_session(self, session: str) -> str:
        """``end_session``."""
        found = self.sessions.get(session)
        if found is None:
            raise ToolError(f"there is no session {session!r:.80}; there are: {', '.join(self.sessions) or 'none'}")
        try:
            await found.close_async()
        except SessionBusy:
            raise ToolError(f"session {session!r} runs code; wait until that has ended") from None
        self.sessions.pop(session, None)
        return f"session {session!r} has ended"

    async def close(self) -> None:
        """Let go of all sessions; those that run code end with it."""
        while self.sessions:
            _, session = self.sessions.popitem()
            with suppress(SessionBusy):  # of a call that was cancelled: its session ends with it
                await session.close_async()

    def _given(self, code: str, stdin: str, seconds: float | None) -> dict[str, Any]:
        """What each piece of code is given."""
        limits = self.settings
        for name, text in (("code", code), ("stdin", stdin)):
            if wrong := unfit(name, text, limits.code_bytes):
                raise ToolError(wrong)
        if seconds is not None and not 0 < seconds < float("inf"):
            raise ToolError("seconds must be a number above 0")
        return {
            "code": code,
            "stdin": stdin,
            "env": limits.env,
            "tools": self._tools,
            "gate": limits.gate,
            "timeout": limits.timeout if seconds is None else min(seconds, limits.timeout),
            "fuel": limits.fuel,
            "max_calls": limits.max_calls,
        }

    def _session(self, name: str) -> Session:
        """The session of a name."""
        found = self.sessions.get(name)
        if found is not None and found.ended is None:
            return found
        if not 0 < len(name) <= NAME_CHARS or not name.isprintable():
            raise ToolError(f"a session's name has 1 to {NAME_CHARS} printable characters")
        if len(self.sessions) >= self.settings.sessions:
            raise ToolError(f"there are as many sessions as there may be; end one of: {', '.join(self.sessions)}")
        self.sessions[name] = self._begun()
        return self.sessions[name]

    def _begun(self) -> Session:
        limits = self.settings
        return self.python.session(
            dirs=limits.dirs,
            fuel=limits.fuel is not None,
            max_memory=limits.max_memory,
            max_output=limits.max_output,
            max_files=limits.max_files,
        )

    async def _in_turn(self, run: Callable[[], Awaitable[PythonCompleted]], session: Session | None) -> CallToolResult:
        """Run it when there is room, and look at what it left; cancelling ends it."""
        if self._asked >= self.settings.running + self.settings.waiting:
            raise ToolError("too much code runs or waits; come again when some has ended")
        self._asked += 1
        try:
            async with self._room:
                done = await run()
                return await asyncio.to_thread(_result, done, None if session is None else session.ended)
        except SessionEnded as error:
            raise ToolError(f"the session has ended: {error}") from None
        finally:
            self._asked -= 1


def _result(done: PythonCompleted, ended: str | None) -> CallToolResult:
    """A result as clients get it: text, pictures that were checked, and what the host itself knows."""
    shown: list[TextContent | ImageContent] = [TextContent(type="text", text=told(done, ended))]
    room = PICTURE_BYTES
    for _, data in pictures(done.files, MOST_PICTURES).items():
        room -= len(data)
        if room >= 0:
            shown.append(ImageContent(type="image", data=base64.b64encode(data).decode(), mime_type="image/png"))
    known = {
        "ok": done.ok,
        "reason": done.reason,
        "exit_code": done.code,
        "seconds": round(done.seconds, 4),
        "memory_bytes": done.memory_bytes,
        "limits": list(done.limits),
        "session_ended": ended is not None,
    }
    return CallToolResult(content=list(shown), structured_content=known, is_error=not done.ok)
