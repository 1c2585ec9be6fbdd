"""A repository where nothing can be written: listed, verified and loaded from; and turns of readers and writers."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time

import pytest

from stratavm.plugins import Grant, Plugins, Policy
from stratavm.plugins.repository import Repository, RepositoryBusy, RepositoryDamaged, RepositoryError
from stratavm.plugins.repository.layout import LOCK, TURN, Layout
from tests.unit.plugins.repository.shelves import ACME, TRUST, WASM, blob, files_of, manifest, package

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGING = ("mkdir", "rename", "unlink", "write", "fsync", "makedirs", "replace", "chmod")
SECONDS = 100


@pytest.fixture
def no_writing(monkeypatch):
    """As on a file system that is mounted read-only."""

    def refuse(*given, **named):
        raise OSError(errno.EROFS, "Read-only file system")

    def opened(path, flags, *given, real=os.open, **named):
        return refuse() if flags & WRITING else real(path, flags, *given, **named)

    def accessed(path, mode, *given, real=os.access, **named):
        return not mode & os.W_OK and real(path, mode, *given, **named)

    def begin():
        monkeypatch.setattr(os, "open", opened)
        monkeypatch.setattr(os, "access", accessed)
        for name in CHANGING:
            monkeypatch.setattr(os, name, refuse)

    return begin


def reading(shelf, **options):
    return Repository(shelf.repository.path, TRUST, read_only=True, **options)


def test_what_cannot_be_written_is_listed_verified_and_loaded_from(shelf, no_writing):
    """Whether it has the files of its locks or not."""
    shelf.versions("1.0.0", "1.1.0")
    shelf.add(package("1.2.0"))
    no_writing()
    with pytest.raises(OSError, match="Read-only"):
        shelf.repository.gc()
    with reading(shelf) as repository:
        assert [found.version for found in repository.installed()] == ["1.1.0"]
        assert [found.version for found in repository.packages()] == ["1.0.0", "1.1.0", "1.2.0"]
        assert repository.verify() == []
        assert repository.package("guest", "1.0.0").read() == WASM
        with Plugins(Policy({"guest": Grant()})) as plugins:
            assert plugins.load_from(repository, "guest").manifest.version == "1.1.0"


def test_nothing_is_made_or_changed_by_who_reads(shelf):
    """Steps that would are refused, each with the reason; also where no lock was ever made."""
    shelf.versions("1.0.0", "1.1.0")
    root = shelf.folder / "repository"
    for name in (LOCK, TURN):
        (root / name).unlink()
    before = files_of(root)
    with reading(shelf) as repository:
        steps = [
            lambda: repository.gc(), lambda: repository.upgrade(), lambda: repository.install("guest", "1.0.0"),
            lambda: repository.roll_back("guest"), lambda: repository.remove("guest"),
            lambda: repository.pin("guest", "1.0.0"), lambda: repository.unpin("guest", "1.0.0"),
            lambda: repository.take(package("1.2.0")), lambda: repository.publish(manifest("1.2.0"), WASM, ACME),
            lambda: repository.add(shelf.folder / "source1"),
        ]  # fmt: skip
        for step in steps:
            with pytest.raises(RepositoryError, match="expected a repository that may be changed") as refused:
                step()
            assert refused.value.reason == "read-only"
        assert repository.package("guest").manifest.version == "1.1.0" and repository.verify() == []
    assert files_of(root) == before and not (root / LOCK).exists() and not (root / TURN).exists()


def test_what_is_only_read_is_believed_no_more(shelf, tmp_path):
    """Neither a folder or a file that others may write, nor a link, nor what was changed; others may read."""
    shelf.versions("1.0.0")
    root = shelf.folder / "repository"
    for folder in (root, root / "blobs", root / "blobs/sha256", root / "plugins"):
        folder.chmod(0o755)
    with reading(shelf) as repository:
        assert repository.package("guest").read() == WASM
        (root / "plugins/guest.json").chmod(0o666)
        with pytest.raises(RepositoryDamaged, match="a plain file that only this user may change"):
            repository.package("guest")
        (root / "plugins/guest.json").chmod(0o644)
        blob(root, WASM).write_bytes(WASM + b"!")
        with pytest.raises(RepositoryDamaged):
            repository.package("guest")
    (root / "plugins").chmod(0o775)
    with pytest.raises(RepositoryDamaged, match="a folder that only this user, or root, may change, found mode 0775"):
        reading(shelf)
    (root / "plugins").rename(root / "elsewhere")
    (root / "plugins").symlink_to(root / "elsewhere")
    with pytest.raises(RepositoryDamaged, match="a folder that is no link"):
        reading(shelf)
    with pytest.raises(FileNotFoundError):
        Repository(tmp_path / "nothing", TRUST, read_only=True)
    assert not (tmp_path / "nothing").exists()


def test_what_is_no_file_is_told_by_its_kind(shelf):
    """A pipe, a folder, a link; and a mark of the layout that is not there, where nobody can write it again."""
    shelf.versions("1.0.0")
    root = shelf.folder / "repository"
    record = root / "plugins/guest.json"
    for make, found in ((os.mkfifo, "a pipe"), (os.mkdir, "a folder"), (lambda path: os.symlink("x", path), "a link")):
        (record.rmdir if record.is_dir() else record.unlink)()
        make(record)
        with pytest.raises(RepositoryDamaged, match=f"found {found}"):
            shelf.repository.package("guest")
    (root / "oci-layout").unlink()
    with reading(shelf) as repository:
        assert [p.reason for p in repository.verify() if p.what == str(root / "oci-layout")] == ["absent"]
    (root / "turn").unlink()
    (root / "turn").mkdir()
    with pytest.raises(OSError, match=str(root / "turn")):
        shelf.repository.gc()


def test_who_reads_only_waits_for_who_writes(shelf):
    """By the same locks."""
    shelf.versions("1.0.0")
    with Layout(shelf.repository.path) as other, reading(shelf, patience_s=0.05) as impatient:
        with other.locked(True, SECONDS), pytest.raises(RepositoryBusy, match="expected a turn"):
            impatient.package("guest")
        assert impatient.package("guest").read() == WASM


def is_held(path):
    """Whether somebody has the lock of a file."""
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(file, fcntl.LOCK_UN)
        return False


def test_a_writer_gets_his_turn_however_many_read(shelf):
    """Who comes later to read stands behind a writer that waits for those who read now."""
    shelf.versions("1.0.0")
    turn, done = shelf.folder / "repository" / TURN, []
    writer = threading.Thread(target=lambda: done.append(shelf.repository.gc()))
    with (
        Layout(shelf.repository.path) as reader,
        Repository(shelf.repository.path, TRUST, patience_s=0.05) as later,
        Repository(shelf.repository.path, TRUST, patience_s=SECONDS) as patient,
    ):
        with reader.locked(False, SECONDS):
            assert later.package("guest")  # beside another reader
            writer.start()
            end = time.monotonic() + SECONDS
            while not is_held(turn):
                assert time.monotonic() < end
                time.sleep(0.001)
            with pytest.raises(RepositoryBusy):
                later.package("guest")
            assert done == []
        writer.join(SECONDS)
        assert done == [(0, 0, 0)]
        assert patient.package("guest").read() == WASM and not is_held(turn)
