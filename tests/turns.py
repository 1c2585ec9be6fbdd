"""Turns of sandboxed Python with snapshots between them and without: ``make turns`` (``python -m tests.turns``); a
short form is in ``make test``.

A round is a list of turns at random, which work on ``__main__``, imports, files of the tree in memory, generators,
iterators, exceptions, classes and random numbers. One interpreter does all of them in a row. Of another a snapshot is
taken every now and then: some turns are done to a clone that is thrown away, and the rest to a clone that takes its
place. Outputs, values, errors and files have to be equal at every turn, and in the end all that ``__main__`` holds and
all files. Every few rounds eight threads clone one snapshot at once, or a forked process does, or a program in a
process of its own, which reads the snapshot of a warm interpreter from the code cache. The engines' functions are
compiled and published meanwhile: level ``auto``.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import threading
import time
from typing import Any, Final

from stratavm.sandbox import Python, PythonCompleted, Session
from tests.forks import forked

THREADS: Final = 8
TIMEOUT_S: Final = 300
LIBRARY: Final = ("decimal", "fractions", "heapq", "csv", "zlib", "textwrap", "bisect", "statistics")
SPOILS: Final = "data.clear(); things.clear(); import shutil; shutil.rmtree('/kept'); del made"
GENERATOR: Final = """\
def gen():
    try:
        yield from range({size})
    finally:
        data['closed'] = data.get('closed', 0) + 1
iterators[{key!r}] = g = gen()
next(g, 'none')
"""
CAUGHT: Final = """\
try:
    data[{key!r}][{n}]
except (LookupError, TypeError) as error:
    caught = error
repr(caught)
"""
BEGIN: Final = """\
import builtins, collections, itertools, json, os, random, re
made = random.Random({seed})
data, things, iterators = {{}}, [], {{}}
class Counter:
    total = 0
    def __init__(self, begin): self.value = begin
    def up(self, by=1):
        self.value += by
        Counter.total += by
        return self.value
def walk(begin, step):
    at = begin
    while True:
        got = yield at
        at += step if got is None else got
"""
STATE: Final = """\
import hashlib, os
def told(value):
    if isinstance(value, dict): return '{' + ','.join(f'{told(k)}:{told(v)}' for k, v in value.items()) + '}'
    if isinstance(value, (list, tuple)): return '[' + ','.join(map(told, value)) + ']'
    if isinstance(value, Counter): return f'Counter {value.value} {sorted(vars(value))}'
    if hasattr(value, 'tobytes'): return f'{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}'
    known = int, float, complex, str, bytes, bool, type(None)
    return repr(value) if isinstance(value, known) else type(value).__name__
held = [told(data), told(things), sorted(iterators), Counter.total, made.random()]
held.append(told([next(i, None) for i in iterators.values()]))
for folder, _, names in sorted(os.walk('/kept')):
    held += [(f'{folder}/{name}', open(f'{folder}/{name}', 'rb').read()) for name in sorted(names)]
