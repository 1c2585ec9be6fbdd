"""The example host: plugins in three languages, one of which is brought up to date while it is called."""

from __future__ import annotations

import asyncio
import errno
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from examples.plugin_host import command as plugin_host
from examples.plugin_host.__main__ import main
from examples.plugin_host.host import HERE, Host, pack
from examples.plugin_host.server import create_app
from examples.serving.ending import SIGNALS
from stratavm.base.forms import replace
from stratavm.plugins import PluginBusy, Plugins
from stratavm.plugins.convention import Signature
from stratavm.plugins.repository import (
    PackageRefused,
    PrivateKey,
    RepositoryBusy,
    RepositoryDamaged,
    seal,
    write_package,
)
from stratavm.plugins.sources import package_at

pytestmark = pytest.mark.trace_slow
ROOT = Path(__file__).parents[2]
ENVIRON = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
SECONDS = 100
TITLE, OLD, NEW = "Salt & Pepper, 2 g", "salt-pepper-2-g", "salt-and-pepper-2-g"


@pytest.fixture
def host(tmp_path):
    """A host that was started."""
    made = Host(tmp_path / "data", SECONDS)
    made.start()
    yield made
    made.close()


def ask(host, *requests):
    """The answers to some requests, one behind the other: paths, and what is sent."""

    async def run():
        transport = httpx.ASGITransport(create_app(host))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.post(path, content=body) for path, body in requests]

    return asyncio.run(run())


def publish(host, version, key=None):
    """Somebody puts a version of ``slug`` into the folder."""
    pack([f"slug-{version}"], key or PrivateKey.read(host.data / "demo.key"), host.incoming)


def test_plugins_in_three_languages_answer(host):
    """Text and JSON; errors are in their words, and what is not there is not found."""
    slug, words, greeter, error, lost, none, bad, long = ask(
        host,
        ("/call/slug/slug", TITLE),
        ("/call/words/count", "one two\nthree"),
        ("/call/greeter/greet", "you"),
        ("/call/slug/slug", ""),
        ("/call/slug/slag", ""),
        ("/call/nobody/slug", ""),
        ("/call/slug/slug", b"\xff"),
        ("/call/slug/slug", b"x" * 100_000),
    )
    assert slug.text == OLD
    assert words.json() == {"words": 2, "letters": 13, "lines": 2}
    assert greeter.text == "hello you, you are number 1"
    assert (error.status_code, error.text) == (422, "a title has 1 to 512 bytes")
    assert [found.status_code for found in (lost, none, bad, long)] == [404, 404, 400, 413]
    assert [found["name"] for found in host.described()] == ["slug", "words", "greeter"]


def test_a_plugin_is_updated_while_it_is_called(host):
    """No call fails, each is answered by one version or the other, and what was counted goes on; and back."""

    async def run():
        transport = httpx.ASGITransport(create_app(host))
        answers, updated = [], asyncio.Event()

        async def call(client):
            while not updated.is_set() or len(answers) < 50:
                found = await client.post("/call/slug/slug", content=TITLE)
                answers.append((found.status_code, found.text))
                await asyncio.sleep(0.001)  # without a socket nothing of a request waits: others have their turn here
            found = await client.post("/call/slug/slug", content=TITLE)
            assert found.text == NEW
            answers.append((found.status_code, found.text))

        async def update():
            while len(answers) < 20:
                await asyncio.sleep(0.001)
            await asyncio.to_thread(publish, host, "1.1.0")
            assert await asyncio.to_thread(host.take) == ["updated: slug 1.1.0"]
            updated.set()

        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=SECONDS) as client:
            async with asyncio.TaskGroup() as group:
                group.create_task(update())
                for _ in range(3):
                    group.create_task(call(client))
            made = await client.post("/call/slug/made")
            back = await client.post("/rollback/slug")
            again = await client.post("/call/slug/slug", content=TITLE)
            once_more = await client.post("/rollback/slug")
        assert set(answers) <= {(200, OLD), (200, NEW)} and {text for _, text in answers} == {OLD, NEW}
        assert made.json() == len(answers)
        assert (back.json(), again.text) == ({"now": "slug 1.0.0"}, OLD)
        assert once_more.status_code == 409 and "there is no version before slug 1.0.0" in once_more.text

    asyncio.run(run())


