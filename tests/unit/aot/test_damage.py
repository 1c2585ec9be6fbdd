"""Claims about images that are not what was written: the short form of ``python -m tests.images``."""

import pytest

from stratavm import Module
from tests import images


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A key of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "executable"])
def data(request, tmp_path_factory):
    """An image that nobody marked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield images.built(executable=request.param)


def test_flipped_bits_change_no_answer(data):
    """In any part: they are found, and the binary is compiled, or the whole is refused."""
    outcome = images.flip(data, images.answers(Module(images.TEXT)), count=120, seed=1)
    assert {"head", "table", "facts", "code", "layout", "memory", "binary"} <= outcome.keys()
    assert outcome["binary"] == (0, 120) and outcome["code"] == (120, 0) and outcome["facts"] == (120, 0)
    assert (
        outcome["head"][0] == 0 or outcome["head"][0] < 80
    )  # the mark is nobody's: what stands there matters to nobody
    assert outcome["table"] == (0, 120)


def test_flipped_bits_under_a_key_change_no_answer():
    """Sections are checked by their tags then; what the mark is over is another's when a bit of it is another."""
    outcome = images.flip(images.built(key=images.KEY), images.answers(Module(images.TEXT)), 60, 3, images.KEY)
    assert outcome["binary"] == outcome["table"] == (0, 60)
    assert outcome["code"] == outcome["skeleton"] == outcome["memory"] == (60, 0)


def test_flipped_bits_behind_right_sums_crash_nothing(data):
    """Counts, places and tables are looked at even so."""
    outcome = images.flip_and_mend(data, count=120, seed=2)
    assert all(loaded + refused == 120 for loaded, refused in outcome.values())
    assert outcome["facts"][0] == 120 and outcome["binary"][1] > 0


def test_what_ends_early_is_refused(data):
    """At each part's end, and beside it."""
    assert images.cut(data) > 20


def test_writers_that_are_killed_leave_a_whole_file_or_none(tmp_path):
    """Five of them; two hundred behind `make images`."""
    images.kill_writers(tmp_path, count=5, seed=1)


def test_folders_of_all_kinds(data, tmp_path):
    """Without room, for reading alone, not for programs, and open to others."""
    outcome = images.places(data, tmp_path)
    assert outcome.keys() == images.MOUNTS.keys()
