"""PNG files that a guest made: looked at byte by byte, and made anew of what is a picture in them.

A guest chooses every byte of its files. What a browser or a model is shown is of one kind, has a bounded size when it
is unpacked, and carries nothing beside the picture.
"""

from __future__ import annotations

import struct
import zlib

from stratavm.base.forms import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
MOST_BYTES: Final = 8 << 20
MOST_PIXELS: Final = 1 << 24
MOST_SIDE: Final = 1 << 14
MOST_CHUNKS: Final = 4096
"""Of a file: programs that write pictures make one for each 8 KiB, or more."""
MOST_UNPACKED: Final = 1 << 27
"""Bytes that pictures of one answer may unpack to: what a guest packs in a moment costs the host a second."""
TRIES: Final = 4
"""How many files are looked at for each picture that is wanted."""
SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour types: how many samples a pixel has."""
DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
KEPT: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
"""Chunks that are the picture; others are left out."""
ORDER: Final = {b"PLTE": 1, b"tRNS": 2, b"IDAT": 3, b"IEND": 4}
FILTERS: Final = 5


class NoPicture(ValueError):
    """What a file has instead of a picture."""


def checked_png(data: bytes) -> bytes:
    """The picture of a PNG file: the same pixels, without texts, profiles, animations and whatever else it has.

    Raises:
        NoPicture: it is none, is damaged, is interlaced, or is larger than 16 Mi pixels.
    """
    if len(data) > MOST_BYTES:
        raise NoPicture(f"more than {MOST_BYTES} bytes")
    if not data.startswith(SIGNATURE):
        raise NoPicture("no PNG file")
    chunks = [chunk for chunk in _chunks(data) if chunk[0] in KEPT]
    _check_order([name for name, _ in chunks])
    row_bytes, height = _check_header(chunks[0][1])
    palette = next((body for name, body in chunks if name == b"PLTE"), b"")
    transparent = next((body for name, body in chunks if name == b"tRNS"), b"")
    _check_tables(chunks[0][1][9], palette, transparent)
    pixels = b"".join(body for name, body in chunks if name == b"IDAT")
    _check_rows(pixels, row_bytes, height)
    return SIGNATURE + b"".join(_chunk(name, body) for name, body in chunks)


def pictures(files: Mapping[str, bytes], most: int) -> dict[str, bytes]:
    """Those of a run's files that are called ``.png`` and are pictures, made anew: the first by name, so many at most.

    Of a guest's files only so many are looked at that a second or two do; on a loop, call it in a thread.
    """
    found: dict[str, bytes] = {}
    room = MOST_UNPACKED
    for path in sorted(path for path in files if path.lower().endswith(".png"))[: TRIES * most]:
        data = files[path]
        try:
            room -= _unpacked_bytes(data)
            if room < 0:
                break
            found[path] = checked_png(data)
        except NoPicture:
            continue
        if len(found) == most:
            break
    return found


def _unpacked_bytes(data: bytes) -> int:
    """What its pixels will take, as its header says."""
    row_bytes, height = _check_header(data[len(SIGNATURE) + 8 :][:13])
    return row_bytes * height


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        if len(data) - at < 12:
            raise NoPicture("it ends too early")
        size, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if end > len(data):
            raise NoPicture("it ends too early")
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise NoPicture("a chunk is damaged")
        if name not in KEPT and not name[0] & 0x20:
            raise NoPicture("a chunk that is no known part of a picture")
        yield name, data[at + 8 : end - 4]
        if name == b"IEND":
            return  # what is behind it is left out
        at = end
    raise NoPicture(f"more than {MOST_CHUNKS} parts")


def _check_order(names: list[bytes]) -> None:
    """A header, perhaps tables, pixels, the end."""
    if names[:1] != [b"IHDR"] or b"IDAT" not in names or names.count(b"IHDR") != 1:
        raise NoPicture("its parts are not those of a picture")
    places = [ORDER[name] for name in names[1:]]
    if places != sorted(places) or names.count(b"PLTE") > 1 or names.count(b"tRNS") > 1:
        raise NoPicture("its parts are in no order")


def _check_header(header: bytes) -> tuple[int, int]:
    """Bytes of a row, its filter included, and how many rows there are."""
    if len(header) != 13:
        raise NoPicture("a header of another size")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", header)
    if depth not in DEPTHS.get(colour, ()) or compression or filtering:
        raise NoPicture("colours that no PNG file has")
    if interlace:
        raise NoPicture("it is interlaced")
    if not 0 < width <= MOST_SIDE or not 0 < height <= MOST_SIDE or width * height > MOST_PIXELS:
        raise NoPicture(f"{width} by {height} pixels; at most {MOST_PIXELS}, and {MOST_SIDE} on a side")
    return 1 + (width * depth * SAMPLES[colour] + 7) // 8, height


def _check_tables(colour: int, palette: bytes, transparent: bytes) -> None:
    """Palette and transparency, of the sizes that they have for a colour type."""
    if len(palette) % 3 or len(palette) > 768 or ((colour == 3) != bool(palette) and colour in (0, 3, 4)):
        raise NoPicture("a palette that does not fit")
    fits = {0: (0, 2), 2: (0, 6), 3: range(len(palette) // 3 + 1)}.get(colour, (0,))
    if len(transparent) not in fits:
        raise NoPicture("transparency that does not fit")


def _check_rows(packed: bytes, row_bytes: int, height: int) -> None:
    """That the pixels unpack to these rows, not one byte more."""
    whole = row_bytes * height
    unpacking = zlib.decompressobj()
    try:
        rows = unpacking.decompress(packed, whole + 1)
    except zlib.error:
        raise NoPicture("its pixels are damaged") from None
    if len(rows) != whole or not unpacking.eof or unpacking.unused_data:
        raise NoPicture("its pixels are not as many as it says")
    if max(rows[::row_bytes]) >= FILTERS:
        raise NoPicture("a row of no known kind")


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
