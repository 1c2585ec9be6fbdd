"""A package as an OCI artifact: image manifest, config for WebAssembly, one layer; and the artifact of a signature."""

from __future__ import annotations

import calendar
import re
import time

from stratavm.base.forms import Any, Final, NamedTuple, replace
from stratavm.base.numbers import real
from stratavm.plugins.errors import ManifestError
from stratavm.plugins.manifest import DIGEST, Manifest, digest_of
from stratavm.plugins.repository.errors import PackageRefused
from stratavm.plugins.repository.given import check
from stratavm.plugins.repository.signing import MOST_ENVELOPE, PrivateKey, envelope
from stratavm.plugins.repository.spelling import Refuse, having, parsed, spelt
from stratavm.plugins.sources import MOST_MODULE

IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
CONFIG: Final = "application/vnd.wasm.config.v0+json"
LAYER: Final = "application/wasm"
EMPTY: Final = "application/vnd.oci.empty.v1+json"
SIGNATURE: Final = "application/vnd.dsse.envelope.v1+json"
NOTHING: Final = b"{}"
"""The content of an artifact that has no config."""
MOST_IMAGE: Final = 64 << 10
MOST_CONFIG: Final = 128 << 10
BINARY: Final = b"\0asm\1\0\0\0"
ARCHITECTURE: Final = "wasm"
SYSTEM: Final = "wasip1"
TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
LAST: Final = 253_402_300_800
"""The year 10000 begins then, and has no four digits."""
NAME_OF: Final = "org.opencontainers.image.ref.name"
TITLE_OF: Final = "org.opencontainers.image.title"
VERSION_OF: Final = "org.opencontainers.image.version"


class Descriptor(NamedTuple):
    """What names a blob: its media type, its digest, its bytes."""

    type: str
    digest: str
    size: int

    @classmethod
    def of(cls, type: str, data: bytes) -> Descriptor:
        """Of a blob."""
        return cls(type, digest_of(data), len(data))

    @classmethod
    def read(cls, said: Any, type: str, most: int, refuse: Refuse, where: str) -> Descriptor:
        """From JSON; annotations are passed over.

        Raises:
            Exception: what ``refuse`` made: it is none, or of another type, or names too much.
        """
        keys: dict[str, Any] = {
            "mediaType": str,
            "digest": str,
            "size": int,
            "annotations?": dict,
            "artifactType?": str,
        }
        table = having(said, keys, refuse, where)
        if table["mediaType"] != type:
            raise refuse("form", f"{where} of type {type}", table["mediaType"][:100])
        if not DIGEST.match(table["digest"]):
            raise refuse("form", f"a digest of {where}: 'sha256:' and 64 hexadecimal digits", table["digest"][:100])
        if not 0 <= table["size"] <= most:
            raise refuse("size", f"{where} of at most {most} bytes", str(table["size"])[:40])
        return cls(type, table["digest"], table["size"])

    @property
    def json(self) -> dict[str, Any]:
        """As OCI writes it."""
        return {"mediaType": self.type, "digest": self.digest, "size": self.size}


class Sealed(NamedTuple):
    """A package with its signature, as bytes.

    Attributes:
        image: the manifest of OCI, which is signed.
        config, module: what it names.
        envelope: the signature.
    """

    image: bytes
    config: bytes
    module: bytes
    envelope: bytes


class Contents(NamedTuple):
    """What a package says, once its signature is right.

    Attributes:
        manifest: the plugin's.
        created: when it was made; ``expires``: until when it may be installed, seconds since the epoch, or None.
    """

    manifest: Manifest
    created: float
    expires: float | None


