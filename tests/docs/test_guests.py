"""The guests of the documentation compile as their pages say, and the pages' host code runs with the result.

``make bless ARGS=tests/docs/test_guests.py`` keeps the results for the machines without compilers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.guests import COMPILERS, KEPT, SECONDS, Guest, compiler, guests
from tests.docs.test_examples import BLOCK, PAGES

GUESTS = [guest for page in PAGES for guest in guests(page)]


@pytest.fixture(scope="session")
def probes(tmp_path_factory) -> Path:
    """A folder for the tests that ask whether a compiler works."""
    return tmp_path_factory.mktemp("probes")


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.parametrize("guest", GUESTS, ids=lambda guest: guest.result)
def test_a_guest_compiles_as_its_page_says(guest: Guest, probes: Path, tmp_path: Path, monkeypatch) -> None:
    """Where its compiler is; then every example of the page that names the result runs with what was made just now."""
    found = compiler(guest.command[0], probes)
    if found is None:
        pytest.skip(f"no {guest.command[0]} that compiles to WebAssembly: {COMPILERS[guest.command[0]][1]}")
    monkeypatch.chdir(tmp_path)
    Path(guest.source).write_text(guest.text)
    subprocess.run([*found, *guest.command[1:]], check=True, timeout=SECONDS)
    if os.environ.get("STRATA_BLESS"):
        shutil.copyfile(guest.result, KEPT / guest.result)
    examples = [text for language, text in BLOCK.findall(guest.page.read_text()) if language == "python"]
    examples = [text for text in examples if f'"{guest.result}"' in text]
    assert examples, f"no example of {guest.page.name} uses {guest.result}"
    for example in examples:
        exec(compile(example, str(guest.page), "exec"), {"__name__": "__example__"})


def test_every_language_has_a_guest_and_every_guest_is_kept():
    """Nothing kept is left over."""
    assert {guest.command[0] for guest in GUESTS} == set(COMPILERS)
    assert {path.name for path in KEPT.iterdir()} == {guest.result for guest in GUESTS}


@pytest.mark.parametrize("guest", GUESTS, ids=lambda guest: guest.result)
def test_a_kept_guest_is_small(guest: Guest) -> None:
    """Binaries in a repository stay for ever."""
    assert (KEPT / guest.result).stat().st_size < 50_000
