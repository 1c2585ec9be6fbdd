"""Claims about the server of the Model Context Protocol: with the SDK's own client, in this process and over pipes."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

import stratavm
from stratavm.adapters.telling import ENDED
from stratavm.sandbox import GuestRefused, Python, ToolError
from tests import needed

needed.module("mcp.server.mcpserver")

from mcp.client.client import Client  # noqa: E402
from mcp.client.stdio import StdioServerParameters, stdio_client  # noqa: E402

from stratavm.adapters.mcp import Settings, make_server  # noqa: E402

pytestmark = pytest.mark.trace_slow
SPIN = "while True: pass"
PATH = {"PYTHONPATH": str(Path(stratavm.__file__).parents[1])}
COMMAND = [sys.executable, "-m", "stratavm", "mcp"]


def serve(python, body, **settings):
    """Run ``body(call)`` with a client of a server in this process; ``call(tool, **arguments)``."""

    async def main():
        async with Client(make_server(python, Settings(**{"timeout": 90.0, **settings}))) as client:

            async def call(tool, **arguments):
                return await client.call_tool(tool, arguments)

            return await body(call)

    return asyncio.run(main())


def text(result):
    """What a model reads."""
    return "".join(part.text for part in result.content if part.type == "text")


@asynccontextmanager
async def connected(*options):
    """A client of ``strata mcp``."""
    command = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], *options], env=PATH)
    async with Client(stdio_client(command)) as client:
        yield client


def test_code_runs_and_all_of_it_is_told(python):
    """Output, value, exceptions, files by name, and what the host knows."""

    async def body(call):
        done = await call("run_python", code="print(input())\nopen('a.txt', 'w').write('x')\n[1, 'two']", stdin="typed")
        assert text(done) == "typed\n[value] [1, 'two']\n[files] 'a.txt' (1 bytes)\n" and not done.is_error
        known = done.structured_content
        assert (known["ok"], known["reason"], known["exit_code"], known["session_ended"]) == (True, "exit", 0, False)
        done = await call("run_python", code="print('before')\n1 / 0")
        assert done.is_error and text(done).startswith("before\nTraceback")
        assert text(done).endswith("[failed] ZeroDivisionError: division by zero\n")
        assert text(await call("run_python", code="pass")) == "[no output]\n"
        assert "[value] <object" in text(await call("run_python", code="object()"))
        assert "exited with code 3" in text(await call("run_python", code="raise SystemExit(3)"))

    serve(python, body)


def test_runs_share_nothing_and_sessions_their_names(python):
    """By the name of the session, until it is ended."""

    async def body(call):
        await call("run_python", code="x = 1")
        assert "NameError" in text(await call("run_python", code="x"))
        await call("run_in_session", session="a", code="x = 1")
        await call("run_in_session", session="b", code="x = 2")
        assert text(await call("run_in_session", session="a", code="x")) == "[value] 1\n"
        assert text(await call("end_session", session="a")) == "session 'a' has ended"
        assert "NameError" in text(await call("run_in_session", session="a", code="x"))
        assert text(await call("run_in_session", session="b", code="x")) == "[value] 2\n"

    serve(python, body)


def test_sessions_are_bounded_and_a_place_is_free_when_one_ends(python):
    """Whether it is ended, or is stopped."""

    async def body(call):
        for name in ("a", "b"):
            assert not (await call("run_in_session", session=name, code="1")).is_error
        assert "end one of: a, b" in text(await call("run_in_session", session="c", code="1"))
        stopped = await call("run_in_session", session="a", code=SPIN, seconds=0.3)
        assert "stopped (timeout)" in text(stopped) and "variables are lost" in text(stopped)
        assert stopped.structured_content["session_ended"]
        assert not (await call("run_in_session", session="c", code="1")).is_error
        await call("end_session", session="b")
        assert not (await call("run_in_session", session="d", code="1")).is_error
        assert "there is no session 'b'; there are: c, d" in text(await call("end_session", session="b"))

    serve(python, body, sessions=2)


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb", "\x1b[0m"])
def test_names_of_sessions_are_printable_and_short(python, name):
    """They are shown."""

    async def body(call):
        assert "1 to 64 printable" in text(await call("run_in_session", session=name, code="1"))

    serve(python, body)


def test_a_session_does_one_thing_at_a_time(python, tmp_path):
    """Meanwhile it is busy, also for its end."""
    waits = "import os, time\nopen('/d/begun', 'w').close()\nwhile not os.path.exists('/d/go'): time.sleep(0.01)\n1"

    async def body(call):
        first = asyncio.ensure_future(call("run_in_session", session="a", code=waits))
        while not (tmp_path / "begun").exists():
            await asyncio.sleep(0.01)
        assert "runs other code" in text(await call("run_in_session", session="a", code="2"))
        assert "runs code" in text(await call("end_session", session="a"))
        (tmp_path / "go").touch()
        assert text(await first) == "[value] 1\n"

    serve(python, body, dirs={tmp_path: ("/d", "rw")})


def test_pictures_are_checked_and_nothing_else_is_shown(python):
    """A plot is a picture; HTML that is called so is a file with a name."""
    code = """
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.savefig('plot.png', metadata={'Comment': '<script>alert(1)</script>'})
open('fake.png', 'w').write('<html><script>alert(1)</script>')
open('x.svg', 'w').write('<svg onload=alert(1)>')
"""

    async def body(call):
        done = await call("run_python", code=code)
        assert [part.type for part in done.content] == ["text", "image"]
        assert done.content[1].mime_type == "image/png"
        assert b"alert" not in base64.b64decode(done.content[1].data)
        assert all(name in text(done) for name in ("plot.png", "fake.png", "x.svg"))
        many = "import shutil\nfor i in range(9): shutil.copy('plot.png', f'{i}.png')"
        done = await call("run_python", code=code + many)
        assert len(done.content) == 5

    serve(python, body)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"code": "x" * 2000}, "code has more than 1000 bytes"),
        ({"code": "1", "stdin": "é" * 501}, "stdin has more than 1000 bytes"),
        ({"code": "1", "seconds": 0}, "seconds must be"),
        ({"code": "1", "seconds": -1}, "seconds must be"),
        ({"code": "1", "seconds": "soon"}, "seconds"),
        ({"code": 3}, "code"),
        ({}, "code"),
        ({"code": ["1"]}, "code"),
        ({"code": "1", "timeout": 9}, "timeout"),
        ({"code": "1", "session": "a"}, "session"),
        ({"code": "'\uffff'"}, "code has half of a surrogate pair"),
    ],
)
def test_what_is_no_call_is_refused(python, arguments, words):
    """Before anything runs."""

    async def body(call):
        done = await call("run_python", **arguments)
        assert done.is_error and words in text(done)

    serve(python, body, code_bytes=1000)


def test_limits_are_the_hosts(python):
    """A call may ask for less time, not for more."""

    async def body(call):
        begin = time.monotonic()
        assert "stopped (timeout)" in text(await call("run_python", code=SPIN, seconds=1e9))
        assert "stopped (timeout)" in text(await call("run_python", code=SPIN, seconds=0.2))
        assert time.monotonic() - begin < 60

    serve(python, body, timeout=1.0)


def test_memory_output_and_files_are_bounded(python):
    """And what was too much is said."""

    async def body(call):
        assert "memory" in text(await call("run_python", code="bytes(10 ** 9)"))
        done = await call("run_python", code="print('x' * 10 ** 7)")
        assert len(text(done)) < 60_000 and "more was printed than is kept" in text(done)
        done = await call("run_python", code="open('f', 'wb').write(bytes(10 ** 7))")
        assert done.is_error and "no more room for files" in text(done)

    serve(python, body, max_memory=128 << 20, max_output=1 << 16, max_files=1 << 20)


def test_fuel_is_counted(python):
    """For each piece of code, in sessions too."""

    async def body(call):
        for _ in range(2):
            assert not (await call("run_in_session", session="a", code="1")).is_error
        assert "stopped (fuel)" in text(await call("run_in_session", session="a", code=SPIN))
        assert "stopped (fuel)" in text(await call("run_python", code=SPIN))

    serve(python, body, fuel=300_000_000)


def test_more_than_can_be_done_is_refused_and_the_rest_is_answered(python):
    """A hundred at once: those that fit run, in turn."""

    async def body(call):
        results = await asyncio.gather(*(call("run_python", code=f"print({i})") for i in range(100)))
        done = [text(result) for result in results if not result.is_error]
        assert done == [f"{i}\n" for i in range(len(done))] and len(done) == 12
        assert all("too much code" in text(result) for result in results if result.is_error)
        assert text(await call("run_python", code="print('again')")) == "again\n"

    serve(python, body, running=2, waiting=10)


def test_the_hosts_tools_and_folders_are_there_for_the_code(python, tmp_path):
    """As for ``Python.run``, gate included."""
    (tmp_path / "x.txt").write_text("data")

    def price(item: str) -> float:
        if item == "gold":
            raise ToolError("we have none")
        return 3.5

    async def body(call):
        code = "from host import tools\n[tools.price('tea'), open('/data/x.txt').read()]"
        for tool, more in (("run_python", {}), ("run_in_session", {"session": "a"})):
            assert text(await call(tool, code=code, **more)) == "[value] [3.5, 'data']\n"
        assert "we have none" in text(await call("run_python", code="from host import tools\ntools.price('gold')"))
        assert "refused" in text(await call("run_python", code="from host import tools\ntools.price('lead')"))

    gate = lambda tool, arguments: arguments["item"] != "lead"  # noqa: E731
    serve(python, body, tools=[price], gate=gate, dirs={str(tmp_path): "/data"})


def test_behind_the_second_wall_it_is_the_same():
    """Runs, sessions, and what ends one."""

    async def body(call):
        assert text(await call("run_python", code="6 * 7")) == "[value] 42\n"
        await call("run_in_session", session="a", code="x = 1")
        assert text(await call("run_in_session", session="a", code="x")) == "[value] 1\n"
        assert "variables are lost" in text(await call("run_in_session", session="a", code=SPIN, seconds=0.3))
        assert "NameError" in text(await call("run_in_session", session="a", code="x"))

    serve(Python(isolate=True), body)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"timeout": "5"}, TypeError, "timeout must be a number of seconds"),
        ({"timeout": None}, TypeError, "timeout must be a number of seconds"),
        ({"max_memory": -1}, ValueError, "max_memory"),
        ({"max_calls": "many"}, TypeError, "max_calls"),
        ({"dirs": {"absent": "/data"}}, FileNotFoundError, "absent"),
        ({"tools": print}, TypeError, "tools must be a list"),
        ({"gate": 5}, TypeError, "gate must be callable"),
    ],
)
def test_settings_that_are_wrong_are_refused_before_anything_is_served(python, wrong, error, words):
    """Not at a call, where a model would read it."""
    with pytest.raises(error, match=words):
        make_server(python, Settings(**wrong))


def test_code_that_ends_its_session_is_told(python):
    """``exit()`` is no failure, but the names are gone."""

    async def main():
        async with Client(make_server(python, Settings(timeout=60, tools=iter([])))) as client:
            arguments = {"session": "a", "code": "x = 1\nexit()"}
            return await client.call_tool("run_in_session", arguments)

    answer = asyncio.run(main())
    assert not answer.is_error and answer.structured_content["session_ended"]
    assert answer.content[0].text == ENDED


def test_a_python_without_sessions_serves_none(program):
    """Asked for, they are refused when the server is made; without them there is one tool."""
    plain = Python(program("python.wasm"))
    with pytest.raises(GuestRefused, match="session"):
        make_server(plain, Settings())

    async def main():
        async with Client(make_server(plain, Settings(sessions=0))) as client:
            return [tool.name for tool in (await client.list_tools()).tools]

    assert asyncio.run(main()) == ["run_python"]


def test_over_pipes_code_runs_and_cancelling_ends_it():
    """With folders, a session that goes on, and one that is begun anew behind a cancelled call."""

    async def main():
        async with connected("--timeout", "60", "--sessions", "1", "--env", "X=1") as client:

            async def call(code, tool="run_in_session", **more):
                return text(await client.call_tool(tool, {"code": code, "session": "a", **more}))

            assert await call("import os; print('{\"jsonrpc\": \"2.0\"}'); os.environ['X']") == (
                '{"jsonrpc": "2.0"}\n[value] \'1\'\n'
            )
            spinning = asyncio.ensure_future(call(SPIN))
            await asyncio.sleep(1)
            spinning.cancel()
            with pytest.raises(asyncio.CancelledError):
                await spinning
            begin = time.monotonic()
            assert await call("1 + 1") == "[value] 2\n"
            assert time.monotonic() - begin < 60

    asyncio.run(main())


def test_a_client_that_goes_away_takes_the_server_with_it():
    """Although code runs, and other code waits."""

    async def main():
        async with connected() as client:
            calls = [asyncio.ensure_future(client.call_tool("run_python", {"code": SPIN})) for _ in range(6)]
            await asyncio.sleep(2)
            begin = time.monotonic()
            for call in calls:
                call.cancel()
        return time.monotonic() - begin

    assert asyncio.run(main()) < 15


class Raw:
    """The command without a client's library."""

    def __init__(self, *options):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen([*COMMAND, *options], env={**os.environ, **PATH}, **pipes)
        self.errors = []
        self._reader = threading.Thread(target=lambda: self.errors.append(self.process.stderr.read()))
        self._reader.start()

    def __enter__(self):
        self.say({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": INITIALIZE})
        assert self.hear()["id"] == 0
        self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()

    def say(self, message):
        """A line, whatever it is."""
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def call(self, code, number):
        """Ask for code to be run."""
        params = {"name": "run_python", "arguments": {"code": code}}
        self.say({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})

    def hear(self):
        """The next message."""
        return json.loads(self.process.stdout.readline())

    def answer(self, number):
        """The answer to a request; others are passed over."""
        while (message := self.hear()).get("id") != number:
            pass
        return message


INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}


@pytest.fixture
def raw(python):
    """A server that has been greeted."""
    with Raw() as server:
        yield server


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b"",
        b"\0\xff\xfe",
        b"[" * 100_000,
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "exec", "arguments": {}}}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "run_python", "arguments": []}}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "run", "params": null}',
        b'{"jsonrpc": "2.0", "id": {}, "method": "tools/list"}',
        b'{"jsonrpc": "2.0", "id": 5, "result": {}}',
        b'{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 77}}',
        b'{"code": "' + b"x" * (8 << 20) + b'"}',
    ],
    ids=range(12),
)
def test_what_is_no_message_ends_nothing(raw, line):
    """The next call is answered."""
    raw.say(line)
    raw.call("print('alive')", 99)
    assert raw.answer(99)["result"]["content"][0]["text"] == "alive\n"


