"""Packages as OCI artifacts: by the rules of OCI's schemas, and by those of the config for WebAssembly."""

from __future__ import annotations

import base64
import json

import pytest
from jsonschema import Draft202012Validator

from stratavm.plugins.manifest import digest_of
from stratavm.plugins.repository.artifact import IMAGE, SIGNATURE, Descriptor, read_time, signature_of, written_time
from stratavm.plugins.repository.signing import PAYLOAD, PrivateKey, authenticated, is_right, raw_key
from stratavm.plugins.repository.spelling import parsed, spelt
from tests.unit.plugins.repository.shelves import ACME, DAY, NOW, OTHER, WASM, lay, package

MEDIA_TYPE = {
    "type": "string",
    "pattern": "^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$",
}
ANNOTATIONS = {"type": "object", "patternProperties": {".{1,}": {"type": "string"}}}
DESCRIPTOR = {
    "type": "object",
    "required": ["mediaType", "size", "digest"],
    "properties": {
        "mediaType": MEDIA_TYPE,
        "size": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
        "digest": {"type": "string", "pattern": "^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$"},
        "urls": {"type": "array", "items": {"type": "string"}},
        "artifactType": MEDIA_TYPE,
        "annotations": ANNOTATIONS,
    },
}
MANIFEST = {
    "type": "object",
    "required": ["schemaVersion", "config", "layers"],
    "properties": {
        "schemaVersion": {"type": "integer", "minimum": 2, "maximum": 2},
        "mediaType": MEDIA_TYPE,
        "artifactType": MEDIA_TYPE,
        "config": DESCRIPTOR,
        "subject": DESCRIPTOR,
        "layers": {"type": "array", "minItems": 1, "items": DESCRIPTOR},
        "annotations": ANNOTATIONS,
    },
}
"""What the schema of OCI's image manifest (image-spec 1.1) demands."""
INDEX = {
    "type": "object",
    "required": ["schemaVersion", "manifests"],
    "properties": {
        "schemaVersion": {"type": "integer", "minimum": 2, "maximum": 2},
        "mediaType": MEDIA_TYPE,
        "manifests": {"type": "array", "items": DESCRIPTOR},
        "annotations": ANNOTATIONS,
    },
}


def fits(schema, data: bytes):
    """A value that a schema takes."""
    value = json.loads(data)
    Draft202012Validator.check_schema(schema)
    assert not list(Draft202012Validator(schema).iter_errors(value))
    return value


def test_a_package_is_an_image_manifest_for_webassembly():
    """One layer of the module, a config of the agreed type, digests and sizes of what is there."""
    sealed = package(expires=NOW + DAY)
    said = fits(MANIFEST, sealed.image)
    assert said["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert said["config"] == {
        "mediaType": "application/vnd.wasm.config.v0+json",
        "digest": digest_of(sealed.config),
        "size": len(sealed.config),
    }
    assert said["layers"] == [{"mediaType": "application/wasm", "digest": digest_of(WASM), "size": len(WASM)}]
    config = json.loads(sealed.config)
    assert (config["architecture"], config["os"]) == ("wasm", "wasip1")
    assert config["layerDigests"] == [digest_of(WASM)]
    assert config["plugin"]["digest"] == digest_of(WASM)
    assert (config["created"], config["expires"]) == ("2027-01-14T08:00:00Z", "2027-01-16T08:00:00Z")


def test_the_same_plugin_is_the_same_package():
    """Whoever makes it, but for the signature; and a signature is the same each time."""
    one, same, others = package(), package(), package(key=OTHER)
    assert one == same
    assert one[:3] == others[:3]
    assert one.envelope != others.envelope


def test_a_signature_is_an_artifact_that_refers_to_its_package():
    """As registries keep them; an artifact without a config has the empty one."""
    sealed = package()
    said = fits(MANIFEST, signature_of(sealed.image, Descriptor.of(SIGNATURE, sealed.envelope)))
    assert said["artifactType"] == "application/vnd.dsse.envelope.v1+json"
    assert said["subject"] == Descriptor.of(IMAGE, sealed.image).json
    assert said["config"]["digest"] == digest_of(b"{}")


def test_a_folder_of_packages_is_a_layout(tmp_path):
    """Its index names them as tools of OCI expect."""
    lay(tmp_path / "out", package())
    assert json.loads((tmp_path / "out/oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    said = fits(INDEX, (tmp_path / "out/index.json").read_bytes())
    assert [entry.get("artifactType", "") for entry in said["manifests"]] == ["", SIGNATURE]
    assert said["manifests"][0]["annotations"] == {"org.opencontainers.image.ref.name": "guest:1.0.0"}
    for entry in said["manifests"]:
        data = (tmp_path / "out/blobs/sha256" / entry["digest"].removeprefix("sha256:")).read_bytes()
        assert len(data) == entry["size"]
        fits(MANIFEST, data)


def test_what_is_signed_is_encoded_as_dsse_says():
    """The example of its specification has this form; and of ed25519 a vector of RFC 8032 (7.1, test 2)."""
    assert authenticated(b"hello world") == b"DSSEv1 %d %s 11 hello world" % (len(PAYLOAD), PAYLOAD.encode())
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    key = "ed25519:" + base64.b64encode(public).decode()
    assert raw_key(key) == public
    assert is_right(key, signature, b"\x72")
    assert not is_right(key, signature, b"\x73")
    assert not is_right(key, signature[:-1], b"\x72")
    assert not is_right("ed25519:AAAA", signature, b"\x72")
    order = (2**252 + 27742317777372353535851937790883648493).to_bytes(32, "little")
    bigger = int.from_bytes(signature[32:], "little") + int.from_bytes(order, "little")
    assert not is_right(key, signature[:32] + bigger.to_bytes(32, "little"), b"\x72")


@pytest.mark.parametrize("text", ["ed25519", "ed25519:", "rsa:AAAA", "ed25519:" + "A" * 42 + "B=", None, 3])
def test_a_text_that_is_no_key_is_none(text):
    """Nor one that is spelt otherwise."""
    assert raw_key(text) is None


def test_json_of_one_spelling_comes_back():
    """And times do."""

    def refuse(*said):
        return ValueError(said)

    value = {"b": [1, 2.5, None, "\u00e4"], "a": {}}
    assert parsed(spelt(value), 100, refuse) == value
    with pytest.raises(ValueError, match="size"):
        parsed(spelt(value), 10, refuse)
    assert read_time(written_time(NOW), refuse, "now") == NOW
    for wrong in ("2026-11-30", "2026-13-01T00:00:00Z", "2026-11-30T00:00:60Z", "2026-11-30T00:00:00+00:00"):
        with pytest.raises(ValueError, match="a time such as"):
            read_time(wrong, refuse, "x")


def test_a_key_twice_among_very_many_is_found_at_once():
    """A stranger's index may have a million of them; looking for each among all would be hours."""
    keys = ",".join(f'"{number}":0' for number in range(100_000))
    with pytest.raises(ValueError, match="the key '99999', which stands there twice"):
        parsed(f'{{{keys},"99999":1}}'.encode(), 8 << 20, lambda *said: ValueError(said[2]), exact=False)


def test_a_key_is_new_each_time():
    """And its name is its public half."""
    assert PrivateKey.new().public != PrivateKey.new().public
    assert len(ACME.sign(b"")) == 64
