"""Files of a folder and below, as the standard library finds them."""

import os
from pathlib import Path

import pytest

import stratavm
from stratavm.base.filetimes import files_below


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
    for number, file in enumerate(("x.py", "a/y.so", "a/b/z.py", "a/__pycache__/no.py", "c.py/in.py", "other.txt", ".py")):
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
