"""Attempts on a repository: packages, signatures, files and names that are not what they must be. Each one is refused
with its reason, and nothing changes."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil

import pytest

from stratavm.base.errors import StrataError
from stratavm.plugins.manifest import digest_of
from stratavm.plugins.ranges import is_range, is_version
from stratavm.plugins.repository import (
    PackageRefused,
    PrivateKey,
    Repository,
    RepositoryDamaged,
    RepositoryError,
    Trust,
    TrustedKey,
    TrustError,
    seal,
    write_package,
)
from stratavm.plugins.repository.artifact import SIGNATURE
from stratavm.plugins.repository.layout import Layout
from stratavm.plugins.repository.shelf import pairs
from stratavm.plugins.repository.signing import MOST_SIGNATURES, PAYLOAD, authenticated, envelope
from stratavm.plugins.repository.spelling import spelt
from tests.unit.plugins.repository.shelves import (
    ACME,
    ANOTHER,
    DAY,
    EMPTY,
    NOW,
    OTHER,
    STRANGER,
    TRUST,
    WASM,
    blob,
    files_of,
    forged,
    lay,
    manifest,
    package,
)

GOOD = package()
DEEP = b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}"


def changed(**values):
    """A function that spells a table with other values; None removes one."""
    return lambda said: spelt({key: value for key, value in (said | values).items() if value is not None})


def plugin(**values):
    """The config with another manifest of the plugin."""
    return lambda said: spelt(said | {"plugin": {k: v for k, v in (said["plugin"] | values).items() if v is not None}})


def replaced(old: bytes, new: bytes):
    """A function that spells a table, and changes the text."""
    return lambda said: spelt(said).replace(old, new)


def signed_plainly(payload: bytes, key: PrivateKey) -> bytes:
    """A signature of the payload alone, without its type."""
    said = json.loads(envelope(payload, key))
    said["signatures"][0]["sig"] = base64.b64encode(key.sign(payload)).decode()
    return spelt(said)


def claimed(payload: bytes, key: PrivateKey) -> bytes:
    """A stranger's signature under the name of a trusted key."""
    said = json.loads(envelope(payload, STRANGER))
    said["signatures"][0]["keyid"] = key.public
    return spelt(said)


def enveloped(change):
    """An envelope that was changed."""

    def wrap(payload: bytes, key: PrivateKey) -> bytes:
        said = json.loads(envelope(payload, key))
        change(said)
        return spelt(said)

    return wrap


def sign(said, **values):
    said["signatures"][0] |= values


TEXT = b"(module)"


def textual(said):
    """The config of a module that is text."""
    return spelt(said | {"plugin": said["plugin"] | {"digest": digest_of(TEXT)}, "layerDigests": [digest_of(TEXT)]})