told(held)
"""


def turns(chance: random.Random, count: int) -> list[str]:
    """So many pieces of code, each of which goes on from what those before it left."""
    made = ["import os\nos.makedirs('/kept/a', exist_ok=True)"]
    for number in range(count):
        key, other, n = f"k{chance.randrange(12)}", f"k{chance.randrange(12)}", chance.randrange(-50, 50)
        path = f"/kept/{chance.choice(('', 'a/', 'b/'))}f{chance.randrange(6)}"
        made.append(
            chance.choice(
                (
                    f"data[{key!r}] = [{n}] * {abs(n)} + [*range({abs(n)})]\nlen(data)",
                    f"data[{key!r}] = {{{n}: {other!r}, {other!r}: ({n}, {n / 3!r}, b'\\0\\xff')}}",
                    f"data.pop({key!r}, None), sorted(data)",
                    f"data.setdefault({key!r}, []).append({n})",
                    f"things.append(Counter({n}))\nthings[-1].up({n})",
                    f"[thing.up({n}) for thing in things[-3:]], Counter.total",
                    f"del things[::{chance.randrange(2, 5)}]\nlen(things)",
                    f"iterators[{key!r}] = walk({n}, {chance.randrange(1, 9)})\nnext(iterators[{key!r}])",
                    f"[next(i) for i in iterators.values()], [*itertools.islice(iterators.get({key!r}, []), 3)]",
                    f"iterators[{key!r}] = itertools.count({n})\n[next(i) for i in iterators.values()]",
                    f"iterators.pop({key!r}, iter(())).__iter__()\nlen(iterators)",
                    f"[made.random(), made.randrange(10 ** 20), made.sample(range(99), {abs(n) % 20})]",
                    f"import pathlib\npathlib.Path({path!r}).parent.mkdir(exist_ok=True)\n"
                    f"pathlib.Path({path!r}).write_text('{key}' * {abs(n) * chance.choice((1, 400))})",
                    f"with open({path!r}, 'a') as f: print({n}, file=f)\nos.path.getsize({path!r})",
                    f"os.path.exists({path!r}) and os.remove({path!r})\nsorted(os.listdir('/kept'))",
                    f"os.path.exists({path!r}) and os.replace({path!r}, '/kept/moved')",
                    f"open({path!r}).read()[:20]",
                    f"1 // {n % 3}",
                    f"raise KeyError({key!r})",
                    CAUGHT.format(key=key, n=n),
                    f"def f{n % 7}(x, y={n}): return x * y + len(data)\nf{n % 7}({n})",
                    f"f{n % 7}({n})",
                    f"import {chance.choice(LIBRARY)} as m{n % 3}\n"
                    f"m{n % 3}.__name__, m{n % 3}.__name__ in __import__('sys').modules",
                    f"print({key!r}, {n}, sorted(data)[:3])",
                    f"import sys\nsys.stderr.write('{key}\\n')\nNone",
                    f"data[{key!r}] = big = {n} ** {abs(n) * 9}\nbig % 10 ** 30, hash(big)",
                    f"import re\nre.sub(r'(\\d)(\\d?)', r'<\\2\\1>', str(data))[-{abs(n) + 20}:]",
                    GENERATOR.format(key=key, size=abs(n)),
                    "import gc\ngc.collect()\nlen(things)",
                    f"exit({abs(n) % 9})" if number % 40 == 39 else "0",
                    f"import numpy\ndata[{key!r}] = numpy.arange({abs(n) + 1}) * {n}\nint(data[{key!r}].sum())",
                    f"import numpy\nfloat(numpy.sqrt(numpy.abs(numpy.asarray([{n}, {n / 7}]))).sum())",
                )
            )
        )
    return made


def told(done: PythonCompleted) -> tuple[Any, ...]:
    """All that does not depend on the time and on how memory lies."""
    error = None if done.error is None else (done.error.type, done.error.message, done.error.traceback)
    files = sorted(done.files.items())
    return (
        done.stdout,
        done.stderr,
        done.code,
        done.reason,
        done.value,
        done.is_repr,
        error,
        files,
        done.limits,
        done.faults,
    )


def step(session: Session, code: str) -> tuple[Any, ...]:
    """One turn."""
    return told(session.run(code, timeout=TIMEOUT_S))


def taken(session: Session) -> Session:
    """A clone of a snapshot of it."""
    return session.fork()


def check(python: Python, seed: int, count: int) -> int:
    """One round: how many turns. AssertionError where a clone is another."""
    chance = random.Random(seed)
    given = {"deterministic": True, "seed": seed} if seed % 3 == 0 else {}
    plain, other = python.session(**given), python.session(**given)
    try:
        for session in (plain, other):
            session.run(BEGIN.format(seed=seed), timeout=TIMEOUT_S).check()
        done = 0
        for code in turns(chance, count):
            what = chance.randrange(10)
            if what < 4:
                clone = taken(other)
                if what == 0:  # the clone is spoiled, and the other goes on
                    step(clone, chance.choice(turns(chance, 3)))
                    step(clone, SPOILS)
                    clone.close()
                elif what == 1:  # the other is spoiled, and the clone goes on
                    step(other, SPOILS)
                    other.close()
                    other = clone
                else:
                    other.close()
                    other = clone
            expected, found = step(plain, code), step(other, code)
            assert expected == found, (seed, code, expected, found)
            done += 1
            if plain.ended:
                break
        else:
            if seed % 5 == 2:
                at_once(other, step_of_a_clone(plain))
            if seed % 5 == 4:
                assert in_a_child(other, step_of_a_clone(plain)), (seed, "in a child")
            expected, found = step(plain, STATE), step(other, STATE)
            assert expected == found and expected[2] == 0, (seed, "in the end", expected, found)
        return done
    finally:
        plain.close()
        other.close()


def step_of_a_clone(session: Session) -> tuple[Any, ...]:
    """All that it holds, as a clone of it says."""
    with taken(session) as clone:
        return step(clone, STATE)


def at_once(session: Session, expected: tuple[Any, ...]) -> None:
    """Clones in threads, which are changed as soon as they are seen."""
    wrong: list[Any] = []
    clones = [taken(session) for _ in range(THREADS)]

    def run(clone: Session) -> None:
        with clone, taken(clone) as again:
            found = step(clone, STATE)
            step(clone, SPOILS)
            if found != expected or step(again, STATE) != expected:
                wrong.append(found)

    threads = [threading.Thread(target=run, args=(clone,)) for clone in clones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, ("in threads", expected, wrong[0])


def in_a_child(session: Session, expected: tuple[Any, ...]) -> bool:
    """Whether a forked process sees the same, and this one still does after that has changed its own."""
    clone = taken(session)

    def right_there() -> bool:
        again = taken(clone)
        step(clone, SPOILS)
        return bool(step(again, STATE) == expected)

    right = forked(right_there) and step(clone, STATE) == expected
    clone.close()
    return right


OTHER: Final = """\
import hashlib, json, random, sys
from stratavm.sandbox import Python
from tests import turns
seed, count = int(sys.argv[1]), int(sys.argv[2])
python = Python().warm(turns.WARM)
print(turns.digest(python, seed, count))
"""
WARM: Final = "import json, random, re, collections, itertools, decimal"


def digest(python: Python, seed: int, count: int) -> str:
    """Of all that the turns of a seed say, in clones of a warm snapshot."""
    found = hashlib.sha256()
    with python.session(deterministic=True, seed=seed) as session:
        session.run(BEGIN.format(seed=seed), timeout=TIMEOUT_S).check()
        for code in [*turns(random.Random(seed), count), STATE]:
            if session.ended:
                break
            found.update(repr(step(session, code)).encode())
    return found.hexdigest()


def in_another_process(python: Python, seed: int, count: int) -> None:
    """A process of its own reads the warm snapshot that this one has kept, and its clones say the same."""
    expected = digest(python.warm(WARM), seed, count)
    done = subprocess.run(
        [sys.executable, "-c", OTHER, str(seed), str(count)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == expected, (seed, "in another process")


def rounds(first: int, count: int, length: int, seconds: float = float("inf")) -> tuple[int, int]:
    """So many rounds from a seed on, or as many as there is time for; how many, and how many turns."""
    python, end, done = Python(), time.monotonic() + seconds, 0
    for number in range(count):
        if time.monotonic() >= end:
            return number, done
        done += check(python, first + number, length)
        if number % 10 == 3:
            in_another_process(python, first + number, length)
    return count, done


def main() -> int:
    """Rounds in a row; the first that differs ends them with its seed."""
    parser = argparse.ArgumentParser(prog="make turns", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--turns", type=int, default=60, help="of a round")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begin = time.monotonic()
    count, done = rounds(options.seed, options.rounds, options.turns)
    print(f"{count} rounds from seed {options.seed}, {done} turns in {time.monotonic() - begin:.0f} s, all equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
