"""Claims about what a run of Python gives back."""

from stratavm.sandbox.python.results import PythonCompleted, Raised


def test_its_repr_is_short_whatever_the_guest_made():
    """asyncio.run() asks for that of what its coroutine returns."""
    error = Raised("E" * 10_000, "x" * 10_000, "", ())
    done = PythonCompleted(
        "o" * (1 << 20), "e", 1, "exit", False, None, 0.1, "", "v" * 9999, False, error, {"f": bytes(9999)}
    )
    assert len(repr(done)) < 300 and "exit 1" in repr(done) and "1 files" in repr(done)
