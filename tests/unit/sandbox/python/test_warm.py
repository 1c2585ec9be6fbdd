"""Claims about interpreters that begin warm: what they have, what they do not share, and what cannot be kept."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

import stratavm
from stratavm.sandbox import SessionBusy, SessionEnded
from tests.unit.sandbox.python.test_tools import price

pytestmark = pytest.mark.trace_slow


@pytest.fixture(scope="module")
def warm(python):
    """With a module of its own, and generators that have begun."""
    code = """\
import random, tempfile, sys
import fractions
from helper import value
tempfile.NamedTemporaryFile().close()
random.random()
value.append(1)
open("made.txt", "w").write("made")
name = 5
"""
    return python.warm(code, files={"helper.py": "value = []", "given.txt": "given"})


def test_what_was_loaded_is_there(warm):
    """Modules and files; no names, and nothing that one run changed for another."""
    code = """\
import sys, helper
helper.value.append(2)
open("made.txt", "a").write("+")
['fractions' in sys.modules, helper.value, open("given.txt").read(), open("made.txt").read(), 'name' in globals()]
"""
    for done in (warm.run(code), warm.run(code), asyncio.run(warm.run_async(code))):
        assert done.value == [True, [1, 2], "given", "made+", False], done.stderr
        assert done.files == {"made.txt": b"made+"}
    assert warm.run("import sys; 'fractions' in sys.modules", fuel=1 << 40).value is True


def test_generators_begin_anew(warm):
    """No two runs draw the same numbers; deterministic ones do."""
    code = "import random, tempfile, os\n[random.random(), next(tempfile._get_candidate_names()), os.urandom(4)]"
    first, second = warm.run(code).value, warm.run(code).value
    assert all(one != other for one, other in zip(first, second, strict=True))
    same = [warm.run(code, deterministic=True, seed=1).value for _ in range(2)]
    assert same[0] == same[1] != warm.run(code, deterministic=True, seed=2).value


@pytest.mark.parametrize("chosen", ["", "PCG64", "MT19937"])
def test_generators_of_numpy_begin_anew(python, chosen):
    """That of its functions, whichever the program has chosen; half of a pair that was drawn is gone."""
    chooses = f"numpy.random.set_bit_generator(numpy.random.{chosen}(1))" if chosen else "numpy.random.seed(1)"
    warm = python.warm(f"import numpy\n{chooses}\nnumpy.random.normal()")
    code = "[float(numpy.random.normal()), float(numpy.random.rand()), type(numpy.random.get_bit_generator()).__name__]"
    code = f"import numpy\n{code}"
    first, second = warm.run(code).value, warm.run(code).value
    assert first[0] != second[0] and first[1] != second[1] and first[2] == (chosen or "MT19937")
    same = [warm.run(code, deterministic=True, seed=seed).value for seed in (1, 1, 2)]
    assert same[0] == same[1] and same[0][:2] != same[2][:2]


def test_clocks_go_on(warm):
    """Never behind what the snapshot has seen; deterministic ones, too."""
    made = warm.warm("import time\nbegin = time.monotonic()\nsys = __import__('sys')\nsys.begin = begin")
    for options in ({}, {"deterministic": True}):
        code = "import sys, time\ntime.monotonic() >= sys.begin"
        assert made.run(code, **options).value is True


def test_what_fails_is_told(python):
    """Code that raises, ends, or takes too long; a file that is open."""
    for code, words in (("1 / 0", "division by zero"), ("import os; os._exit(3)", "code 3"), ("exit(4)", "code 4")):
        with pytest.raises(stratavm.GuestFailed, match=f"^the code to warm with: .*{words}"):
            python.warm(code)
    with pytest.raises(stratavm.GuestFailed, match="timeout"):
        python.warm("while True: pass", timeout=0.3)
    with pytest.raises(stratavm.SnapshotRefused, match="open file"):
        python.warm("import sys\nsys.kept = open('x', 'w')")
    with pytest.raises(TypeError, match="code must be"):
        python.warm(5)


def test_memory_that_a_warm_interpreter_has(python):
    """A run that may have less has reason memory, before anything is mapped."""
    large = python.warm("import sys\nsys.kept = bytearray(64 << 20)")
    done = large.run("1", max_memory=64 << 20)
    assert (done.reason, done.code) == ("memory", 134)
    assert large.run("len(__import__('sys').kept)").value == 64 << 20


def test_many_threads_and_tasks(warm):
    """All begin with the same, and share nothing."""
    code = "import helper\nhelper.value.append({0})\nhelper.value"
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: warm.run(code.format(n)).value, range(20)))
    assert found == [[1, n] for n in range(20)]

    async def main():
        return await asyncio.gather(*(warm.run_async(code.format(n)) for n in range(20)))

    assert [done.value for done in asyncio.run(main())] == [[1, n] for n in range(20)]


def test_forks(warm):
    """A fork has what its parent had, and nothing of what either does later; so has a fork of a fork."""
    with warm.session(files={"x": "0"}) as session:
        assert session.run("x = [1]\nopen('x', 'w').write('1')").ok
        with session.fork() as fork, fork.fork() as other:
            assert fork.run("x.append(2)\nopen('x', 'w').write('2')").files == {"x": b"2"}
            with fork.fork() as third:
                code = "[x, open('x').read()]"
                found = [s.run(code).value for s in (session, fork, other, third)]
            assert found == [[[1], "1"], [[1, 2], "2"], [[1], "1"], [[1, 2], "2"]]
        assert session.run("x").value == [1]


def test_forks_do_not_share_generators(warm):
    """What lies in the snapshot begins anew in each, once; what the program made itself is a copy, as all it made."""
    with warm.session() as session:
        draws = "import random, tempfile\nown = random.Random()\ntempfile.mktemp()\nrandom.random()"
        assert session.run(draws).ok
        with session.fork() as fork, session.fork() as other:
            code = "[random.random(), tempfile.mktemp(), own.random()]"
            found = [s.run(code).value for s in (session, fork, other)]
            assert [len({draw[i] for draw in found}) for i in range(3)] == [3, 3, 1]
            assert fork.run("random.seed(1)").ok
            assert fork.run("random.random() == random.Random(1).random()").value is True


def test_forks_of_what_has_not_begun(python):
    """They begin as it would."""
    with python.session(files={"x": "0"}) as session, session.fork() as fork:
        assert fork.run("open('x').read()").value == session.run("open('x').read()").value == "0"


def test_forks_that_are_refused(python):
    """Within a turn, of a session that has ended, with an open file."""
    session = python.session()

    def fork() -> str:
        with pytest.raises(SessionBusy):
            session.fork()
        return "refused"

    assert session.run("from host import tools\ntools.fork()", tools=[fork]).value == "refused"
    session.run("file = open('f', 'w')")
    with pytest.raises(stratavm.SnapshotRefused, match="open file"):
        session.fork()
    assert session.run("file.close()").ok
    session.fork().close()
    session.close()
    with pytest.raises(SessionEnded):
        session.fork()


def test_a_fork_outlives_its_parent(python):
    """It has all that it needs."""
    with python.session() as session:
        session.run("x = bytearray(range(256)) * 1000")
        fork = session.fork()
    assert fork.run("sum(x)").value == 1000 * sum(range(256))
    fork.close()


def test_warm_runs_have_tools_of_their_own(warm):
    """The snapshot has none."""
    code = "from host import tools\ntools.price('x')"
    assert warm.run(code, tools=[price]).value == 1.5
    assert warm.run(code).error.type == "ImportError"


def test_warming_on_a_loop(python):
    """In a thread."""

    async def main():
        made = await python.warm_async("import sys\nsys.kept = 5")
        return (await made.run_async("import sys\nsys.kept")).value

    assert asyncio.run(main()) == 5
