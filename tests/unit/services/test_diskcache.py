"""Claims about the directory that keeps bytes between processes: what is not this user's own is a miss, and goes."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from stratavm.services import diskcache
from stratavm.services.diskcache import ASIDE, HEAD_BYTES, KEY_FILE, CacheRefused, DiskCache, default_folders, digest

KEY = digest(b"a key")
OTHER = digest(b"another")


@pytest.fixture
def folders(tmp_path):
    """Where entries lie, and where the key does."""
    return tmp_path / "code", tmp_path / "state"


@pytest.fixture
def cache(folders):
    """A cache with one entry of a thousand bytes."""
    made = DiskCache(*map(str, folders))
    made.keep(KEY, bytes(range(250)) * 4)
    return made


def entry(folders, key=KEY):
    """The file of an entry."""
    return Path(folders[0], f"{key.hex()}.entry")


def test_what_is_kept_is_found_by_another_process(cache, folders):
    """And nothing else is; an empty entry is one, too."""
    again = DiskCache(*map(str, folders))
    assert again.find(KEY) == (bytes(range(250)) * 4, "")
    assert again.find(OTHER) == (None, "")
    again.keep(OTHER, b"")
    assert cache.find(OTHER) == (b"", "")


def test_every_flipped_bit_is_a_miss(cache, folders):
    """In the head each, in the content some; the damaged file goes, and the next entry is as good as new."""
    whole = entry(folders).read_bytes()
    chance = random.Random(4)
    places = [*range(8 * HEAD_BYTES), *(chance.randrange(8 * HEAD_BYTES, 8 * len(whole)) for _ in range(300))]
    for bit in places:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        entry(folders).write_bytes(damaged)
        found, why = cache.find(KEY)
        assert found is None and why, bit
        assert not entry(folders).exists()
    entry(folders).write_bytes(whole)
    assert cache.find(KEY)[0] is not None


def test_an_entry_says_what_it_is_of(cache, folders):
    """As long as its mark is right; to ask is no use of it, and changes nothing."""
    assert cache.label(KEY) == "" and cache.label(OTHER) is None
    cache.keep(OTHER, b"content", "héllo.wasm")
    os.utime(entry(folders, OTHER), (1, 1))
    assert cache.label(OTHER) == "héllo.wasm" and entry(folders, OTHER).stat().st_mtime == 1
    assert cache.find(OTHER) == (b"content", "")
    cache.keep(OTHER, b"", "x" * 1000)
    assert cache.label(OTHER) == "x" * 255 and cache.find(OTHER) == (b"", "")
    whole = bytearray(entry(folders, OTHER).read_bytes())
    whole[HEAD_BYTES + 1] ^= 1
    entry(folders, OTHER).write_bytes(whole)
    assert cache.label(OTHER) is None and entry(folders, OTHER).exists()


def test_a_label_is_no_part_of_the_content(cache, folders):
    """Nor can bytes of one become bytes of the other: where one ends is under the mark, too."""
    cache.keep(KEY, b"bc", "a")
    one = entry(folders).read_bytes()
    cache.keep(KEY, b"c", "ab")
    two = entry(folders).read_bytes()
    assert one[HEAD_BYTES + 1 :] == two[HEAD_BYTES + 1 :] and one[:HEAD_BYTES] != two[:HEAD_BYTES]
    entry(folders).write_bytes(one[:HEAD_BYTES] + two[HEAD_BYTES:])
    assert cache.find(KEY)[0] is None


def test_every_length_but_the_right_one_is_a_miss(cache, folders):
    """Cut off anywhere, or longer."""
    whole = entry(folders).read_bytes()
    for size in [*range(HEAD_BYTES + 5), *range(HEAD_BYTES + 5, len(whole), 37), len(whole) - 1, len(whole) + 1]:
        entry(folders).write_bytes((whole + b"more")[:size])
        assert cache.find(KEY)[0] is None, size


def test_an_entry_of_another_key_is_none(cache, folders):
    """A file that was renamed, and one that another user's key has marked."""
    os.rename(entry(folders), entry(folders, OTHER))
    assert cache.find(OTHER) == (None, "it is damaged, or another's")
    (folders[1] / KEY_FILE).unlink()
    stranger = DiskCache(*map(str, folders))
    stranger.keep(KEY, b"mine")
    found, why = cache.find(KEY)
    assert found is None and "mark" in why
    assert stranger.find(KEY) == (None, "")  # it is gone


