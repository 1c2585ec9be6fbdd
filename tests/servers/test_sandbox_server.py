"""The example server: scripts of strangers over HTTP, with a real client, and its page in a real browser."""

import asyncio
import json
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from itertools import islice
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from starlette.requests import ClientDisconnect

import stratavm
from examples.sandbox_server.languages import LANGUAGES
from examples.sandbox_server.runner import Runner, Script, Settings
from examples.sandbox_server.server import Output, create_app, listen
from tests import needed

pytestmark = pytest.mark.trace_slow
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SPIN = "while (true) {}"
PATIENCE_S = 300.0


class Served:
    """A server in a thread of its own."""

    def __init__(self, settings):
        self.app = create_app(settings)
        self._socket = listen("127.0.0.1", 0, settings.patience)
        self.address = self._socket.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_level="critical"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self):
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)
        self.client = httpx.Client(base_url=self.url, timeout=2 * PATIENCE_S)
        return self

    def __exit__(self, *error):
        self.client.close()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    @property
    def connections(self):
        """How many the server has, but for that of the client."""
        return len(self._server.server_state.connections) - bool(self.client._transport._pool.connections)

    @property
    def runner(self):
        return self.app.state.runner

    def close_pools(self):
        """What runs ends with its call interrupted, what waits is refused."""
        for pool in self.runner.pools.values():
            pool._loop.call_soon_threadsafe(pool.close)

    def run(self, code, language="javascript", tenant="test", **more):
        """What ``/run`` answers."""
        body = {"language": language, "code": code, **more}
        return self.client.post("/run", json=body, headers={"x-tenant": tenant})


def settings(**changes):
    """One language, and times that no slow machine reaches by chance."""
    policy = {"overload": "shed", "min_ready": 2, "timeout": PATIENCE_S} | changes.pop("policy", {})
    return Settings(**({"languages": ("javascript",), "policy": stratavm.Policy(**policy)} | changes))


@pytest.fixture(scope="module")
def server(program):
    program("quickjs.wasm")
    with Served(settings()) as served:
        yield served


@pytest.mark.parametrize(
    ("code", "output", "exit_code"),
    [
        ("console.log(6 * 7)", "42\n", 0),
        ("print('été')", "été\n", 0),
        ("throw new Error('mine')", "Error: mine", 1),
        ("let a = []; for (;;) a.push(new Array(100000).fill(1))", "out of memory", 1),
        ("}", "SyntaxError", 1),
    ],
)
def test_a_script_is_run_and_its_output_comes_back(server, code, output, exit_code):
    """What it prints, errors included, and how it ended."""
    answer = server.run(code).json()
    assert output in answer["output"] and (answer["reason"], answer["exit_code"]) == ("exit", exit_code)


def test_each_script_has_a_world_of_its_own(server):
    """Nothing of one is seen by the next."""
    assert server.run("globalThis.x = 1; console.log(typeof x)").json()["output"] == "number\n"
    assert server.run("console.log(typeof globalThis.x)").json()["output"] == "undefined\n"


def test_output_without_end_is_cut(server):
    """At the limit, and the guest ends there."""
    answer = server.run("for (;;) console.log('again'.repeat(1000))").json()
    assert answer["reason"] == "output" and len(answer["output"]) == 64 << 10


def test_output_up_to_the_limit_is_whole(server):
    """A byte more is too much."""
    for size, reason in ((8191, "exit"), (8192, "output")):
        code = f"for (let i = 0; i < 7; i++) console.log('x'.repeat(8191)); console.log('x'.repeat({size}))"
        answer = server.run(code).json()
        assert (answer["reason"], len(answer["output"])) == (reason, 64 << 10)


def test_a_script_that_never_ends_is_ended(program):
    """When its time is over."""
    program("quickjs.wasm")
    with Served(settings(policy={"timeout": 2.0})) as served:
        assert served.run(SPIN).json()["reason"] == "timeout"


def test_scripts_that_never_end_disturb_nobody(program):
    """Others are answered while they run."""
    program("quickjs.wasm")
    with Served(settings()) as served, ThreadPoolExecutor(3) as executor:
        bad = [executor.submit(served.run, SPIN, tenant="eve") for _ in range(3)]
        while served.runner.pools["javascript"].metrics().running < 3:
            time.sleep(0.01)
        for i in range(5):
            assert served.run(f"console.log({i})", tenant="ann").json()["output"] == f"{i}\n"
        assert not any(future.done() for future in bad)
        served.close_pools()
        assert {future.result().json()["reason"] for future in bad} == {"trap"}


