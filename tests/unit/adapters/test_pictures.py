"""Claims about PNG files of guests: what is a picture comes out with the same pixels, all else is none."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavm.adapters import pictures as module
from stratavm.adapters.pictures import MOST_BYTES, SIGNATURE, NoPicture, checked_png, pictures
from tests import needed


def chunk(name, body):
    """A part of a file."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width=2, height=2, depth=8, colour=2, *, rows=None, header=None, before=b"", tables=b"", behind=b"", tail=b""):
    """A file, right or wrong."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    row = b"\0" + bytes((width * depth * samples + 7) // 8)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0) if header is None else header
    packed = zlib.compress(row * height if rows is None else rows)
    parts = [before, chunk(b"IHDR", head), tables, chunk(b"IDAT", packed), behind, chunk(b"IEND", b"")]
    return SIGNATURE + b"".join(parts) + tail


PALETTE = chunk(b"PLTE", b"abc" * 4)


@pytest.mark.parametrize(
    "data",
    [
        png(),
        png(3, 5, 1, 0),
        png(3, 5, 16, 6),
        png(9, 1, 4, 3, tables=PALETTE),
        png(9, 1, 4, 3, tables=PALETTE + chunk(b"tRNS", b"\0\1")),
        png(1, 1, 8, 0, tables=chunk(b"tRNS", b"\0\0")),
        png(1, 1, 8, 2, tables=PALETTE),
    ],
)
def test_a_picture_of_each_kind_stays_as_it_is(data):
    """Where it has nothing but its pixels."""
    assert checked_png(data) == data


def test_what_is_no_pixel_is_left_out():
    """Texts, profiles, what is behind its end."""
    extra = chunk(b"tEXt", b"<script>alert(1)</script>") + chunk(b"iCCP", b"x") + chunk(b"acTL", bytes(8))
    data = png(before=b"", tables=extra, behind=chunk(b"eXIf", b"y"), tail=b"<html><script>")
    assert checked_png(data) == png()


def test_pixels_are_those_that_they_were():
    """As another library reads them, of pictures that it made."""
    image = needed.module("PIL.Image")
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        first = image.linear_gradient("L").resize((37, 23)).convert(mode)
        file = io.BytesIO()
        first.save(file, "PNG", dpi=(100, 100))
        again = image.open(io.BytesIO(checked_png(file.getvalue())))
        assert again.convert("RGBA").tobytes() == first.convert("RGBA").tobytes(), mode


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no PNG"),
        (b"<svg onload=alert(1)>", "no PNG"),
        (b"GIF89a" + png(), "no PNG"),
        (bytes(MOST_BYTES + 1), "more than"),
        (SIGNATURE, "too early"),
        (png()[:-1], "too early"),
        (png()[:-20], "too early"),
        (SIGNATURE + b"\xff\xff\xff\xffIDAT", "too early"),
        (png().replace(b"IDAT", b"IDAX"), "damaged"),
        (SIGNATURE + chunk(b"IEND", b""), "parts"),
        (SIGNATURE + chunk(b"IHDR", bytes(13)) + chunk(b"IEND", b""), "parts"),
        (png(before=chunk(b"IDAT", b"")), "parts"),
        (png(tables=chunk(b"IHDR", bytes(13))), "parts"),
        (png(behind=PALETTE), "order"),
        (png(colour=3, tables=PALETTE + PALETTE), "order"),
        (png(tables=chunk(b"CODE", b"")), "no known part"),
        (png(header=bytes(12)), "header"),
        (png(header=bytes(8) + b"\x08\2" + bytes(3)), "at most"),
        (png(header=struct.pack(">IIBBBBB", 2, 2, 8, 5, 0, 0, 0)), "colours"),
        (png(header=struct.pack(">IIBBBBB", 2, 2, 4, 2, 0, 0, 0)), "colours"),
        (png(header=struct.pack(">IIBBBBB", 2, 2, 8, 2, 1, 0, 0)), "colours"),
        (png(header=struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 1)), "interlaced"),
        (png(header=struct.pack(">IIBBBBB", 1 << 15, 1, 8, 2, 0, 0, 0)), "at most"),
        (png(header=struct.pack(">IIBBBBB", 1 << 13, 1 << 13, 8, 2, 0, 0, 0)), "at most"),
        (png(colour=3), "palette"),
        (png(colour=0, tables=PALETTE), "palette"),
        (png(colour=3, tables=chunk(b"PLTE", b"abcd")), "palette"),
        (png(colour=6, tables=chunk(b"tRNS", b"ab")), "transparency"),
        (png(rows=bytes(13)), "as many"),
        (png(rows=bytes(15)), "as many"),
        (png(rows=bytes(1 << 26)), "as many"),
        (png(rows=b"\5" + bytes(13)), "known kind"),
        (png(before=chunk(b"tEXt", b"") * 5000), "more than 4096 parts"),
        (
            SIGNATURE + chunk(b"IHDR", png()[16:29]) + chunk(b"IDAT", b"no zlib") + chunk(b"IEND", b""),
            "pixels are damaged",
        ),
    ],
    ids=range(34),
)
def test_what_is_no_picture_is_refused(data, why):
    """By a word that says why; a bomb is not unpacked."""
    with pytest.raises(NoPicture, match=why):
        checked_png(data)


@given(st.integers(0, len(png()) - 1), st.integers(1, 255))
def test_a_changed_byte_is_seen_or_does_no_harm(place, by):
    """What comes out is a picture that is accepted again, unchanged."""
    data = bytearray(png())
    data[place] ^= by
    try:
        found = checked_png(bytes(data))
    except NoPicture:
        return
    assert checked_png(found) == found


def test_pictures_among_files():
    """By name and content."""
    files = {"a.png": png(tail=b"x"), "b.PNG": png(), "c.png": b"<html>", "d.svg": b"<svg/>", "e.txt": png()}
    assert pictures(files, 4) == {"a.png": png(), "b.PNG": png()}
    assert pictures(files, 1) == {"a.png": png()}


def test_pictures_take_no_more_of_the_host_than_those_that_are_wanted(monkeypatch):
    """A guest writes five hundred bombs in a second, each of which the host would unpack for one."""
    looked = []
    right = module.checked_png

    def checked(data):
        looked.append(data)
        return right(data)

    monkeypatch.setattr(module, "checked_png", checked)
    wrong = {f"{number:03}.png": png(tables=PALETTE[:-1]) for number in range(100)}
    assert pictures(wrong, 4) == {} and len(looked) == 16
    del looked[:]
    monkeypatch.setattr(module, "MOST_UNPACKED", 20 * 7)
    large = {f"{number}.png": png(height=6) for number in range(10)}
    assert list(pictures(large, 8)) == ["0.png", "1.png", "2.png"] and len(looked) == 3
