"""Claims about manifests: what is right is read whole, and each mistake is told with its place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavm.plugins import Manifest, ManifestError, key_values, log
from stratavm.plugins.limits import NAMES
from stratavm.plugins.manifest import FIELDS, MOST_BYTES
from tests.unit.plugins.guests import said

WHOLE = """
plugin = 1
name = "text.shout"
version = "1.2.0-rc.1"
module = "shout.wasm"
digest = "sha256:{digest}"
capabilities = ["log", "kv"]
wasi = true
env = ["LANG"]

[functions]
shout = "text -> text"
index = "json -> bytes"

[folders]
"/data" = "ro"
"/" = "rw"

[limits]
memory_bytes = 1048576
call_s = 0.5
fuel = 1000
""".format(digest="ab" * 32)


def test_a_manifest_is_read_whole():
    """Each field, from TOML; from its own JSON, the same again."""
    found = Manifest.parse(WHOLE.encode())
    assert (found.name, found.version, found.module) == ("text.shout", "1.2.0-rc.1", "shout.wasm")
    assert dict(found.functions) == {"shout": ("text", "text"), "index": ("json", "bytes")}
    assert (found.capabilities, found.wasi, found.env) == (("log", "kv"), True, ("LANG",))
    assert found.folders == (("/data", "ro"), ("/", "rw"))
    assert dict(found.limits) == {"memory_bytes": 1 << 20, "call_s": 0.5, "fuel": 1000}
    again = Manifest.parse(found.as_json(), "x.json")
    assert again.as_json() == found.as_json()
    assert json.loads(found.as_json())["functions"]["shout"] == "text -> text"


def test_of_equal_manifests_the_json_is_equal():
    """Whatever the order of keys in the file."""
    turned = dict(reversed(list(said(a="none -> text").items())))
    assert Manifest.of(turned).as_json() == Manifest.of(said(a="none -> text")).as_json()


@pytest.mark.parametrize(
    ("change", "where", "expected"),
    [
        ({"plugin": 2}, "plugin", "1, the version"),
        ({"plugin": True}, "plugin", "1, the version"),
        ({"plugin": 1.0}, "plugin", "1, the version"),
        ({"name": "Shout"}, "name", "a name such as"),
        ({"name": "a/../b"}, "name", "a name such as"),
        ({"name": "a\n"}, "name", "a name such as"),
        ({"name": "a" * 101}, "name", "at most 100"),
        ({"version": "1"}, "version", "a version such as"),
        ({"version": "01.0.0"}, "version", "a version such as"),
        ({"version": "1.0.0-01"}, "version", "a version such as"),
        ({"version": "1.0.0-rc.00"}, "version", "a version such as"),
        ({"version": "1\u0661.0.0"}, "version", "a version such as"),
        ({"module": "../x.wasm"}, "module", "beside the manifest"),
        ({"module": "/etc/passwd"}, "module", "beside the manifest"),
        ({"module": ""}, "module", "beside the manifest"),
        ({"digest": "sha256:abc"}, "digest", "64 hexadecimal"),
        ({"wasi": 1}, "wasi", "true or false"),
        ({"capabilities": "log"}, "capabilities", "a list"),
        ({"capabilities": ["log", "log"]}, "capabilities[1]", "each name once"),
        ({"capabilities": ["log", 3]}, "capabilities[1]", "a name such as"),
        ({"env": ["A=B"]}, "env[0]", "the name of a variable"),
        ({"functions": {"f": "text"}}, "functions.f", "TAKES -> GIVES"),
        ({"functions": {"f": "text -> number"}}, "functions.f", "TAKES -> GIVES"),
        ({"functions": {"plugin_stop": "none -> none"}}, "functions", "the name of an export"),
        ({"functions": {"plugin_alloc": "text -> none"}}, "functions", "the name of an export"),
        ({"functions": ["f"]}, "functions", "a table"),
        ({"folders": {"data": "ro"}}, "folders", "an absolute path"),
        ({"folders": {"/a/../b": "ro"}}, "folders", "an absolute path"),
        ({"folders": {1: "ro"}}, "folders", "an absolute path"),
        ({"folders": {"/a": "rwx"}}, "folders./a", "'ro' or 'rw'"),
        ({"limits": {"memory": 1}}, "limits", "names of limits: memory_bytes"),
        ({"limits": {"memory_bytes": -1}}, "limits.memory_bytes", "a whole number from 0 on"),
        *[({"limits": {name: 1 << 63}}, f"limits.{name}", "63 bits") for name in NAMES if name != "call_s"],
        ({"limits": {"memory_bytes": 1 << 120_000}}, "limits.memory_bytes", "63 bits"),
        ({"limits": {"call_s": 0}}, "limits.call_s", "a number of seconds above 0"),
        ({"limits": {"memory_bytes": True}}, "limits.memory_bytes", "a whole number"),
        ({"limits": {"call_s": "1"}}, "limits.call_s", "a number of seconds"),
        ({"capabilites": []}, "", "a manifest's keys: plugin, name"),
    ],
)
def test_a_mistake_says_what_where_and_what_was_found(change, where, expected):
    """In the error's attributes, and in its one line."""
    with pytest.raises(ManifestError) as caught:
        Manifest.of(said() | change, "p.toml")
    error = caught.value
    assert error.where == where
    assert expected in error.expected
    assert str(error).startswith(f"p.toml{where and ': ' + where}: expected {error.expected}, found ")
    assert "\n" not in str(error)


