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
from stratavm.plugins.repository import PackageRefused, PrivateKey, RepositoryDamaged

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
    pack(f"slug-{version}", key or PrivateKey.read(host.data / "demo.key"), host.incoming)


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
            assert await asyncio.to_thread(host.take) == ["slug 1.1.0"]
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
                pack("slug-1.1.0", PrivateKey.read(tmp_path / "data/demo.key"), tmp_path / "data/incoming")
                assert child.stdout.readline() == "updated: slug 1.1.0\n"
                assert client.post("/call/slug/slug", content=TITLE).text == NEW
        finally:
            child.send_signal(signal.SIGINT)
        child.communicate(timeout=SECONDS)
