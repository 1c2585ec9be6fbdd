"""Claims about the folders that no guest gets: kept machine code and its key, by whatever name."""

import os

import pytest

from stratavm import Engine
from stratavm.services.diskcache import CacheRefused, DiskCache, default_folders
from stratavm.wasi.abi import Oflags
from stratavm.wasi.descriptor import Opening
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.guarded import GuardedResolver
from stratavm.wasi.hostfs import open_host_directory
from stratavm.wasi.world import Wasi


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home directory with a cache in it, and links to its folders."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    DiskCache(*default_folders())
    (tmp_path / "to-state").symlink_to(".local/state/stratavm")
    (tmp_path / "file").write_text("mine")
    return tmp_path


@pytest.fixture
def given(home):
    """The home directory as a guest has it."""
    directory = open_host_directory(home)
    yield directory
    directory.close()


PATHS = (
    b".local/state/stratavm",
    b".local/state/stratavm/cache.key",
    b".local/state/../state/stratavm/cache.key",
    b"to-state",
    b"to-state/",
    b"to-state/cache.key",
    b".cache/stratavm/code",
    b".cache/stratavm/code/x.entry",
)


@pytest.mark.parametrize("path", PATHS, ids=os.fsdecode)
@pytest.mark.parametrize("oflags", [0, Oflags.CREAT, Oflags.DIRECTORY])
def test_nothing_opens_what_is_in_them(given, path, oflags):
    """To read, to write, as a directory, to make something there."""
    write = oflags == Oflags.CREAT  # a directory itself is none to write to, wherever it is
    with pytest.raises((WasiError, IsADirectoryError)) as refused:
        given.open(path, Opening(follow=True, oflags=oflags, read=True, write=write, flags=0))
    if not write:
        assert refused.value.errno == Errno.PERM


ACTIONS = {
    "unlink": lambda d: d.unlink(b".local/state/stratavm/cache.key"),
    "rename away": lambda d: d.rename(b".local/state/stratavm/cache.key", d, b"key"),
    "rename into": lambda d: d.rename(b"file", d, b".local/state/stratavm/cache.key"),
    "link out": lambda d: d.link(b".local/state/stratavm/cache.key", False, d, b"key"),
    "link into": lambda d: d.link(b"file", False, d, b"to-state/other"),
    "symlink": lambda d: d.symlink(b"x", b".cache/stratavm/code/x.entry"),
    "mkdir": lambda d: d.mkdir(b".cache/stratavm/code/folder"),
    "stat": lambda d: d.path_stat(b"to-state/cache.key", True),
    "times": lambda d: d.path_set_times(b".local/state/stratavm/cache.key", False, (0, 0)),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_acts_on_what_is_in_them(given, home, action):
    """By any call that takes a path."""
    with pytest.raises(WasiError) as refused:
        ACTIONS[action](given)
    assert refused.value.errno == Errno.PERM
    assert len((home / ".local/state/stratavm/cache.key").read_bytes()) == 32
    assert not list((home / ".cache/stratavm/code").iterdir())


def test_everything_else_is_there(given):
    """Next to them, above them, and through directories that were opened before."""
    given.open(b"file", Opening(follow=True, oflags=0, read=True, write=True, flags=0)).close()
    below = given.open(b".local", Opening(follow=True, oflags=Oflags.DIRECTORY, read=True, write=False, flags=0))
    with pytest.raises(WasiError):
        below.open(b"state/stratavm", Opening(follow=True, oflags=0, read=True, write=False, flags=0))
    below.mkdir(b"state/other")
    assert {entry.name for entry in below.entries()} == {b".", b"..", b"state"}
    below.close()


@pytest.mark.parametrize("path", [".local/state/stratavm", ".cache/stratavm/code"])
def test_they_cannot_be_given(home, path):
    """Not even by mistake."""
    with pytest.raises(PermissionError, match=r"no guest gets the code that Strata keeps.*stratavm"):
        Wasi(preopens={str(home / path): "/x"}, engine=Engine())


def test_a_folder_that_was_named_for_a_cache_is_no_guests(home, tmp_path_factory, monkeypatch):
    """As the default one; from when a cache was there on, also by a relative name, and where nobody has a home."""
    named = tmp_path_factory.mktemp("named")
    monkeypatch.chdir(named)
    DiskCache("kept", default_folders()[1])
    monkeypatch.setattr("stratavm.services.diskcache.default_folders", no_home)
    monkeypatch.chdir(home)
    with pytest.raises(PermissionError, match="no guest gets the code that Strata keeps"):
        Wasi(preopens={str(named / "kept"): "/x"}, engine=Engine())
    above = open_host_directory(named)
    with pytest.raises(WasiError) as refused:
        above.open(b"kept", Opening(follow=True, oflags=Oflags.DIRECTORY, read=True, write=False, flags=0))
    assert refused.value.errno == Errno.PERM
    above.close()


def no_home():
    """As where a user has none."""
    raise CacheRefused("no home")


def test_other_directories_are_resolved_by_the_kernel(home, given, tmp_path_factory):
    """A walk is slower: only what lies above the folders takes it."""
    other = open_host_directory(tmp_path_factory.mktemp("other"))
    assert not isinstance(other.resolver, GuardedResolver) and isinstance(given.resolver, GuardedResolver)
    other.close()


def test_folders_that_are_made_later_are_refused_as_well(given, home, monkeypatch):
    """They are looked for at each call."""
    for place in ("cache", "state"):
        (home / place).mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    directory = open_host_directory(home)
    DiskCache(*default_folders())
    with pytest.raises(WasiError):
        directory.open(b"state/stratavm/cache.key", Opening(follow=True, oflags=0, read=True, write=False, flags=0))
    directory.close()


@pytest.mark.parametrize("parent", [b".local", b".local/state"])
def test_another_name_of_a_directory_above_them_leads_not_in(given, parent):
    """Who may write above them can rename what lies between, but the key stays out of reach."""
    given.rename(parent, given, b"moved")
    rest = os.path.relpath(b".local/state/stratavm/cache.key", parent)
    with pytest.raises(WasiError) as refused:
        given.open(b"moved/" + rest, Opening(follow=True, oflags=0, read=True, write=False, flags=0))
    assert refused.value.errno == Errno.PERM
