"""The language and its library: exceptions through many frames, big numbers, text, bytes."""

import ast
import asyncio
import contextlib
import datetime
import decimal
import fractions
import hashlib
import heapq
import itertools
import json
import pickle
import random
import re
import statistics
import struct
import textwrap
import unicodedata
import zlib
from dataclasses import asdict, dataclass


class Deep(Exception):
    pass


def fall(n):
    try:
        if n == 0:
            raise Deep("deep")
        fall(n - 1)
    except Deep as error:
        raise Deep(f"{error.args[0]}.") from error
    finally:
        left.append(n)


left = []
try:
    fall(60)
except Deep as error:
    print(len(str(error)), len(left), repr(error.__cause__)[:12])
try:
    exec("def f():\n    return f()\nf()")
except RecursionError as error:
    print(type(error).__name__)
with contextlib.suppress(ZeroDivisionError):
    print(1 // 0)
try:
    raise ExceptionGroup("many", [ValueError(1), TypeError(2), ExceptionGroup("more", [KeyError(3)])])
except* (ValueError, KeyError) as some:
    print(some.exceptions)
except* TypeError as rest:
    print(rest.exceptions)


@dataclass
class Point:
    x: int
    y: float = 0.5


async def work(n):
    await asyncio.sleep(0)
    return n * n


print(asdict(Point(3)), json.dumps({"a": [1, 2.5, None, "é"], "b": {"c": True}}, sort_keys=True))
print(decimal.Decimal(2).sqrt(decimal.Context(prec=60)), fractions.Fraction(355, 113) ** 5)
print(pow(3, 10**5, 10**40 + 7), hash(2**61 + 5), (7**400).bit_length(), str(3**300)[-30:])
data = bytes(random.Random(3).choices(b"abcdef", k=20000))
for level in (1, 6, 9):
    packed = zlib.compress(data, level)
    print(level, len(packed), zlib.crc32(packed), zlib.decompress(packed) == data)
for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s", "sha3_256", "shake_128"):
    sum_ = hashlib.new(name, data)
    print(name, sum_.hexdigest(16) if name == "shake_128" else sum_.hexdigest())
print(re.findall(r"(?P<word>\b[a-z]+)(\d{2,})", "ab12 cd345 e6 fgh7890"), re.sub(r"(a|b)+?c", "<\\g<0>>", "ababcabc"))
print(struct.pack("<bhiqfd", -1, -2, -3, -4, 0.1, 0.2).hex(), struct.unpack(">3H", b"\1\2\3\4\5\6"))
print(unicodedata.normalize("NFKD", "ﬁ é Å"), "straße".upper(), "\N{SNOWMAN}".encode(), "ǅ".swapcase())
print(datetime.datetime(2024, 2, 29, 12) + datetime.timedelta(days=365), datetime.date(2026, 11, 30).isocalendar())
print(statistics.quantiles(range(100), n=7), heapq.nsmallest(4, (x * 7919 % 101 for x in range(100))))
print([*itertools.islice(itertools.permutations("abc"), 4)], textwrap.wrap("a quick brown fox jumps over it", 12))
print(pickle.loads(pickle.dumps({"k": [Point(1), (2, 3)]})), ast.unparse(ast.parse("x = [a for a in b if a]")))
print(repr(0.1 + 0.2), float.hex(1 / 3), round(2.675, 2), 1e308 * 10, -7 // 2, -7 % 3, divmod(-7.5, 2))
made = random.Random(7)
print([f"{made.gauss(0, 1):.17g}" for _ in range(4)], sorted(made.sample(range(99), 9)))