def test_what_is_not_right_is_refused_and_the_plugins_go_on(host):
    """Signed by somebody else; changed on its way."""
    publish(host, "1.1.0", PrivateKey.new())
    with pytest.raises(PackageRefused, match="a signature by a trusted key"):
        host.take()
    shutil.rmtree(host.incoming)
    publish(host, "1.1.0")
    largest = max((host.incoming / "blobs/sha256").iterdir(), key=lambda file: file.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"!")
    with pytest.raises(RepositoryDamaged, match="expected sha256:"):
        host.take()
    assert [answer.text for answer in ask(host, ("/call/slug/slug", TITLE))] == [OLD]
    assert host.repository.verify() == []


def publish_as(host, source, version, **changed):
    """A plugin that the application comes with, as another version that says something else of itself."""
    package = package_at(str(HERE / "plugins" / source))
    said = replace(package.manifest, version=version, **changed)
    write_package(host.incoming, [seal(said, package.read(), PrivateKey.read(host.data / "demo.key"))])


def versions(host, name):
    """What runs, and what is installed."""
    installed = {found.name: found.version for found in host.repository.installed()}
    return host.plugin(name).manifest.version, installed[name]


def test_one_that_refuses_its_next_version_keeps_no_other_from_its_own(host):
    """What runs is what is installed."""
    publish_as(host, "slug-1.1.0", "1.1.0", functions=(("gone", Signature("text", "text")),))
    publish_as(host, "words-1.0.0", "1.0.1")
    refused, updated = host.take()
    assert refused.startswith("refused: slug 1.1.0: ") and "it exports no gone" in refused
    assert updated == "updated: words 1.0.1"
    assert (versions(host, "slug"), versions(host, "words")) == (("1.0.0",) * 2, ("1.0.1",) * 2)
    assert host.take() == []


def test_what_was_busy_is_tried_again(host, monkeypatch):
    """At the next look, without another package."""
    publish(host, "1.1.0")

    def busy(*given):
        raise RepositoryBusy(host.repository.path, "busy", "a turn", "none")

    with monkeypatch.context() as patched, pytest.raises(RepositoryBusy):
        patched.setattr(host.repository, "upgrade", busy)
        host.take()
    assert versions(host, "slug") == ("1.0.0",) * 2
    with monkeypatch.context() as patched:
        patched.setattr(host.plugin("slug")._life.gate, "enter", lambda seconds: busy_gate())
        assert host.take()[0].startswith("refused for now: ")
    assert host.take() == ["updated: slug 1.1.0"]
    assert versions(host, "slug") == ("1.1.0",) * 2 and host.take() == []


def busy_gate():
    """A call is under way for long."""
    raise PluginBusy("plugin slug was not free within 30 s")


def test_a_rollback_is_one_of_both_or_of_neither(host, monkeypatch):
    """What runs and what is installed, whoever of them refuses."""
    publish(host, "1.1.0")
    host.take()

    def refuse(*given):
        raise RepositoryDamaged("a file", "digest", "itself", "another")

    with monkeypatch.context() as patched, pytest.raises(RepositoryDamaged):
        patched.setattr(host.repository, "roll_back", refuse)
        host.roll_back("slug")
    assert versions(host, "slug") == ("1.1.0",) * 2
    with monkeypatch.context() as patched, pytest.raises(PluginBusy):
        patched.setattr(host.plugin("slug")._life.gate, "enter", lambda seconds: busy_gate())
        host.roll_back("slug")
    assert versions(host, "slug") == ("1.1.0",) * 2
    assert host.roll_back("slug") == "slug 1.0.0" and versions(host, "slug") == ("1.0.0",) * 2


