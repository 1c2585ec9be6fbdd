"""Claims about where modules come from."""

import io

import pytest

from stratavm.engine.source import PIECE, read_up_to


class Greedy(io.BytesIO):
    """A file that notes the most it was asked for at once, as memory is taken for it."""

    most = 0

    def read(self, size=-1):
        """Read."""
        self.most = max(self.most, size)
        return super().read(size)


@pytest.mark.parametrize("size", [0, 1, 5, PIECE, 3 * PIECE + 1])
@pytest.mark.parametrize("expected", [0, 1, 5, PIECE])
def test_a_file_is_read_whole_and_never_asked_for_more_than_it_may_have(size, expected):
    """Also one that has more than was expected, and one that says nothing of its size (a FIFO)."""
    file = Greedy(bytes(size))
    assert read_up_to(file, 1 << 30, expected) == bytes(size)
    assert file.most <= PIECE + 1


def test_what_is_over_the_limit_is_seen():
    """One byte more is read, and no second."""
    assert len(read_up_to(io.BytesIO(bytes(100)), 10)) == 11
    assert len(read_up_to(io.BytesIO(bytes(100)), 10, 10)) == 11
