"""The authenticator of entries of the cache against its document, and against the same in large numbers."""

import random

import pytest

from stratavm.base.poly1305 import poly1305

PRIME = (1 << 130) - 5
MASK = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF

VECTORS = (
    (
        "85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b",
        b"Cryptographic Forum Research Group".hex(),
        "a8061dc1305136c6c22b8baf0c0127a9",
    ),
    # RFC 8439, appendix A.3, 7 to 11: carries, and what is not less than the prime
    ("02" + "00" * 31, "ff" * 16, "03" + "00" * 15),
    ("02" + "00" * 15 + "ff" * 16, "02" + "00" * 15, "03" + "00" * 15),
    ("01" + "00" * 31, "ff" * 16 + "f0" + "ff" * 15 + "11" + "00" * 15, "05" + "00" * 15),
    ("01" + "00" * 31, "ff" * 16 + "fb" + "fe" * 15 + "01" * 16, "00" * 16),
    ("02" + "00" * 31, "fd" + "ff" * 15, "fa" + "ff" * 15),
    (
        "0100000000000000" + "0400000000000000" + "00" * 16,
        "e33594d7505e43b900000000000000003394d7505e4379cd01000000000000000000000000000000000000000000000001"
        "000000000000000000000000000000",
        "14000000000000005500000000000000",
    ),
)


def expected(key: bytes, message: bytes) -> bytes:
    """Section 2.5.1, in integers."""
    r = int.from_bytes(key[:16], "little") & MASK
    total = 0
    for at in range(0, len(message), 16):
        total = (total + int.from_bytes(message[at : at + 16] + b"\1", "little")) * r % PRIME
    return (total + int.from_bytes(key[16:], "little") & (1 << 128) - 1).to_bytes(16, "little")


@pytest.mark.parametrize(("key", "message", "tag"), VECTORS)
def test_the_vectors_of_its_document(key, message, tag):
    """RFC 8439."""
    assert poly1305(bytes.fromhex(key), bytes.fromhex(message)).hex() == tag
    assert expected(bytes.fromhex(key), bytes.fromhex(message)).hex() == tag


def test_it_is_what_large_numbers_say():
    """Of random messages of every length up to some blocks, and of such that carry much."""
    chance = random.Random(8439)
    for size in [*range(70), *range(1008, 1104, 3), 1024, 1088, 2048, 4099, 99_999]:
        for fill in (None, 0xFF, 0xFE):
            message = chance.randbytes(size) if fill is None else bytes([fill]) * size
            key = chance.randbytes(32) if size % 3 else b"\xff" * 32
            assert poly1305(key, message) == expected(key, message), (size, fill)


def test_where_pieces_end_makes_no_difference():
    """One message in any number of pieces, empty ones too."""
    chance = random.Random(1305)
    for _ in range(300):
        pieces = [chance.randbytes(chance.choice((0, 1, 5, 15, 16, 17, 40))) for _ in range(chance.randrange(6))]
        key = chance.randbytes(32)
        assert poly1305(key, *pieces) == expected(key, b"".join(pieces))


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_length_is_none(size):
    """It would leave a part of the key unset."""
    with pytest.raises(ValueError, match=f"32 bytes, got {size}"):
        poly1305(bytes(size), b"")


def test_pieces_are_bytes():
    """Nothing else is read as if it were."""
    with pytest.raises(TypeError):
        poly1305(bytes(32), "text")
