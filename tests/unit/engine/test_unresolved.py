"""Imports that do not fit: all at once, grouped, with types and near names, and hints that lead out of the error."""

import re

import pytest

import stratavm
from stratavm import Engine, Instance, Linker, LinkError, Module, Store, Wasi, load
from stratavm.engine.unresolved import BY_BEGINNING, BY_MODULE, IN_ENV, LISTED

MANY = """(module
  (import "env" "log" (func (param i32)))
  (import "env" "memory" (memory 1 2))
  (import "env" "good" (func))
  (import "env" "limit" (global i32))
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))))"""


TYPES = "(type $t (func (param i32) (result i32))) (type $deep (func (param (ref $t))))"


def refused(text, imports=None, **options):
    """The error of linking a text module."""
    with pytest.raises(LinkError) as caught:
        load(text, imports, **options)
    return caught.value


def test_all_imports_that_do_not_fit_are_named_at_once():
    """Missing ones and those of another type, by module, with the types that are wanted."""
    error = refused(MANY, {"env": {"logg": print, "memory": print, "good": print}})
    assert list(error.problems) == [
        ("env", "log"),
        ("env", "memory"),
        ("env", "limit"),
        ("wasi_snapshot_preview1", "fd_write"),
    ]
    assert str(error).split("\n")[:7] == [
        "unknown import: 4 of 5 imports do not fit",
        "  module env",
        "    log: func (i32) is not defined",
        "    memory: expected memory 1..2 pages, found a function",
        "    limit: global i32 is not defined",
        "  module wasi_snapshot_preview1",
        "    fd_write: func (i32, i32, i32, i32) -> i32 is not defined",
    ]
    assert "env.log: did you mean 'logg'?" in error.hint and "Wasi" in error.hint


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("(func (param i32) (result i64))", "func (i32) -> i64"),
        ("(memory 1)", "memory 1.. pages"),
        ("(table 1 2 funcref)", "table 1..2 funcref"),
        ("(global (mut i32))", "global mut i32"),
    ],
)
def test_what_is_missing_is_named_with_its_kind_and_type(kind, shown):
    """Once: no ``memory memory 1..``."""
    assert refused(f'(module (import "m" "x" {kind}))').problems == {("m", "x"): f"{shown} is not defined"}


def test_instantiate_pre_says_the_same():
    """It resolves imports before there is a store."""
    engine = Engine()
    with pytest.raises(LinkError, match="5 of 5 imports"):
        Linker(engine).instantiate_pre(Module(MANY, engine))


def test_one_import_makes_one_line():
    """Then the hint."""
    error = refused('(module (import "m" "f" (func (param i64))))')
    assert str(error).split("\n")[0] == "unknown import m.f: func (i64) is not defined"


def test_a_list_of_imports_ends_somewhere():
    """A module with a thousand imports does not print them all, and they all are in ``problems``."""
    text = "".join(f'(import "m" "f{i}" (func))' for i in range(300))
    error = refused(f"(module {text})")
    assert len(error.problems) == 300 and f"and {300 - LISTED} more" in str(error)
    assert len(str(error).split("\n")) < LISTED + 10


def test_names_of_imports_cannot_steer_the_terminal():
    """In each form of the message, and in what hints say."""
    name = "\\1b[2J\\c2\\9b\\e2\\80\\ae"
    one = refused(f'(module (import "{name}" "{name}" (func)))')
    two = refused(f'(module (import "{name}" "{name}" (func)) (import "{name}" "b" (func)))', {"x": {}})
    for error in (one, two):
        assert not re.search("[\x1b\x9b\u202e]", str(error))


def test_near_names_of_modules_and_the_same_name_in_another_module():
    """``evn`` for ``env``, and a name that is defined elsewhere."""
    near = refused('(module (import "evn" "f" (func)))', {"env": {"f": print}})
    assert "module evn: did you mean 'env'?" in near.hint
    elsewhere = refused('(module (import "host_functions" "f" (func)))', {"env": {"f": print}})
    assert elsewhere.hint == "f is defined, but in module env"