def written_time(seconds: float) -> str:
    """A moment as RFC 3339 writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def read_time(text: str, refuse: Refuse, where: str) -> float:
    """Seconds since the epoch.

    Raises:
        Exception: what ``refuse`` made.
    """
    try:
        if not TIME.match(text):
            raise ValueError
        seconds = float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
        if written_time(seconds) != text:
            raise ValueError
    except (ValueError, OverflowError):
        raise refuse("form", f"a time such as 2026-11-30T17:00:00Z for {where}", text[:40]) from None
    return seconds


def image_of(manifest: Manifest, config: bytes, module: bytes) -> bytes:
    """The image manifest of OCI for a plugin, its config and its module."""
    return spelt(
        {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": Descriptor.of(CONFIG, config).json,
            "layers": [Descriptor.of(LAYER, module).json],
            "annotations": {TITLE_OF: manifest.name, VERSION_OF: manifest.version},
        }
    )


def config_of(manifest: Manifest, created: float, expires: float | None = None) -> bytes:
    """The config: what clients of WebAssembly artifacts read, and the plugin's manifest."""
    said = {
        "architecture": ARCHITECTURE,
        "os": SYSTEM,
        "created": written_time(created),
        "layerDigests": [manifest.digest],
        "plugin": parsed(manifest.as_json(), MOST_CONFIG, _own),
    }
    return spelt(said if expires is None else said | {"expires": written_time(expires)})


def _own(reason: str, expected: str, found: str) -> Exception:
    return PackageRefused("the manifest", reason, expected, found)


def seal(
    manifest: Manifest, module: bytes, key: PrivateKey, *, created: float | None = None, expires: float | None = None
) -> Sealed:
    """Make a package of a plugin, and sign it.

    Args:
        manifest: the plugin's; its digest becomes that of the module.
        module: a binary.
        key: who signs.
        created: when, seconds since the epoch; None: now.
        expires: until when it may be installed; None: for ever.

    Raises:
        PackageRefused: the module is no binary, or too large, or not the one that the manifest names.
        TypeError, ValueError: a time is no number, or of no year from 1970 to 9999; or something is of another kind.
    """
    check_parts(manifest, module, key)
    for name, moment in (("created", created), ("expires", expires)):
        if moment is not None and not 0 <= real(name, moment, " of seconds since the epoch") < LAST:
            raise ValueError(f"{name} must be seconds since the epoch, before the year 10000, got {moment!r:.60}")
    what = f"{manifest.name} {manifest.version}"
    if not module.startswith(BINARY):
        raise PackageRefused(what, "form", "a WebAssembly binary", "something else", "`strata parse` makes one of text")
    if len(module) > MOST_MODULE:
        raise PackageRefused(what, "size", f"a module of at most {MOST_MODULE} bytes", str(len(module)))
    digest = digest_of(module)
    if manifest.digest not in ("", digest):
        raise PackageRefused(what, "digest", f"the module that the manifest names, {manifest.digest}", digest)
    named = replace(manifest, digest=digest)
    config = config_of(named, time.time() if created is None else created, expires)
    image = image_of(named, config, module)
    for part, most in ((config, MOST_CONFIG), (image, MOST_IMAGE)):
        if len(part) > most:
            raise PackageRefused(what, "size", f"at most {most} bytes of JSON", str(len(part)))
    return Sealed(image, config, module, envelope(image, key))


def check_parts(manifest: object, module: object, key: object) -> None:
    """Look at what a package is made of.

    Raises:
        TypeError: something is of another kind.
    """
    check("manifest", manifest, Manifest, "a Manifest")
    check("module", module, bytes, "the bytes of a binary")
    check("key", key, PrivateKey, "a PrivateKey")


def check_sealed(name: str, sealed: object) -> None:
    """Look at a package that somebody gives.

    Raises:
        TypeError: it is none.
    """
    check(name, sealed, Sealed, "a Sealed, such as `seal` makes")
    for field, part in zip(Sealed._fields, sealed, strict=True):  # type: ignore[call-overload]
        check(f"{name}.{field}", part, bytes, "bytes")


