"""Packed files: every compressor of the library, archives in memory and on a disk, checksums, damage."""

import binascii
import bz2
import gzip
import hashlib
import io
import lzma
import os
import pathlib
import random
import shutil
import tarfile
import tempfile
import zipfile
import zlib

made = random.Random(5)
words = ["".join(made.choices("etaoin shrdlu", k=made.randrange(2, 9))) for _ in range(400)]
data = " ".join(made.choices(words, k=12000)).encode()
print(len(data), zlib.crc32(data), zlib.adler32(data), binascii.crc_hqx(data, 7))
for name, packs, opens in (
    ("zlib", lambda: zlib.compress(data, 9), zlib.decompress),
    ("gzip", lambda: gzip.compress(data, 6, mtime=0), gzip.decompress),
    ("bz2", lambda: bz2.compress(data, 5), bz2.decompress),
    ("lzma", lambda: lzma.compress(data, preset=3), lzma.decompress),
    ("raw", lambda: lzma.compress(data, lzma.FORMAT_ALONE, preset=1), lzma.decompress),
):
    packed = packs()
    assert opens(packed) == data
    print(name, len(packed), hashlib.sha256(packed).hexdigest()[:20])
    for cut in (packed[: len(packed) // 2], packed[:200] + b"\xff" * 20 + packed[220:]):
        try:
            opened = opens(cut)
            print("opened", len(opened))
        except (zlib.error, EOFError, OSError, lzma.LZMAError, ValueError) as error:
            print(type(error).__name__, str(error)[:60])
stream = zlib.compressobj(6, zlib.DEFLATED, -15, 9, zlib.Z_FILTERED, b"a dictionary of words")
parts = [stream.compress(data[at : at + 777]) for at in range(0, 9000, 777)] + [stream.flush(zlib.Z_SYNC_FLUSH)]
back = zlib.decompressobj(-15, b"a dictionary of words")
seen = b"".join(back.decompress(part, 100_000) for part in parts)
print(len(b"".join(parts)), seen == data[: len(seen)], len(seen), back.eof, len(back.unconsumed_tail))
kept = io.BytesIO()
with zipfile.ZipFile(kept, "w") as archive:
    for number, method in enumerate((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)):
        entry = zipfile.ZipInfo(f"folder/é{number}.txt", (2024, 2, 29, 12, 30, 2 * number))
        archive.writestr(entry, data[: 5000 * number], method)
    archive.comment = b"four ways"
with zipfile.ZipFile(kept) as archive:
    print([(each.filename, each.file_size, each.compress_size, f"{each.CRC:08x}") for each in archive.infolist()])
    print(archive.testzip(), archive.comment, zipfile.Path(archive, "folder/é1.txt").read_text()[:20])
spoiled = bytearray(kept.getvalue())
spoiled[9000] ^= 1
try:
    print(zipfile.ZipFile(io.BytesIO(bytes(spoiled))).testzip())
except lzma.LZMAError as error:
    print(error)
with tempfile.TemporaryDirectory() as name:
    root = pathlib.Path(name)
    for number in range(12):
        path = root / "tree" / f"d{number % 3}" / f"f{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[number * 100 : number * 300])
    plain = io.BytesIO()

    def same(entry):
        entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname, entry.mode = 0, 0, 0, "", "", 0o644
        return entry if not entry.name.endswith("f7.bin") else None

    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted((root / "tree").rglob("*.bin")):
            archive.add(path, path.relative_to(root).as_posix(), filter=same)
    print(len(plain.getvalue()), hashlib.sha1(plain.getvalue()).hexdigest())
    plain.seek(0)
    with tarfile.open(fileobj=plain) as archive:
        archive.extractall(root / "again", filter="data")
    print(sorted(path.relative_to(root / "again").as_posix() for path in (root / "again").rglob("*.bin")))
    print(sum(path.stat().st_size for path in root.rglob("*.bin")), len(os.listdir(root)))
    shutil.move(root / "again", root / "moved")
    shutil.copytree(root / "moved", root / "copied")
    shutil.rmtree(root / "tree")
    print(sorted(os.listdir(root)), [len(files) for _, _, files in sorted(os.walk(root))])
