"""Claims about agents of pydantic-ai on sandboxed Python, with the real package and a model that is a function."""

import asyncio
import time

import pytest

from stratavm.sandbox import GuestRefused, Python, ToolError
from tests import needed

needed.module("pydantic_ai")

from pydantic_ai import Agent, BinaryContent, ModelResponse, TextPart, ToolCallPart, UnexpectedModelBehavior  # noqa: E402
from pydantic_ai.models.function import FunctionModel  # noqa: E402

from stratavm.adapters.pydantic_ai import PythonToolset  # noqa: E402

pytestmark = pytest.mark.trace_slow
SPIN = "while True: pass"


class Script:
    """A model that calls the tool with one argument after the other, and says what the last call gave."""

    def __init__(self, *calls):
        self.calls, self.heard, self.tools = list(calls), [], []

    def __call__(self, messages, info):
        self.tools = info.function_tools
        self.heard.append([part for part in messages[-1].parts if part.part_kind != "system-prompt"])
        if not self.calls:
            return ModelResponse(parts=[TextPart("done")])
        call = self.calls.pop(0)
        several = call if isinstance(call, list) else [call]
        return ModelResponse(
            parts=[ToolCallPart("run_python", {"code": one} if isinstance(one, str) else one) for one in several]
        )

    def answers(self):
        """What came back, as text."""
        return [str(part.content) for parts in self.heard[1:] for part in parts if part.part_kind != "user-prompt"]


def run(script, toolset):
    """An agent's run with it; what came back."""
    result = Agent(FunctionModel(script), toolsets=[toolset]).run_sync("go")
    assert result.output == "done"
    return script.answers()


def test_calls_share_a_session_and_runs_do_not(python):
    """Names stay until the run of the agent has ended."""
    toolset = PythonToolset(python, timeout=90)
    assert run(Script("x = 20\nprint('set')", "x + 1"), toolset) == ["set\n", "[value] 21\n"]
    assert "NameError: name 'x' is not defined" in run(Script("x"), toolset)[0]


def test_the_model_sees_one_tool(python):
    """With its parameters, and what is kept."""
    script = Script("1")
    run(script, PythonToolset(python))
    (shown,) = script.tools
    assert shown.name == "run_python" and shown.parameters_json_schema["required"] == ["code"]
    assert "stay for the next call" in shown.description and shown.sequential


def test_without_a_session_nothing_is_kept(python, program):
    """Each call has a fresh interpreter; some interpreters have only these."""
    assert "NameError" in run(Script("x = 1", "x"), PythonToolset(python, keeps=False))[1]
    plain = Python(program("python.wasm"))
    with pytest.raises(GuestRefused, match="session"):
        PythonToolset(plain)
    assert run(Script("print(6 * 7)"), PythonToolset(plain, keeps=False)) == ["42\n"]


def test_behind_the_second_wall_it_is_the_same(python):
    """With a session too."""
    assert run(Script("x = 20", "x + 1"), PythonToolset(Python(isolate=True)))[1] == "[value] 21\n"


def test_code_that_fails_is_told_and_takes_no_retries(python):
    """Output first, then the traceback; as often as the model likes."""
    answers = run(Script(*["print('before')\n1 / 0"] * 5, "2"), PythonToolset(python))
    assert all("before\n" in answer and "ZeroDivisionError: division by zero" in answer for answer in answers[:5])
    assert answers[5] == "[value] 2\n"


def test_what_is_stopped_loses_its_names_and_says_so(python):
    """The next call has a new session; a call may ask for less time, not for more."""
    begin = time.monotonic()
    script = Script("x = 1", {"code": SPIN, "seconds": 0.2}, "x", {"code": SPIN, "seconds": 1e9})
    answers = run(script, PythonToolset(python, timeout=4.0))
    assert "stopped (timeout)" in answers[1] and "variables are lost" in answers[1]
    assert "NameError" in answers[2] and "stopped (timeout)" in answers[3]
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize(
    "wrong",
    [{}, {"code": 3}, {"code": "1", "seconds": 0}, {"code": "1", "seconds": "nan"}, {"code": "1", "more": 1}],
)
def test_what_is_no_call_is_asked_for_again(python, wrong):
    """It runs nothing; a model that goes on so ends the run."""
    assert run(Script(wrong, "1"), PythonToolset(python))[1] == "[value] 1\n"
    with pytest.raises(UnexpectedModelBehavior):
        run(Script(*[wrong] * 9), PythonToolset(python))


