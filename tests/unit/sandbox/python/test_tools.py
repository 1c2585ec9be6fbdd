"""Claims about tools: what guests are told, what they may give, what comes of it, and what stays on the host's side."""

import asyncio
import functools
import json
import threading
import time
from typing import Literal

import pytest

from stratavm.sandbox import Tool, ToolDenied, ToolError
from stratavm.sandbox.python import calls
from stratavm.sandbox.python.calls import Calls
from stratavm.sandbox.python.helpers import MOST_ABANDONED, Helper, Helpers
from stratavm.sandbox.python.kinds import Unfit
from stratavm.sandbox.python.tools import Unsayable, form, toolbox


def price(item: str, count: int = 1, *, kind: Literal["a", 2] = "a") -> float:
    """What it costs."""
    return 1.5 * count


def ask(tools, request, *, gate=None, most=10, until=float("inf"), helpers=None):
    """The answer to a request, as an object, and the record."""
    desk = Calls(toolbox(tools), gate, most, until, helpers or Helpers(), waits=False)
    data = request if isinstance(request, bytes) else json.dumps({"v": 1, "id": 7, **request}).encode()
    return json.loads(desk.answer(data)), desk.record


def call(tools, tool, options=None, **arguments):
    """A call."""
    return ask(tools, {"op": "call", "tool": tool, "args": arguments}, **(options or {}))


def test_what_guests_are_told():
    """Name, documentation, and JSON Schema of the parameters."""
    answer, _ = ask([price], {"op": "list"})
    assert (answer["v"], answer["id"], answer["ok"]) == (1, 7, True)
    (told,) = answer["tools"]
    assert (told["name"], told["description"]) == ("price", "What it costs.")
    schema = told["inputSchema"]
    assert schema["properties"]["item"] == {"type": "string"} and schema["required"] == ["item"]
    assert schema["properties"]["kind"] == {"enum": ["a", 2], "default": "a"}


def test_a_call():
    """Its value, and its record."""
    answer, (record,) = call([price], "price", item="x", count=2)
    assert answer == {"v": 1, "id": 7, "ok": True, "value": 3.0}
    assert (record.tool, record.arguments, record.outcome, record.value) == (
        "price",
        {"item": "x", "count": 2},
        "ok",
        3.0,
    )


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (bool, [(True, True)], [1, None]),
        (int, [(5, 5)], [True, 1.0, "1"]),
        (float, [(1, 1.0), (2.5, 2.5)], [True, "1", 10**400]),
        (str, [("x", "x")], [1, b"x"]),
        (bytes, [(b"x", b"x")], ["x"]),
        (None, [(None, None)], [0]),
        (list[int], [([1], [1])], [[1, "x"], 1, {}]),
        (tuple[str, ...], [(["a"], ("a",))], ["a"]),
        (dict[str, list[bytes]], [({"a": [b""]}, {"a": [b""]})], [{"a": b""}, []]),
        (int | None, [(None, None), (1, 1)], ["x", 1.0]),
        (float | int, [(1, 1), (1.0, 1.0)], ["x"]),
        (Literal["a", None, 1, True], [("a", "a"), (None, None), (True, True), (1, 1)], ["b", 1.0, [], False]),
        (object, [([1], [1])], []),
        (dict, [({}, {})], [[]]),
    ],
)
def test_types_of_arguments(hint, good, bad):
    """What a guest gives is of the type, and arrives as it; anything else is refused."""

    def tool(x):
        return x

    tool.__annotations__["x"] = hint
    made = Tool(tool)
    for given, arrives in good:
        found = made.fitting({"x": given})["x"]
        assert found == arrives and type(found) is type(arrives)
    for wrong in bad:
        with pytest.raises(Unfit):
            made.fitting({"x": wrong})


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (lambda x: x, ValueError, "Python name"),
        (5, TypeError, "a function"),
        (print, TypeError, "print"),
    ],
)
def test_what_cannot_be_a_tool(function, error, words):
    """It says why."""
    with pytest.raises(error, match=words):
        Tool(function)