def test_more_than_can_be_done_is_refused(program):
    """With 429 and when to come again; what was begun goes on."""
    program("quickjs.wasm")
    policy = {"min_running": 1, "max_running": 1, "spare": 0, "max_queued": 1, "min_ready": 0}
    with Served(settings(policy=policy)) as served, ThreadPoolExecutor(6) as executor:
        pending = {executor.submit(served.run, SPIN) for _ in range(6)}
        refused = [done.result() for done in islice(as_completed(pending), 4)]
        assert [(a.status_code, a.headers["retry-after"]) for a in refused] == [(429, "1")] * 4
        assert sum(not future.done() for future in pending) == 2
        served.close_pools()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"no json", 400),
        (b"[]", 400),
        (b'{"language": "javascript"}', 400),
        (b'{"language": "javascript", "code": 3}', 400),
        (b'{"language": "javascript", "code": "1", "stdin": "\\ud800"}', 400),
        (b'{"language": "javascript", "code": "\\ud800"}', 400),
        (b"[" * 60_000, 400),
        (b'{"language": "cobol", "code": ""}', 404),
        (b" " * (257 << 10), 413),
    ],
)
def test_what_is_no_request_is_refused(server, body, status):
    """Before anything runs."""
    before = server.runner.pools["javascript"].metrics().completed
    assert server.client.post("/run", content=body).status_code == status
    assert server.runner.pools["javascript"].metrics().completed == before


def test_output_is_streamed_as_it_comes(server):
    """The last line says how it ended."""
    body = {"language": "javascript", "code": "for (let i = 0; i < 3; i++) console.log(i)"}
    with server.client.stream("POST", "/stream", json=body) as answer:
        assert "".join(answer.iter_text()) == "0\n1\n2\n\n[exit 0]\n"


def test_a_reader_who_goes_away_ends_the_guest(server):
    """Its slot is free again, long before its time is over."""
    pool = server.runner.pools["javascript"]
    with server.client.stream(
        "POST", "/stream", json={"language": "javascript", "code": "for (;;) console.log(1)"}
    ) as a:
        assert next(a.iter_text())
        assert pool.metrics().running == 1
    while pool.metrics().running:
        time.sleep(0.01)
    assert pool.metrics().cancelled >= 1


def test_a_reader_who_reads_nothing_is_given_up(program):
    """Its connection, its task and its output are let go, and the server goes on."""
    program("quickjs.wasm")
    body = json.dumps({"language": "javascript", "code": "for (;;) console.log('x'.repeat(10000))"}).encode()
    head = f"POST /stream HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with Served(settings(patience=0.3)) as served, closing(socket.create_connection(served.address)) as deaf:
        deaf.sendall(head + body)
        pool = served.runner.pools["javascript"]
        while not pool.metrics().cancelled or served.connections:
            time.sleep(0.01)
        assert served.run("console.log(1)").json()["output"] == "1\n"


def test_a_stream_ends_where_nothing_is_taken_of_it():
    """Whatever it is made of is closed."""
    ended = []

    async def pieces():
        try:
            while True:
                yield b"x"
        finally:
            ended.append(True)

    async def send(message):
        if message["type"] == "http.response.body":
            await asyncio.get_running_loop().create_future()

    async def main():
        with pytest.raises((OSError, ClientDisconnect)):
            await Output(pieces(), 0.01)({"type": "http", "asgi": {"spec_version": "2.4"}}, None, send)
        assert ended == [True]

    asyncio.run(main())


def test_metrics_are_served(server):
    """With the pool of each language."""
    needed.module("prometheus_client")
    server.run("1")
    text = server.client.get("/metrics/").text
    assert 'strata_pool_calls_total{engine="sandbox",outcome="completed",pool="javascript"}' in text


def test_python_runs_too(program):
    """With input, and files that are gone afterwards."""
    program("python.wasm")
    with Served(settings(languages=("python",))) as served:
        answer = served.run("print(input().upper()); open('/x', 'w').write('1')", "python", stdin="hello").json()
        assert (answer["output"], answer["exit_code"]) == ("HELLO\n", 0)
        assert "False" in served.run("import os; print(os.path.exists('/x'))", "python").json()["output"]
        assert (
            "Error"
            in served.run("import socket; socket.create_connection(('127.0.0.1', 1))", "python").json()["output"]
        )


def test_a_thousand_scripts_at_once_one_of_which_never_ends(program):
    """All others are answered."""
    program("quickjs.wasm")

    async def main():
        async with Runner(settings(policy={"overload": "wait", "max_queued": 2000})) as runner:
            spin = asyncio.create_task(runner.answer(Script("javascript", SPIN, tenant="eve")))
            scripts = [Script("javascript", f"console.log({i})", tenant=f"user {i % 50}") for i in range(999)]
            answers = await asyncio.gather(*map(runner.answer, scripts))
            assert [printed for _, printed in answers] == [f"{i}\n".encode() for i in range(999)]
            assert not spin.done()
            spin.cancel()
            await asyncio.wait([spin])

    asyncio.run(main())


def test_the_page_runs_a_script_in_a_browser(server, tmp_path):
    """Chromium loads it, its script asks the server, and the answer is on the page."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    url = f"{server.url}/?language=javascript&code={quote('console.log(6 * 7)')}"
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=20000",
    ]
    done = subprocess.run([browser, *options, "--dump-dom", url], capture_output=True, text=True, timeout=110)
    assert '<pre id="output" role="status">42\n</pre>' in done.stdout, done.stderr[-2000:]
    assert "exit, 0" in done.stdout


def test_the_page_has_an_example_for_each_language(server):
    """And comes as HTML."""
    page = server.client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert all(f"  {name}: {{" in page.text for name in LANGUAGES)
    assert server.client.get("/languages").json() == ["javascript"]