def test_code_is_bounded(python):
    """It is asked for again."""
    answers = run(Script("#" * (2 << 20), "1"), PythonToolset(python))
    assert "code has more than 1048576 bytes" in answers[0] and answers[1] == "[value] 1\n"


def test_pictures_are_checked(python):
    """A plot comes as a picture, a lie as the name of a file."""
    script = Script(
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('plot.png')\n"
        "open('fake.png', 'w').write('<html>')"
    )
    run(script, PythonToolset(python))
    shown = [item for part in script.heard[-1] if part.part_kind == "user-prompt" for item in part.content]
    assert [item.media_type for item in shown if isinstance(item, BinaryContent)] == ["image/png"]
    assert "'fake.png' (6 bytes)" in script.answers()[0]


def test_the_code_may_call_tools_of_the_host(python):
    """Through the gate; what they raise stays outside, but for ``ToolError``."""

    def price(item: str) -> float:
        if item == "gold":
            raise ToolError("we have none")
        if item == "secret":
            raise ValueError("1234")
        return 3.5

    gate = lambda tool, arguments: arguments["item"] != "lead"  # noqa: E731
    toolset = PythonToolset(python, tools=[price], gate=gate)
    calls = [f"from host import tools\ntools.price({item!r})" for item in ("tea", "gold", "secret", "lead")]
    answers = run(Script(*calls), toolset)
    assert answers[0] == "[value] 3.5\n"
    assert "we have none" in answers[1] and "refused" in answers[3]
    assert "price failed" in answers[2] and "1234" not in answers[2]


def test_calls_of_one_answer_run_one_after_the_other(python):
    """They share the session, which does one thing at a time."""
    assert run(Script(["x = 1", "x += 1", "x"]), PythonToolset(python)) == ["[no output]\n"] * 2 + ["[value] 2\n"]


def test_agents_at_once_share_nothing(python):
    """One toolset, many runs."""
    toolset = PythonToolset(python)
    python.run("")

    async def one(number):
        script = Script(f"x = {number}", "x")
        await Agent(FunctionModel(script), toolsets=[toolset]).run("go")
        return script.answers()[1]

    async def main():
        return await asyncio.gather(*map(one, range(8)))

    assert asyncio.run(main()) == [f"[value] {number}\n" for number in range(8)]


def test_cancelling_a_run_ends_its_code(python):
    """And lets go of its session."""
    toolset = PythonToolset(python)

    async def main():
        task = asyncio.ensure_future(Agent(FunctionModel(Script(SPIN)), toolsets=[toolset]).run("go"))
        await asyncio.sleep(1.5)
        task.cancel()
        begin = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - begin

    assert asyncio.run(main()) < 10


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"timeout": "5"}, TypeError, "timeout must be a number of seconds"),
        ({"timeout": None}, TypeError, "timeout must be a number of seconds"),
        ({"keeps": "no"}, TypeError, "keeps must be True or False"),
        ({"keeps": False, "max_memory": "1G"}, TypeError, "max_memory"),
        ({"max_calls": -1}, ValueError, "max_calls"),
        ({"dirs": {"absent": "/data"}}, FileNotFoundError, "absent"),
        ({"tools": print}, TypeError, "tools must be a list"),
        ({"gate": 5}, TypeError, "gate must be callable"),
    ],
)
def test_what_is_given_wrong_is_refused_at_once(python, wrong, error, words):
    """Not in the middle of a run."""
    with pytest.raises(error, match=words):
        PythonToolset(python, **wrong)


def test_it_has_the_id_that_it_is_given(python):
    """As of any toolset."""
    assert (PythonToolset(python, id="python").id, PythonToolset(python).id) == ("python", None)
