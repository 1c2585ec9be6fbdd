"""What the suite ``programs`` has CPython do: JSON, regular expressions and sums, and a check sum of all of it."""

import json
import re

WORDS = [f"{'abcdefgh'[i % 8]}{i * 7919 % 1009}" for i in range(300)]


def records(count):
    """To JSON and back."""
    data = [{"id": i, "name": WORDS[i % 300], "tags": WORDS[i % 50 : i % 50 + 4], "score": i / 7} for i in range(count)]
    return json.loads(json.dumps(data))


def matches(text):
    """Lengths of what three patterns find."""
    patterns = r"\b[a-d]\d+", r"(\w)(\d)\2", r"(?:e|f)(\d{1,3}),\s*g\d*[02468]\b"
    return sum(len(match.group()) for pattern in patterns for match in re.finditer(pattern, text))


def sums(count):
    """Integers, floating point, and a dictionary."""
    total, mean, seen = 0, 0.0, {}
    for i in range(count):
        total += i * i & 255
        mean += (i - mean) / (i + 1)
        seen[i & 127] = total
    return total + int(mean) + sum(seen.values())


rows = records(900)
print(len(rows), sum(len(row["tags"]) for row in rows), matches(", ".join(WORDS) * 6), sums(80_000))
