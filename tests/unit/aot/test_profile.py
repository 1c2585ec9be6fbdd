"""Claims about profiles as files: what is written is read again, and nothing else is taken for a profile."""

import pytest

from stratavm import Profile, ProfileError
from stratavm.aot import profile as form
from stratavm.aot.profile import FunctionProfile, digest_of

BINARY = b"\0asm\x01\0\0\0"
ROWS = (
    FunctionProfile(0, 5),
    FunctionProfile(3, 200, 4, 1),
    FunctionProfile(4, 1000),
    FunctionProfile(7, 1, 0, 0, (0x20, 0x30)),
    FunctionProfile(9, 999),
    FunctionProfile(11, 0, 0, 1),
)
PROFILE = Profile(digest_of(BINARY), "app.wasm", ROWS)


def with_sum(text):
    """Lines with the sum that belongs to them."""
    return text + form._sum_line(text)


def changed(old, new):
    """The profile with a part exchanged, and the right sum."""
    text = bytes(PROFILE)
    text = text[: text.rindex(b"sum ")]
    assert old in text
    return with_sum(text.replace(old, new, 1))


def test_a_profile_is_read_as_it_was_written(tmp_path):
    """By bytes and by file; the module may be called anything."""
    for name in ("app.wasm", "", "a b", "x\ny\x1b", "é\u2028", "sum 1"):
        profile = Profile(PROFILE.digest, name, ROWS)
        read = Profile.parse(bytes(profile))
        assert (read.digest, read.functions, "\n" in read.name) == (PROFILE.digest, ROWS, False)
    PROFILE.save(tmp_path / "p")
    assert Profile.load(tmp_path / "p") == PROFILE
    assert Profile.parse(bytes(Profile(PROFILE.digest, "", ()))).functions == ()
    assert repr(PROFILE) == "<Profile of app.wasm, functions: 6, hot: 4>"


def test_hot_functions_come_by_what_was_seen_of_them():
    """Ticks first, then calls; a level, a loop or a thousand calls make one hot."""
    assert PROFILE.hot == (3, 4, 7, 11)


def test_every_byte_counts():
    """One that is another, and every length that is too short."""
    data = bytes(PROFILE)
    for at in range(len(data)):
        for bit in (0, 3, 7):
            wrong = bytearray(data)
            wrong[at] ^= 1 << bit
            with pytest.raises(ProfileError):
                Profile.parse(bytes(wrong))
        with pytest.raises(ProfileError):
            Profile.parse(data[:at])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "this is no profile"),
        (b"\0asm\1\0\0\0", "this is no profile"),
        (with_sum(b"strata profile 2\n"), "of form 2, and this Strata knows form 1"),
        (with_sum(b"strata profile 1\n"), "of which module"),
        (with_sum(b"strata profile 1\nmodule abc x\n"), "of which module"),
        (with_sum(b"strata profile 1\n\xff\n"), "it is no text"),
        (changed(b"\n3 ", b"\n0 "), "not in order"),
        (changed(b"\n3 ", b"\n8 "), "not in order"),
        (changed(b" 200 ", b" 4294967296 "), "where a number up to 4294967295"),
        (changed(b" 200 ", b" 00000000200 "), "where a number"),
        (changed(b" 200 ", b" -1 "), "where a number"),
        (changed(b" 200 ", "\u0664 ".join(["", ""]).encode()), "where a"),
        (changed(b" 4 1\n", b" 4 2\n"), "where a number up to 1"),
        (changed(b" 4 1\n", b" 4\n"), "where a function is expected"),
        (changed(b" 4 1\n", b" 4 1 1 1\n"), "where a function is expected"),
        (changed(b" 32,48\n", b" 32,\n"), "where a number"),
        (changed(b" 32,48\n", b" \n"), "where a number"),
        (changed(b"\n9 999", b"\n\n9 999"), "where a function is expected"),
        (bytes(PROFILE) + b"x", "damaged"),
        (bytes(PROFILE) * 2, "damaged"),
    ],
    ids=str,
)
def test_what_is_no_profile_says_why(data, words):
    """With the right sum as well: whoever wrote it is not trusted."""
    with pytest.raises(ProfileError, match=words):
        Profile.parse(data)


def test_no_file_is_read_beyond_a_limit(tmp_path, monkeypatch):
    """However large it is."""
    PROFILE.save(tmp_path / "p")
    monkeypatch.setattr(form, "MOST_BYTES", len(bytes(PROFILE)))
    assert Profile.load(tmp_path / "p") == PROFILE
    (tmp_path / "p").write_bytes(bytes(PROFILE) + b"x")
    with pytest.raises(ProfileError, match=r"p: a profile of more than \d+ bytes"):
        Profile.load(tmp_path / "p")


def test_a_crafted_file_makes_few_objects():
    """The limit admits no more than a million numbers or so; a profile of a large program is far below it."""
    assert form.MOST_BYTES <= 1 << 22
    loops = b",".join([b"1"] * (form.MOST_BYTES // 2))
    title = bytes(PROFILE)[: bytes(PROFILE).index(b"\n0 5")]
    with pytest.raises(ProfileError, match="a profile of more than"):
        Profile.parse(with_sum(title + b"\n1 1 1 1 " + loops + b"\n"))
    large = Profile(PROFILE.digest, "large", tuple(FunctionProfile(i, 10**6, 9, 1, (i,)) for i in range(100_000)))
    assert Profile.parse(bytes(large)) == large


def test_what_is_too_long_is_written_without_cold_functions(monkeypatch):
    """So that it can be read."""
    monkeypatch.setattr(form, "MOST_BYTES", len(bytes(PROFILE)) - 1)
    read = Profile.parse(bytes(PROFILE))
    assert read.functions == tuple(f for f in ROWS if f.is_hot) and read.hot == PROFILE.hot


def test_another_binary_is_refused():
    """Both are named."""
    PROFILE.check(BINARY)
    with pytest.raises(ProfileError, match=r"another module: app\.wasm \(.{16}…\), and new\.wasm is "):
        PROFILE.check(BINARY + b"x", "new.wasm")


def test_a_number_is_no_path():
    """It would be a descriptor of somebody else, and closed behind it."""
    with open("/dev/null", "rb") as file:
        with pytest.raises(TypeError, match=f"path must be a path, got {file.fileno()}"):
            Profile.load(file.fileno())
        assert file.read() == b""