# What was made wrong and then signed by a key that may sign the plugin, or by somebody else.
FORGED = {
    "another key": (lambda: package(key=STRANGER), "key", "expected a signature by a trusted key (acme, other)"),
    "a key for another name": (lambda: package(key=OTHER), "name", "found one by other, which may sign other"),
    "a name that only looks like it": (lambda: package(name="acme-evil"), "name", "a key that may sign acme-evil"),
    "another's signature under a trusted name": (lambda: forged(wrap=claimed), "signature", "one that is wrong"),
    "a signature without the type": (lambda: forged(wrap=signed_plainly), "signature", "one that is wrong"),
    "another type": (lambda: forged(wrap=enveloped(lambda s: s.update(payloadType="text/plain"))), "form", PAYLOAD),
    "an envelope without signatures": (
        lambda: forged(wrap=enveloped(lambda s: s.update(signatures=[]))),
        "form",
        "1 to 16 signatures, found 0",
    ),
    "very many signatures": (
        lambda: forged(wrap=enveloped(lambda s: s.update(signatures=s["signatures"] * 100))),
        "form",
        "1 to 16 signatures, found 100",
    ),
    "a signature cut off": (lambda: forged(wrap=enveloped(lambda s: sign(s, sig="AAAA"))), "signature", "is wrong"),
    "sloppy base64": (
        lambda: forged(wrap=enveloped(lambda s: sign(s, sig=s["signatures"][0]["sig"] + "\n"))),
        "form",
        "expected base64",
    ),
    "two texts for one signature": (
        lambda: forged(wrap=enveloped(lambda s: s.update(payload=s["payload"][:-4] + "fR=="))),
        "form",
        "expected base64",
    ),
    "a nameless signature": (
        lambda: forged(wrap=enveloped(lambda s: s["signatures"][0].pop("keyid"))),
        "form",
        "'keyid'",
    ),
    "an envelope of something else": (
        lambda: forged(wrap=lambda image, key: envelope(b"{}", key)),
        "signature",
        "found one of sha256:44136fa3",
    ),
    "an envelope that is no JSON": (lambda: forged(wrap=lambda image, key: b"\xff"), "form", "expected JSON"),
    "a deep envelope": (lambda: forged(wrap=lambda image, key: DEEP), "form", "expected JSON"),
    "a deep image manifest": (lambda: forged(image=lambda said: DEEP), "form", "expected JSON"),
    "a deep config": (lambda: forged(config=lambda said: DEEP), "form", "expected JSON"),
    "a list for a table": (lambda: forged(config=lambda said: b"[]"), "form", "a table, found list"),
    "a key twice": (lambda: forged(config=replaced(b'{"arch', b'{"architecture":"x","arch')), "form", "there twice"),
    "spaces": (lambda: forged(config=replaced(b":", b": ")), "form", "JSON of one spelling"),
    "an endless number": (lambda: forged(config=replaced(b'"plugin":1', b'"plugin":1' + b"0" * 5000)), "form", "JSON"),
    "no number": (lambda: forged(config=replaced(b'"plugin":1', b'"plugin":NaN')), "form", "the number NaN"),
    "half a character": (lambda: forged(config=replaced(b'"wasm"', b'"\\ud800"')), "form", "JSON"),
    "an unknown key": (lambda: forged(config=changed(more=1)), "form", "no key 'more'"),
    "an unknown key of the plugin": (lambda: forged(config=plugin(more=1)), "form", "a manifest's keys"),
    "a manifest spelt otherwise": (lambda: forged(config=plugin(wasi=False)), "form", "in its one spelling"),
    "capitals": (lambda: forged(config=plugin(name="Guest")), "form", "expected name: a name"),
    "a letter of another script": (lambda: forged(config=plugin(name="gu\u0435st")), "form", "expected name: a name"),
    "letters that are one after normalisation": (lambda: forged(config=plugin(name="guesﬅ")), "form", "a name"),
    "a name that leads elsewhere": (lambda: forged(config=plugin(name="../guest")), "form", "expected name: a name"),
    "a name with a zero byte": (lambda: forged(config=plugin(name="guest\0")), "form", "expected name: a name"),
    "a very long name": (lambda: forged(config=plugin(name="a" * 101)), "form", "expected name: a name"),
    "digits of another script": (lambda: forged(config=plugin(version="1.٠.0")), "form", "expected version: a version"),
    "another architecture": (lambda: forged(config=changed(architecture="amd64")), "form", "wasm and wasip1"),
    "no time": (lambda: forged(config=changed(created="2026-02-30T00:00:00Z")), "form", "a time such as"),
    "a layer that is not the module": (
        lambda: forged(config=changed(layerDigests=[digest_of(b"")])),
        "digest",
        "one layer",
    ),
    "a manifest of another module": (
        lambda: forged(config=plugin(digest=digest_of(b""))),
        "digest",
        "the module sha256:e3b",
    ),
    "a manifest of any module": (lambda: forged(config=plugin(digest=None)), "digest", "named by its digest"),
    "two layers": (
        lambda: forged(image=lambda s: spelt(s | {"layers": s["layers"] * 2})),
        "form",
        "one layer, found 2",
    ),
    "no layer": (lambda: forged(image=changed(layers=[])), "form", "one layer, found 0"),
    "a layer of files": (
        lambda: forged(image=replaced(b"application/wasm", b"application/vnd.oci.image.layer.v1.tar")),
        "form",
        "the module of type application/wasm",
    ),
    "an older schema": (lambda: forged(image=changed(schemaVersion=1)), "form", "schema 2"),
    "true for a number": (lambda: forged(image=changed(schemaVersion=True)), "form", "a whole number for"),
    "a huge module by its size": (
        lambda: forged(image=replaced(b'"size":%d}]' % len(WASM), b'"size":999999999}]')),
        "size",
        "the module of at most",
    ),
    "a module of no size": (
        lambda: forged(image=replaced(b'"size":%d}]' % len(WASM), b'"size":-1}]')),
        "size",
        "the module of at most",
    ),
    "text for a module": (lambda: forged(config=textual, module=TEXT), "form", "a WebAssembly binary"),
}


