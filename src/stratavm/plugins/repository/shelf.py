"""Packages in a layout: written with their signatures, found by name, and opened, which checks all that they say."""

from __future__ import annotations

from collections.abc import Iterator

from stratavm.base.forms import Final, NamedTuple
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
        raise PackageRefused(pair.what, "signature", "a signature", "none")
    first: RepositoryError | None = None
    for artifact in pair.signatures:
        try:
            subject, envelope = signed_by(layout.blob(artifact), pair.what)
            if subject.digest != pair.image.digest:
                raise PackageRefused(pair.what, "signature", f"a signature of {pair.image.digest}", subject.digest)
            return open_entry(layout, trust, pair.image, envelope, pair.what)
        except RepositoryError as error:
            first = first or error
    assert first is not None
    raise first


def open_entry(layout: Layout, trust: Trust, image: Descriptor, envelope: Descriptor, what: str) -> Opened:
    """A package by its envelope. Of the package nothing is parsed before its signature is right; the module is not
    read.

    Raises:
        RepositoryError: something is not as it must be.
    """
    payload, signatures = opened(layout.blob(envelope), what)
    if digest_of(payload) != image.digest:
        raise PackageRefused(what, "signature", f"a signature of {image.digest}", f"one of {digest_of(payload)}")
    key = trust.signer(payload, signatures, what)
    config, module = parts_of(payload, what)
    contents = contents_of(layout.blob(config), module, what)
    manifest = contents.manifest
    if not key.may_sign(manifest.name):
        found = f"one by {key.name}, which may sign {', '.join(key.plugins) or 'nothing'}"
        raise PackageRefused(what, "name", f"a signature by a key that may sign {manifest.name}", found)
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


def put(layout: Layout, sealed: Sealed, hint: str) -> None:
    """Keep the package in a layout. The index is the last thing that is written."""
    for blob in blobs_of(sealed):
        layout.put(blob)
    entries = layout.entries()
    image = Descriptor.of(IMAGE, sealed.image)
    artifact = Descriptor.of(IMAGE, artifact_of(sealed))
    new = [Named(image, False, hint), Named(artifact, True, image.digest)]
    named = {entry.what.digest for entry in entries}
    missing = [entry for entry in new if entry.what.digest not in named]
    if missing:
        layout.write_entries(entries + missing)


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