def test_a_name_that_is_near_is_named():
    """Of a key, and of a limit."""
    for change, near in (({"capabilites": []}, "capabilities"), ({"limits": {"memory_byte": 1}}, "memory_bytes")):
        with pytest.raises(ManifestError, match=f"; did you mean '{near}'"):
            Manifest.of(said() | change)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"[" * 60_000, "lists or tables that are nested too deeply"),
        (b'{"plugin": ' + b"1" * 60_000 + b"}", "a number of too many digits"),
        (b'{"plugin": 1, "name": "a", "name": "b"}', "the key 'name', which stands there twice"),
        (b'{"digits": 1, "digits": 2}', "the key 'digits', which stands there twice"),
        (f'{{{",".join(f"{chr(34)}{i}{chr(34)}:0" for i in range(5000))},"4999":1}}'.encode(), "the key '4999'"),
        (b'{"limits": {"fuel": 1, "fuel": 2}}', "the key 'fuel', which stands there twice"),
        (b'{"name": "\xff"}', "what is no UTF-8 at byte 10"),
    ],
)
def test_what_is_no_json_is_told_without_python(data, found):
    """And a key that stands there twice is none, as in TOML."""
    with pytest.raises(ManifestError, match=re.escape(f"folder/plugin.json: expected JSON, found {found}")):
        Manifest.parse(data, "folder/plugin.json")


@pytest.mark.parametrize("key", ["plugin", "name", "version", "module"])
def test_what_must_be_there_is_asked_for(key):
    """By its name."""
    given_ = said()
    del given_[key]
    with pytest.raises(ManifestError, match=f"{key}: expected .*, found nothing"):
        Manifest.of(given_)


@pytest.mark.parametrize(
    "data",
    [b"\xff", b"name = ", b"a = " + b"[" * 5000, b"x = 1\n" * (MOST_BYTES // 6 + 1), b"[1, 2]", b"9" * 5000],
)
@pytest.mark.parametrize("file", ["p.toml", "p.json"])
def test_what_is_no_table_is_refused(data, file):
    """Bytes that are no text, text that is no TOML or JSON, depths that a parser gives up on, and long files."""
    with pytest.raises(ManifestError):
        Manifest.parse(data, file)


@pytest.mark.parametrize("key", ["x", "limits", "functions", "env", "wasi", "name"])
def test_depths_that_a_parser_takes_are_refused_too(key):
    """Dotted keys nest as deep as they are long; a parser took 15 s for 40 kB of them. What nests is not spelt out."""
    for depth in (20_000, 150):
        text = f"plugin = 1\n{'.'.join([key, *'a' * depth])} = 1\n"
        with pytest.raises(ManifestError) as caught:
            Manifest.parse(text.encode())
        assert len(str(caught.value)) < 500
    assert Manifest.of(said() | {"env": []}).env == ()
    with pytest.raises(ManifestError, match="a table"):
        Manifest.of(said() | {"wasi": json.loads('{"a":' * 900 + "1" + "}" * 900)})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "other"]), VALUES))
def test_any_table_is_a_manifest_or_refused(change):
    """Nothing else is raised, whatever the values are."""
    try:
        found = Manifest.of(said() | change)
    except ManifestError:
        return
    assert Manifest.parse(found.as_json(), "again.json").as_json() == found.as_json()


def test_the_guide_has_all_keys_limits_and_capabilities():
    """Each one in a row of a table."""
    guide = (Path(__file__).parents[3] / "docs/how-to/plugin-life.md").read_text()
    rows = "\n".join(line.split("|")[1] for line in guide.split("\n") if line.startswith("| "))
    assert [name for name in (*FIELDS, *NAMES) if f"`{name}`" not in rows] == []
    for capability in (key_values(), log(print)):
        for name, function in capability.functions(MagicMock(kept={})).items():
            assert f"`{capability.name}.{name}: {function.signature}`" in guide