@pytest.mark.parametrize("attempt", FORGED)
def test_a_package_that_is_not_right_is_refused(shelf, attempt):
    """With the reason; and the repository is as it was."""
    make, reason, words = FORGED[attempt]
    source = lay(shelf.folder / "source", make())
    with pytest.raises(RepositoryError) as refused:
        shelf.repository.add(source)
    assert (refused.value.reason, words in str(refused.value)) == (reason, True), str(refused.value)
    assert shelf.repository.packages() == [] and shelf.repository.verify() == []
    assert shelf.said == ["PackageTurnedAway", "RepositoryVerified"]


def rewrite(file, change):
    file.write_bytes(change(file.read_bytes()))


def linked(file):
    os.rename(file, f"{file}.real")
    os.symlink(f"{file}.real", file)


def piped(file):
    file.unlink()
    os.mkfifo(file)


def index_with(folder, **values):
    said = json.loads((folder / "index.json").read_bytes())
    said["manifests"][0] |= values
    (folder / "index.json").write_bytes(json.dumps(said).encode())


def swapped(folder):
    """The signatures of two packages, each with the name of the other."""
    first, second = (digest_of(sealed.image).encode() for sealed in (GOOD, SECOND))
    rewrite(folder / "index.json", lambda data: data.replace(first, b"@").replace(second, first).replace(b"@", second))


SECOND = package("1.1.0")

# What was done to the files of a package that was right.
TAMPERED = {
    "a module with another byte": (lambda f: rewrite(blob(f, WASM), lambda d: d[:-1] + b"\0"), "digest", "sha256:"),
    "a module cut off": (lambda f: rewrite(blob(f, WASM), lambda d: d[:-1]), "size", f"{len(WASM)} bytes"),
    "a module with more": (lambda f: rewrite(blob(f, WASM), lambda d: d + b"\0"), "size", f"at most {len(WASM)}"),
    "no module": (lambda f: blob(f, WASM).unlink(), "absent", "no file"),
    "an empty module": (lambda f: rewrite(blob(f, WASM), lambda d: b""), "size", "found 0"),
    "a link for a module": (lambda f: linked(blob(f, WASM)), "file", "a plain file"),
    "a pipe for a module": (lambda f: piped(blob(f, WASM)), "file", "a plain file"),
    "a folder for a module": (lambda f: (blob(f, WASM).unlink(), blob(f, WASM).mkdir()), "file", "a plain file"),
    "a link for the folder of blobs": (lambda f: linked(f / "blobs"), "file", "a folder that is no link"),
    "a config that asks for more": (
        lambda f: rewrite(blob(f, GOOD.config), lambda d: d.replace(b'"echo"', b'"evil"')),
        "digest",
        "sha256:",
    ),
    "an envelope cut off": (lambda f: rewrite(blob(f, GOOD.envelope), lambda d: d[:100]), "size", "found 100"),
    "an envelope of another package": (
        lambda f: rewrite(blob(f, GOOD.envelope), lambda d: SECOND.envelope),
        "digest",
        "sha256:",
    ),
    "a signature that is not there": (
        lambda f: index_with(f, annotations={}, artifactType=SIGNATURE),
        "form",
        "of a signature",
    ),
    "a gigantic manifest": (lambda f: index_with(f, size=1 << 40), "size", "at most 65536 bytes"),
    "a path for a digest": (lambda f: index_with(f, digest="sha256:../../../etc/passwd"), "form", "a digest of"),
    "another algorithm": (lambda f: index_with(f, digest="md5:" + "0" * 32), "form", "a digest of"),
    "an entry of another type": (lambda f: index_with(f, mediaType="text/plain"), "form", "of type"),
    "a gigantic index": (lambda f: os.truncate(f / "index.json", 9 << 20), "size", "at most 8388608 bytes"),
    "a deep index": (lambda f: rewrite(f / "index.json", lambda d: DEEP), "form", "expected JSON"),
    "an index of very many": (
        lambda f: rewrite(f / "index.json", lambda d: spelt({"schemaVersion": 2, "manifests": [{}] * 20_001})),
        "size",
        "at most 20000 entries",
    ),
    "no index": (lambda f: (f / "index.json").unlink(), "absent", "packages in its index"),
    "an index of nothing": (
        lambda f: rewrite(f / "index.json", lambda d: b'{"schemaVersion":2,"manifests":[]}'),
        "absent",
        "in its index",
    ),
}


@pytest.mark.parametrize("attempt", TAMPERED)
def test_files_that_somebody_changed_are_refused(shelf, attempt):
    """With the reason, and the file."""
    change, reason, words = TAMPERED[attempt]
    source = lay(shelf.folder / "source", GOOD)
    change(source)
    with pytest.raises(RepositoryError) as refused:
        shelf.repository.add(source)
    assert (refused.value.reason, words in str(refused.value)) == (reason, True), str(refused.value)
    assert shelf.repository.packages() == [] and shelf.repository.verify() == []


