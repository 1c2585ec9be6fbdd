"""Adapters with an interpreter of a few lines, which counts its turns whatever the code is: what the host does."""

import asyncio

import pytest

from stratavm.sandbox import Python, PythonCompleted, Raised, ToolDenied
from stratavm.sandbox.python import guests
from tests import needed
from tests.unit.sandbox.python.test_guests import library
from tests.unit.sandbox.python.test_small import TEXT, WARM

needed.module("mcp.server.mcpserver")
needed.module("smolagents")
needed.module("pydantic_ai")

from mcp.client.client import Client  # noqa: E402
from pydantic_ai import ModelRetry  # noqa: E402
from pydantic_ai.exceptions import ToolFailed  # noqa: E402
from smolagents.local_python_executor import InterpreterError  # noqa: E402

from stratavm.adapters.mcp import Settings, make_server  # noqa: E402
from stratavm.adapters.pydantic_ai import CODE_BYTES, PythonToolset  # noqa: E402
from stratavm.adapters.smolagents import StrataExecutor  # noqa: E402


@pytest.fixture
def small(tmp_path):
    """Python of that interpreter, which has begun already."""
    library(tmp_path / guests.LIBRARY, {"rc": b""})
    (tmp_path / "small.wat").write_text(TEXT)
    python = Python(tmp_path / "small.wat")
    assert [python.run("").value for _ in range(2)] == [1, WARM]
    return python


def failed(message="no"):
    """A turn that raised an exception."""
    error = Raised("ValueError", message, "Traceback…\n", ())
    return PythonCompleted("out\n", "", 1, "exit", False, None, 0.1, message, None, False, error, {})


class Failing:
    """Sessions whose turns are as they are told, one after the other."""

    def __init__(self, *turns):
        self.turns, self.ended, self.closed = list(turns), None, 0

    def session(self, **given):
        """Itself."""
        return self

    def run(self, code, **given):
        """The next turn."""
        return self.turns.pop(0)

    async def run_async(self, code, **given):
        """The next turn."""
        return self.turns.pop(0)

    def close(self):
        """It is counted."""
        self.closed += 1


def serve(python, body, **settings):
    """Run ``body(call)`` with a client of a server in this process."""

    async def main():
        async with Client(make_server(python, Settings(**settings))) as client:

            async def call(tool, **arguments):
                done = await client.call_tool(tool, arguments)
                return "".join(part.text for part in done.content), done.is_error

            return await body(call)

    return asyncio.run(main())


def test_a_server_has_runs_and_sessions(small):
    """Until they are ended, as many as there may be; with the server all end."""

    async def body(call):
        assert await call("run_python", code="1") == (f"[value] {WARM}\n", False)
        for name in ("a", "b"):
            assert await call("run_in_session", session=name, code="1", seconds=5) == (f"[value] {WARM}\n", False)
        assert await call("run_in_session", session="a", code="1") == (f"[value] {WARM + 1}\n", False)
        said, wrong = await call("run_in_session", session="c", code="1")
        assert wrong and "end one of: a, b" in said
        assert await call("end_session", session="a") == ("session 'a' has ended", False)
        said, wrong = await call("end_session", session="a")
        assert wrong and "there are: b" in said
        assert await call("run_in_session", session="c", code="1") == (f"[value] {WARM}\n", False)

    serve(small, body, sessions=2)


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("run_python", {"code": "x" * 101}, "code has more than 100 bytes"),
        ("run_python", {"code": "", "stdin": "\uffff"}, "stdin has half of a surrogate pair"),
        ("run_python", {"code": "", "seconds": 0}, "seconds must be a number above 0"),
        ("run_python", {"code": "", "timeout": 1}, "timeout"),
        ("run_in_session", {"code": "", "session": "a\n"}, "1 to 64 printable"),
        ("end_session", {"session": "a"}, "there are: none"),
    ],
)
def test_what_a_server_refuses(small, tool, arguments, said):
    """By name."""

    async def body(call):
        found, wrong = await call(tool, **arguments)
        assert wrong and said in found

    serve(small, body, code_bytes=100)


def test_a_server_has_room_for_so_many(small):
    """Others are refused."""

    async def body(call):
        found = await asyncio.gather(*(call("run_python", code="1") for _ in range(20)))
        assert all(wrong == ("too much code" in said) for said, wrong in found)
        assert not all(wrong for _, wrong in found)

    serve(small, body, sessions=0, running=1, waiting=2)


class Add:
    """A tool as smolagents has them."""

    inputs = {"a": {"type": "integer"}, "b": {"type": ["integer", "null"], "nullable": True}}  # noqa: RUF012
    description = "Adds."

    def __call__(self, a, b=None):
        return a + (b or 0)


class Final:
    """What ends an agent's work."""

    inputs = {"answer": {"type": "any"}}  # noqa: RUF012
    description = "Ends."

    def __call__(self, answer):
        return answer


