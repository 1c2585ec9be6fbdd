"""Claims about smolagents' code agents on sandboxed Python, with the real package and a model that follows a script."""

import re

import pytest

from stratavm.adapters.telling import ENDED
from stratavm.sandbox import Python, ToolError
from tests import needed

smolagents = needed.module("smolagents")

from smolagents.local_python_executor import CodeOutput, InterpreterError, PythonExecutor  # noqa: E402

from stratavm.adapters.smolagents import StrataExecutor  # noqa: E402

pytestmark = pytest.mark.trace_slow


class Scripted(smolagents.Model):
    """Says one step after the other, whatever it is told; keeps what it was told."""

    def __init__(self, *steps):
        super().__init__(model_id="scripted")
        self.steps, self.told = list(steps), []

    def generate(self, messages, **more):
        """The next step."""
        self.told.append(str(messages))
        text = f"Thought: so\n<code>\n{self.steps.pop(0)}\n</code>"
        return smolagents.ChatMessage(role=smolagents.MessageRole.ASSISTANT, content=text)


class Price(smolagents.Tool):
    """A tool that would tell its source, and what pip shall install, to an executor that asks."""

    name = "price"
    description = "What an item costs."
    inputs = {  # noqa: RUF012
        "item": {"type": "string", "description": "the item"},
        "count": {"type": "integer", "description": "how many", "nullable": True},
    }
    output_type = "number"

    def __init__(self):
        super().__init__()
        self.asked = []

    def forward(self, item, count: int | None = None) -> float:
        """Refuses some, fails for others."""
        self.asked.append((item, count))
        if item == "gold":
            raise ToolError("we have no gold")
        if item == "secret":
            raise ValueError("the password is 1234")
        return 3.5 * (count or 1)

    def to_dict(self):
        """Asked by executors that send a tool's source."""
        raise AssertionError("an executor asked for the tool's source and requirements")


@pytest.fixture
def executor(python):
    """Without an agent, with a tool."""
    made = StrataExecutor(python, timeout=90)
    price = made.price = Price()
    made.send_tools({"price": price, "final_answer": smolagents.FinalAnswerTool()})
    yield made
    made.cleanup()


def agent_of(executor, model, **more):
    """An agent that says nothing to the terminal."""
    return smolagents.CodeAgent(executor=executor, model=model, verbosity_level=-1, **{"tools": [Price()], **more})


def test_an_agent_runs_to_its_answer(python):
    """Steps share names, see tools and variables, and their output and errors come to the model."""
    model = Scripted(
        "import numpy as np\nx = price('tea', 2)\nprint('x is', x)\nx + 1",
        "y = x + given['more'][1]\nprint(raw)\n1 / 0",
        "final_answer({'y': y, 'all': np.arange(3)})\nprint('never')",
    )
    with agent_of(StrataExecutor(python), model) as agent:
        answer = agent.run("add", additional_args={"given": {"more": [1, 2]}, "raw": b"\0x"})
    assert answer == {"y": 9.0, "all": [0, 1, 2]}
    assert "x is 7.0" in model.told[1] and "8.0" in model.told[1]
    assert "b'\\\\x00x'" in model.told[2] and "ZeroDivisionError: division by zero" in model.told[2]
    assert "never" not in agent.memory.steps[-1].observations


def test_it_is_what_smolagents_takes(executor):
    """An executor, with outputs of its own class."""
    assert isinstance(executor, PythonExecutor)
    assert executor("print(1)\n'two'") == CodeOutput(output="two", logs="1\n", is_final_answer=False)


