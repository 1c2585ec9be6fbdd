"""Messages about values that are wrong show the beginning of them: a module may stand where something else belongs."""

from __future__ import annotations

import asyncio
import pickle

import pytest

import stratavm
from stratavm.engine.ports import Logger, PythonLogger
from stratavm.tiers.tier import CompileExecutor, ThreadExecutor

LARGE = b"\0asm\1\0\0\0" + bytes(100_000)
HOST = '(module (import "e" "f" (func $f{results})) (func (export "g"){results} call $f))'


def host_result(results: str) -> None:
    """A host function returns it to a guest that wants these."""
    exports = stratavm.load(HOST.format(results=results), {"e": {"f": lambda: LARGE}}).exports
    exports.g()


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (lambda: stratavm.Module("(module)", LARGE), "engine must be an Engine, got b'"),
        (lambda: stratavm.Store(LARGE), "engine must be an Engine, got b'"),
        (lambda: stratavm.Linker(LARGE), "engine must be an Engine, got b'"),
        (lambda: stratavm.Linker().define_instance("m", LARGE), "takes an Instance, got b'"),
        (lambda: stratavm.Engine(LARGE), "takes a Config or options by name, got b'"),
        (lambda: stratavm.Store(limits=LARGE), "limits must be StoreLimits, got b'"),
        (lambda: stratavm.load("(module)", store=LARGE), "store must be a Store, got b'"),
        (lambda: stratavm.run("(module)", env=LARGE), "env must be a mapping"),
        (lambda: stratavm.run("(module)", dirs=LARGE), "dirs must be a mapping"),
        (lambda: host_result(""), "returned b'.*, expected None"),
        (lambda: host_result(" (result i32)"), "returned b'.*: expected i32, got bytes"),
        (lambda: host_result(" (result i32 i32)"), "must return 2 values, returned b'"),
    ],
)
def test_a_large_value_is_shown_in_part(refused, words):
    """Whatever takes it."""
    with pytest.raises(TypeError, match=words) as error:
        refused()
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (CompileExecutor, 5, "got 5$"),
        (CompileExecutor, None, "got None$"),
        (CompileExecutor, ThreadExecutor, r"; did you mean ThreadExecutor\(\)\?$"),
        (Logger, PythonLogger, r"; did you mean PythonLogger\(\)\?$"),
    ],
)
def test_what_is_no_service_is_refused(key, value, words):
    """At once, and not where the engine asks it first, which may be within a call of a guest."""
    with pytest.raises(TypeError, match=f"services: {key.__name__} must be an object .*{words}"):
        stratavm.Engine(services={key: value})


def test_an_executor_may_have_no_more_than_run():
    """Other work goes to the threads of the process then."""

    class Own:
        def run(self, work, threads):
            work()

    engine = stratavm.Engine(threads=2, services={CompileExecutor: Own()})
    assert stratavm.Module("(module (func))", engine).compile_all().functions == 1