def parts_of(image: bytes, what: str) -> tuple[Descriptor, Descriptor]:
    """Config and module that a signed image manifest names.

    Raises:
        PackageRefused: it is none of a plugin.
    """

    def refuse(reason: str, expected: str, found: str) -> PackageRefused:
        return PackageRefused(f"{what}, its image manifest", reason, expected, found)

    keys: dict[str, Any] = {
        "schemaVersion": int, "mediaType": str, "config": dict, "layers": list, "annotations?": dict,
    }  # fmt: skip
    said = having(parsed(image, MOST_IMAGE, refuse), keys, refuse)
    if (said["schemaVersion"], said["mediaType"]) != (2, IMAGE):
        raise refuse("form", f"schema 2 of {IMAGE}", f"{said['schemaVersion']} of {said['mediaType']}"[:100])
    if len(said["layers"]) != 1:
        raise refuse("form", "one layer", str(len(said["layers"])))
    return (
        Descriptor.read(said["config"], CONFIG, MOST_CONFIG, refuse, "the config"),
        Descriptor.read(said["layers"][0], LAYER, MOST_MODULE, refuse, "the module"),
    )


def contents_of(config: bytes, module: Descriptor, what: str) -> Contents:
    """What the config of a signed package says.

    Raises:
        PackageRefused: it is none of a plugin, or of another module.
    """

    def refuse(reason: str, expected: str, found: str) -> PackageRefused:
        return PackageRefused(f"{what}, its config", reason, expected, found)

    keys: dict[str, Any] = {
        "architecture": str, "os": str, "created": str, "layerDigests": list, "plugin": dict, "expires?": str,
    }  # fmt: skip
    said = having(parsed(config, MOST_CONFIG, refuse), keys, refuse)
    if (said["architecture"], said["os"]) != (ARCHITECTURE, SYSTEM):
        raise refuse("form", f"{ARCHITECTURE} and {SYSTEM}", f"{said['architecture']} and {said['os']}"[:100])
    if said["layerDigests"] != [module.digest]:
        raise refuse("digest", f"one layer, {module.digest}", str(said["layerDigests"])[:100])
    try:
        manifest = Manifest.of(said["plugin"], what)
    except ManifestError as error:
        raise refuse("form", f"{error.where or 'plugin'}: {error.expected}", error.found) from None
    if manifest.as_json() != spelt(said["plugin"]):
        raise refuse("form", "the manifest in its one spelling", "another one")
    if manifest.digest != module.digest:
        raise refuse("digest", f"the module {manifest.digest or 'named by its digest'}", module.digest)
    expires = read_time(said["expires"], refuse, "expires") if "expires" in said else None
    return Contents(manifest, read_time(said["created"], refuse, "created"), expires)


# ---- the artifact of a signature ----


def signature_of(image: bytes, envelope: Descriptor) -> bytes:
    """The artifact that registries keep for a signature: its ``subject`` is the package."""
    return spelt(
        {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "artifactType": SIGNATURE,
            "config": Descriptor.of(EMPTY, NOTHING).json,
            "layers": [envelope.json],
            "subject": Descriptor.of(IMAGE, image).json,
        }
    )


def signed_by(artifact: bytes, what: str) -> tuple[Descriptor, Descriptor]:
    """The package that the artifact of a signature is of, and the envelope.

    Raises:
        PackageRefused: it is none.
    """

    def refuse(reason: str, expected: str, found: str) -> PackageRefused:
        return PackageRefused(f"{what}, the artifact of a signature", reason, expected, found)

    keys: dict[str, Any] = {
        "schemaVersion": int, "mediaType": str, "artifactType": str, "config": dict, "layers": list, "subject": dict,
        "annotations?": dict,
    }  # fmt: skip
    said = having(parsed(artifact, MOST_IMAGE, refuse), keys, refuse)
    if (said["schemaVersion"], said["mediaType"], said["artifactType"]) != (2, IMAGE, SIGNATURE):
        raise refuse("form", f"schema 2 of {SIGNATURE}", said["artifactType"][:100])
    if len(said["layers"]) != 1:
        raise refuse("form", "one layer", str(len(said["layers"])))
    Descriptor.read(said["config"], EMPTY, len(NOTHING), refuse, "the config")
    return (
        Descriptor.read(said["subject"], IMAGE, MOST_IMAGE, refuse, "the subject"),
        Descriptor.read(said["layers"][0], SIGNATURE, MOST_ENVELOPE, refuse, "the envelope"),
    )
