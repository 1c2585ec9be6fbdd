"""Claims about ``strata cache``: it says what lies there, removes what is not right, and makes no folder by mistake."""

import json
import os

import pytest

from stratavm.services.diskcache import DiskCache, default_folders, digest

KEY = digest(b"a key")


@pytest.fixture
def kept(home):
    """A cache with one entry, last used long ago."""
    cache = DiskCache(*default_folders())
    cache.keep(KEY, b"x" * 1000, "app\x1b.wasm")
    file = home / "cache/stratavm/code" / f"{KEY.hex()}.entry"
    os.utime(file, (10**9, 10**9))
    return file


def test_it_lists_what_is_kept(strata, kept, monkeypatch):
    """As text and as data; also that it is not used."""
    code, out, err = strata("cache", "ls")
    assert (code, err) == (0, "") and KEY.hex()[:16] in out and "1 entry, 1,090 bytes of at most" in out
    assert "  app\\x1b.wasm\n" in out
    monkeypatch.setenv("STRATA_CACHE", "off")
    assert "not used" in strata("cache", "ls")[1]
    found = json.loads(strata("cache", "ls", "--json")[1])
    assert (found["on"], found["bytes"], found["entries"][0]["used"]) == (False, 1090, 10**9)
    assert found["entries"][0]["of"] == "app\x1b.wasm"


def test_a_list_says_which_entries_are_not_right(strata, kept):
    """It removes none; one with a strange name is none of ours."""
    kept.write_bytes(b"junk" * 100)
    (kept.parent / "zz.entry").write_bytes(b"")
    out = strata("cache", "ls")[1]
    assert out.count("damaged, or another's") == 2 and kept.exists()
    assert [e["of"] for e in json.loads(strata("cache", "ls", "--json")[1])["entries"]] == [None, None]


def test_verify_reads_all_and_is_no_use_of_them(strata, kept):
    """Else the entries that were not used for the longest time would be unknown afterwards."""
    assert strata("cache", "verify")[:2] == (0, "right: 1 of 1 entry\n")
    assert kept.stat().st_mtime == 10**9
    kept.write_bytes(b"junk" * 100)
    code, out, _ = strata("cache", "verify")
    assert code == 1 and "removed: it is damaged" in out and not kept.exists()


def test_clear_removes_all(strata, kept):
    """And says how many."""
    assert strata("cache", "clear")[:2] == (0, "1 entry removed\n")
    assert json.loads(strata("cache", "clear", "--json")[1])["removed"] == 0
    assert not kept.exists()


def test_another_folder_must_be_there(strata, kept, tmp_path):
    """A misspelt one is no empty cache."""
    code, _, err = strata("cache", "ls", "--folder", str(tmp_path / "nope"))
    assert code == 1 and "nope" in err and not (tmp_path / "nope").exists()
    (tmp_path / "file").touch()
    code, _, err = strata("cache", "ls", "--folder", str(tmp_path / "file"))
    assert code == 1 and "file: it is no folder" in err


def test_doctor_says_where_it_is_or_why_not(kept):
    """A user who wonders why the second start is slow asks there."""
    from stratavm.cli import doctor

    assert doctor.cache() == {"code": str(kept.parent)}
    kept.parent.chmod(0o755)
    assert "open to others" in doctor.cache()["code"]


def test_no_home_is_made(monkeypatch, tmp_path):
    """One that does not exist is none."""
    from stratavm.cli import doctor

    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    monkeypatch.setenv("STRATA_CACHE", "on")
    assert "no home directory" in doctor.cache()["code"] and not (tmp_path / "gone").exists()