def test_following_the_hint_for_wasi_links():
    """The one line that it names, for both versions of preview 1."""
    for module in ("wasi_snapshot_preview1", "wasi_unstable"):
        text = f'(module (import "{module}" "sched_yield" (func (result i32))))'
        error = refused(text)
        call = re.search(r"load\(source, (stratavm\.Wasi\(.*?\)\.namespaces\(\))\)", error.hint)[1]
        load(text, eval(call.replace("[…]", "[]"), {"stratavm": stratavm}))


@pytest.mark.parametrize(
    "kind",
    [
        "(func)",
        "(memory 1)",
        "(memory 1 2)",
        "(memory 1 2 shared)",
        "(table 1 funcref)",
        "(table 2 5 externref)",
        "(global i32)",
        "(global (mut f64))",
        "(global externref)",
        "(table 1 2 (ref null $t))",
        "(table 1 (ref null $deep))",
        "(global (ref null $t))",
        "(global (mut (ref null $deep)))",
    ],
)
def test_following_the_hint_for_a_definition_links(kind):
    """For each kind of import what the hint names is what fits, as it stands."""
    text = f'(module {TYPES} (import "own" "thing" {kind}))'
    store, module = Store(), Module(text)
    error = refused(text, store=store)
    pattern = r'define it: \{"own": \{"thing": …\}\} as imports; the item is (.*)'
    what = re.fullmatch(pattern, error.hint)[1]
    names = {"stratavm": stratavm, "store": store, "engine": store.engine, "module": module}
    made = print if what == "any callable" else eval(what, names)
    assert isinstance(load(text, {"own": {"thing": made}}, store=store), Instance)


def test_what_python_cannot_make_alone_is_said():
    """A table whose elements are never null, and a global that needs a function."""
    error = refused(f'(module {TYPES} (import "own" "thing" (table 1 (ref $t))))')
    assert error.hint.endswith("one that Python makes has null elements, which is no (ref [i32] -> [i32])")
    assert error.problems["own", "thing"] == "table 1.. (ref [i32] -> [i32]) is not defined"
    error = refused(f'(module {TYPES} (import "own" "f" (func)) (import "own" "thing" (global (ref $t))))')
    assert "stratavm.Global.new(store, module.imports[1].type.value, f) where f is a Func of that type" in error.hint


def test_following_the_hint_for_assemblyscript_links():
    """The function that it spells out."""
    text = '(module (import "env" "abort" (func (param i32 i32 i32 i32))))'
    error = refused(text)
    given = re.search(r'\{"env".*\}\}', error.hint)[0]
    load(text, eval(given))


@pytest.mark.parametrize("module", sorted(BY_MODULE))
def test_who_wrote_a_module_shows_in_what_it_imports(module):
    """wasm-bindgen, Go, binaryen's asyncify, dynamic libraries: named with the way to build without."""
    assert BY_MODULE[module] in refused(f'(module (import "{module}" "some_name" (func)))').hint


@pytest.mark.parametrize("beginning", [b for b, _ in BY_BEGINNING])
def test_who_wrote_a_module_shows_in_how_its_imports_begin(beginning):
    """Modules of the component model have versions in their names."""
    assert dict(BY_BEGINNING)[beginning] in refused(f'(module (import "{beginning}x@0.2.0" "f" (func)))').hint


@pytest.mark.parametrize("name", [b for b, _ in IN_ENV])
def test_emscripten_and_object_files_are_known_by_names_in_env(name):
    """``env`` alone says nothing: any C program may import from it."""
    assert dict(IN_ENV)[name] in refused(f'(module (import "env" "{name}" (func)))').hint
    assert refused('(module (import "env" "mine" (func)))').hint.startswith("define it")