def test_pages_of_others_are_refused(host):
    """A browser would send what they post; programs and pages of one's own are answered."""
    publish(host, "1.1.0")
    host.take()

    async def run():
        transport = httpx.ASGITransport(create_app(host))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for path in ("/rollback/slug", "/call/slug/made"):
                for headers in (
                    {"sec-fetch-site": "cross-site"},
                    {"sec-fetch-site": "same-site"},
                    {"origin": "http://elsewhere.example"},
                    {"origin": "null"},
                ):
                    assert (await client.post(path, headers=headers)).status_code == 403
            headers = {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1"}
            return await client.post("/rollback/slug", headers=headers)

    assert asyncio.run(run()).json() == {"now": "slug 1.0.0"}


def test_it_answers_by_the_names_of_this_machine_only(host):
    """A name that was made to point here is none of them, whatever is asked for; nor is a name with another port."""
    wrong = ("evil.example:8125", "evil.example", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:8125:8125", "",
             "127.0.0.1.evil.example:8125", "evil@127.0.0.1:8125", "[::1]", "::1:8125", "localhost:08125x")  # fmt: skip
    right = ("127.0.0.1:8125", "localhost:8125", "LocalHost:8125", "[::1]:8125")

    async def run():
        transport = httpx.ASGITransport(create_app(host, 8125))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8125") as client:
            for name in wrong:
                headers = {"host": name, "origin": f"http://{name}"}
                assert (await client.get("/plugins", headers=headers)).status_code == 421, name
                for path in ("/rollback/slug", "/call/slug/made"):
                    assert (await client.post(path, headers=headers)).status_code == 421, name
            for name in right:
                headers = {"host": name, "origin": f"http://{name}"}
                assert (await client.post("/call/slug/slug", content=TITLE, headers=headers)).text == OLD
                headers["origin"] = "http://127.0.0.1:1"
                assert (await client.post("/call/slug/slug", content=TITLE, headers=headers)).status_code == 403
            return (await client.get("/plugins")).json()

    assert asyncio.run(run())[0]["calls"]["answered"] == len(right)


def test_where_nothing_is_to_go_back_to_it_says_why(host):
    """And where to look, which is true."""
    unknown, python, first = ask(host, *((f"/rollback/{name}", b"") for name in ("nope", "greeter", "slug")))
    assert (unknown.status_code, unknown.text) == (404, "no such plugin")
    assert python.status_code == 409
    assert python.text == "greeter is in Python: pip installs it, this version and any other"
    assert first.status_code == 409
    said, command, _ = first.text.split("`")
    assert said == "there is no version before slug 1.0.0; "
    strata, *arguments = shlex.split(command)
    command = [sys.executable, "-m", "stratavm", *arguments]
    shown = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, timeout=100)
    assert (strata, shown.returncode, shown.stderr) == ("strata", 0, "") and "slug 1.0.0" in shown.stdout


def test_a_beginning_that_was_interrupted_is_gone_on_with(tmp_path):
    """The key is there, and what it signed; nobody is trusted yet."""
    data = tmp_path / "data"
    Host(data, SECONDS).close()
    key, index = (data / "demo.key").read_bytes(), (data / "incoming/index.json").read_bytes()
    (data / "trust.json").unlink()
    again = Host(data, SECONDS)
    again.start()
    assert [found.name for found in again.repository.installed()] == ["slug", "words"]
    assert ((data / "demo.key").read_bytes(), (data / "incoming/index.json").read_bytes()) == (key, index)
    again.close()


def test_a_host_that_is_started_again_has_what_was_installed(tmp_path):
    """And not what it came with."""
    with_update = Host(tmp_path / "data", SECONDS)
    with_update.start()
    publish(with_update, "1.1.0")
    with_update.take()
    with_update.close()
    again = Host(tmp_path / "data", SECONDS)
    again.start()
    assert [answer.text for answer in ask(again, ("/call/slug/slug", TITLE))] == [NEW]
    again.close()


def test_what_is_compiled_is_small():
    """Binaries in a repository stay for ever."""
    modules = list((HERE / "plugins").rglob("*.wasm"))
    assert len(modules) == 3 and all(module.stat().st_size < 20_000 for module in modules)


@pytest.fixture
def command(monkeypatch):
    """Run the command in this process; its exit code."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["plugin_host", *map(str, arguments)])
        return main()

    return run


@pytest.mark.parametrize(
    "given",
    [
        *(("--port", port) for port in ("99999", "-1", "x", "", "1e3", "²")),
        *(("--seconds", seconds) for seconds in ("nan", "inf", "0", "-1", "x", "")),
        ("--data", __file__),
        ("--data", f"{__file__}/below"),
        ("--data", "/proc/none"),
        ("--nope",),
    ],
)
def test_a_wrong_option_is_a_sentence(command, capsys, given):
    """Before anything is made."""
    with pytest.raises(SystemExit) as stop:
        command("--port", 0, *given)
    out, err = capsys.readouterr()
    assert (stop.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"python -m examples.plugin_host: {'argument' if given[1:] else 'unrecognized'}")
    assert given[0] in err and given[-1] in err


def test_a_port_that_is_taken_is_a_sentence(command, capsys, tmp_path):
    """And nothing is made."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as stop:
        command("--port", taken.getsockname()[1], "--data", tmp_path / "data")
    assert stop.value.code == 2 and not (tmp_path / "data").exists()
    assert capsys.readouterr().err.endswith(f": {os.strerror(errno.EADDRINUSE)}\n")