def test_half_of_a_surrogate_pair_is_no_code(raw):
    """It is refused by name, wherever it is; a whole one is a character, and the next call is answered."""
    place = b'{"jsonrpc": "2.0", "id": %d, "method": "tools/call", "params": {"name": "run_python", "arguments": {%s}}}'
    raw.say(place % (1, rb""""code": "'\ud800'" """))
    answer = raw.answer(1)["result"]
    assert answer["isError"] and "code has half of a surrogate pair" in answer["content"][0]["text"]
    raw.say(place % (2, rb""""code": "1", "x\udfff": 1 """))
    answer = raw.answer(2)["result"]
    assert answer["isError"] and "x\uffff" in answer["content"][0]["text"]
    raw.say(place % (3, rb""""code": "len('\ud83d\ude00')" """))
    assert raw.answer(3)["result"]["content"][0]["text"] == "[value] 1\n"


def test_a_client_that_reads_no_more_is_gone(raw):
    """The server ends as at the end of its input, and says nothing."""
    raw.call(SPIN, 1)
    raw.process.stdout.close()
    raw.call("1", 2)
    assert raw.process.wait(60) == 0
    raw._reader.join()
    assert raw.errors[0] == b""


@pytest.mark.parametrize("ending", ["eof", "interrupt", "terminate"])
def test_the_server_ends_when_it_is_told_although_code_runs(raw, ending):
    """By the end of its input, Ctrl-C, or a signal; without a traceback, within seconds."""
    raw.call(SPIN, 1)
    raw.call("1", 2)
    raw.answer(2)
    begin = time.monotonic()
    if ending == "eof":
        raw.process.stdin.close()
    else:
        raw.process.send_signal(signal.SIGINT if ending == "interrupt" else signal.SIGTERM)
    code = raw.process.wait(60)
    assert time.monotonic() - begin < 60
    assert code == {"eof": 0, "interrupt": 130, "terminate": -signal.SIGTERM}[ending]
    raw._reader.join()
    assert b"Traceback" not in raw.errors[0]