def test_a_module_of_moonbit_is_known_by_how_it_prints():
    """The hint is what prints: units outside of the first plane come in pairs."""
    text = """(module (import "spectest" "print_char" (func $print (param i32)))
      (func (export "_start") (call $print (i32.const 0xd83d)) (call $print (i32.const 0xde00))))"""
    hint = refused(text).hint
    assert '{"spectest": {"print_char": units.append}}' in hint
    units: list[int] = []
    load(text, {"spectest": {"print_char": units.append}}).exports["_start"]()
    assert eval(hint.partition("what was printed is ")[2], {"units": units}) == "\U0001f600"
    assert refused('(module (import "spectest" "print_i32" (func (param i32))))').hint.startswith("define it")


def test_imports_of_another_shape_are_a_type_error_that_says_which():
    """A world instead of its namespaces, and a function where a module's functions should be."""
    with Wasi() as world:
        with pytest.raises(TypeError, match=r"got Wasi; pass Wasi\.namespaces\(\) of it"):
            load("(module)", world)
        load("(module)", world.namespaces())
    with pytest.raises(TypeError, match=r"imports\['log'\] must be .* did you mean \{\"env\": \{'log': …\}\}"):
        load("(module)", {"log": print})


def test_a_linker_that_failed_can_be_completed():
    """The error leaves nothing behind."""
    engine = Engine()
    linker, store = Linker(engine), Store(engine)
    module = Module('(module (import "m" "f" (func $f)) (export "f" (func $f)))', engine)
    with pytest.raises(LinkError):
        linker.instantiate(store, module)
    linker.define("m", "f", lambda: None)
    assert linker.instantiate(store, module).exports.f() is None


BUILTIN = '(import "wasm:js-string" "length" (func (param externref) (result i32)))'
JS_STRINGS = """(module
  (type $chars (array (mut i16)))
  (import "wasm:js-string" "length" (func $length (param externref) (result i32)))
  (import "wasm:js-string" "concat" (func $concat (param externref externref) (result (ref extern))))
  (import "wasm:js-string" "fromCharCodeArray"
    (func $of (param (ref null $chars) i32 i32) (result (ref extern))))
  (import "_" "hello " (global $hello (ref extern)))
  (func (export "greet") (param externref) (result (ref extern)) (call $concat (global.get $hello) (local.get 0)))
  (func (export "long") (param externref) (result i32) (call $length (local.get 0)))
  (func (export "made") (result (ref extern))
    (call $of (array.new $chars (i32.const 97) (i32.const 4)) (i32.const 1) (i32.const 4))))"""


def test_strings_of_javascript_are_refused_by_name():
    """With what to do: a module of them wants functions and constants that only JavaScript has."""
    error = refused(JS_STRINGS)
    assert "length: func (externref) -> i32 is not defined" in str(error)
    assert "js-string builtins" in error.hint and "use-js-builtin-string" in error.hint
    assert error.hint.count("js-string builtins") == 1
    assert error.hint.count("the globals of module '_' look like string constants of JavaScript") == 1


@pytest.mark.parametrize(
    ("module", "builtin", "type"),
    [("'", "", "externref"), ("_", "", "(ref extern)"), ("S", "", "externref"), ("texts", BUILTIN, "externref")],
)
def test_string_constants_are_said_to_be_none_and_what_the_hint_says_defines_all(module, builtin, type):
    """By the name of their module, or since the guest has builtins for such strings: an example was a null."""
    text = f"""(module {builtin}
      (import "{module}" "hello" (global $a {type})) (export "a" (global $a))
      (import "{module}" "there" (global $b {type})) (export "b" (global $b)))"""
    error = refused(text)
    assert error.hint.count("look like string constants of JavaScript, there is no JavaScript here: build without") == 1
    assert 'Global.new(store, "externref", None)' not in error.hint
    engine = Engine()
    made, store = Module(text, engine), Store(engine)
    said = re.search(r"as its value: (\{.*\})$", error.hint, re.MULTILINE)
    assert said
    imports = eval(said[1], {"module": made, "store": store, "stratavm": stratavm})
    exports = load(text, imports | {"wasm:js-string": {"length": len}}, store=store).exports
    assert (exports.a.value, exports.b.value) == ("hello", "there")


