"""Claims about the hash that marks are made of: it is the one of its definition, for every size and key."""

import random

import pytest

from stratavm.aot.universal import UniversalHash

PRIME = (1 << 127) - 1
SIZES = [0, 1, 14, 15, 16, 30, 239, 240, 241, 255, 479, 480, 481, 1000, 65_536, 65_537, 245_760, 245_761, 1_000_003]


def by_definition(key, data):
    """In numbers of any size."""
    keys = [int.from_bytes(key[15 * i : 15 * i + 15], "little") for i in range(16)]
    point, value = int.from_bytes(key[240:], "little") & PRIME, 0
    data += bytes(-len(data) % 240)
    for at in range(0, len(data), 240):
        words = [int.from_bytes(data[i : i + 15], "little") for i in range(at, at + 240, 15)]
        block = sum((words[i] + keys[i]) * (words[i + 1] + keys[i + 1]) for i in range(0, 16, 2))
        value = (value * point + block) % PRIME
    return value.to_bytes(16, "little")


@pytest.mark.parametrize("size", SIZES)
def test_the_value_is_that_of_the_definition(size):
    """Under random keys, and those with the largest and the smallest numbers; of random bytes, and of the largest."""
    chance = random.Random(size)
    for key, data in (
        (chance.randbytes(256), chance.randbytes(size)),
        (b"\xff" * 256, b"\xff" * size),
        (b"\xff" * 240 + b"\xfe" + b"\xff" * 15, b"\xff" * size),
        (b"\xff" * 240 + bytes(8) + b"\xff" * 8, chance.randbytes(size)),
        (bytes(256), chance.randbytes(size)),
        (bytes(240) + b"\1" + bytes(15), b"\xff" * size),
    ):
        assert UniversalHash(key).of(data) == by_definition(key, data)


@pytest.mark.parametrize("size", SIZES)
def test_of_a_file_it_is_the_same(tmp_path, size):
    """From any place; and there is none where the bytes are not there."""
    chance = random.Random(size)
    data, own = chance.randbytes(size), UniversalHash(chance.randbytes(256))
    (tmp_path / "file").write_bytes(b"before" + data + b"behind")
    with open(tmp_path / "file", "rb", buffering=0) as file:
        assert own.of_file(file.fileno(), 6, size) == own.of(data)
        assert own.of_file(file.fileno(), 6, size + 7) == b""
        assert own.of_file(file.fileno(), 1 << 40, 1) == b""
    assert own.of_file(-1, 0, size) == (b"" if size else bytes(16))


def test_no_change_of_one_bit_keeps_the_value():
    """Wherever it is."""
    chance = random.Random(1)
    data, own = bytearray(chance.randbytes(500)), UniversalHash(chance.randbytes(256))
    value = own.of(bytes(data))
    for at in range(500):
        data[at] ^= 1 << chance.randrange(8)
        assert own.of(bytes(data)) != value
        value = own.of(bytes(data))


def test_each_part_of_the_key_counts():
    """Other keys have other values of the same text."""
    chance = random.Random(2)
    key, data = bytearray(chance.randbytes(256)), chance.randbytes(1000)
    values = {UniversalHash(bytes(key)).of(data)}
    for at in range(256):
        key[at] ^= 1 + chance.randrange(127)
        values.add(UniversalHash(bytes(key)).of(data))
    assert len(values) == 257
    with pytest.raises(ValueError, match="256 bytes"):
        UniversalHash(b"short")