def test_signatures_that_cannot_be_described():
    """Each by the parameter; a schema of one's own describes anything."""

    def bare(x):
        return x

    def star(*x: int):
        return x

    def odd(x: set):
        return x

    for function, words in ((bare, "has no annotation"), (star, "by name"), (odd, "no values of the type")):
        with pytest.raises(TypeError, match=words):
            Tool(function)
    made = Tool(bare, "other", schema={"properties": {"x": {"type": "string"}}, "required": ["x"]}, description="d")
    assert made.fitting({"x": [1]}) == {"x": [1]} and made.descriptor["name"] == "other"
    with pytest.raises(Unfit, match="missing x"):
        made.fitting({})
    wrong = {"properties": []}, {"required": ["y"]}, [], {"type": "string"}
    for schema, error in (*((schema, ValueError) for schema in wrong), ({"x": {1}}, TypeError)):
        with pytest.raises(error):
            Tool(bare, schema=schema)
    fixed = Tool(functools.partial(price, item="x"), "fixed")
    with pytest.raises(Unfit, match="unknown argument 'item'"):
        fixed.fitting({"item": "y"})


@pytest.mark.parametrize("given", [lambda: 1, functools.partial(price, item="tea"), Tool])
def test_a_function_without_a_name_can_be_given_one(given):
    """Which the refusal says."""
    if given is Tool:
        with pytest.raises(ValueError, match=r"no keyword, got 'class': Tool\(function, name=\"…\"\) gives another"):
            Tool(price, name="class")
        return
    with pytest.raises(ValueError, match=r"Tool\(function, name=\"…\"\) gives another"):
        toolbox([given])
    assert list(toolbox([Tool(given, name="named")]).tools) == ["named"]


@pytest.mark.parametrize("given", ["price", price, 5, [5], {"a b": price}, [price, price]])
def test_tools_that_are_none(given):
    """A list of functions, or names and functions."""
    with pytest.raises((TypeError, ValueError)):
        toolbox(given)


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (b"", "protocol"),
        (b"[]", "protocol"),
        (b"{" * 500, "protocol"),
        ({"op": "batch"}, "protocol"),
        ({"op": "call"}, "protocol"),
        ({"op": "call", "tool": 5}, "protocol"),
        ({"v": 2, "op": "call", "tool": "price"}, "protocol"),
        ({"op": "call", "tool": "none"}, "unknown_tool"),
        ({"op": "call", "tool": "price", "args": []}, "invalid_arguments"),
        ({"op": "call", "tool": "price", "args": {"$bytes": "AAAA"}}, "invalid_arguments"),
        ({"op": "call", "tool": "price", "args": {}}, "invalid_arguments"),
        ({"op": "call", "tool": "price", "args": {"item": 1}}, "invalid_arguments"),
        ({"op": "call", "tool": "price", "args": {"item": "x", "self": 1}}, "invalid_arguments"),
        ({"op": "call", "tool": "price", "args": {"item": {"$bytes": "?"}}}, "protocol"),
    ],
)
def test_requests_that_are_refused(request_, kind):
    """Nothing is called."""
    answer, (record,) = ask([price], request_)
    assert (answer["ok"], answer["error"]["kind"], record.outcome) == (False, kind, "refused")


def test_a_request_that_is_too_long_is_refused_unread():
    """By its length alone."""
    desk = Calls(toolbox([price]), None, 1, float("inf"), Helpers(), waits=False)
    assert json.loads(desk.too_long(1 << 31))["error"]["kind"] == "too_large"


class Odd(str):
    """A string that lies about itself."""

    def __str__(self):
        return "other"

    def __add__(self, other):
        raise RuntimeError