@pytest.mark.parametrize(
    ("module", "type"), [("env", "externref"), ("_", "(mut externref)"), ("_", "i32"), ("_", "anyref")]
)
def test_other_globals_are_no_string_constants(module, type):
    """Each is a global as others are."""
    error = refused(f'(module (import "{module}" "g" (global {type})))')
    assert "JavaScript" not in error.hint and "Global.new" in error.hint


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1", "auto"])
def test_strings_of_javascript_may_be_those_of_python(tier):
    """As the hint says: an externref is a str, and an array of characters a buffer."""
    engine = Engine(tier=tier)
    module, linker, store = Module(JS_STRINGS, engine), Linker(engine), Store(engine)
    functions = {
        "length": lambda text: len(text.encode("utf-16-le")) // 2,
        "concat": lambda one, other: one + other,
        "fromCharCodeArray": lambda chars, low, high: memoryview(chars)[low:high].tobytes().decode("utf-16-le"),
    }
    for name, function in functions.items():
        linker.define("wasm:js-string", name, function)
    constant = module.imports[3]
    linker.define("_", constant.name, stratavm.Global.new(store, constant.type.value, constant.name))
    guest = linker.instantiate(store, module).exports
    assert (guest.greet("Ada"), guest.long("a\U0001f600"), guest.made()) == ("hello Ada", 3, "aaa")


@pytest.mark.parametrize(
    ("type", "said"),
    [
        ("(ref $s)", "thing) where thing is a GuestObject of that type"),
        ("(ref any)", "thing) where thing is a GuestObject of that type"),
        ("(ref $f)", "f) where f is a Func of that type"),
        ("(mut (ref extern))", "'text', mutable=True) where 'text' is any object"),
        ("anyref", '"anyref", None)'),
    ],
)
def test_a_missing_global_says_what_makes_one(type, said):
    """What fits, of each kind of references."""
    error = refused(f'(module (type $s (struct)) (type $f (func)) (import "env" "g" (global {type})))')
    assert said in error.hint


@pytest.mark.parametrize(
    ("type", "given", "said"),
    [
        ("externref", "hi", """Global.new(store, "externref", 'hi')"""),
        ("(mut externref)", "hi", """Global.new(store, "externref", 'hi', mutable=True)"""),
        ("(ref extern)", "hi", ".type.value, 'hi')"),
        ("externref", "x" * 100, 'Global.new(store, "externref", value)'),
        ("externref", 5, 'Global.new(store, "externref", None)'),
        ("i32", 7, 'Global.new(store, "i32", 7)'),
        ("f64", 0.5, 'Global.new(store, "f64", 0.5)'),
        ("i32", "hi", 'Global.new(store, "i32", 0)'),
        ("funcref", 7, 'Global.new(store, "funcref", None)'),
    ],
)
def test_what_somebody_meant_is_the_value_of_the_global_to_define(type, given, said):
    """Who pastes the hint has it."""
    error = refused(f'(module (import "m" "g" (global {type})))', {"m": {"g": given}})
    assert said in error.hint


def test_a_text_for_a_string_constant_of_javascript():
    """And anything else that nobody can import: the hint has the import's own index."""
    text = """(module
      (import "env" "f" (func)) (import "_" "hello" (global (ref extern)))
      (import "_" "there" (global (ref extern))))"""
    error = refused(text, {"env": {"f": lambda: None}, "_": {"hello": "hello", "there": None}})
    assert "hello: expected global (ref extern), found str" in str(error)
    assert "stratavm.Global.new(store, module.imports[1].type.value, 'hello')" in error.hint
    assert "string constant of JavaScript" in error.hint and "imports[2]" not in error.hint
    error = refused('(module (import "m" "t" (table 1 funcref)))', {"m": {"t": 5}})
    assert "stratavm.Table.new(store" in error.hint and "JavaScript" not in error.hint
