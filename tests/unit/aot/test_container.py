"""Claims about the form of images: what is written is read, every number in it is checked, and digests fit."""

import os
from hashlib import blake2b
from io import FileIO

import pytest

from stratavm import DecodeError
from stratavm.aot import container
from stratavm.aot.container import Damaged, FileContent, Key, read, read_content, starts_at, write
from stratavm.base.forms import replace
from stratavm.engine import source
from stratavm.module.reader import sum_of

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
    assert not found.is_marked and not found.is_marked_by(Key(KEY))


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
    assert found.is_marked_by(Key(KEY)) and not found.is_marked_by(Key(b"l" * 32))
    other = b"".join(write({**SECTIONS, "binary": b"y" * 100}))
    start = container.SIGNED_BYTES + 32
    forged = other[:start] + image(KEY)[start : start + 32] + other[start + 32 :]
    assert read(forged).is_marked and not read(forged).is_marked_by(Key(KEY))


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
    name, offset, size, total, tag = container.ENTRY.unpack_from(data, at)
    row = {"name": name, "offset": offset, "size": size, "sum": total, "tag": tag, **changes}
    container.ENTRY.pack_into(data, at, *row.values())
    return signed(data)


def signed(data, **head):
    """An image with some numbers of the head changed, and the digest that fits."""
    values = dict(zip(("magic", "form", "count", "size"), container.HEAD.unpack_from(data), strict=False)) | head
    data[: container.SIGNED_BYTES] = container.HEAD.pack(*values.values(), b"", b"")[: container.SIGNED_BYTES]
    table = data[container.HEAD.size : container.HEAD.size + container.ENTRY.size * values["count"]]
    data[container.SIGNED_BYTES : container.SIGNED_BYTES + 32] = container.digest_of(
        bytes(data[: container.SIGNED_BYTES]) + bytes(table)
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
    """A Strata meets an image of an older one, or of a newer."""
    with pytest.raises(DecodeError, match="another form"):
        read(signed(bytearray(image()), form=1))


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


# ---- what a key says ----------------------------------------------------------------------------------------------


def keyed(data, key=KEY):
    """The image, whose mark counts."""
    return replace(read(data), key=Key(key))


def with_content(data, name, content):
    """An image with another content of a section, and the sum that fits: what who has no key can make."""
    found = read(data)
    number = [*found.sections].index(name)
    section = found.sections[name]
    made = bytearray(data)
    made[section.offset : section.offset + section.size] = content
    at = container.HEAD.size + container.ENTRY.size * number
    container.ENTRY.pack_into(made, at, name.encode(), section.offset, section.size, sum_of(content), section.tag)
    return signed(made)


def test_sections_of_a_key_are_checked_by_their_tags():
    """And those of another key, or of none, are no such sections."""
    data = image(KEY)
    assert {name: keyed(data).section(name) for name in SECTIONS} == SECTIONS
    for other in (keyed(data, b"l" * 32), keyed(image())):
        for name in SECTIONS:
            with pytest.raises(Damaged, match=f"{name} is damaged"):
                other.section(name)


def test_content_with_the_right_sum_has_not_the_right_tag():
    """Sums are for damage, and everybody can make them. A key sees the difference in the mark, and in the tag."""
    forged = with_content(image(KEY), "binary", b"y" * 100)
    assert read(forged).section("binary") == b"y" * 100
    assert not read(forged).is_marked_by(Key(KEY))
    with pytest.raises(Damaged, match="binary is damaged"):
        keyed(forged).section("binary")


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_a_tag_is_of_one_name_and_one_size(size):
    """Zeros at the end are content, and a section is not another one."""
    key = Key(KEY)
    tags = {key.tag(name, bytes(length)) for name in ("binary", "code") for length in range(size, size + 3)}
    assert len(tags) == 6 and key.tag("code", bytes(size)) in tags


def test_marks_tags_and_values_of_keys_have_nothing_in_common():
    """One key serves three ends, and the cache."""
    key, text = Key(KEY), b"x" * 24
    assert key.mark(text) != key.tag("code", text) != blake2b(text, key=KEY, digest_size=32).digest()
    assert len({Key(k).mark(text) for k in (KEY, KEY[:16], KEY + b"k", KEY * 2)}) == 4


def test_all_of_an_image_is_under_its_key():
    """Whatever byte is another: the mark, a tag, or the whole says so. Gaps are no part of anything."""
    data = image(KEY)
    found = read(data)
    covered = bytearray(len(data))
    covered[: container.HEAD.size + container.ENTRY.size * len(SECTIONS)] = b"\1" * (
        container.HEAD.size + container.ENTRY.size * len(SECTIONS)
    )
    for section in found.sections.values():
        covered[section.offset : section.offset + section.size] = b"\1" * section.size
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 0x10
        try:
            other = read(bytes(changed))
            right = other.is_marked_by(Key(KEY)) and [replace(other, key=Key(KEY)).section(name) for name in SECTIONS]
        except (Damaged, DecodeError):
            right = False
        assert bool(right) is not bool(covered[at])


# ---- files --------------------------------------------------------------------------------------------------------


def test_of_a_file_parts_are_read_when_they_are_asked_for(tmp_path):
    """As they are then."""
    path = tmp_path / "image"
    path.write_bytes(image(interpreter="x"))
    found = read_content(FileContent(FileIO(path)))
    assert {name: found.section(name) for name in found.sections} == SECTIONS
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    with open(path, "r+b") as file:
        file.write(data)
    with pytest.raises(Damaged, match="binary is damaged"):
        found.section("binary")
    with open(path, "r+b") as file:
        file.truncate(len(data) - 1)
    with pytest.raises(Damaged, match="binary is cut off"):
        found.section("binary")
    assert found.section("facts") == SECTIONS["facts"]


def test_the_file_is_closed_with_the_image(tmp_path):
    """Without a warning."""
    path = tmp_path / "image"
    path.write_bytes(image())
    found = read_content(FileContent(FileIO(path)))
    number = found.content.file.fileno()
    del found
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_the_tag_of_what_lies_in_a_file_is_that_of_its_bytes(tmp_path):
    """And there is none where they do not lie there."""
    path = tmp_path / "file"
    path.write_bytes(b"..." + SECTIONS["memory"])
    with open(path, "rb", buffering=0) as file:
        key = Key(KEY)
        assert key.tag_in_file("memory", file.fileno(), 3, 5000) == key.tag("memory", SECTIONS["memory"])
        assert key.tag_in_file("memory", file.fileno(), 3, 5001) == b""