class Liar:
    """Not even its class is true."""

    @property
    def __class__(self):
        return str


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ((1, [2.5], {"a": b"\0"}), [1, [2.5], {"a": {"$bytes": "AA=="}}]),
        (Odd("x"), "x"),
        (bytearray(b"x"), {"$bytes": "eA=="}),
        (memoryview(b"abcd")[::2], {"$bytes": "YWM="}),
    ],
)
def test_what_a_tool_returns(value, said):
    """Only what it is by its own type."""
    assert form(value) == said


@pytest.mark.parametrize(
    "value", [object(), {1: 2}, float("nan"), {"$bytes": "x"}, {1, 2}, pytest.param(10**5000, id="long")]
)
def test_what_no_guest_can_be_told(value):
    """It is refused on the host's side."""
    with pytest.raises(Unsayable):
        form(value)


def test_results_that_cannot_be_said_are_failures():
    """The guest learns that, the record says why."""
    loop: list = []
    loop.append(loop)
    twice: list = []
    twice.extend([twice, twice])
    for value in (loop, twice, Liar(), object(), "x" * (calls.RESPONSE_BYTES + 1)):
        answer, (record,) = call([Tool(lambda value=value: value, "f", schema={})], "f")
        assert not answer["ok"] and record.error and "Liar" not in answer["error"]["message"]


@pytest.mark.parametrize(
    ("error", "kind", "told", "recorded"),
    [
        (ValueError("secret"), "tool_error", "f failed", "ValueError: secret"),
        (ToolError("no such item"), "tool_error", "no such item", "ToolError: no such item"),
        (ToolDenied("not you"), "denied", "not you", "ToolDenied: not you"),
        (SystemExit(3), "tool_error", "f failed", "SystemExit: 3"),
        (MemoryError(), "tool_error", "f failed", "MemoryError"),
        (TimeoutError("x"), "timeout", "f timed out", "TimeoutError"),
        (RecursionError("deep"), "tool_error", "f failed", "RecursionError: deep"),
    ],
)
def test_what_a_tool_raises_stays_with_the_host(error, kind, told, recorded):
    """But for the words of a ``ToolError``."""

    def f():
        raise error

    for until in (float("inf"), time.monotonic() + 60):
        answer, (record,) = call([f], "f", {"until": until})
        assert (answer["error"]["kind"], answer["error"]["message"]) == (kind, told)
        assert record.error.startswith(recorded)


def test_ctrl_c_ends_the_host():
    """It is not the guest's."""

    def f():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call([f], "f")


def test_a_gate():
    """It sees name and arguments; what is not True refuses; one that fails, or forgets a case, is closed."""
    seen = []

    def gate(tool, arguments):
        seen.append((tool, arguments))
        return True

    assert call([price], "price", {"gate": gate}, item="x")[0]["ok"] and seen == [("price", {"item": "x"})]
    for verdict in (False, 0, "yes", None):
        answer, (record,) = call([price], "price", {"gate": lambda *_, v=verdict: v}, item="x")
        assert (answer["error"]["kind"], record.outcome, record.value) == ("denied", "denied", None)
        assert ("returned None" in record.error) == (verdict is None)

    def failing(tool, arguments):
        raise ValueError("gate")

    assert not call([price], "price", {"gate": failing}, item="x")[0]["ok"]

    async def later(tool, arguments):
        await asyncio.sleep(0)
        return tool != "price"

    assert call([price], "price", {"gate": later}, item="x")[0]["error"]["kind"] == "denied"


def test_the_number_of_calls_is_bounded():
    """Listings and malformed requests are counted apart."""
    desk = Calls(toolbox([price]), None, 2, float("inf"), Helpers(), waits=False)
    data = json.dumps({"v": 1, "id": 1, "op": "call", "tool": "price", "args": {"item": "x"}}).encode()
    assert [json.loads(desk.answer(data))["ok"] for _ in range(4)] == [True, True, False, False] and desk.limited
    listing = json.dumps({"v": 1, "id": 1, "op": "list"}).encode()
    answers = [json.loads(desk.answer(listing))["ok"] for _ in range(calls.UNREAD + 5)]
    assert answers[0] and not answers[-1] and len(desk.record) <= calls.MOST_RECORDED


