"""Files of a folder and below, as the standard library finds them."""

import os
from pathlib import Path

import pytest

import stratavm
from stratavm.base.files import files_below, read_part


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
