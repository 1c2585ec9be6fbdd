"""What cannot be run is refused by its name, with what to do; hints are followed here, to where they lead."""

import gzip
import shutil
import subprocess

import pytest

from stratavm import Config, DecodeError, Engine, Module, ModuleError, ParseError, Unsupported, ValidationError
from stratavm.engine.events import ModuleRefused
from stratavm.module.decode import decode
from stratavm.module.features import ALL, DEFAULT, FEATURES, advice, refusal
from stratavm.module.foreign import BEGINNINGS, recognise
from stratavm.module.parser import parse_wat_to_bytes
from stratavm.module.wast_runner import run_script
from tests import needed
from tests.oracle.wast import OracleHost

CORE = b"\0asm\1\0\0\0"
COMPONENT = b"\0asm\x0d\0\1\0"
ELF = b"\x7fELF\2\1\1"

FOREIGN = {
    "a component": COMPONENT,
    "version 2": b"\0asm\2\0\0\0",
    "the first 6 bytes": CORE[:6],
    "the first 4 bytes": CORE[:4],
    "gzip": gzip.compress(CORE),
    "wasmtime": ELF + b"\xc8" + bytes(56),
    "ELF": ELF + bytes(57),
    "web page": b"\n<!DOCTYPE html><title>404</title>",
    "zip": b"PK\x03\x04" + bytes(30),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(9),
    "Windows": b"MZ\x90\0",
    "bitcode": b"BC\xc0\xde" + bytes(9),
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
    "base64": b"AGFzbQEAAAA=",
    "hexadecimal": b"0061736d01000000",
    "byte order mark": b"\xef\xbb\xbf(module)",
    "text, but": "print('größe')".encode(),
    "UTF-16": "(module)".encode("utf-16"),
    "an image of compiled code": b"\x89stsata\n" + bytes(64),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_core_module_is_called_by_its_name(name):
    """Components, images of another engine, compressed files, programs, web pages, text: named, with what to do."""
    with pytest.raises(DecodeError, match=name) as caught:
        Module(FOREIGN[name])
    assert caught.value.hint and f"\n  {caught.value.hint.splitlines()[0]}" in str(caught.value)


def test_bytes_that_could_be_anything_are_not_called_anything():
    """Random bytes get the plain message."""
    assert recognise(bytes(range(128, 160)) * 4) is None
    assert recognise(CORE) is None
    with pytest.raises(
        DecodeError, match="magic header not detected \\(expected 00 61 73 6d, found 80 81 82 83"
    ) as caught:
        Module(bytes(range(128, 160)))
    assert "is it the right file" in caught.value.hint


def test_nothing_at_all_says_so(tmp_path):
    """An empty file, and empty bytes."""
    (tmp_path / "empty.wasm").touch()
    for source in (b"", tmp_path / "empty.wasm"):
        with pytest.raises(DecodeError, match="found nothing") as caught:
            Module(source)
        assert "empty" in caught.value.hint


def test_text_that_reaches_the_decoder_is_called_text():
    """``decode`` takes binaries only, and says who takes text."""
    with pytest.raises(DecodeError, match="a module in the text format"):
        decode(b"(module)")


def test_an_image_of_wasmtime_is_recognised_as_it_really_is():
    """The image that wasmtime itself writes, not only our idea of it."""
    wasmtime = needed.module("wasmtime")
    image = bytes(wasmtime.Module(wasmtime.Engine(), CORE).serialize())
    with pytest.raises(DecodeError, match="wasmtime has compiled"):
        Module(image)


def test_every_beginning_is_reached():
    """No row of the table is shadowed by an earlier one."""
    for beginning, name, _ in BEGINNINGS:
        assert recognise(beginning + b"\0" * 40)[0] == name


# ---- proposals ----

USES = {
    "sign-extension": "(func (drop (i32.extend8_s (i32.const 0))))",
    "saturating-float-to-int": "(func (drop (i32.trunc_sat_f32_s (f32.const 0))))",
    "multi-value": "(func (result i32 i32) i32.const 1 i32.const 2)",
    "reference-types": "(func (param externref))",
    "bulk-memory": "(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))",
    "wide-arithmetic": "(func (param i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 0)))",
    "extended-const": "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
    "function-references": "(type $t (func)) (func (param (ref null $t)))",
    "function-subtypes": "(rec (type $t (sub (func))) (type (sub final $t (func))))",
    "multi-memory": "(memory 1) (memory 1)",
    "memory64": "(memory i64 1)",
    "exceptions": "(tag $e) (func (throw $e))",
    "legacy-exceptions": "(func (try (do) (catch_all)))",
    "custom-page-sizes": "(memory 1 (pagesize 1))",
    "atomics": "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))",
    "tail-call": "(func $f (return_call $f))",
    "simd": "(func (param v128))",
    "threads": "(memory 1 1 shared)",
    "relaxed-simd": "(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))",
    "gc": "(type (struct (field i32)))",
}


def without(name):
    """An engine that lacks a proposal, and what it is a part of."""
    return Engine(features=ALL - {name} - ({"gc"} if name == "function-subtypes" else set()))


def test_each_proposal_that_can_be_switched_off_has_a_module_here():
    """The list above grows with the table."""
    assert set(USES) == ALL - {"mvp", "mutable-globals"}


@pytest.mark.parametrize("name", USES)
def test_a_refused_proposal_is_named_with_who_emits_it_and_how_to_do_without(name):
    """The module came as text: with the line, and invalid as any text that the rules of its engine forbid."""
    feature = FEATURES[name]
    with pytest.raises(ValidationError) as caught:
        Module(f"(module {USES[name]})", without(name))
    shown = str(caught.value)
    assert feature.emitted_by in shown and feature.avoid in shown
    assert f"needs the proposal {name}, which is switched off" in shown
    assert caught.value.line == 1 and "^" in caught.value.excerpt


@pytest.mark.parametrize("name", USES)
def test_a_refused_proposal_is_named_in_a_binary_too(name):
    """By the decoder, which refuses it as something that there is not, or by the validator."""
    binary = parse_wat_to_bytes(f"(module {USES[name]})")
    with pytest.raises((Unsupported, ModuleError), match=f"needs the proposal {name}, which is switched off") as caught:
        Module(binary, without(name))
    assert caught.value.hint == advice(name) and caught.value.offset >= 8


@pytest.mark.parametrize("name", USES)
def test_switching_a_proposal_on_as_the_hint_says_makes_the_module_load(name):
    """A proposal that Strata has, and that the embedder switched off: the hint leads out."""
    text = USES[name]
    with pytest.raises(ValidationError) as caught:
        Module(f"(module {text})", without(name))
    assert f"{refusal(name)}" in str(caught.value)
    told = f"Config().features | {{{name!r}}}" if FEATURES[name].asked else f"add {name!r}"
    assert told in caught.value.hint
    Module(f"(module {text})", Engine(Config(features=without(name).config.features | {name})))


def test_an_unknown_proposal_gets_no_advice():
    """``x86-64-v2`` is a feature of processors, for one."""
    assert advice("x86-64-v2") == ""


CLANG = shutil.which("clang") or shutil.which("clang-14")
SHARED = ["--shared-memory", "--max-memory=131072"]
"""What the driver of a compiler gives to the linker for ``-pthread``."""
BUILDS = {
    "threads": (["-pthread"], [], "int x; int f(void){return ++x;}"),
    "threads again": (["-pthread"], [], "_Atomic int x; int f(void){return ++x;}"),
}


@pytest.mark.skipif(
    CLANG is None or (shutil.which("wasm-ld") is None and shutil.which("wasm-ld-14") is None), reason="no clang"
)
@pytest.mark.parametrize("name", BUILDS)
def test_what_the_advice_says_of_clang_is_so(name, tmp_path):
    """With the option that is blamed the module needs this proposal, without it none."""
    blamed, avoiding, source = BUILDS[name]
    path = tmp_path / "f.c"
    path.write_text(source)

    def build(options):
        out = tmp_path / "f.wasm"
        linker = shutil.which("wasm-ld") or shutil.which("wasm-ld-14")
        objects = tmp_path / "f.o"
        command = [CLANG, "--target=wasm32", *options, "-O2", "-c", path, "-o", objects]
        subprocess.run(command, check=True, capture_output=True)
        shared = SHARED if "-pthread" in options else []
        link = [linker, *shared, "--no-entry", "--export-all", "--allow-undefined", objects, "-o", out]
        subprocess.run(link, check=True, capture_output=True)
        return out

    proposal = name.split()[0]
    with pytest.raises(Unsupported) as caught:
        Module(build(blamed), without(proposal))
    assert caught.value.feature == proposal
    Module(build(blamed))
    Module(build(avoiding), without(proposal))


# ---- text ----


def test_an_error_of_the_parser_shows_the_line_and_what_was_meant():
    """Line, column, the line itself, a caret, and the instruction that is near."""
    with pytest.raises(ParseError) as caught:
        Module(
            '(module\n\t(func (export "add") (param i32 i32) (result i32)\n    (i32.ad (local.get 0) (local.get 1))))'
        )
    shown = str(caught.value).split("\n")
    assert shown[0] == "3:6: unknown operator i32.ad (expected an instruction, found i32.ad)"
    assert shown[1:3] == ["    3 |     (i32.ad (local.get 0) (local.get 1))))", "      |      ^"]
    assert shown[3].startswith("  did you mean 'i32.add'")


def test_an_unknown_identifier_names_the_near_one():
    """A call of a function that is spelled otherwise."""
    with pytest.raises(ParseError, match=r"(?s)unknown function \$memcp.*did you mean '\$memcpy'\?"):
        Module("(module (func $memcpy) (func (call $memcp)))")


def test_an_error_of_the_lexer_shows_the_line():
    """A string that does not end."""
    with pytest.raises(ParseError, match="unclosed string") as caught:
        Module('(module\n  (data "abc))')
    assert caught.value.excerpt == '    2 |   (data "abc))\n      |         ^'


def test_an_error_of_validation_in_text_shows_the_line():
    """The instruction at fault, not only its offset in a binary that nobody has seen."""
    with pytest.raises(ValidationError) as caught:
        Module("(module\n  (func (result i32)\n    (i64.const 1)))")
    assert caught.value.line == 3 and caught.value.excerpt.split("\n")[0] == "    3 |     (i64.const 1)))"
    assert caught.value.excerpt in str(caught.value)


def test_what_a_module_names_cannot_steer_the_terminal_through_an_error():
    """Escape sequences in a text, and in the names of a binary."""
    with pytest.raises(ParseError) as caught:
        Module('(module (func) "\x9b2J" \u202e)')
    assert "\x9b" not in str(caught.value) and "\u202e" not in str(caught.value)
    with pytest.raises(ValidationError) as invalid:
        Module('(module (func (export "\\1b[2J")) (func (export "\\1b[2J")))')
    assert "\x1b" not in str(invalid.value)


def test_events_and_reports_take_one_line_of_an_error():
    """What listeners log, and what a script's report lists, has neither excerpts nor hints."""
    engine, refused = Engine(), []
    engine.bus.subscribe(ModuleRefused, refused.append)
    with pytest.raises(ParseError):
        Module("(module (func (i32.ad)))", engine)
    with pytest.raises(ValidationError):
        Module("(module (memory 1 (pagesize 1)))", engine)
    assert [event.error.count("\n") for event in refused] == [0, 0]
    assert refused[0].error.startswith("ParseError: 1:16: unknown operator i32.ad")
    report = run_script("(module (type (struct)))", OracleHost(features=DEFAULT - {"gc"}))
    (failure,) = report.failures
    assert "unsupported (gc)" in failure.found and "\n" not in failure.found


@pytest.mark.parametrize("kind", [0x7E, 0x7F])
def test_imports_grouped_by_module_are_refused_by_the_name_of_their_proposal(kind):
    """An empty name and that kind; with a name it is no kind at all."""
    section = b"\x01\x01m%s" + bytes([kind]) + b"\x01\x01f\x00\x00"
    head = b"\0asm\1\0\0\0\x01\x04\x01\x60\0\0\x02"
    grouped = section % b"\0"
    with pytest.raises(Unsupported, match="compact-import-section") as refused:
        decode(head + bytes([len(grouped)]) + grouped)
    assert refused.value.feature == "compact-import-section" and refused.value.hint
    other = section % b"\x01n"
    with pytest.raises(DecodeError, match="malformed import kind"):
        decode(head + bytes([len(other)]) + other)