def test_a_module_and_its_engine_that_are_exchanged_are_told_so():
    """As other packages order them."""
    with pytest.raises(TypeError, match=r"got b'.*; did you mean Module\(source, engine\)\?$"):
        stratavm.Module(stratavm.Engine(), LARGE)
    with pytest.raises(TypeError, match=r"got b'.*; did you mean Module\(source, engine\)\?$"):
        asyncio.run(stratavm.Module.load_async(stratavm.Engine(), LARGE))


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (
            lambda m: stratavm.Linker().instantiate(stratavm.Store(), "a.wasm"),
            "module must be a Module, .*got 'a.wasm'",
        ),
        (lambda m: stratavm.Linker().instantiate_pre("a.wasm"), "module must be a Module, .*got 'a.wasm'"),
        (lambda m: stratavm.Linker().check("a.wasm"), "module must be a Module, .*got 'a.wasm'"),
        (lambda m: stratavm.Linker().instantiate("x", m), "store must be a Store, got 'x'"),
        (lambda m: asyncio.run(stratavm.Linker().instantiate_async("x", m)), "store must be a Store, got 'x'"),
        (lambda m: stratavm.Linker().define(1, "f", print), "module must be a string, got 1"),
        (lambda m: stratavm.Linker().define("env", b"f", print), "name must be a string, got b'f'"),
        (lambda m: pickle.dumps(m.engine), "an engine cannot be pickled: its config can"),
        (lambda m: m.serialize_file(5), "path must be a path, got 5"),
        (lambda m: stratavm.Module.deserialize_file(5), "path must be a path, got 5"),
        (lambda m: stratavm.Module.deserialize_file(b"x"), "path must be a path, got b'x'; Module.deserialize takes"),
        (lambda m: stratavm.Module.build("(module)", init=["f"]), r"init must be the name of an export, got \['f'\]"),
        (lambda m: stratavm.Module.build("(module)", progress=5), "progress must be callable.*, got 5"),
        (lambda m: stratavm.Module.build("(module)", key="x" * 20), "key must be bytes or None, got str"),
        (lambda m: stratavm.load("(module)").exports[0], "name must be a string, as exports are named by, got 0"),
        (lambda m: stratavm.load('(module (func (export "f")))').exports[b"f"], "name must be a string, .*got b'f'"),
        (
            lambda m: stratavm.LiveInstance("(module)").update("(module)", migrate=5),
            "migrate must be a function of two instances, got 5",
        ),
    ],
)
def test_what_is_of_another_kind_is_refused_by_the_name_of_its_parameter(refused, words):
    """And not by what fails first inside, nor by a compiler's words."""
    with pytest.raises(TypeError, match=f"^{words}"):
        refused(stratavm.Module("(module)"))


@pytest.mark.parametrize(("name", "content"), [("bad.wasm", b"\0asm\1\0\0\0\1\5"), ("bad.wat", b"(module"), ("e", b"")])
def test_an_error_of_a_module_says_which_file_it_is_about(tmp_path, name, content):
    """Where it was given as one; its own words are about places in it."""
    path = tmp_path / name
    path.write_bytes(content)
    for load in (stratavm.load, stratavm.Module, stratavm.Module.bare, stratavm.Module.build):
        with pytest.raises(stratavm.ModuleError) as raised:
            load(path)
        assert raised.value.__notes__ == [f"the module is {path}"]
    with pytest.raises(stratavm.ModuleError) as raised:
        stratavm.Module(content)
    assert not hasattr(raised.value, "__notes__")


def test_a_key_that_is_too_short_builds_nothing():
    """Also where there is no old image that it could be the key of."""
    with pytest.raises(ValueError, match="key must have 16 to 64 bytes, got 1"):
        stratavm.Module.build("(module)", key=b"x")


@pytest.mark.parametrize(
    ("refused", "kind", "words"),
    [
        (lambda: stratavm.GcConfig(hard_bytes=0), ValueError, "GcConfig: hard_bytes must be at least 1 byte, got 0"),
        (
            lambda: stratavm.load("(module)", engine=stratavm.Engine()),
            TypeError,
            "load() has no option 'engine': a store has one, load(…, store=Store(engine))",
        ),
        (
            lambda: stratavm.Table.new(stratavm.Store(), "funcref", 0)[0],
            IndexError,
            "table index 0 of a table without elements",
        ),
        (lambda: stratavm.Memory.new(stratavm.Store(), 0)[0], IndexError, "memory index 0 of a memory without a page"),
        (lambda: stratavm.Memory.new(stratavm.Store(), 1)[65536], IndexError, "index 65536 out of range 0..65535"),
    ],
)
def test_what_is_refused_is_said_as_it_is(refused, kind, words):
    """Not in figures that mean nothing."""
    with pytest.raises(kind) as caught:
        refused()
    assert words in str(caught.value)
