"""The example host: plugins in three languages, one of which is brought up to date while it is called."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from examples.plugin_host.host import HERE, Host, pack
from examples.plugin_host.server import create_app
from stratavm.base.forms import replace
from stratavm.plugins import PluginBusy
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
        assert once_more.status_code == 409 and "expected 1 earlier versions" in once_more.text

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


@pytest.mark.slow
def test_one_command_starts_it(tmp_path):
    """It says where it is, takes what comes while it serves, and ends by Ctrl-C."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    command = [
        sys.executable,
        "-m",
        "examples.plugin_host",
        "--port",
        "0",
        "--data",
        str(tmp_path / "data"),
        "--seconds",
        str(SECONDS),
    ]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
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
            child.send_signal(signal.SIGINT)
        child.communicate(timeout=SECONDS)