def test_swapped_signatures_are_refused(shelf):
    """Each is right, but of another package: by the index, and by the artifact."""
    source = shelf.folder / "source"
    lay(source, GOOD)
    lay(source, SECOND, hint="guest:1.1.0")
    swapped(source)
    with pytest.raises(PackageRefused, match=r"1\.1\.0|1\.0\.0") as refused:
        shelf.repository.add(source)
    assert refused.value.reason == "signature"
    third = lay(shelf.folder / "third", GOOD._replace(envelope=SECOND.envelope))
    with pytest.raises(PackageRefused, match="expected a signature of sha256") as refused:
        shelf.repository.add(third)
    assert refused.value.reason == "signature"


def two_of_a_version(folder):
    """A folder with two packages of one name and version, which nobody writes who uses ``write_package``."""
    lay(folder, GOOD)
    lay(folder, package("1.0.0", module=ANOTHER), hint="guest:9.9.9")
    rewrite(folder / "index.json", lambda data: data.replace(b"guest:9.9.9", b"guest:1.0.0"))
    return folder


def test_two_packages_of_a_version_are_refused_together(shelf):
    """Neither is taken, however often it is tried."""
    source = two_of_a_version(shelf.folder / "source")
    for _ in range(2):
        with pytest.raises(PackageRefused, match="a new version has a new number") as refused:
            shelf.repository.add(source)
        assert refused.value.reason == "replay"
    assert shelf.repository.packages() == [] and shelf.said == ["PackageTurnedAway"] * 2


def test_a_folder_has_each_version_once(tmp_path):
    """Who signs one again, which makes another package of it, is told so; and the folder is as it was."""
    again = seal(manifest(), WASM, ACME, created=NOW)
    write_package(tmp_path / "out", [GOOD])
    before = files_of(tmp_path / "out")
    write_package(tmp_path / "out", [GOOD])
    with pytest.raises(PackageRefused, match=r"guest 1\.0\.0: expected one package of each version") as refused:
        write_package(tmp_path / "out", [again])
    assert refused.value.reason == "replay" and "if nobody has it yet" in str(refused.value)
    assert files_of(tmp_path / "out") == before
    with pytest.raises(PackageRefused, match="one package of each version"):
        write_package(tmp_path / "two", [GOOD, again])
    assert "index.json" not in files_of(tmp_path / "two")


def test_of_a_folder_all_packages_are_taken_or_none(shelf):
    """Also where it is seen late what is wrong with one: in its module."""
    source = lay(shelf.folder / "source", GOOD)
    lay(source, package("1.1.0", module=ANOTHER), hint="guest:1.1.0")
    good = blob(source, ANOTHER).read_bytes()
    blob(source, ANOTHER).write_bytes(good[:-1] + b"!")
    with pytest.raises(RepositoryDamaged, match="get it again from who made it"):
        shelf.repository.add(source)
    assert shelf.repository.packages() == [] and shelf.said == ["PackageTurnedAway"]
    blob(source, ANOTHER).write_bytes(good)
    assert [listed.version for listed in shelf.repository.add(source)] == ["1.0.0", "1.1.0"]


def resigned(sealed, *keys):
    """A package whose one envelope has signatures by these keys, in this order."""
    said = [json.loads(envelope(sealed.image, key)) for key in keys]
    signatures = [one["signatures"][0] for one in said]
    return sealed._replace(envelope=spelt(said[0] | {"signatures": signatures}))


def test_a_signature_more_takes_nothing_away(shelf):
    """By somebody who is trusted for another plugin, before or behind the right one; alone it does not do."""
    with pytest.raises(
        PackageRefused, match=r"found one by other, which may sign other; if it may: `strata repo trust`"
    ):
        shelf.repository.take(resigned(GOOD, OTHER, STRANGER))
    assert shelf.repository.take(resigned(GOOD, OTHER, ACME)).key == "acme"
    assert shelf.repository.take(resigned(SECOND, ACME, OTHER)).key == "acme"
    assert shelf.repository.install("guest").version == "1.1.0"


