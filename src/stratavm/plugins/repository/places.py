"""Where a user's repository, keys and trusted keys lie where nobody says otherwise."""

from __future__ import annotations

import os

from stratavm.base.forms import NamedTuple
from stratavm.plugins.repository.errors import RepositoryError


class Places(NamedTuple):
    """Paths.

    Attributes:
        repository: a folder.
        trust: the file of trusted keys.
        keys: a folder of private keys.
    """

    repository: str
    trust: str
    keys: str

    @classmethod
    def of_user(cls) -> Places:
        """Below ``$XDG_DATA_HOME`` and ``$XDG_CONFIG_HOME``, or the home directory.

        Raises:
            RepositoryError: this user has no home directory.
        """
        data, config = _base("XDG_DATA_HOME", ".local/share"), _base("XDG_CONFIG_HOME", ".config")
        return cls(os.path.join(data, "plugins"), os.path.join(config, "trust.json"), os.path.join(config, "keys"))

    @classmethod
    def of(cls, repository: str | None, trust: str | None, *, keys: bool = False) -> Places:
        """What is given, else the user's, who need have none where both are and nobody asks for ``keys``.

        Raises:
            RepositoryError: as ``of_user``.
        """
        if repository and trust and not keys:
            return cls(repository, trust, "")
        own = cls.of_user()
        return cls(repository or own.repository, trust or own.trust, own.keys)


def _base(variable: str, below: str) -> str:
    base = os.environ.get(variable, "")
    if not os.path.isabs(base):  # also where it is unset; the specification says that others are ignored
        home = os.path.expanduser("~")
        # What is relative may be anybody's, who had this user unpack a folder and go there.
        if not (os.path.isabs(home) and os.path.isdir(home)) or os.environ.get("HOME") == "":
            raise RepositoryError("the home directory", "absent", "one", "none", f"set {variable}")
        base = os.path.join(home, below)
    return os.path.join(base, "stratavm")
