"""The example server: scripts of strangers over HTTP, with a real client, and its page in a real browser."""

import asyncio
import json
import shutil
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from itertools import islice
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from starlette.requests import ClientDisconnect

import stratavm
from examples.sandbox_server import science
from examples.sandbox_server.command import run
from examples.sandbox_server.connections import timely
from examples.sandbox_server.languages import LANGUAGES
from examples.sandbox_server.runner import Runner, Script, Settings
from examples.sandbox_server.science import Limit, ScienceSettings
from examples.sandbox_server.server import Output, create_app, listen
from examples.sandbox_server.turns import Turns
from examples.serving.ending import SIGNALS, Ending
from tests import needed
from tests.programs.pythons import MODULE
from tests.servers.browser import BROWSERS, Browser

pytestmark = pytest.mark.trace_slow
SPIN = "while (true) {}"
PATIENCE_S = 300.0


class Served:
    """A server in a thread of its own."""

    def __init__(self, settings):
        self.app = create_app(settings)
        self._socket = listen("127.0.0.1", 0, settings.patience)
        self.address = self._socket.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self._server = uvicorn.Server(uvicorn.Config(self.app, http=timely(settings.patience), log_level="critical"))
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


def test_a_body_that_is_announced_too_long_is_not_waited_for(server):
    """Nothing of it is ever sent."""
    with closing(socket.create_connection(server.address)) as connection:
        connection.settimeout(PATIENCE_S)
        connection.sendall(b"POST /run HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_goes_away_in_the_middle_of_its_body_is_no_fault_of_the_server(server):
    """Nothing is raised that a log would have to tell."""
    heard = []

    async def receive():
        return {"type": "http.disconnect"} if heard else heard.append("half") or {
            "type": "http.request", "body": b"{", "more_body": True
        }  # fmt: skip

    async def send(message):
        heard.append(message.get("status"))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/run",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    asyncio.run(server.app(scope, receive, send))
    assert 400 in heard


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
        pieces = a.iter_text()  # the client's library closes the connection as soon as nobody has this
        assert next(pieces)
        assert pool.metrics().running == 1
    while pool.metrics().running:
        time.sleep(0.01)
    assert pool.metrics().cancelled >= 1


def test_a_reader_who_reads_nothing_is_given_up(program):
    """Its connection, its task and its output are let go, and the server goes on."""
    program("quickjs.wasm")
    body = json.dumps({"language": "javascript", "code": "for (;;) console.log('x'.repeat(10000))"}).encode()
    head = f"POST /stream HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n\r\n".encode()
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


@pytest.fixture(scope="module")
def scientific(program):
    """A server of Python with numpy and its friends."""
    program(MODULE)
    limits = {"seconds": Limit(1, 60, 90), "memory_mib": Limit(64, 256, 512), "output_kib": Limit(1, 64, 128)}
    chosen = ScienceSettings(limits=limits, warm="", running=2, waiting=2, kept=3)
    with Served(Settings(languages=("science",), science=chosen)) as served:
        yield served


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A real one, where there is one."""
    if not any(map(shutil.which, BROWSERS)):
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with Browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


def test_the_page_runs_a_script_in_a_browser(server, browser):
    """A link fills it, a click runs it, and the answer is on the page."""
    page = browser.open(f"{server.url}/?language=javascript&code={quote('console.log(6 * 7)')}")
    page.until("document.body.dataset.ready === 'yes'")
    assert page.ask("document.getElementById('output').textContent") == ""  # no link runs anything by itself
    page.ask("document.getElementById('run').click()")
    page.until("!document.getElementById('run').disabled")
    assert page.ask("document.getElementById('output').textContent") == "42\n"
    assert page.ask("document.getElementById('ending').textContent").startswith("exit, 0")
    assert page.ask("document.getElementById('limits').hidden") is True


def test_the_page_shows_a_plot_and_its_sliders_are_capped(scientific, browser):
    """Of code, output and value; a picture that the browser decodes; limits as far as the server lets them."""
    page = browser.open(scientific.url)
    page.until("document.body.dataset.ready === 'yes'")
    page.ask("document.getElementById('code').value += '\\nprint(\"plotted\")\\n{\"x\": [1]}'")
    assert page.ask("['min', 'max', 'value'].map(of => document.getElementById('memory_mib')[of])") == [
        "64",
        "512",
        "256",
    ]
    page.ask("document.getElementById('memory_mib').value = 100000")
    page.ask("document.getElementById('memory_mib').oninput()")
    assert page.ask("document.getElementById('memory_mib-shown').textContent") == "512 MiB"
    page.ask("document.getElementById('run').click()")
    page.until("!document.getElementById('run').disabled")
    assert page.ask("document.getElementById('output').textContent") == "plotted\n"
    assert page.ask("document.getElementById('value').textContent") == 'value: {"x": [1]}'
    page.until("document.querySelector('#pictures img')?.naturalWidth === 640")
    assert page.ask("document.querySelector('#pictures img').alt") == "wave.png"
    assert page.picture().startswith(b"\x89PNG")


def test_markup_of_a_script_is_text_in_the_browser(scientific, browser):
    """What it prints, and what it calls a picture, makes no element; nothing of another place is loaded or run."""
    page = browser.open(f"{scientific.url}/?language=science")
    page.until("document.body.dataset.ready === 'yes'")
    code = (
        "open('x.svg', 'w').write('<svg onload=alert(1)>')\nopen('y.png', 'w').write('<html>')\n"
        "print('<img src=x onerror=document.title=1><script>document.title=1</script>')\n'<b>value</b>'"
    )
    page.ask(f"document.getElementById('code').value = {json.dumps(code)}")
    page.ask("document.getElementById('run').click()")
    page.until("!document.getElementById('run').disabled")
    assert page.ask("document.getElementById('output').textContent").startswith("<img src=x")
    assert page.ask("document.querySelectorAll('pre *, #value *, #pictures *, #ending *').length") == 0
    assert page.ask("document.title") == "Sandbox"
    page.ask("document.body.append(Object.assign(document.createElement('script'), {text: 'document.title = 2'}))")
    assert page.ask("document.title") == "Sandbox"


def test_science_answers_with_all_that_there_is(scientific):
    """Text, numbers, names of files; limits are those of the server."""
    code = "import numpy as np\nprint(input())\nopen('a.txt', 'w').write('x')\nfloat(np.ones(3).sum())"
    wanted = {"seconds": 10**9, "memory_mib": 1, "output_kib": 2.5}
    answer = scientific.run(code, "science", stdin="typed", limits=wanted).json()
    assert (answer["output"], answer["value"], answer["files"]) == ("typed\n", "3.0", {"a.txt": 1})
    assert answer["limits"] == {"seconds": 90, "memory_mib": 64, "output_kib": 2}
    assert (answer["reason"], answer["exit_code"], answer["pictures"]) == ("exit", 0, [])


@pytest.mark.parametrize(
    ("code", "limits", "reason", "words"),
    [
        (("while True: pass"), {"seconds": 1}, "timeout", ""),
        ("bytes(10 ** 9)", {"memory_mib": 64}, "memory", ""),
        ("1 / 0", {}, "exit", "ZeroDivisionError: division by zero"),
        ("import socket; socket.create_connection(('127.0.0.1', 1))", {}, "exit", "Error"),
        ("print(open('/etc/passwd').read())", {}, "exit", "FileNotFoundError"),
        ("print('x' * 10 ** 7)", {"output_kib": 1}, "exit", "xxx"),
    ],
)
def test_science_is_limited(scientific, code, limits, reason, words):
    """By what a request asks for, where that is less."""
    answer = scientific.run(code, "science", limits=limits).json()
    assert answer["reason"] == reason and words in answer["output"] and len(answer["output"]) <= 64 << 10


def test_pictures_are_checked_made_anew_and_let_go(scientific):
    """As ``image/png`` that nobody guesses at; what is none is a file with a name."""
    code = """
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.savefig('plot.png', metadata={'Comment': '<script>'})
open('fake.png', 'w').write('<html><script>alert(1)</script>')
open('x.svg', 'w').write('<svg onload=alert(1)>')
"""
    answer = scientific.run(code, "science").json()
    (first,) = answer["pictures"]
    assert first["path"] == "plot.png" and sorted(answer["files"]) == ["fake.png", "plot.png", "x.svg"]
    got = scientific.client.get(f"/pictures/{first['name']}")
    assert got.content.startswith(b"\x89PNG") and b"<script>" not in got.content
    assert got.headers["content-type"] == "image/png" and "no-store" in got.headers["cache-control"]
    for _ in range(3):  # three are kept
        assert scientific.run(code, "science").json()["pictures"]
    assert scientific.client.get(f"/pictures/{first['name']}").status_code == 404
    assert scientific.client.get("/pictures/..%2Fserver.py").status_code == 404


def test_files_that_are_long_to_look_at_hold_up_nobody(scientific):
    """Sixty bombs of a picture: some are looked at, beside the loop."""
    code = """
import struct, zlib
def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
pack = zlib.compressobj(1)
packed = b"".join(pack.compress(bytes(1 << 20)) for _ in range(64)) + pack.flush()
header = struct.pack(">IIBBBBB", 4096, 4095, 8, 6, 0, 0, 0)
data = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
for number in range(min(60, (12 << 20) // len(data))):
    open(f"{number}.png", "wb").write(data)
"""
    with ThreadPoolExecutor(2) as executor:
        bombs = executor.submit(scientific.run, code, "science")
        slowest = 0.0
        while not bombs.done():
            begin = time.monotonic()
            assert scientific.client.get("/languages").json() == ["science"]
            slowest = max(slowest, time.monotonic() - begin)
        answer = bombs.result().json()
    assert answer["exit_code"] == 0 and len(answer["files"]) > 10 and answer["pictures"] == []
    assert slowest < 20, "all of them take longer by far"


def test_more_science_than_there_is_room_for_is_refused(scientific, monkeypatch):
    """Two run, two wait."""
    refused, pictures = threading.Event(), science.pictures
    monkeypatch.setattr(science, "pictures", lambda *given: refused.wait(PATIENCE_S) and pictures(*given))
    with ThreadPoolExecutor(8) as executor:
        pending = [executor.submit(scientific.run, "1", "science") for _ in range(8)]
        answers = [done.result() for done in islice(as_completed(pending), 4)]
        refused.set()
        answers += [done.result() for done in pending if done.result() not in answers]
    assert [answer.status_code for answer in answers] == [429] * 4 + [200] * 4


@pytest.mark.parametrize(
    "limits", ["much", [1], {"seconds": "1"}, {"seconds": True}, {"memory_mib": None, "seconds": []}]
)
def test_limits_are_numbers(scientific, limits):
    """Or the request is none."""
    assert scientific.run("1", "science", limits=limits).status_code == 400
    assert (
        scientific.client.post(
            "/run", content=b'{"language": "science", "code": "", "limits": {"seconds": NaN}}'
        ).status_code
        == 400
    )


def test_limits_that_there_are_not_are_named(scientific):
    """Who asks for one in other words believes that it holds."""
    answer = scientific.run("1", "science", limits={"seconds": 1, "memory": 64})
    assert answer.status_code == 400
    assert answer.text == "no limit 'memory'; there are: seconds, memory_mib, output_kib"


def test_science_has_no_stream(scientific):
    """It says so."""
    answer = scientific.client.post("/stream", json={"language": "science", "code": "1"})
    assert answer.status_code == 400 and "POST /run" in answer.text


def test_what_a_browser_may_make_of_answers(scientific):
    """Each of them, errors and refusals too."""
    for path in ("/", "/page.js", "/page.css", "/languages", "/limits", "/pictures/x", "/nowhere"):
        for host in ({}, {"host": "evil.example"}):
            answer = scientific.client.get(path, headers=host)
            assert answer.headers["x-content-type-options"] == "nosniff", path
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "unsafe" not in answer.headers["content-security-policy"]
    assert scientific.client.get("/page.js").headers["content-type"].startswith("text/javascript")
    assert "<script>" not in scientific.client.get("/").text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:80"}, 421),
        ({"host": "evil.example@127.0.0.1"}, 421),
        ({"host": "127.0.0.1:80:80"}, 421),
        ({"host": ""}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_other_pages_and_other_names_are_refused(scientific, headers, status):
    """Before anything runs: a page that somebody visits cannot have this server run code, nor by a name of its own."""
    body = {"language": "science", "code": "1"}
    assert scientific.client.post("/run", json=body, headers=headers).status_code == status


def test_a_second_word_on_where_a_request_comes_from_counts(scientific):
    """Browsers say one; whoever says two has the worse one."""
    headers = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]
    for said in (headers, headers[::-1]):
        answer = scientific.client.post("/run", json={"language": "science", "code": "1"}, headers=said)
        assert answer.status_code == 403


HALVES = {
    "nothing": b"",
    "a head": b"POST /run HTTP/1.1\r\nHost: 127.0.0.1\r\nX-More: ",
    "a body": b"POST /run HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
    "a second head": b"GET /languages HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /lang",
}


def test_half_requests_do_not_stay_open(program):
    """Each holds a descriptor: a head, or a body, has its time, which more of it does not begin anew."""
    program("quickjs.wasm")
    with Served(Settings(languages=("javascript",), patience=3.0)) as served:
        open_ones = []
        for sent in HALVES.values():
            one = socket.create_connection(served.address)
            one.sendall(sent)
            one.settimeout(60)
            open_ones.append(one)
        begin = time.monotonic()
        for _ in range(4):  # longer than the patience, together
            time.sleep(1.0)
            with suppress(OSError):
                open_ones[1].sendall(b"x")
        said = [b"".join(iter(lambda one=one: received(one), b"")) for one in open_ones]
        assert time.monotonic() - begin < 60
        assert said[0] == said[1] == b"" and said[2].startswith(b"HTTP/1.1 408") and said[3].startswith(b"HTTP/1.1 200")
        assert served.run("console.log(1)").status_code == 200, "others go on"


def received(connection):
    """Some of what comes; nothing at the end, however that is."""
    try:
        return connection.recv(1 << 16)
    except ConnectionError:
        return b""


def test_a_client_that_goes_away_ends_its_script(scientific):
    """What nobody waits for is not run to the end: its turn is another's."""
    body = json.dumps({"language": "science", "code": "while True: pass", "limits": {"seconds": 90}}).encode()
    head = f"POST /run HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    turns = scientific.runner.science._turns
    gone = [socket.create_connection(scientific.address) for _ in range(2)]
    for one in gone:
        one.sendall(head + body)
    begin = time.monotonic()
    while turns._free and time.monotonic() - begin < 60:
        time.sleep(0.02)
    assert not turns._free, "both run"
    for one in gone:
        one.close()
    while turns._free < 2 and time.monotonic() - begin < 60:
        time.sleep(0.02)
    assert turns._free == 2 and time.monotonic() - begin < 60
    assert scientific.run("1", "science").json()["value"] == "1"


def test_turns_are_by_tenant():
    """One who asks much waits for others, and gives up places to them; what is cancelled takes no turn along."""
    order = []

    async def ask(turns, tenant):
        async with turns.turn(tenant):
            order.append(tenant)
            await asyncio.sleep(0)

    async def main():
        turns = Turns(1, 4)
        async with turns.turn("first"):
            many = [asyncio.create_task(ask(turns, "many")) for _ in range(5)]
            await asyncio.sleep(0)
            assert many[4].done() and many[4].exception().reason == "full", "of five there are four places"
            others = [asyncio.create_task(ask(turns, name)) for name in ("one", "two")]
            await asyncio.sleep(0.01)
            assert [task.done() for task in many] == [False, False, True, True, True]
            assert {task.exception().reason for task in many[2:]} == {"full"}
            late = asyncio.create_task(ask(turns, "many"))
            await asyncio.sleep(0)
            assert late.exception().reason == "full", "nobody has more than it would have then"
            others[1].cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*many, *others, return_exceptions=True)
        assert order == ["many", "one", "many"] and turns._free == 1 and not turns._waiting
        async with turns.turn("first"):
            waiting = asyncio.create_task(ask(turns, "one"))
            await asyncio.sleep(0)
        waiting.cancel()  # it was let in just now
        await asyncio.gather(waiting, return_exceptions=True)
        assert turns._free == 1
        async with turns.turn("first"):
            two = [asyncio.create_task(ask(turns, name)) for name in ("one", "two")]
            await asyncio.sleep(0)
            two[0].cancel()  # and the turn is passed on before its task knows
        said = await asyncio.gather(*two, return_exceptions=True)
        assert isinstance(said[0], asyncio.CancelledError) and said[1] is None
        assert order[-1] == "two" and turns._free == 1 and not turns._waiting
        async with turns.turn("first"):
            many = [asyncio.create_task(ask(turns, "many")) for _ in range(4)]
            await asyncio.sleep(0)
            other = asyncio.create_task(ask(turns, "other"))
            many[3].cancel()  # and its place is given to another before its task knows
            await asyncio.sleep(0.01)
            assert many[3].cancelled() and not other.done()
        assert await asyncio.gather(*many[:3], other) == [None] * 4
        assert turns._free == 1 and not turns._waiting

    asyncio.run(main())


def test_who_goes_away_while_its_pictures_are_looked_at_keeps_its_turn(monkeypatch):
    """A thread cannot be ended: as long as it works nobody else runs in its place."""
    begun, done = threading.Event(), threading.Event()

    class Ran:
        files = ()

        async def run_async(self, *_, **__):
            return self

    monkeypatch.setattr(science, "pictures", lambda files, most: (begun.set(), done.wait(60)))

    async def main():
        runner = science.Science(ScienceSettings(running=1))
        runner._python = Ran()
        limits = runner.limits(None)
        asked = asyncio.create_task(runner.answer("", b"", "one", limits))
        await asyncio.to_thread(begun.wait, 60)
        asked.cancel()
        await asyncio.sleep(0.01)
        assert not asked.done() and not runner._turns._free
        done.set()
        await asyncio.gather(asked, return_exceptions=True)
        assert asked.cancelled() and runner._turns._free == 1

    asyncio.run(main())


def test_its_own_page_and_programs_are_answered(scientific):
    """By the names of this machine; pages of others may link to it."""
    body, port = {"language": "science", "code": "1"}, scientific.address[1]
    for headers in (
        {"origin": scientific.url, "sec-fetch-site": "same-origin"},
        {"host": f"localhost:{port}", "origin": f"http://localhost:{port}"},
        {"host": f"[::1]:{port}"},
        {"sec-fetch-site": "none"},
    ):
        assert scientific.client.post("/run", json=body, headers=headers).status_code == 200, headers
    assert scientific.client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200


def test_the_page_has_an_example_for_each_language(server):
    """And comes as HTML."""
    page = server.client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    script = server.client.get("/page.js").text
    assert all(f"  {name}: {{" in script for name in (*LANGUAGES, "science"))
    assert server.client.get("/languages").json() == ["javascript"]
    assert server.client.get("/limits").json() == {}


@pytest.mark.parametrize("number", SIGNALS)
def test_the_command_ends_quietly(program, monkeypatch, capsys, number):
    """Though it was asked to before it served; the exit code says by what."""
    program("quickjs.wasm")
    monkeypatch.setattr(sys, "setswitchinterval", lambda interval: None)  # this process has its own
    monkeypatch.setattr(sys, "argv", ["sandbox_server", "--port", "0", "--language", "javascript"])
    with Ending() as ending:
        signal.raise_signal(number)
        assert run(ending) == 128 + number
    out, err = capsys.readouterr()
    assert out.startswith("http://127.0.0.1:") and err.endswith("stopped: the guests have ended\n")
    assert "Traceback" not in err


def test_a_wrong_option_of_the_command_is_a_sentence(program, monkeypatch, capsys):
    """Its exit code is 2."""
    program("quickjs.wasm")
    monkeypatch.setattr(sys, "setswitchinterval", lambda interval: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for given in (("--port", "99999"), ("--language", "cobol"), ("--port", port)):
            monkeypatch.setattr(sys, "argv", ["sandbox_server", "--language", "javascript", *given])
            with Ending() as ending, pytest.raises(SystemExit) as stop:
                run(ending)
            out, err = capsys.readouterr()
            assert (stop.value.code, out, err.count("\n")) == (2, "", 1) and given[0] in err and given[1] in err
