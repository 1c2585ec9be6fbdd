"""``PythonToolset``: agents of pydantic-ai run Python in the sandbox, with a session for each run of the agent."""

from __future__ import annotations

import asyncio
import copy
from functools import partial

from stratavm.adapters.peers import absent, python_of
from stratavm.adapters.pictures import pictures
from stratavm.adapters.telling import told, unfit
from stratavm.base.forms import TYPE_CHECKING, Any, Final, Self
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import seconds, truth
from stratavm.sandbox.python.asked import MAX_CALLS, MAX_FILES, MAX_MEMORY, MAX_OUTPUT, TIMEOUT_S, gate_of, limits
from stratavm.sandbox.python.tools import toolbox

try:
    from pydantic_ai import BinaryContent, ModelRetry, RunContext, ToolDefinition, ToolReturn
    from pydantic_ai.exceptions import ToolFailed
    from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
    from pydantic_core import SchemaValidator, core_schema
except ImportError as error:
    raise absent("pydantic_ai", error) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from stratavm.sandbox import Python
    from stratavm.sandbox.arguments import Dirs
    from stratavm.sandbox.python.calls import Gate
    from stratavm.sandbox.python.results import PythonCompleted
    from stratavm.sandbox.python.session import Session
    from stratavm.sandbox.python.tools import Tool

NAME: Final = "run_python"
CODE_BYTES: Final = 1 << 20
MOST_PICTURES: Final = 4
ABOUT: Final = """Run Python code in a sandbox without network, processes and threads: CPython 3.15 with numpy, \
pandas, scipy, scikit-learn and matplotlib. Print what you want to see, or end with an expression; PNG files that it \
writes come back as pictures. """
STAYS: Final = "Variables, imports and files stay for the next call."
GOES: Final = "Nothing is kept for the next call."
PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "description": "the program"},
        "seconds": {"type": "number", "exclusiveMinimum": 0, "description": "stop it earlier than usual"},
    },
    "required": ["code"],
    "additionalProperties": False,
}
ARGUMENTS: Final = SchemaValidator(
    core_schema.typed_dict_schema(
        {
            "code": core_schema.typed_dict_field(core_schema.str_schema(strict=True)),
            "seconds": core_schema.typed_dict_field(
                core_schema.float_schema(gt=0, allow_inf_nan=False), required=False
            ),
        },
        extra_behavior="forbid",
    )
)


class PythonToolset(AbstractToolset[Any]):
    """A toolset with one tool, ``run_python``: code of the model runs in sandboxed Python.

    Each run of an agent has a session of its own, which keeps names and files between calls, and is closed with it.
    Code that fails is a failed call, of which the model reads output and traceback.

    Args:
        python: whose sessions are used, such as ``Python().warm("import numpy, pandas")``. None: ``Python()``.
        id: as of any toolset.
        keeps: whether calls share a session; else each has a fresh interpreter.
        tools: functions of the host that the *code* may call, as for ``Python.run``.
        gate: so too.
        timeout: seconds for each call; a call may ask for less.
        files: so too; with ``keeps`` for the session.
        dirs: so too.
        max_memory: so too.
        max_output: so too.
        max_files: so too.
        max_calls: so too, for each call.

    Raises:
        TypeError, ValueError, OSError: an argument is not what it must be, as of ``Python.run``.
        GuestRefused: ``keeps`` is asked for of an interpreter that has no sessions.
    """

    @checks_keywords
    def __init__(
        self,
        python: Python | None = None,
        *,
        id: str | None = None,
        keeps: bool = True,
        tools: Iterable[Tool | Callable[..., Any]] | None = None,
        gate: Gate | None = None,
        timeout: float = TIMEOUT_S,
        files: Mapping[str, bytes | str] | None = None,
        dirs: Dirs | None = None,
        max_memory: int | None = MAX_MEMORY,
        max_output: int = MAX_OUTPUT,
        max_files: int = MAX_FILES,
        max_calls: int = MAX_CALLS,
    ) -> None:
        limits(seconds("timeout", timeout), None, (max_memory, max_output, max_files, max_calls))
        self._id, self._timeout, self._keeps = id, timeout, truth("keeps", keeps)
        found = python_of(python)
        world: dict[str, Any] = {
            "files": files,
            "dirs": dirs,
            "max_memory": max_memory,
            "max_output": max_output,
            "max_files": max_files,
        }
        self._given: dict[str, Any] = {
            "tools": toolbox(tools),
            "gate": gate_of(gate),
            "max_calls": max_calls,
        }
        self._begin = partial(found.session, **world)
        self._fresh = partial(found.run_async, **world)
        self._session: Session | None = None
        self._turn: asyncio.Task[tuple[PythonCompleted, str | None]] | None = None
        if keeps:
            self._begin().close()  # refused here, not in the middle of a run

    @property
    def id(self) -> str | None:
        """As it was given."""
        return self._id

    async def for_run(self, ctx: RunContext[Any]) -> PythonToolset:
        """This toolset with a session of its own, for one run of an agent."""
        mine = copy.copy(self)
        mine._session = mine._turn = None
        return mine

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        if self._turn is not None:  # of a call that was cancelled: its session ends with it
            self._turn.cancel()
            await asyncio.wait({self._turn})
        session, self._session = self._session, None
        if session is not None and session.ended is None:
            await session.close_async()
        return None

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        """``run_python``, which runs alone."""
        about = ABOUT + (STAYS if self._keeps else GOES)
        shown = ToolDefinition(name=NAME, description=about, parameters_json_schema=PARAMETERS, sequential=self._keeps)
        return {NAME: ToolsetTool(toolset=self, tool_def=shown, max_retries=2, args_validator=ARGUMENTS)}

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> ToolReturn:
        """Run code; cancelling ends it.

        Raises:
            ModelRetry: it is no code.
            ToolFailed: it raised an exception, or was stopped; the message is for the model.
        """
        wrong = unfit("code", tool_args["code"], CODE_BYTES)
        if wrong:
            raise ModelRetry(wrong)
        within = min(tool_args.get("seconds", self._timeout), self._timeout)
        self._turn = asyncio.create_task(self._run(tool_args["code"], within))
        done, ended = await self._turn
        if not done.ok:
            raise ToolFailed(told(done, ended))
        found = await asyncio.to_thread(pictures, done.files, MOST_PICTURES)
        shown = [BinaryContent(data, media_type="image/png") for data in found.values()]
        return ToolReturn(return_value=told(done, ended), content=shown or None)

    async def _run(self, code: str, within: float) -> tuple[PythonCompleted, str | None]:
        if not self._keeps:
            return await self._fresh(code=code, timeout=within, **self._given), None
        if self._session is None or self._session.ended is not None:
            self._session = self._begin()
        session = self._session
        return await session.run_async(code, timeout=within, **self._given), session.ended
