"""Files of a folder and below, as the standard library finds them."""

import os
from pathlib import Path

import pytest

import stratavm
from stratavm.base.files import files_below, read_part, stamp_of


def expected(folder: Path) -> list[tuple[str, int, int, int]]:
    """The same by ``os.walk``."""
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            if name.endswith((".py", ".so")):
                path = Path(where, name)
                now = path.stat()
                found.append((str(path.relative_to(folder)), now.st_size, now.st_mtime_ns, now.st_ctime_ns))
    return sorted(found)


def test_it_finds_what_the_standard_library_finds(tmp_path):
    """Of this package, and of a folder with links, names that are no UTF-8, folders that end as files do."""
    package = Path(stratavm.__file__).parent
    assert sorted(files_below(str(package), (".py", ".so"), "__pycache__")) == expected(package)
    for folder in ("a/b", "a/__pycache__", "c.py", "empty"):
        (tmp_path / folder).mkdir(parents=True)
    for number, file in enumerate(
        ("x.py", "a/y.so", "a/b/z.py", "a/__pycache__/no.py", "c.py/in.py", "other.txt", ".py")
    ):
        (tmp_path / file).write_bytes(bytes(number))
    (tmp_path / "link.py").symlink_to(tmp_path / "a/y.so")
    (tmp_path / "around").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / os.fsdecode(b"\xff.py")).write_bytes(b"1234")
    os.utime(tmp_path / "x.py", ns=(1, -2_500_000_001))
    found = sorted(files_below(str(tmp_path), (".py", ".so"), "__pycache__"))
    assert found == expected(tmp_path)
    assert [name for name, *_ in found if "no.py" in name or "around" in name] == []
    assert ("x.py", 0, -2_500_000_001) in [(name, size, changed) for name, size, changed, _ in found]


ENDINGS = (".py", ".so")


def test_a_stamp_changes_with_every_name_size_and_time(tmp_path):
    """And with nothing else; the latest time is that of all files, of links what they lead to."""
    outside = tmp_path / "outside"
    outside.write_text("")
    package = tmp_path / "package"
    for file in ("x.py", "a/y.so", "a/b/z.py", "a/__pycache__/no.py", "other.txt"):
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).write_text("1")
    (package / "link.py").symlink_to(outside)
    (package / "around").symlink_to(package, target_is_directory=True)
    changes = {
        "content": lambda: (package / "a/b/z.py").write_text("22"),
        "time": lambda: os.utime(package / "x.py", ns=(1, 1)),
        "name": lambda: (package / "x.py").rename(package / "w.py"),
        "place": lambda: (package / "w.py").rename(package / "a/w.py"),
        "link": lambda: outside.write_text("333"),
        "new": lambda: (package / "a/new.py").write_text(""),
        "gone": lambda: (package / "a/y.so").unlink(),
        "folder": lambda: (package / "empty").mkdir(),
    }
    seen = [stamp_of(str(package), ENDINGS, "__pycache__")]
    for change in changes.values():
        change()
        seen.append(stamp_of(str(package), ENDINGS, "__pycache__"))
        assert seen[-1][1] == max(changed for *_, changed in files_below(str(package), ENDINGS, "__pycache__"))
    assert len({stamp for stamp, _ in seen}) == len(seen)
    (package / "other.txt").write_text("4444")
    (package / "a/__pycache__/no.py").write_text("55555")
    assert stamp_of(str(package), ENDINGS, "__pycache__") == seen[-1]


def test_a_stamp_of_many_files_has_all_of_them(tmp_path):
    """More than its memory has at first."""
    for number in range(3000):
        (tmp_path / f"a file with a name that is rather long {number}.py").touch()
    stamp, newest = stamp_of(str(tmp_path), ENDINGS, "")
    assert all(f"long {number}.py".encode() in stamp for number in range(3000)) and newest > 0


def test_a_stamp_of_what_cannot_be_looked_at_is_an_error(tmp_path):
    """A folder that is not there, and a link that leads nowhere."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        stamp_of(str(tmp_path / "nowhere"), ENDINGS, "")
    (tmp_path / "below").mkdir()
    (tmp_path / "below/dangling.py").symlink_to(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        stamp_of(str(tmp_path), ENDINGS, "")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    """And so is a link that leads nowhere."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        files_below(str(tmp_path / "nowhere"), (".py",), "")
    (tmp_path / "dangling.py").symlink_to(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="dangling"):
        files_below(str(tmp_path), (".py",), "")


@pytest.mark.parametrize("size", [0, 1, 70_000, 9 << 20])
def test_a_part_of_a_file_is_what_lies_there(tmp_path, size):
    """Large and small ones, and what goes beyond its end; the position of the descriptor stays."""
    content = os.urandom(1 << 16) * 144
    path = tmp_path / "file"
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert read_part(descriptor, 77, size) == content[77 : 77 + size]
        assert read_part(descriptor, len(content) - 5, size) == content[-5:][:size]
        assert read_part(descriptor, len(content) + 5, size) == b""
        assert read_part(descriptor, 0, -1) == b""
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0
    finally:
        os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        read_part(descriptor, 0, max(size, 1))