def test_neither_source_nor_packages_nor_pickles_go_into_the_sandbox(executor):
    """A tool is a name in the guest, and its function is on the host."""
    executor("price('tea')")
    with pytest.raises(InterpreterError, match=r"OSError|TypeError"):
        executor("import inspect; inspect.getsource(price)")
    assert "forward" not in executor("repr(dir(price)) + repr(price.__doc__)").output
    with pytest.raises(TypeError, match="variable x: guests have no values of the type Price"):
        executor.send_variables({"x": Price()})


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("final_answer(1)", 1),
        ("final_answer(answer='x')", "x"),
        ("final_answer(b'\\x89PNG')", b"\x89PNG"),
        ("import numpy as np\nfinal_answer(np.ones((2, 2)))", [[1.0, 1.0], [1.0, 1.0]]),
        ("import numpy as np\nfinal_answer({'mean': np.float64(2.5), 1: np.int64(3)})", {"mean": 2.5, "1": 3}),
        ("import pandas as pd\nfinal_answer(pd.Series([1, 2]))", [1, 2]),
        ("final_answer(float('nan'))", "nan"),
        ("final_answer({3})", [3]),
        ("final_answer(10 ** 400)", str(10**400)),
        ("class A:\n    def __repr__(self): return 'an A'\nfinal_answer([A()])", ["an A"]),
        ("a = []\na.append(a)\nfinal_answer(a)", None),
        ("def f():\n    try:\n        final_answer(2)\n    except Exception:\n        final_answer(3)\nf()", 2),
    ],
)
def test_answers(executor, code, answer):
    """What has no form comes as what is like it, or as its ``repr``."""
    done = executor(code)
    assert done.is_final_answer and (answer is None or done.output == answer)


def test_an_answer_ends_the_step_whatever_the_code_does(executor):
    """Code that goes on has no tools, and cannot change the answer."""
    code = """
try:
    final_answer("first")
except BaseException:
    pass
for again in (lambda: price("tea"), lambda: final_answer("second")):
    try:
        again()
    except BaseException as error:
        print(error)
raise ValueError("also after it")
"""
    done = executor(code)
    assert (done.output, done.is_final_answer) == ("first", True)
    assert "the final answer was given" in done.logs and executor.price.asked == []
    assert not executor("price('tea')").is_final_answer


def test_arguments_are_of_the_types_that_the_tool_says(executor):
    """Else it is not called."""
    assert executor("price('tea', count=None) + price(item='tea', count=2)").output == 10.5
    for wrong in ("price(3)", "price('tea', 'two')", "price('tea', True)", "price()", "price('a', 1, 2)", "price(x=1)"):
        with pytest.raises(InterpreterError):
            executor(wrong)
    assert executor.price.asked == [("tea", None), ("tea", 2)]


def test_what_a_tool_raises_stays_on_the_host(executor):
    """Unless it speaks to the model."""
    with pytest.raises(InterpreterError, match="we have no gold"):
        executor("price('gold')")
    with pytest.raises(InterpreterError, match="price failed") as caught:
        executor("price('secret')")
    assert "1234" not in str(caught.value) + executor.state["_print_outputs"]


def test_a_gate_is_asked_but_for_the_answer(python):
    """And closes what it does not open."""
    asked = []

    def gate(tool, arguments):
        asked.append((tool, arguments))
        return arguments["item"] == "tea"

    executor = StrataExecutor(python, gate=gate)
    executor.send_tools({"price": Price(), "final_answer": smolagents.FinalAnswerTool()})
    assert executor("price('tea')").output == 3.5
    with pytest.raises(InterpreterError, match="refused"):
        executor("price('cake')")
    assert executor("final_answer(1)").is_final_answer
    assert asked == [("price", {"item": "tea"}), ("price", {"item": "cake"})]
    executor.cleanup()


def test_a_step_that_is_stopped_loses_names_and_the_next_has_tools_and_variables(python):
    """The message says so."""
    executor = StrataExecutor(python, timeout=5)
    executor.send_tools({"price": Price(), "final_answer": smolagents.FinalAnswerTool()})
    executor.send_variables({"given": [1, {"b": b"\xff"}]})
    executor("x = 1")
    with pytest.raises(InterpreterError, match=r"stopped \(timeout\).*variables are lost"):
        executor("print('early')\nwhile True: pass")
    assert executor.state["_print_outputs"] == "early\n"
    assert executor("['x' in globals(), price('tea'), given[1]['b']]").output == [False, 3.5, b"\xff"]
    executor.cleanup()
    executor.cleanup()
    assert executor("price('tea')").output == 3.5
    executor.cleanup()


def test_memory_and_output_are_bounded(python):
    """The first by a message, the second by what is left out."""
    executor = StrataExecutor(python, max_memory=96 << 20, max_output=1 << 20)
    with pytest.raises(InterpreterError, match="memory"):
        executor("bytes(10 ** 9)")
    done = executor("print('a' * 10 ** 7)\n[0] * 10 ** 5")
    assert len(done.logs) < 60_000 and re.search(r"\[… \d+ characters …\]", done.logs)
    executor.cleanup()


