"""Packages in a layout: written with their signatures, found by name, and opened, which checks all that they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from stratavm.base.forms import Final, NamedTuple
from stratavm.base.text import printable
from stratavm.plugins.manifest import digest_of
from stratavm.plugins.repository.artifact import (
    BINARY,
    IMAGE,
    NOTHING,
    SIGNATURE,
    Contents,
    Descriptor,
    Sealed,
    contents_of,
    parts_of,
    signature_of,
    signed_by,
)
from stratavm.plugins.repository.errors import PackageRefused, RepositoryError
from stratavm.plugins.repository.layout import Layout, Named
from stratavm.plugins.repository.records import Entry
from stratavm.plugins.repository.signing import MOST_SIGNATURES, opened
from stratavm.plugins.repository.trust import Trust, TrustedKey

UNNAMED: Final = "a package"


class Pair(NamedTuple):
    """A package that an index names, and the artifacts of its signatures, of which nothing is known to be right.

    Attributes:
        image: the package; ``hint``: ``NAME:VERSION``, as the index says.
        signatures: the artifacts.
    """

    image: Descriptor
    hint: str
    signatures: tuple[Descriptor, ...]

    @property
    def what(self) -> str:
        """For people."""
        return self.hint.replace(":", " ")[:200] or f"{UNNAMED} {self.image.digest[:19]}"


class Opened(NamedTuple):
    """A package whose signature is right.

    Attributes:
        entry: where it is.
        key: who signed it.
        config, module: its blobs; ``contents``: what the config says.
    """

    entry: Entry
    key: TrustedKey
    config: Descriptor
    module: Descriptor
    contents: Contents

    @property
    def name(self) -> str:
        """The plugin's."""
        return self.contents.manifest.name

    @property
    def version(self) -> str:
        """The plugin's."""
        return self.contents.manifest.version

    @property
    def what(self) -> str:
        """For people."""
        return f"{self.name} {self.version}"

    @property
    def hint(self) -> str:
        """How an index names it."""
        return f"{self.name}:{self.version}"


def pairs(layout: Layout) -> list[Pair]:
    """The packages that a layout's index names.

    Raises:
        RepositoryError: the index is damaged, or the artifact of a signature is.
    """
    entries, signatures = layout.entries(), dict[str, list[Descriptor]]()
    for entry in entries:
        if entry.signs:
            subject = entry.hint or signed_by(layout.blob(entry.what), layout.path)[0].digest
            signatures.setdefault(subject, []).append(entry.what)
    images = [entry for entry in entries if not entry.signs]
    return [Pair(e.what, e.hint, tuple(signatures.get(e.what.digest, ())[:MOST_SIGNATURES])) for e in images]


def open_pair(layout: Layout, trust: Trust, pair: Pair) -> Opened:
    """A package by one of its signatures.

    Raises:
        RepositoryError: none of them is by a trusted key, or something is not as it must be.
    """
    if not pair.signatures:
        raise PackageRefused(pair.what, "signature", "a signature", "none", "`strata repo sign` signs a plugin")
    first: RepositoryError | None = None
    for artifact in pair.signatures:
        try:
            subject, envelope = signed_by(layout.blob(artifact), pair.what)
            if subject.digest != pair.image.digest:
                raise PackageRefused(pair.what, "signature", f"a signature of {pair.image.digest}", subject.digest)
            return open_entry(layout.blob, trust, pair.image, envelope, pair.what)
        except RepositoryError as error:
            first = first or error
    assert first is not None
    raise first


def open_entry(
    blob: Callable[[Descriptor], bytes], trust: Trust, image: Descriptor, envelope: Descriptor, what: str
) -> Opened:
    """A package by its envelope. Of the package nothing is parsed before its signature is right; the module is not
    read.

    Args:
        blob: gives the bytes that a descriptor names.
        trust: the keys that count.
        image: of the package.
        envelope: of its signature.
        what: for people.

    Raises:
        RepositoryError: something is not as it must be.
    """
    payload, signatures = opened(blob(envelope), what)
    if digest_of(payload) != image.digest:
        raise PackageRefused(what, "signature", f"a signature of {image.digest}", f"one of {digest_of(payload)}")
    keys = trust.signers(payload, signatures, what)
    config, module = parts_of(payload, what)
    contents = contents_of(blob(config), module, what)
    manifest = contents.manifest
    key = next((key for key in keys if key.may_sign(manifest.name)), None)
    if key is None:
        found = "; ".join(f"one by {key.name}, which may sign {', '.join(key.plugins) or 'nothing'}" for key in keys)
        expected = f"a signature by a key that may sign {manifest.name}"
        todo = "if it may: `strata repo trust` it again, with --for each plugin that it may sign"
        raise PackageRefused(what, "name", expected, found, todo)
    return Opened(Entry(manifest.version, image, envelope), key, config, module, contents)


