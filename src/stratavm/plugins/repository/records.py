"""What is installed, of one plugin: the version now, the ones before it, the highest ever, and what is pinned."""

from __future__ import annotations

from collections.abc import Callable

from stratavm.base.forms import Any, Final, NamedTuple, Self, dataclass, replace
from stratavm.plugins.manifest import DIGEST, digest_of
from stratavm.plugins.ranges import is_version, precedence
from stratavm.plugins.repository.artifact import IMAGE, MOST_IMAGE, SIGNATURE, Descriptor
from stratavm.plugins.repository.signing import MOST_ENVELOPE
from stratavm.plugins.repository.spelling import Refuse, having, parsed, spelt

FORMAT: Final = 1
MOST_BYTES: Final = 1 << 20
MOST_EARLIER: Final = 10
"""So many versions before the one now can be rolled back to."""
MOST_PINNED: Final = 100
SUM: Final = "sum"


class Entry(NamedTuple):
    """A version of a plugin in the repository.

    Attributes:
        version: which.
        image: its package; ``envelope``: its signature.
    """

    version: str
    image: Descriptor
    envelope: Descriptor

    @property
    def json(self) -> dict[str, Any]:
        """For the file."""
        sizes = {"image_bytes": self.image.size, "envelope_bytes": self.envelope.size}
        return {"version": self.version, "image": self.image.digest, "envelope": self.envelope.digest} | sizes

    @classmethod
    def read(cls, said: Any, refuse: Refuse) -> Entry:
        """From the file.

        Raises:
            Exception: what ``refuse`` made.
        """
        keys: dict[str, Any] = {
            "version": str, "image": str, "envelope": str, "image_bytes": int, "envelope_bytes": int,
        }  # fmt: skip
        table = having(said, keys, refuse)
        version_of(table["version"], refuse)
        parts = []
        for name, type, most in (("image", IMAGE, MOST_IMAGE), ("envelope", SIGNATURE, MOST_ENVELOPE)):
            digest, size = table[name], table[f"{name}_bytes"]
            if not DIGEST.match(digest) or not 0 <= size <= most:
                raise refuse("form", f"digest and size of the {name}", f"{digest[:80]} and {size}")
            parts.append(Descriptor(type, digest, size))
        return cls(table["version"], *parts)


def version_of(text: str, refuse: Refuse) -> str:
    """A version, as manifests write it.

    Raises:
        Exception: what ``refuse`` made.
    """
    if not is_version(text):
        raise refuse("form", "a version such as '1.4.0'", text[:100])
    return text


@dataclass(frozen=True, slots=True)
class Record:
    """What there is of one plugin; a change is a new one.

    Attributes:
        name: the plugin's.
        current: the version that is installed; None: none is.
        earlier: those that were, the last one last.
        highest: the highest version that ever was, and its package's digest.
        pinned: versions that stay in the repository.
    """

    name: str
    current: Entry | None = None
    earlier: tuple[Entry, ...] = ()
    highest: tuple[str, str] | None = None
    pinned: tuple[str, ...] = ()

    def with_current(self, entry: Entry) -> Record:
        """After an installation."""
        earlier = (*self.earlier, *([self.current] if self.current else []))
        return replace(
            self, current=entry, earlier=earlier[-MOST_EARLIER:], highest=(entry.version, entry.image.digest)
        )

    def back(self, steps: int) -> Record:
        """So many steps back; those that are left go."""
        return replace(self, current=self.earlier[-steps], earlier=self.earlier[:-steps])

    def removed(self) -> Record:
        """After it was removed: that it was here stays."""
        return replace(self, current=None, earlier=())

    def refusal(self, version: str, digest: str) -> str:
        """Why a package may not be installed: it is below the highest that was (``downgrade``), or has its number and
        is another (``replay``). Empty: it may."""
        if self.highest is None:
            return ""
        least, known = precedence(self.highest[0]), precedence(version)
        if known < least:
            return "downgrade"
        return "replay" if known == least and digest != self.highest[1] else ""

    def awaits(self, version: str, digest: str) -> bool:
        """Whether a package may be installed some day, but for the one that was removed."""
        removed = self.current is None and self.highest is not None and digest == self.highest[1]
        return not removed and not self.refusal(version, digest)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All that must stay."""
        return (*self.earlier, *([self.current] if self.current else []))

    def written(self) -> bytes:
        """The bytes of its file."""
        said: dict[str, Any] = {
            "record": FORMAT,
            "name": self.name,
            "current": self.current.json if self.current else None,
            "earlier": [entry.json for entry in self.earlier],
            "highest": list(self.highest) if self.highest else None,
            "pinned": list(self.pinned),
        }
        return spelt(said | {SUM: digest_of(spelt(said))})

    @classmethod
    def read(cls, data: bytes, name: str, refuse: Callable[[str, str, str], Exception]) -> Self:
        """From the bytes of its file, which has a sum of itself, against accidents.

        Raises:
            Exception: what ``refuse`` made: they are not what was written.
        """
        option: tuple[type, ...] = (dict, type(None))
        keys: dict[str, Any] = {
            "record": int, "name": str, "current": option, "earlier": list, "highest": (list, type(None)),
            "pinned": list, SUM: str,
        }  # fmt: skip
        said = having(parsed(data, MOST_BYTES, refuse), keys, refuse)
        if said[SUM] != digest_of(spelt({key: value for key, value in said.items() if key != SUM})):
            raise refuse("digest", f"what has the sum {said[SUM][:80]}", "something else")
        if (said["record"], said["name"]) != (FORMAT, name):
            raise refuse("form", f"format {FORMAT} of {name}", f"{said['record']} of {said['name']}"[:200])
        highest = said["highest"]
        if highest is not None and (
            len(highest) != 2 or not all(isinstance(part, str) for part in highest) or not DIGEST.match(highest[1])
        ):
            raise refuse("form", "version and digest of the highest", str(highest)[:100])
        if len(said["earlier"]) > MOST_EARLIER or len(said["pinned"]) > MOST_PINNED:
            raise refuse("size", f"{MOST_EARLIER} earlier versions, {MOST_PINNED} pinned ones", "more")
        return cls(
            name=name,
            current=None if said["current"] is None else Entry.read(said["current"], refuse),
            earlier=tuple(Entry.read(item, refuse) for item in said["earlier"]),
            highest=None if highest is None else (version_of(highest[0], refuse), highest[1]),
            pinned=tuple(version_of(str(version), refuse) for version in said["pinned"]),
        )