UNTAKEN = {
    "a stranger's": (lambda: package(key=STRANGER), "key", "a trusted key"),
    "another module": (lambda: GOOD._replace(module=ANOTHER), "digest", "expected a module, sha256:"),
    "another config": (lambda: GOOD._replace(config=GOOD.config + b" "), "digest", "expected a config, sha256:"),
    "text for a module": (lambda: forged(config=textual, module=TEXT), "form", "a WebAssembly binary"),
    "another length": (
        lambda: forged(image=replaced(b'"size":%d}]' % len(WASM), b'"size":%d}]' % (len(WASM) + 1))),
        "digest",
        f"found a module, {digest_of(WASM)}, {len(WASM)} bytes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("attempt", UNTAKEN)
def test_a_package_that_lies_in_no_folder_leaves_nothing_where_it_is_refused(shelf, attempt):
    """Not a file: anybody could fill the disk."""
    make, reason, words = UNTAKEN[attempt]
    before = files_of(shelf.folder / "repository")
    with pytest.raises(PackageRefused) as refused:
        shelf.repository.take(make())
    assert (refused.value.reason, words in str(refused.value)) == (reason, True), str(refused.value)
    assert files_of(shelf.folder / "repository") == before


def test_what_is_published_by_a_stranger_leaves_nothing(shelf):
    """Nor does what somebody else may sign."""
    before = files_of(shelf.folder / "repository")
    for key in (STRANGER, OTHER):
        with pytest.raises(PackageRefused):
            shelf.repository.publish(manifest(), WASM, key)
    assert files_of(shelf.folder / "repository") == before


def test_signatures_of_a_package_are_bounded_and_the_newest_counts(shelf, tmp_path):
    """However many envelopes there are of one package, each of them right: a wrong signature more makes another."""
    file = tmp_path / "config/trust.json"
    TRUST.save(file)
    with Repository(tmp_path / "many", file) as repository:
        for number in range(MOST_SIGNATURES + 3):
            said = json.loads(GOOD.envelope)
            said["signatures"] += [{"keyid": f"{number}", "sig": "AAAA"}]
            repository.take(GOOD._replace(envelope=spelt(said)))
        TRUST.without("other").adding(TrustedKey("other", OTHER.public, ("guest",))).save(file)
        assert repository.take(resigned(GOOD, OTHER)).key == "other"
        with Layout(repository.path) as layout:
            assert len(layout.entries()) == 1 + MOST_SIGNATURES
        Trust.read(file).without("acme").save(file)
        assert repository.install("guest").version == "1.0.0"
        repository.gc()
        assert repository.verify() == [] and repository.package("guest").read() == WASM


def test_a_package_without_a_signature_is_refused(shelf):
    """Whatever else is right."""
    source = lay(shelf.folder / "source", GOOD)
    with Layout(source) as layout:
        layout.write_entries([entry for entry in layout.entries() if not entry.signs])
    with pytest.raises(PackageRefused, match="expected a signature, found none"):
        shelf.repository.add(source)


# ---- versions ----


def test_a_downgrade_is_refused(shelf):
    """However it comes; only a roll back goes back."""
    shelf.versions("1.0.0", "1.2.0")
    shelf.add(package("1.1.0"))
    for version in ("1.0.0", "1.1.0"):
        with pytest.raises(PackageRefused, match=r"a version above 1\.2\.0") as refused:
            shelf.repository.install("guest", version)
        assert refused.value.reason == "downgrade"
    shelf.repository.roll_back("guest")
    with pytest.raises(PackageRefused, match=r"a version above 1\.2\.0"):
        shelf.repository.install("guest", "1.1.0")
    assert shelf.repository.upgrade("guest") == []


def test_another_package_of_the_same_version_is_refused(shelf):
    """While it is here, and after it went."""
    shelf.versions("1.0.0")
    with pytest.raises(PackageRefused, match="a new version has a new number") as refused:
        shelf.add(package("1.0.0", module=ANOTHER))
    assert refused.value.reason == "replay"
    shelf.repository.remove("guest")
    shelf.repository.gc()
    shelf.add(package("1.0.0", module=ANOTHER))
    with pytest.raises(PackageRefused, match="expected the package that was here") as refused:
        shelf.repository.install("guest")
    assert refused.value.reason == "replay"


def test_versions_that_are_equal_in_order_are_equal():
    """``01`` would be another text of ``1``, and no version has it, as in the specification of semantic versions."""
    assert not any(map(is_version, ("1.0.0-01", "1.0.0-00", "1.0.0-rc.01", "1.0.0-1.02")))
    assert all(map(is_version, ("1.0.0-0", "1.0.0-10", "1.0.0-0rc", "1.0.0-rc.0", "1.0.0-01a")))
    assert not is_range(">=1.0.0-01") and is_range(">=1.0.0-1")


def test_a_package_that_expired_is_not_installed_but_goes_on(shelf):
    """Where it is installed it is loaded, and rolled back to."""
    shelf.add(
        package("1.0.0", expires=NOW + DAY), package("1.1.0", expires=NOW + DAY), package("1.2.0", expires=NOW + DAY)
    )
    shelf.repository.install("guest", "1.0.0")
    shelf.repository.install("guest", "1.1.0")
    shelf.now += 2 * DAY
    with pytest.raises(PackageRefused, match="a package that expired at 2027-01-16T08:00:00Z") as refused:
        shelf.repository.upgrade("guest")
    assert refused.value.reason == "expired"
    assert shelf.repository.package("guest").manifest.version == "1.1.0"
    assert shelf.repository.roll_back("guest").version == "1.0.0"


@pytest.mark.parametrize("name", ["../guest", "Guest", "guest/", "", "guest\0", "gu\u0435st", ".", "a" * 200, None, 3])
def test_names_that_are_none_are_refused_everywhere(shelf, name):
    """Before they are a part of a path."""
    for action in (
        shelf.repository.install,
        shelf.repository.roll_back,
        shelf.repository.remove,
        shelf.repository.package,
    ):
        with pytest.raises(PackageRefused) as refused:
            action(name)
        assert refused.value.reason == "form"


# ---- what is installed ----


def record(shelf):
    return shelf.folder / "repository/plugins/guest.json"


RECORDS = {
    "another version": (lambda f: rewrite(f, lambda d: d.replace(b"1.1.0", b"1.0.0")), "digest"),
    "nothing": (lambda f: rewrite(f, lambda d: b""), "form"),
    "half": (lambda f: rewrite(f, lambda d: d[: len(d) // 2]), "form"),
    "a deep one": (lambda f: rewrite(f, lambda d: DEEP), "form"),
    "a gigantic one": (lambda f: os.truncate(f, 2 << 20), "size"),
    "a link": (linked, "file"),
    "one that others may write": (lambda f: f.chmod(0o666), "file"),
    "that of another plugin": (lambda f: shutil.copy(f, f.with_name("other.json")), "form"),
}


@pytest.mark.parametrize("attempt", RECORDS)
def test_a_record_that_was_changed_is_not_believed(shelf, attempt):
    """Nothing is loaded by it, nothing is collected by it, and ``verify`` names it."""
    shelf.versions("1.0.0", "1.1.0")
    change, reason = RECORDS[attempt]
    change(record(shelf))
    name = "other" if "another plugin" in attempt else "guest"
    with pytest.raises(RepositoryDamaged) as refused:
        shelf.repository.package(name)
    assert refused.value.reason == reason
    with pytest.raises(RepositoryDamaged):
        shelf.repository.gc()
    assert any(f"{name}.json" in problem.what for problem in shelf.repository.verify())


def test_a_repository_that_others_may_enter_is_not_used(shelf, tmp_path):
    """Nor one that is a link."""
    os.chmod(shelf.repository.path, 0o755)
    with pytest.raises(RepositoryDamaged, match="a folder that is this user's alone, found one that is open to others"):
        Repository(shelf.repository.path, TRUST)
    os.chmod(shelf.repository.path, 0o700)
    os.symlink(shelf.repository.path, tmp_path / "link")
    with pytest.raises(StrataError, match="link"):
        Repository(tmp_path / "link", TRUST)


def test_files_that_nobody_wrote_are_told(shelf):
    """By ``verify``; ``gc`` removes those among the blobs, and none where it cannot know what is needed."""
    shelf.versions("1.0.0")
    root = shelf.folder / "repository"
    places = ["more", "blobs/more", "blobs/sha256/more", "plugins/more"]
    for place in places:
        (root / place).write_bytes(b"")
    found = shelf.repository.verify()
    assert {os.path.relpath(problem.what, root) for problem in found} == set(places)
    told = {os.path.relpath(problem.what, root): problem.said for problem in found}
    assert told["blobs/sha256/more"].endswith("`strata repo gc` removes it")
    assert told["more"].endswith("remove it, if nobody needs it")
    with pytest.raises(RepositoryDamaged, match="expected the name of a plugin and"):
        shelf.repository.gc()
    assert all((root / place).exists() for place in places)
    (root / "plugins/more").unlink()
    assert shelf.repository.gc() == (0, 1, 0)
    assert [(root / place).exists() for place in places] == [True, True, False, False]


def test_a_record_that_is_damaged_stops_no_upgrade_of_others(shelf):
    """Nor does a file that nobody wrote; each is told afterwards, and by ``verify``."""
    shelf.add(package("1.0.0", "acme.one"), package("1.0.0"))
    for name in ("acme.one", "guest"):
        shelf.repository.install(name)
    shelf.add(package("1.1.0", "acme.one"), package("1.1.0"))
    plugins = shelf.folder / "repository/plugins"
    (plugins / "Foreign.json").write_bytes(b"")
    with pytest.raises(RepositoryDamaged, match="the name of a plugin"):
        shelf.repository.upgrade()
    assert shelf.repository.package("acme.one").manifest.version == "1.1.0"
    assert shelf.repository.package("guest").manifest.version == "1.1.0"
    shelf.add(package("1.2.0"))
    (plugins / "Foreign.json").unlink()
    rewrite(plugins / "acme.one.json", lambda data: data[:-1])
    with pytest.raises(RepositoryDamaged, match="put back a copy; or remove it and install again"):
        shelf.repository.upgrade()
    assert shelf.repository.package("guest").manifest.version == "1.2.0"
    (plugins / "Foreign.json").write_bytes(b"")
    found = [os.path.basename(problem.what) for problem in shelf.repository.verify()]
    assert found == ["Foreign.json", "acme.one.json"]


@pytest.mark.trace_slow
def test_no_bit_of_a_repository_can_change_unseen(shelf):
    """``verify`` says so, and what is loaded is what was signed, or nothing is."""
    shelf.versions("1.0.0", "1.1.0")
    root, chance = shelf.folder / "repository", random.Random(16)
    good = shelf.repository.package("guest")
    before = files_of(root)
    for name, data in before.items():
        for _ in range(12):
            place, bit = chance.randrange(len(data)), chance.randrange(8)
            (root / name).write_bytes(data[:place] + bytes((data[place] ^ 1 << bit,)) + data[place + 1 :])
            where = f"{name}, byte {place}, bit {bit}"
            assert shelf.repository.verify(), where
            try:
                assert shelf.repository.package("guest") == good, where
            except RepositoryError as error:
                assert error.reason in ("digest", "form", "absent", "size", "signature"), where
        (root / name).write_bytes(data)
    assert shelf.repository.verify() == []


# ---- keys ----


def test_a_private_key_is_this_users_alone(tmp_path):
    """Its file is made so, must be so, and shows nothing by accident."""
    file = tmp_path / "the acme.key"
    ACME.save(file)
    assert file.stat().st_mode & 0o777 == 0o600
    read = PrivateKey.read(file)
    assert read.public == ACME.public and repr(read) == f"<private key of {ACME.public}>"
    with pytest.raises(FileExistsError):
        OTHER.save(file)
    file.chmod(0o640)
    with pytest.raises(
        TrustError, match=r"a file that is this user's alone, found mode 0640.*chmod 600 '/.*/the acme.key'"
    ):
        PrivateKey.read(file)
    file.chmod(0o600)
    with pytest.raises(TrustError, match="found a folder") as refused:
        PrivateKey.read(tmp_path)
    assert "chmod" not in str(refused.value)
    os.symlink(file, tmp_path / "link")
    with pytest.raises(OSError, match="symbolic"):
        PrivateKey.read(tmp_path / "link")
    for text in (b"", b"no key", b"x" * 5000):
        file.write_bytes(text)
        with pytest.raises(TrustError):
            PrivateKey.read(file)


def test_a_key_of_another_kind_is_none(tmp_path):
    """ed25519 only."""
    from cryptography.hazmat.primitives.asymmetric import x25519
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    text = x25519.X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key").write_bytes(text)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(TrustError, match="an ed25519 key"):
        PrivateKey.read(tmp_path / "key")


TRUSTS = {
    "no JSON": (b"no", "JSON"),
    "another format": (b'{"trust":2,"keys":[]}', "the format 1"),
    "a key twice": (b'{"trust":1,"trust":1,"keys":[]}', "there twice"),
    "no keys": (b'{"trust":1}', "'keys'"),
    "no key": (b'{"trust":1,"keys":[{"name":"a","key":"ed25519:AAAA","plugins":[]}]}', "32 bytes in base64"),
    "a bad name": (b'{"trust":1,"keys":[{"name":"A","key":"%s","plugins":[]}]}', "a name such as"),
    "a bad pattern": (b'{"trust":1,"keys":[{"name":"a","key":"%s","plugins":["a*"]}]}', "'acme.*' for all"),
    "a pattern of numbers": (b'{"trust":1,"keys":[{"name":"a","key":"%s","plugins":[1]}]}', "'acme.*' for all"),
    "one key twice": (b'{"trust":1,"keys":[%s,%s]}', "each key and each name once"),
    "something else": (b'{"trust":1,"keys":[],"more":1}', "no key 'more'"),
}


@pytest.mark.parametrize("case", TRUSTS)
def test_a_file_of_trusted_keys_is_as_it_must_be(tmp_path, case):
    """Or nobody is trusted."""
    text, words = TRUSTS[case]
    one = b'{"name":"a","key":"%s","plugins":[]}' % ACME.public.encode()
    value = one if case == "one key twice" else ACME.public.encode()
    file = tmp_path / "trust.json"
    file.write_bytes(text.replace(b"%s", value))
    file.chmod(0o600)
    with pytest.raises(TrustError) as wrong:
        Trust.read(file)
    assert words in str(wrong.value)


def test_a_file_of_trusted_keys_that_others_may_change_is_not_read(tmp_path):
    """And one that is not there trusts nobody."""
    file = tmp_path / "config/trust.json"
    TRUST.save(file)
    assert list(Trust.read(file)) == list(TRUST)
    file.chmod(0o660)
    with pytest.raises(TrustError, match=r"a file that only this user may change, found mode 0660.*chmod go-w"):
        Trust.read(file)
    with pytest.raises(TrustError, match="found a folder; name a file of your own"):
        Trust.read(file.parent)
    assert list(Trust.read(tmp_path / "none.json")) == []
    with pytest.raises(TrustError, match="expected a key nobody"):
        TRUST.without("nobody")
    for key in (TrustedKey("acme", STRANGER.public, ()), TrustedKey("again", ACME.public, ())):
        with pytest.raises(TrustError, match="it twice; `strata repo distrust"):
            TRUST.adding(key)


def test_what_a_trusted_key_may_sign_is_changed_at_once(tmp_path):
    """It is trusted all the while; a text for its plugins is none."""
    wider = TRUST.adding(TrustedKey("acme", ACME.public, ("guest", "more")))
    assert {key.name: key.plugins for key in wider} == {"acme": ("guest", "more"), "other": ("other",)}
    for plugins in ("*", "guest"):
        with pytest.raises(TrustError, match=r"expected a tuple of names, found .*; write \(NAME,\)"):
            Trust([TrustedKey("acme", ACME.public, plugins)])


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    """Nothing is believed then."""
    import sys

    from stratavm.plugins.repository import SigningUnavailable
    from stratavm.plugins.repository.signing import is_right

    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    with pytest.raises(SigningUnavailable, match=r"pip install 'stratavm\[signing\]'"):
        is_right(ACME.public, ACME.sign(authenticated(b"")), authenticated(b""))


def test_what_cannot_be_a_package_is_not_sealed():
    """Text, another module than the manifest names."""
    with pytest.raises(PackageRefused, match="a WebAssembly binary"):
        seal(manifest(), b"(module)", ACME)
    with pytest.raises(PackageRefused, match="the module that the manifest names"):
        seal(manifest(digest=digest_of(b"")), EMPTY, ACME)


def test_an_index_that_repeats_itself_takes_no_more_time(shelf, tmp_path):
    """Each package is opened once by each of its signatures, of which there are a few at most."""
    source = lay(tmp_path / "source", package(key=STRANGER))
    said = json.loads((source / "index.json").read_bytes())
    said["manifests"] *= 50
    (source / "index.json").write_bytes(spelt(said))
    with Layout(source, own=False) as layout:
        (pair,) = pairs(layout)
    assert len(pair.signatures) == 1
    with pytest.raises(PackageRefused, match="a signature by a trusted key"):
        shelf.repository.add(source)


def test_an_index_is_not_written_that_could_not_be_read(shelf, monkeypatch):
    """It stays as it was, and what is not needed can be removed."""
    monkeypatch.setattr("stratavm.plugins.repository.layout.MOST_ENTRIES", 4)
    shelf.versions("1.0.0")
    shelf.add(package("1.1.0"))
    with pytest.raises(PackageRefused, match="at most 4 entries"):
        shelf.repository.publish(manifest("1.2.0"), WASM, ACME)
    assert shelf.repository.gc(every=True).packages == 1
    shelf.versions("1.2.0")
    monkeypatch.setattr("stratavm.plugins.repository.trust.MOST_KEYS", 2)
    with pytest.raises(TrustError, match="at most 2 keys"):
        TRUST.adding(TrustedKey("third", STRANGER.public, ("*",)))