def read_module(layout: Layout, package: Opened) -> bytes:
    """The module of a package.

    Raises:
        RepositoryError: it is not what was signed, or no binary.
    """
    data = layout.blob(package.module)
    if not data.startswith(BINARY):
        raise PackageRefused(package.what, "form", "a WebAssembly binary", "something else")
    return data


def sealed_in(layout: Layout, package: Opened) -> Sealed:
    """All bytes of a package.

    Raises:
        RepositoryError: something is not what was signed.
    """
    module = read_module(layout, package)
    image, envelope = layout.blob(package.entry.image), layout.blob(package.entry.envelope)
    return Sealed(image, layout.blob(package.config), module, envelope)


def blobs_of(sealed: Sealed) -> tuple[bytes, ...]:
    """All blobs of a package and its signature."""
    return sealed.module, sealed.config, NOTHING, sealed.envelope, artifact_of(sealed), sealed.image


def artifact_of(sealed: Sealed) -> bytes:
    """The artifact of a package's signature."""
    return signature_of(sealed.image, Descriptor.of(SIGNATURE, sealed.envelope))


def put(layout: Layout, packages: Iterable[tuple[Sealed, str]]) -> None:
    """Keep packages in a layout, each under its ``NAME:VERSION``. The index is the last thing that is written, once: it
    has all of them then, or none.

    Raises:
        PackageRefused: another package of a name and version is there, or among them.
    """
    entries = layout.entries()
    known = {entry.hint: entry.what.digest for entry in entries if not entry.signs}
    new: dict[str, Named] = {}
    for sealed, hint in packages:
        image, artifact = Descriptor.of(IMAGE, sealed.image), Descriptor.of(IMAGE, artifact_of(sealed))
        first = known.setdefault(hint, image.digest)
        if first != image.digest:
            expected, found = f"one package of each version, {first}", f"another one, {image.digest}"
            todo = f"a new version has a new number; or remove {printable(layout.path)}, if nobody has it yet"
            raise PackageRefused(hint.replace(":", " "), "replay", expected, found, todo)
        for blob in blobs_of(sealed):
            layout.put(blob)
        new |= {image.digest: Named(image, False, hint), artifact.digest: Named(artifact, True, image.digest)}
    for entry in entries:
        new.pop(entry.what.digest, None)
    if new:
        layout.write_entries(_bounded([*entries, *new.values()]))


def _bounded(entries: list[Named]) -> list[Named]:
    """Entries without those of the oldest signatures of a package, so that each that is left is looked at."""
    kept, counts = list[Named](), dict[str, int]()
    for entry in reversed(entries):
        counts[entry.hint] = counts.get(entry.hint, 0) + entry.signs
        if not entry.signs or counts[entry.hint] <= MOST_SIGNATURES:
            kept.append(entry)
    return kept[::-1]


def reachable(layout: Layout, entry: Entry) -> Iterator[str]:
    """Digests of all blobs that an entry needs.

    Raises:
        RepositoryError: its image manifest is damaged.
    """
    image = layout.blob(entry.image)
    yield from (part.digest for part in parts_of(image, entry.version))
    yield from (entry.image.digest, entry.envelope.digest, digest_of(NOTHING))
    yield digest_of(signature_of(image, entry.envelope))


def check_version(found: Pair, package: Opened, layout: Layout) -> None:
    """The index names a package as it names itself.

    Raises:
        RepositoryDamaged: it does not.
    """
    if found.hint and found.hint != package.hint:
        raise layout.damaged("", "index.json", "form", package.hint, found.hint)
