"""Claims about the form of images: what is written is read, every number in it is checked, and digests fit."""

import pytest

from stratavm import DecodeError
from stratavm.aot import container
from stratavm.aot.container import Damaged, read, starts_at, write
from stratavm.engine import source

KEY = b"k" * 32
SECTIONS = {"facts": b"a=b\n", "memory": b"m" * 5000, "empty": b"", "binary": b"x" * 100}


def image(key=None, interpreter=""):
    """The sections as an image."""
    return b"".join(write(SECTIONS, key, interpreter))


def test_sections_come_back_as_they_were():
    """Wherever they lie."""
    found = read(image())
    assert {name: found.section(name) for name in found.sections} == SECTIONS
    assert [section.offset % 64 for section in found.sections.values()] == [0] * 4
    assert not found.is_marked and not found.is_marked_by(KEY)


@pytest.mark.parametrize("interpreter", ["", "/usr/bin/env -S strata run"])
def test_sections_that_are_mapped_lie_at_pages_of_the_file(interpreter):
    """Also behind a line for the shell."""
    data = image(interpreter=interpreter)
    found = read(data)
    at = found.start + found.sections["memory"].offset
    assert at % 4096 == 0 and data[at : at + 5000] == SECTIONS["memory"]
    assert data.startswith(f"#!{interpreter}\n\n".encode() if interpreter else b"\x89strata\n")


def test_a_mark_is_by_one_key_and_over_all():
    """Whatever is in the sections: their digests stand in the table."""
    found = read(image(KEY))
    assert found.is_marked_by(KEY) and not found.is_marked_by(b"l" * 32)
    other = b"".join(write({**SECTIONS, "binary": b"y" * 100}))
    start = container.SIGNED_BYTES + 32
    forged = other[:start] + image(KEY)[start : start + 32] + other[start + 32 :]
    assert read(forged).is_marked and not read(forged).is_marked_by(KEY)


def test_how_images_begin_is_known_where_sources_are_read():
    """Which imports none of this before it meets one."""
    assert (container.MAGIC[:2], container.SCRIPT) == source.IMAGES


@pytest.mark.parametrize("data", [b"", b"\0asm\1\0\0\0", b"#!/bin/sh\n", b"#!" + b"\n" * 5000, b"\x89PNG\r\n\x1a\n"])
def test_other_files_are_no_images(data):
    """Scripts included."""
    assert starts_at(data) is None
    with pytest.raises(DecodeError, match="no image"):
        read(data)


def table_with(number, **changes):
    """An image one of whose rows says something else, with the digest that fits."""
    data = bytearray(image())
    at = container.HEAD.size + container.ENTRY.size * number
    name, offset, size, digest = container.ENTRY.unpack_from(data, at)
    row = {"name": name, "offset": offset, "size": size, "digest": digest, **changes}
    container.ENTRY.pack_into(data, at, *row.values())
    return signed(data)


def signed(data, **head):
    """An image with some numbers of the head changed, and the digest that fits."""
    values = dict(zip(("magic", "form", "count", "size"), container.HEAD.unpack_from(data), strict=False)) | head
    data[: container.SIGNED_BYTES] = container.HEAD.pack(*values.values(), b"", b"")[: container.SIGNED_BYTES]
    table = data[container.HEAD.size : container.HEAD.size + container.ENTRY.size * values["count"]]
    data[container.SIGNED_BYTES : container.SIGNED_BYTES + 32] = container.sum_of(
        bytes(data[: container.SIGNED_BYTES]), bytes(table)
    )
    return bytes(data)


@pytest.mark.parametrize(
    "row",
    [
        (0, {"offset": 0}),
        (0, {"offset": 1 << 63}),
        (1, {"offset": 384}),
        (1, {"size": (1 << 64) - 1}),
        (1, {"size": 1 << 40}),
        (2, {"name": b"facts"}),
        (2, {"name": b""}),
        (3, {"size": 99}),
        (3, {"offset": 64}),
    ],
    ids=str,
)
def test_a_row_that_says_what_cannot_be_is_refused(row):
    """Although the digest of the table is right."""
    number, changes = row
    with pytest.raises(DecodeError, match=r"damaged image"):
        read(table_with(number, **changes))


@pytest.mark.parametrize(
    "head", [{"count": 17}, {"count": 1 << 31}, {"size": 0}, {"size": 1 << 60}, {"count": 3}], ids=str
)
def test_a_head_that_says_what_cannot_be_is_refused(head):
    """Although its digest is right."""
    with pytest.raises(DecodeError, match="damaged image"):
        read(signed(bytearray(image()), **head))


def test_another_form_is_said():
    """An older Strata meets an image of a newer one."""
    with pytest.raises(DecodeError, match="another form"):
        read(signed(bytearray(image()), form=2))


def test_a_section_is_checked_when_it_is_asked_for():
    """So that what is not used need not be read."""
    data = bytearray(image())
    data[-1] ^= 1
    found = read(bytes(data))
    assert found.section("facts") == b"a=b\n" and found.unchecked("binary") != SECTIONS["binary"]
    with pytest.raises(Damaged, match="binary is damaged"):
        found.section("binary")
    with pytest.raises(Damaged, match="no section code"):
        found.section("code")


def test_too_much_is_not_written():
    """Names and lines are short, sections few."""
    for sections, interpreter in (({"n" * 17: b""}, ""), ({f"n{i}": b"" for i in range(17)}, ""), ({}, "x" * 200)):
        with pytest.raises(ValueError):
            write(sections, None, interpreter)
