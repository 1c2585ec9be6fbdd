"""ed25519 by the package ``cryptography``: keys, files of private keys, and signatures over envelopes (DSSE)."""

from __future__ import annotations

import base64
import binascii
import os

from stratavm.base.forms import Any, Final, NamedTuple
from stratavm.base.importing import importing
from stratavm.plugins.repository.errors import PackageRefused, SigningUnavailable, TrustError
from stratavm.plugins.repository.files import permitted, read_plain
from stratavm.plugins.repository.given import path_of
from stratavm.plugins.repository.spelling import having, parsed, spelt

EXTRA: Final = "signing"
ALGORITHM: Final = "ed25519:"
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
MOST_KEY_FILE: Final = 4096
PAYLOAD: Final = "application/vnd.stratavm.plugin.v1+json"
"""What is signed, as the envelope names it: an image manifest of OCI whose config has a plugin."""
MOST_ENVELOPE: Final = 256 << 10
MOST_SIGNATURES: Final = 16


def _library() -> Any:
    """The module of ed25519.

    Raises:
        SigningUnavailable: it is not installed.
    """
    with importing:
        try:
            from cryptography.hazmat.primitives.asymmetric import ed25519
        except ImportError as error:
            install = f"pip install 'stratavm[{EXTRA}]'"
            raise SigningUnavailable("signatures", "needs", "the package cryptography", str(error), install) from None
    return ed25519


# ---- keys ----


class PrivateKey:
    """A key that signs. It shows neither itself nor its bytes."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Any) -> None:
        self._key = key
        self.public = named(key.public_key().public_bytes_raw())
        """What others pin: ``ed25519:`` and base64."""

    @classmethod
    def new(cls) -> PrivateKey:
        """A new one.

        Raises:
            SigningUnavailable: the library is not installed.
        """
        return cls(_library().Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> PrivateKey:
        """From a file (PKCS#8 in PEM) that is this user's alone.

        Raises:
            OSError: it cannot be read.
            TrustError: others may read or change it, or it has no such key.
            SigningUnavailable: the library is not installed.
        """
        name, library = path_of("path", path), _library()
        text = _read_private(name)
        with importing:
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        try:
            key: Any = load_pem_private_key(text, None)
        except Exception as error:  # the library raises what its own libraries do
            found = "one with a password" if b"ENCRYPTED" in text else f"{len(text)} bytes that are none"
            raise TrustError(name, "key", "a private key in PEM, without a password", found) from error
        if not isinstance(key, library.Ed25519PrivateKey):
            raise TrustError(name, "key", "an ed25519 key", type(key).__name__)
        return cls(key)

    def save(self, path: str | os.PathLike[str]) -> None:
        """To a new file that nobody else may read.

        Raises:
            OSError: it is there already, or cannot be written.
        """
        file_name = path_of("path", path)
        with importing:
            from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
        text = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(file_name, flags, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def sign(self, data: bytes) -> bytes:
        """64 bytes."""
        signature: bytes = self._key.sign(data)
        return signature

    def __repr__(self) -> str:
        return f"<private key of {self.public}>"


def _read_private(path: str) -> bytes:
    """The bytes of a file that only this user may read.

    Raises:
        OSError, TrustError: it cannot be read, or others may.
    """

    def refuse(reason: str, expected: str, found: str) -> TrustError:
        return TrustError(path, reason, expected, found, permitted("chmod 600", path, found))

    alone = "a file that is this user's alone"
    return read_plain(path, MOST_KEY_FILE, refuse, alone, owners=(os.geteuid(),), forbidden=0o077)


def named(raw: bytes) -> str:
    """How the bytes of a public key are written."""
    return ALGORITHM + base64.b64encode(raw).decode()


def raw_key(text: object) -> bytes | None:
    """The bytes of a public key; None where a text is none, in its one spelling."""
    if not isinstance(text, str) or not text.startswith(ALGORITHM):
        return None
    raw = _base64(text.removeprefix(ALGORITHM))
    return raw if raw is not None and len(raw) == KEY_BYTES else None


def _base64(text: str) -> bytes | None:
    """Strict base64, whose text is the only one for its bytes; None: it is none."""
    try:
        raw = base64.b64decode(text.encode(), validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def is_right(public: str, signature: bytes, data: bytes) -> bool:
    """Whether a signature over ``data`` is by the key ``public``.

    Raises:
        SigningUnavailable: the library is not installed.
    """
    library, raw = _library(), raw_key(public)
    if raw is None or len(signature) != SIGNATURE_BYTES:
        return False
    with importing:
        from cryptography.exceptions import InvalidSignature
    try:
        library.Ed25519PublicKey.from_public_bytes(raw).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


# ---- envelopes ----


class Signature(NamedTuple):
    """One of an envelope: ``key`` is a hint by whom."""

    key: str
    bytes: bytes


def authenticated(payload: bytes) -> bytes:
    """What is signed of a payload: DSSE's encoding with its type before it."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def envelope(payload: bytes, key: PrivateKey) -> bytes:
    """A payload and its signature."""
    signature = {"keyid": key.public, "sig": base64.b64encode(key.sign(authenticated(payload))).decode()}
    return spelt({"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD, "signatures": [signature]})


def opened(data: bytes, what: str) -> tuple[bytes, list[Signature]]:
    """The payload of an envelope, and the signatures, none of which is known to be right yet.

    Raises:
        PackageRefused: it is no envelope of this kind.
    """

    def refuse(reason: str, expected: str, found: str) -> PackageRefused:
        return PackageRefused(f"{what}, the envelope of its signature", reason, expected, found)

    said = having(parsed(data, MOST_ENVELOPE, refuse), {"payload": str, "payloadType": str, "signatures": list}, refuse)
    if said["payloadType"] != PAYLOAD:
        raise refuse("form", f"the payload type {PAYLOAD}", said["payloadType"][:100])
    if not 1 <= len(said["signatures"]) <= MOST_SIGNATURES:
        raise refuse("form", f"1 to {MOST_SIGNATURES} signatures", str(len(said["signatures"])))
    payload = _base64(said["payload"])
    signatures = []
    for item in said["signatures"]:
        one = having(item, {"keyid": str, "sig": str}, refuse)
        raw = _base64(one["sig"])
        if raw is None or payload is None:
            raise refuse("form", "base64", "something else")
        signatures.append(Signature(one["keyid"], raw))
    assert payload is not None
    return payload, signatures