def test_a_message_without_end_ends_the_connection():
    """It is not kept for ever: what comes behind the longest message there may be is not read."""
    code = "from stratavm.adapters import streams\nstreams.EndingInput.__init__.__defaults__ = (1 << 20,)"
    code += "\nfrom stratavm.cli.main import main\nraise SystemExit(main(['mcp']))"
    piece = b"x" * (1 << 16)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **PATH},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        written = 0
        with pytest.raises(BrokenPipeError):
            while written < 1 << 28:
                written += process.stdin.write(piece)
                process.stdin.flush()
        with suppress(BrokenPipeError):
            process.stdin.close()
        assert process.stdout.read() == b""
        assert b"a message has more than 67108864 bytes" in process.stderr.read()
        assert process.wait(60) == 1
    assert written < 8 << 20


def test_what_is_wrong_with_the_command(strata, tmp_path, monkeypatch):
    """Is said in a line, before anything is served."""
    monkeypatch.chdir(tmp_path)
    for words, said in (
        (("--grant", "."), "a folder has a path of its own"),
        (("--grant", "absent::/data"), "absent: No such file or directory"),
        (("--sessions", "-1"), "sessions"),
        (("--sessions", "many"), "number of sessions from 0 to 1000"),
        (("--timeout", "0"), "positive number of seconds"),
        (("--warm", "1 / 0"), "ZeroDivisionError"),
        (("--guest", "absent.wasm"), "absent.wasm"),
    ):
        code, out, err = strata("mcp", *words)
        assert code and out == "" and said in err and 'Traceback (most recent call last):\n  File "/' not in err, words


def test_without_the_sdk_the_command_says_what_to_install():
    """With pip's line, as the adapter does."""
    code = "import sys; sys.modules['mcp'] = None\nfrom stratavm.cli.main import main\n"
    code += "raise SystemExit(main(['mcp']))"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **PATH}, capture_output=True, text=True)
    assert done.returncode == 1 and "pip install 'mcp>=" in done.stderr and "Traceback" not in done.stderr
