"""Packages, records and files of trusted keys with random changes: an error of this room each time, or no change."""

from __future__ import annotations

import hashlib
import json
import random
import shutil

import pytest

from stratavm.plugins.repository import RepositoryError, Sealed, Trust
from stratavm.plugins.repository.signing import envelope
from stratavm.plugins.repository.spelling import spelt
from tests.unit.plugins.repository.shelves import ACME, TRUST, WASM, lay, package

ROUNDS = 40
VALUES = (None, True, 0, -1, 1 << 70, 0.5, "", "x", "a" * 300, "\ud800", "\0", "../x", [], [[]], {}, {"a": 1})


def changed(value, chance):
    """A value of JSON with one thing in it changed, removed or put twice."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        key = chance.choice(list(value))
        rest = {name: item for name, item in value.items() if name != key}
        return chance.choice([rest, value | {key: changed(value[key], chance)}, value | {"more": 1}])
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        return [*value[:place], changed(value[place], chance), *value[place + chance.randrange(2) :]]
    return chance.choice(VALUES)


def mutated(data, chance):
    """Bytes with a change of what they say, or of themselves."""
    if chance.random() < 0.6:
        said = json.loads(data)
        for _ in range(chance.randint(1, 3)):
            said = changed(said, chance)
        try:
            return spelt(said)
        except (ValueError, UnicodeError):
            return json.dumps(said).encode()
    place, count = chance.randrange(len(data)), chance.randint(0, 8)
    return data[:place] + chance.randbytes(chance.randint(0, 8)) + data[place + count :]


def attempt(shelf, chance, number):
    """One package that was changed before it was signed, or after; whether it was taken."""
    good = package(f"1.{number}.0")
    parts = good._asdict()
    which = chance.choice(["config", "image", "envelope", "index"])
    if which == "config":
        config = mutated(good.config, chance)
        image = json.loads(good.image)
        image["config"] |= {"digest": "sha256:" + hashlib.sha256(config).hexdigest(), "size": len(config)}
        parts |= {"config": config, "image": spelt(image)}
    elif which == "image":
        parts["image"] = mutated(good.image, chance)
    signed = envelope(parts["image"], ACME)
    parts["envelope"] = mutated(signed, chance) if which == "envelope" else signed
    source = lay(shelf.folder / "source", Sealed(**parts), hint=f"guest:1.{number}.0")
    index = source / "index.json"
    if which == "index":
        index.write_bytes(mutated(index.read_bytes(), chance))
    try:
        shelf.repository.add(source)
        return True
    except RepositoryError:
        return False
    finally:
        shutil.rmtree(source)


def campaign(shelf, seed, rounds=ROUNDS):
    """So many attempts; how many were taken."""
    chance, taken = random.Random(seed), 0
    for number in range(rounds):
        taken += attempt(shelf, chance, number)
    assert shelf.repository.verify() == []
    for listed in shelf.repository.packages():  # what was taken is a package all the same
        shelf.repository.remove(listed.name, forget=True) if shelf.repository.installed() else None
        shelf.repository.install(listed.name, listed.version)
        assert shelf.repository.package(listed.name).read() == WASM
    return taken


def test_a_package_with_a_random_change_is_refused_or_right(shelf):
    """By the errors of this room; ``make packages`` runs for longer."""
    assert campaign(shelf, 16) < ROUNDS // 2


@pytest.mark.parametrize("what", ["record", "trust"])
def test_a_file_with_a_random_change_is_refused_or_right(shelf, what):
    """What is installed, and whose keys count."""
    shelf.versions("1.0.0", "1.1.0")
    chance = random.Random(17)
    file = shelf.folder / ("repository/plugins/guest.json" if what == "record" else "config/trust.json")
    TRUST.save(shelf.folder / "config/trust.json")
    good, before = file.read_bytes(), shelf.repository.package("guest")
    taken = 0
    for _ in range(ROUNDS):
        file.write_bytes(mutated(good, chance))
        try:
            if what == "record":
                assert shelf.repository.package("guest") == before  # it has a sum
            else:
                Trust.read(file)
            taken += 1
        except RepositoryError:
            pass
    assert taken < ROUNDS // 2