def test_the_record_is_bounded(monkeypatch):
    """Beyond that only outcomes are kept."""
    monkeypatch.setattr(calls, "RECORDED_BYTES", 1200)
    desk = Calls(toolbox([price]), None, 100, float("inf"), Helpers(), waits=False)
    data = json.dumps({"v": 1, "id": 1, "op": "call", "tool": "price", "args": {"item": "x" * 100}}).encode()
    for _ in range(5):
        desk.answer(data)
    assert [record.arguments is None for record in desk.record] == [False, True, True, True, True]


def test_the_record_counts_what_requests_become():
    """Not how long they are: of arguments that are all brackets each letter is a list."""
    desk = Calls(toolbox({"f": count}), None, 100, float("inf"), Helpers(), waits=False)
    data = ('{"v": 1, "id": 1, "op": "call", "tool": "f", "args": {"items": [' + "[]," * 50_000 + "0]}}").encode()
    for _ in range(20):
        desk.answer(data)
    kept = [record for record in desk.record if record.arguments is not None]
    assert all(record.outcome == "ok" for record in desk.record) and 1 <= len(kept) < 10


def count(items: list) -> int:
    """How many there are."""
    return len(items)


def test_a_helper_that_is_gone_is_not_counted():
    """One may end just when its call is given up, and a fork leaves none."""
    helpers = Helpers()
    helpers.abandoned = {Helper(helpers) for _ in range(MOST_ABANDONED)}
    assert not helpers.is_full


def test_tools_that_do_not_return_are_abandoned():
    """Each is answered in time; of four the sandbox has enough, until they have ended."""
    ending, helpers = threading.Event(), Helpers()
    tools = [Tool(ending.wait, "f", schema={}, timeout=0.01)]
    for _ in range(MOST_ABANDONED):
        answer, (record,) = call(tools, "f", {"helpers": helpers})
        assert (answer["error"]["kind"], record.outcome) == ("timeout", "timeout")
    assert helpers.is_full
    answer, _ = call([price], "price", {"helpers": helpers}, item="x")
    assert "have not returned" in answer["error"]["message"]
    ending.set()
    end = time.monotonic() + 30
    while helpers.is_full and time.monotonic() < end:
        time.sleep(0.001)
    assert call([price], "price", {"helpers": helpers}, item="x")[0]["ok"]


def test_async_tools_that_are_late_are_cancelled():
    """Nothing of them is left."""
    cancelled, helpers = threading.Event(), Helpers()

    async def f():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    answer, _ = call([Tool(f, timeout=0.01)], "f", {"helpers": helpers})
    assert answer["error"]["kind"] == "timeout" and cancelled.wait(60)


def ask_in_a_loop(tools, tool, seconds, helpers):
    """A call on a loop: its answer, and its record. The loop is not made to wait for what does not end."""

    async def main():
        desk = Calls(toolbox(tools), None, 10, time.monotonic() + seconds, helpers, waits=True)
        data = json.dumps({"v": 1, "id": 7, "op": "call", "tool": tool, "args": {}}).encode()
        return json.loads(await desk.answer(data)), desk.record

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(main()), loop
    finally:
        loop.run_until_complete(asyncio.sleep(0))


async def cancels():
    """Wait for what somebody else has cancelled."""
    raise asyncio.CancelledError


async def leaves():
    """Want the process to end."""
    raise SystemExit(3)


@pytest.mark.parametrize("tool", [cancels, leaves])
def test_what_a_tool_on_a_loop_raises_ends_neither_run_nor_loop(tool):
    """A cancellation that nobody asked for is a failure like any other."""
    ((answer, (record,)), loop) = ask_in_a_loop([tool], tool.__name__, 30, Helpers())
    loop.close()
    assert (answer["error"]["kind"], record.outcome) == ("tool_error", "error")