def test_tools_of_a_later_run_take_the_place_of_earlier_ones(executor):
    """Names that are no tools any more fail when they are called."""
    other = smolagents.tool(_double)
    executor("old = price")
    executor.send_tools({"double": other})
    assert executor("double(4)").output == 8
    with pytest.raises(InterpreterError, match="no such tool"):
        executor("old('tea')")


def _double(number: int) -> int:
    """Twice a number.

    Args:
        number: which
    """
    return 2 * number


_double.__name__ = "double"


def test_code_that_breaks_its_own_interpreter_is_told(executor):
    """Variables cannot be sent where ``globals`` is another; it says so, and the next step has a new interpreter."""
    executor("import builtins\ndef broken(*a): raise KeyError('mine')\nbuiltins.globals = broken")
    executor.send_variables({"x": 1})
    with pytest.raises(InterpreterError, match="takes no tools or variables"):
        executor("x")
    assert executor("x").output == 1


@pytest.mark.parametrize("name", ["a b", "", 3, "1x", "class", "None", "\ufb01"])
def test_names_of_variables(executor, name):
    """Are names that code can say."""
    with pytest.raises(TypeError, match=r"no name of a variable|cannot be read"):
        executor.send_variables({name: 1})


def test_tools_that_no_guest_can_call_are_refused_by_name(executor):
    """Before anything runs."""
    price = Price()
    price.inputs = {"item": {"type": "tensor", "description": "?"}}
    with pytest.raises(TypeError, match="tool price: argument item is of an unknown type 'tensor'"):
        executor.send_tools({"price": price})
    with pytest.raises(TypeError, match="cannot be called"):
        executor.send_tools({"price": 3})


def test_files_that_steps_write_are_there(executor):
    """By path."""
    executor("open('a.txt', 'w').write('one')")
    executor("open('b.txt', 'w').write('two')")
    assert executor.files == {"a.txt": b"one", "b.txt": b"two"}


def test_files_that_are_kept_are_bounded(python):
    """The latest are there."""
    executor = StrataExecutor(python, max_files=1 << 20)
    for number in range(5):
        executor(f"import os\nopen('{number}', 'wb').write(bytes(300_000))\nif {number}: os.remove('{number - 1}')")
    assert sorted(executor.files) == ["2", "3", "4"]
    executor.cleanup()


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"timeout": "5"}, TypeError, "timeout must be a number of seconds"),
        ({"max_memory": -1}, ValueError, "max_memory"),
        ({"max_calls": "many"}, TypeError, "max_calls"),
        ({"files": ["a"]}, TypeError, "files must map paths"),
        ({"dirs": {"absent": "/data"}}, FileNotFoundError, "absent"),
        ({"gate": 5}, TypeError, "gate must be callable"),
    ],
)
def test_what_is_given_wrong_is_refused_at_once(python, wrong, error, words):
    """A model that was told of it at each step could not help it."""
    with pytest.raises(error, match=words):
        StrataExecutor(python, **wrong)


def test_a_step_that_ends_its_session_is_told(executor):
    """``exit()`` is no failure, but the names are gone."""
    assert ENDED not in executor("x = 1").logs
    assert executor("print(x)\nexit()").logs == f"1\n{ENDED}"
    with pytest.raises(InterpreterError, match="NameError"):
        executor("x")


def test_behind_the_second_wall_it_is_the_same():
    """Tools, variables, names that stay, and the answer."""
    executor = StrataExecutor(Python(isolate=True))
    executor.send_tools({"price": Price(), "final_answer": smolagents.FinalAnswerTool()})
    executor.send_variables({"given": [1, b"\xff"]})
    executor("x = price('tea')")
    assert executor("final_answer([x, given[1]])") == CodeOutput([3.5, b"\xff"], "", True)
    executor.cleanup()


def test_an_agent_that_is_managed_is_a_tool(python):
    """It runs on the host, with an executor of its own."""
    helper = agent_of(
        StrataExecutor(python), Scripted("final_answer('from below')"), name="helper", description="helps"
    )
    model = Scripted("final_answer(helper('do it'))")
    with agent_of(StrataExecutor(python), model, managed_agents=[helper]) as agent:
        assert "from below" in agent.run("ask")
    helper.cleanup()
