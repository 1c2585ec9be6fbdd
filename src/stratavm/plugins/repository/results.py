"""What repositories answer, as data."""

from __future__ import annotations

from stratavm.base.forms import NamedTuple


class Listed(NamedTuple):
    """A package in a repository.

    Attributes:
        name, version: whose; as the index says, where ``problem`` says that the package is not right.
        digest: of its image manifest.
        key: the name of the key that signed it.
        created, expires: RFC 3339, or empty.
        installed: it is the version that is loaded; ``earlier``: it was; ``pinned``: it stays.
        problem: why it would not be taken; empty where it would, as far as its files but the module say. Whether it
            expired and what is granted is asked when it is installed.
    """

    name: str
    version: str
    digest: str
    key: str = ""
    created: str = ""
    expires: str = ""
    installed: bool = False
    earlier: bool = False
    pinned: bool = False
    problem: str = ""


class Installed(NamedTuple):
    """What is installed of a plugin.

    Attributes:
        name, version: what is loaded.
        digest: of its package.
        earlier: versions that can be rolled back to, the last one last.
        highest: the highest version that ever was; nothing below it is installed.
        pinned: versions that stay in the repository.
        problem: why it would not be loaded; empty where it would, as far as its files but the module say.
    """

    name: str
    version: str
    digest: str
    earlier: tuple[str, ...]
    highest: str
    pinned: tuple[str, ...]
    problem: str = ""


class Problem(NamedTuple):
    """A file or a package that is not right: what it is about, a word for programs, and the whole of it."""

    what: str
    reason: str
    said: str


class Collected(NamedTuple):
    """What ``gc`` removed: packages that nobody needs any more, files, and their bytes."""

    packages: int
    files: int
    bytes: int