def test_what_is_no_file_is_not_read(cache, folders):
    """A link, a FIFO (which nobody may wait for), a directory."""
    whole = entry(folders).read_bytes()
    elsewhere = folders[0].parent / "elsewhere"
    elsewhere.write_bytes(whole)
    entry(folders).unlink()
    entry(folders).symlink_to(elsewhere)
    assert cache.find(KEY)[0] is None
    assert elsewhere.exists() and not entry(folders).is_symlink()
    os.mkfifo(entry(folders))
    assert cache.find(KEY)[0] is None
    entry(folders).mkdir()
    assert cache.find(KEY)[0] is None


@pytest.mark.parametrize("which", [0, 1])
def test_a_directory_that_is_not_this_users_alone_is_refused(folders, which):
    """Open to others, a link, a file; each message says which."""
    wrong = folders[which]
    wrong.mkdir(mode=0o755)
    with pytest.raises(CacheRefused, match=r"open to others \(mode 0755\): chmod 700 it"):
        DiskCache(*map(str, folders))
    wrong.rmdir()
    real = wrong.parent / "real"
    real.mkdir(mode=0o700)
    wrong.symlink_to(real)
    with pytest.raises(CacheRefused, match=str(wrong)):
        DiskCache(*map(str, folders))
    wrong.unlink()
    wrong.write_text("")
    with pytest.raises(CacheRefused, match=str(wrong)):
        DiskCache(*map(str, folders))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_a_directory_of_another_user_is_refused(folders):
    """Whoever may write there could put entries back that were removed."""
    folders[0].mkdir(mode=0o700)
    os.chown(folders[0], 1234, -1)
    with pytest.raises(CacheRefused, match="belongs to user 1234"):
        DiskCache(*map(str, folders))


@pytest.mark.parametrize("wrong", ["short", "open", "link", "two names"])
def test_a_key_that_others_may_know_is_refused(cache, folders, wrong):
    """It is not replaced either: that is for its owner to do."""
    key = folders[1] / KEY_FILE
    if wrong == "short":
        key.write_bytes(b"x" * 31)
    elif wrong == "open":
        key.chmod(0o640)
    elif wrong == "link":
        os.rename(key, folders[1] / "moved")
        key.symlink_to("moved")
    else:
        os.link(key, folders[1] / "second")
    with pytest.raises(CacheRefused):
        DiskCache(*map(str, folders))