def test_steps_of_an_agent(small):
    """Tools and variables are sent once, in turns of their own; a step's value is its output."""
    executor = StrataExecutor(small, timeout=20)
    executor.send_tools({"add": Add()})
    executor.send_variables({"x": [1]})
    assert executor("1").output == WARM + 2  # behind one turn for tools, and one for variables
    assert executor("1").output == WARM + 3
    executor.send_variables({"y": b"2"})
    assert executor("1").output == WARM + 5
    executor.cleanup()
    executor.cleanup()
    done = executor("1")
    assert (done.output, done.logs, done.is_final_answer) == (WARM + 2, "", False)
    executor.cleanup()


@pytest.mark.parametrize(("name", "said"), [("class", "no name"), ("a b", "no name"), ("\ufb01", "cannot be read")])
def test_names_and_values_of_an_agent(small, name, said):
    """That no code can have, or say."""
    executor = StrataExecutor(small)
    with pytest.raises(TypeError, match=said):
        executor.send_variables({name: 1})
    with pytest.raises(TypeError, match="variable x: guests have no values of the type object"):
        executor.send_variables({"x": object()})
    with pytest.raises(TypeError, match="cannot be called"):
        executor.send_tools({"add": 5})
    wrong = Add()
    wrong.inputs = {"a": {"type": "tensor"}}
    with pytest.raises(TypeError, match="unknown type 'tensor'"):
        executor.send_tools({"add": wrong})


def test_the_final_answer_of_an_agent(small):
    """Ends the step: no tool is called after it."""
    asked = []
    executor = StrataExecutor(small, gate=lambda tool, arguments: asked.append(tool) or True)
    executor.send_tools({"final_answer": Final(), "add": Add()})
    told = {tool.name: tool for tool in executor._tools}
    assert told["add"].function(a=1, b=2) == 3 and executor._gate("add", {}) is True and asked == ["add"]
    assert executor._gate("final_answer", {}) is True and told["final_answer"].function(answer=[1]) is None
    with pytest.raises(ToolDenied, match="after it"):
        executor._gate("add", {})
    assert executor("1").output == WARM + 1, "a step begins without an answer"


def test_steps_that_fail():
    """The model reads why; files stay, the latest within their room."""
    with pytest.raises(InterpreterError, match="Code execution failed: ValueError: no"):
        StrataExecutor(Failing(failed()))("1")
    broken = Failing(failed("mine"))
    executor = StrataExecutor(broken, max_files=5)
    closed = broken.closed
    executor.send_variables({"x": 1})
    with pytest.raises(InterpreterError, match=r"takes no tools or variables: ValueError: mine"):
        executor("1")
    assert broken.closed == closed + 1
    for files in ({"a": b"123"}, {"b": b"456", "c": b"7"}):
        broken.turns += [PythonCompleted("", "", 0, "exit", False, None, 0.1, "", 1, False, None, {})]
        broken.turns += [PythonCompleted("", "", 0, "exit", False, None, 0.1, "", 1, False, None, files)]
        executor._session = None
        executor("1")
    assert executor.files == {"b": b"456", "c": b"7"}


def test_a_toolset_has_a_session_for_each_run(small):
    """Which ends with it; or a fresh interpreter for each call."""

    async def main():
        whole = PythonToolset(small, id="py")
        assert whole.id == "py" and list(await whole.get_tools(None)) == ["run_python"]
        for _ in range(2):
            mine = await whole.for_run(None)
            async with mine:
                for count in (WARM, WARM + 1):
                    done = await mine.call_tool("run_python", {"code": "1", "seconds": 9}, None, None)
                    assert done.return_value == f"[value] {count}\n" and done.content is None
        fresh = PythonToolset(small, keeps=False)
        async with fresh:
            for _ in range(2):
                done = await fresh.call_tool("run_python", {"code": "1"}, None, None)
                assert done.return_value == f"[value] {WARM}\n"
            with pytest.raises(ModelRetry, match="code has more than"):
                await fresh.call_tool("run_python", {"code": "x" * (CODE_BYTES + 1)}, None, None)

    asyncio.run(main())


def test_a_call_of_a_toolset_that_fails():
    """The model reads output and exception."""

    async def main():
        with pytest.raises(ToolFailed, match=r"out\n\[failed\] ValueError: no"):
            await PythonToolset(Failing(failed())).call_tool("run_python", {"code": "1"}, None, None)

    asyncio.run(main())


@pytest.mark.parametrize("make", [make_server, StrataExecutor, PythonToolset])
def test_what_is_no_interpreter_is_refused(make):
    """By its own name, not by what an adapter would do with it."""
    with pytest.raises(TypeError, match=r"python must be a stratavm.sandbox.Python, got 5"):
        make(5)


@pytest.mark.parametrize("make", [StrataExecutor, PythonToolset])
def test_a_misspelt_setting_is_told_the_one_that_is_near(make, small):
    """As everywhere."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_memry'; did you mean 'max_memory'"):
        make(small, max_memry=1)