def test_a_folder_that_is_damaged_is_a_sentence(command, capsys, tmp_path):
    """What is wrong with it is said."""
    Host(tmp_path, SECONDS).close()
    (tmp_path / "trust.json").write_text("no JSON")
    assert command("--port", 0, "--data", tmp_path) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "trust.json: expected" in err


def test_each_option_says_what_it_is(command, capsys):
    """In its help."""
    with pytest.raises(SystemExit) as stop:
        command("--help")
    said = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0
    for text in ("--port PORT where it listens (default 8000", "--data FOLDER its", "--seconds SECONDS for a call"):
        assert text in said


@pytest.fixture
def ends(monkeypatch):
    """How many plugins were there when a host was closed, and after it."""
    found, whole = [], Host.close

    def close(host):
        found.append(len(host.plugins))
        whole(host)
        found.append(len(host.plugins))

    monkeypatch.setattr(Host, "close", close)
    return found


@pytest.mark.parametrize("number", SIGNALS)
def test_the_end_during_the_start(command, capsys, monkeypatch, tmp_path, ends, number):
    """No further plugin is loaded, and those that are are closed."""
    whole = Plugins.load_from

    def load_from(*given):
        signal.raise_signal(number)
        return whole(*given)

    monkeypatch.setattr(Plugins, "load_from", load_from)
    before = [signal.getsignal(other) for other in SIGNALS], list(sys.path)
    assert command("--port", 0, "--data", tmp_path) == 128 + number
    assert tuple(capsys.readouterr()) == ("", "stopped: the plugins are closed\n")
    assert ends == [1, 0]
    assert ([signal.getsignal(other) for other in SIGNALS], list(sys.path)) == before


@pytest.mark.parametrize("number", SIGNALS)
def test_the_end_when_it_begins_to_serve(command, capsys, monkeypatch, tmp_path, ends, number):
    """It is not forgotten on the way to the loop."""
    serve = plugin_host.serve

    def asked(*given):
        signal.raise_signal(number)
        serve(*given)

    monkeypatch.setattr(plugin_host, "serve", asked)
    assert command("--port", 0, "--data", tmp_path) == 128 + number
    out, err = capsys.readouterr()
    assert out.startswith("http://127.0.0.1:") and err == "stopped: the plugins are closed\n"
    assert ends == [3, 0]


IMPORTED = """
import signal, sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "examples.plugin_host.host":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
from examples.plugin_host.__main__ import main
sys.exit(main())
"""
THREE = """
import signal
from examples.serving.ending import Ending
with Ending() as ending:
    print(bool(ending), ending.code)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    print(bool(ending), ending.code, flush=True)
    signal.raise_signal(signal.SIGTERM)
    print("still there", flush=True)
"""


def child(code, *arguments):
    """How a process ends that runs this: its exit code, and what it says."""
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, env=ENVIRON, capture_output=True, text=True, timeout=100
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_the_end_while_it_is_imported(tmp_path):
    """A traceback out of some module is no answer."""
    code, out, err = child(IMPORTED, "--port", "0", "--data", str(tmp_path))
    assert (code, out) == (130, "") and err.endswith("stopped: the plugins are closed\n") and "Traceback" not in err


def test_the_third_signal_ends_it_at_once():
    """The first one says how it ended, where it does."""
    assert child(THREE) == (-signal.SIGTERM, "False 0\nTrue 130\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_one_command_starts_it(tmp_path, number):
    """It says where it is, takes what comes while it serves, and ends by Ctrl-C."""
    arguments = ["--port", "0", "--data", str(tmp_path / "data"), "--seconds", str(SECONDS)]
    command = [sys.executable, "-m", "examples.plugin_host", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            address = child.stdout.readline().strip()
            assert [child.stdout.readline().split()[0] for _ in range(3)] == ["try", "update", "and"]
            with httpx.Client(base_url=address, timeout=SECONDS) as client:
                assert client.post("/call/slug/slug", content=TITLE).text == OLD
                pack(["slug-1.1.0"], PrivateKey.read(tmp_path / "data/demo.key"), tmp_path / "data/incoming")
                assert child.stdout.readline() == "updated: slug 1.1.0\n"
                assert client.post("/call/slug/slug", content=TITLE).text == NEW
        finally:
            child.send_signal(number)
        out, err = child.communicate(timeout=SECONDS)
        assert (child.returncode, out) == (128 + number, "")
        assert err.endswith("stopped: the plugins are closed\n") and "Traceback" not in err