def test_there_must_be_a_home(monkeypatch, tmp_path):
    """The variables of the XDG specification come first; relative ones are ignored, as it says."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert default_folders() == (f"{tmp_path}/.cache/stratavm/code", f"{tmp_path}/.local/state/stratavm")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert default_folders()[0] == "/caches/stratavm/code"
    (tmp_path / "~").mkdir()
    monkeypatch.chdir(tmp_path)
    for home in ("", ".", "~", str(tmp_path / "none")):  # a folder below the current one may be anybody's
        monkeypatch.setenv("HOME", home)
        with pytest.raises(CacheRefused, match="no home directory"):
            default_folders()
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user who is in no table
    with pytest.raises(CacheRefused, match="no home directory"):
        default_folders()


def test_the_entries_that_were_not_used_for_the_longest_time_go(folders):
    """Beyond the limit, down to a part of it, so that the next entry has room; reading is use."""
    cache = DiskCache(*map(str, folders), most_bytes=10_000)
    keys = [digest(bytes([n])) for n in range(12)]
    for age, key in enumerate(keys[:8]):
        cache.keep(key, b"x" * 1000)
        os.utime(entry(folders, key), (1000 + age, 1000 + age))
    assert cache.find(keys[0])[0]
    for key in keys[8:]:
        cache.keep(key, b"x" * 1000)
    left = {e.key for e in cache.entries()}
    assert keys[0].hex() in left and keys[1].hex() not in left and keys[11].hex() in left
    assert sum(e.size for e in cache.entries()) <= 10_000
    with pytest.raises(ValueError, match="an entry of 10001 bytes, at most 9919"):
        cache.keep(KEY, b"x" * 10_001)


def test_a_clock_that_was_set_back_costs_no_new_entries(folders):
    """Else what was used at a time that is still to come would stay for good, and what is new go at once."""
    cache = DiskCache(*map(str, folders), most_bytes=10_000)
    later = time.time() + 10 * 86_400
    keys = [digest(bytes([n])) for n in range(12)]
    for key in keys[:8]:
        cache.keep(key, b"x" * 1000)
        os.utime(entry(folders, key), (later, later))
    for key in keys[8:]:
        cache.keep(key, b"x" * 1000)
        assert cache.find(key)[0], "it has just been kept"
    assert {key.hex() for key in keys[8:]} <= {e.key for e in cache.entries()}


def test_what_killed_writers_left_is_swept(cache, folders):
    """Once nobody can be writing it any more."""
    old, new = folders[0] / f"{ASIDE}1-a", folders[0] / f"{ASIDE}2-b"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 4000,) * 2)
    cache.keep(OTHER, b"x")
    assert not old.exists() and new.exists()


def test_a_full_disk_changes_nothing(cache, folders, monkeypatch):
    """Nor does it leave anything."""
    before = entry(folders).read_bytes()

    def full(file, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(diskcache.os, "write", full)
    with pytest.raises(OSError, match="No space") as refused:
        cache.keep(KEY, b"new")
    assert refused.value.filename == str(folders[0])
    monkeypatch.undo()
    assert entry(folders).read_bytes() == before and len(list(folders[0].iterdir())) == 1


def test_verify_says_what_was_wrong_and_clear_removes_all(cache, folders):
    """A strange name is wrong, too; what is no entry stays."""
    cache.keep(OTHER, b"good")
    entry(folders).write_bytes(b"junk")
    (folders[0] / "zz.entry").write_bytes(b"")
    (folders[0] / "note").write_bytes(b"")
    assert {key for key, _ in cache.verify()} == {KEY.hex(), "zz"}
    assert [e.key for e in cache.entries()] == [OTHER.hex()]
    assert cache.clear() == 1 and [p.name for p in folders[0].iterdir()] == ["note"]


WRITER = """
import sys
from stratavm.services.diskcache import DiskCache, digest
cache = DiskCache(*sys.argv[1:3])
print("ready", flush=True)
while True:
    cache.keep(digest(b"a key"), bytes([7]) * 300_000)
"""


def test_a_writer_that_is_killed_leaves_an_old_entry_or_a_new_one(cache, folders):
    """Killed at random moments; readers never see a part of an entry."""
    chance = random.Random(1)
    for _ in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, *map(str, folders)], stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        child.stdout.readline()
        end = time.monotonic() + chance.uniform(0, 0.05)
        while time.monotonic() < end:
            found, why = cache.find(KEY)
            assert why == "" and found in (bytes(range(250)) * 4, bytes([7]) * 300_000)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert cache.find(KEY)[1] == ""


@pytest.mark.parametrize("call", ["fsync", "stat", "rename", "unlink"])
def test_who_reads_while_another_makes_the_key_finds_none_or_this_one(folders, monkeypatch, call):
    """Before and behind each step of the maker: no moment at which the file looks like another's."""
    real, seen = getattr(os, call), []
    look = partial(diskcache._read_key, folder=str(folders[1]))

    def watched(*args, **more):
        monkeypatch.setattr(os, call, real)
        where = diskcache.open_own(str(folders[1]))
        seen.append(look(where))
        try:
            return real(*args, **more)
        finally:
            seen.append(look(where))
            os.close(where)
            monkeypatch.setattr(os, call, watched)

    monkeypatch.setattr(os, call, watched)
    key = diskcache.read_key(str(folders[1]))
    assert set(seen) <= {b"", key} and seen


def test_many_processes_make_one_key(folders):
    """Whoever comes second takes the first one's."""
    code = "import sys; from stratavm.services.diskcache import read_key; print(read_key(sys.argv[1]).hex())"
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(folders[1])], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    keys = {child.communicate()[0].strip() for child in children}
    assert len(keys) == 1 and len(keys.pop()) == 64
    assert [p.name for p in folders[1].iterdir()] == [KEY_FILE]
