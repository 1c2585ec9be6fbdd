"""Events of repositories. The source is the ``Repository``; ``plugin`` is a name. None is ever dropped."""

from __future__ import annotations

from stratavm.base.events.core import Event
from stratavm.base.events.declare import event


class RepositoryEvent(Event):
    """Base of the events of repositories."""

    never_drop = True


@event
class PackageAdded(RepositoryEvent):
    """A package whose signature is right lies in the repository; nothing of it is installed. ``key`` is the name of
    the key that signed it."""

    plugin: str
    version: str
    digest: str
    key: str


@event
class PackageTurnedAway(RepositoryEvent):
    """A step (``add``, ``install``, ``open`` …) was not taken: ``reason`` is a word, ``said`` the whole of it."""

    step: str
    package: str
    reason: str
    said: str


@event
class PackageInstalled(RepositoryEvent):
    """A version is the one that is loaded from now on; ``before`` was it until now, or nothing."""

    plugin: str
    version: str
    before: str
    digest: str
    key: str


@event
class PackageRolledBack(RepositoryEvent):
    """An earlier version is the one that is loaded again; ``before`` was it until now."""

    plugin: str
    version: str
    before: str


@event
class PackageRemoved(RepositoryEvent):
    """No version is installed any more; ``version`` was."""

    plugin: str
    version: str
    forgotten: bool


@event
class PackageOpened(RepositoryEvent):
    """An installed version was verified again, and read for loading."""

    plugin: str
    version: str
    digest: str
    key: str


@event
class RepositoryVerified(RepositoryEvent):
    """All files were looked at; so many ``problems`` were found."""

    files: int
    problems: int


@event
class RepositoryCollected(RepositoryEvent):
    """What nobody needs is gone: so many ``packages`` and ``files``, which had so many ``bytes``."""

    packages: int
    files: int
    bytes: int