def test_a_tool_on_a_loop_that_does_not_end_is_abandoned():
    """Although it is cancelled: its call is answered in time, and it counts until it has ended."""
    ending, helpers = [], Helpers()

    async def stays():
        while not ending:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    ((answer, (record,)), loop) = ask_in_a_loop([stays], "stays", 0.02, helpers)
    assert (answer["error"]["kind"], record.outcome, len(helpers.abandoned)) == ("timeout", "timeout", 1)
    (task,) = helpers.abandoned
    assert task.is_alive()
    ending.append(True)
    loop.run_until_complete(task.task)
    assert not task.is_alive()
    loop.close()


def test_helpers_do_one_job_after_another():
    """From many threads at once; context variables go along."""
    helpers, results = Helpers(), []

    def work(number):
        results.append(helpers.call(lambda: number * 2, 60))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [2 * number for number in range(50)] and not helpers.abandoned


# ---- in a guest ----------------------------------------------------------------------------------------------------


@pytest.mark.trace_slow
def test_a_guest_calls_tools(python):
    """By the package's own module; bytes both ways; errors by their classes."""

    async def later(data: bytes) -> dict:
        await asyncio.sleep(0.001)
        return {"data": data + b"!", "many": [1, 2.5, None]}

    def secret() -> None:
        raise ValueError("secret")

    code = """\
from host import tools, ToolError, ToolArgumentError, ToolDenied
found = [tools.price("x", count=2), tools.later(b"\\0")]
for call in (tools.secret, lambda: tools.price(1), lambda: tools.denied()):
    try:
        call()
    except ToolError as error:
        found.append([type(error).__name__, str(error)])
found
"""

    def denied() -> None:
        raise AssertionError

    def gate(tool, arguments):
        return tool != "denied"

    options = {"tools": [price, later, secret, denied], "gate": gate}
    expected = [
        3.0,
        {"data": b"\0!", "many": [1, 2.5, None]},
        ["ToolError", "secret failed"],
        ["ToolArgumentError", "price: item: expected a string, got a whole number"],
        ["ToolDenied", "the call was refused"],
    ]
    for done in (
        python.run(code, **options),
        python.run(code, timeout=None, **options),
        asyncio.run(python.run_async(code, **options)),
    ):
        assert done.value == expected, done.stderr
        assert [record.outcome for record in done.calls] == ["ok", "ok", "error", "refused", "denied"]
        assert done.calls[2].error == "ValueError: secret" and done.faults == 0


@pytest.mark.trace_slow
def test_a_guest_without_tools(python):
    """There is no such module to import from."""
    done = python.run("from host import tools")
    assert done.error.type == "ImportError" and done.calls == ()


@pytest.mark.trace_slow
def test_tools_that_go_on_longer_than_the_run(python):
    """The run ends in its time, synchronous or not."""
    ending = threading.Event()
    code = "from host import tools\ntools.f()"
    tools = [Tool(ending.wait, "f", schema={})]
    for run in (python.run, lambda *a, **k: asyncio.run(python.run_async(*a, **k))):
        done = run(code, tools=tools, timeout=1)
        assert done.reason == "timeout" and done.seconds < 30
    ending.set()


@pytest.mark.trace_slow
def test_a_tool_may_run_code_too(python):
    """In another interpreter."""

    def inner(code: str) -> object:
        return python.run(code).value

    done = python.run("from host import tools\ntools.inner('6 * 7')", tools=[inner])
    assert done.value == 42


@pytest.mark.trace_slow
def test_calls_beyond_the_limit_are_named(python):
    """The guest's module has a class for it."""
    code = "from host import tools\nfor _ in range(3): tools.price('x')"
    done = python.run(code, tools=[price], max_calls=2)
    assert done.error.type == "host.ToolBudgetExceeded" and done.limits == ("tools",) and len(done.calls) == 3
