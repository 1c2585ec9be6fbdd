"""What goes wrong with packages and repositories: errors say what, what was expected, what was found, what to do."""

from __future__ import annotations

from stratavm.base.text import printable
from stratavm.plugins.errors import PluginError


class RepositoryError(PluginError):
    """Base of the errors of this room.

    Attributes:
        what: what it is about: a package, a file, a key.
        reason: a word for programs: ``signature``, ``key``, ``name``, ``downgrade``, ``replay``, ``digest``, ``size``,
            ``form``, ``expired``, ``policy``, ``absent``, ``file``, ``busy``, ``read-only``, ``needs``.
        expected, found: as the text says them.
    """

    def __init__(self, what: str, reason: str, expected: str, found: str, todo: str = "") -> None:
        self.what, self.reason, self.expected, self.found = what, reason, expected, found
        super().__init__(
            f"{printable(what)}: expected {printable(expected)}, found {printable(found)}{todo and f'; {todo}'}"
        )


class PackageRefused(RepositoryError):
    """A package is not taken, or no longer: it is not what it must be, or nobody may install it here."""


class RepositoryDamaged(RepositoryError):
    """A file of a repository is not what was written there."""


class RepositoryBusy(RepositoryError):
    """Another process, or another thread, had the repository for too long."""


class TrustError(RepositoryError):
    """A key, or the file of trusted keys, is not as it must be."""


class SigningUnavailable(RepositoryError):
    """The package behind signatures is not installed."""
