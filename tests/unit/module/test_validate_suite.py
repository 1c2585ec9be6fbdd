"""The official suite's modules: valid ones pass, invalid ones fail for the reason that the suite gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from stratavm.base.errors import DecodeError, ModuleError, Unsupported, ValidationError
from stratavm.module.decode import decode
from stratavm.module.parser import parse_module
from stratavm.module.valid import ValidModule
from stratavm.module.validate import validate
from tests.unit.module.wast_forms import assertion, binary, forms

FEW = 40
"""Fewer invalid modules than this altogether would mean that the extraction broke."""


def load(module: str) -> ValidModule:
    """Decode or parse, then validate."""
    data = binary(module)
    return validate(decode(data) if data is not None else parse_module(module))


def said_at_length(error: ValidationError) -> str:
    """A mismatch of an operand as the suite's scripts of exceptions say it."""
    found = "" if error.found == "an empty stack" else error.found
    return f"{error.message}: instruction requires [{error.expected}] but stack has [{found}]"


def scripts(spec_dir: Path) -> list[tuple[str, str]]:
    """Every form of every core script."""
    return [(path.name, form) for path in sorted(spec_dir.glob("*.wast")) for form in forms(path.read_text("utf-8"))]


def test_invalid_modules_fail_with_the_words_of_the_suite(spec_dir: Path) -> None:
    """Every ``assert_invalid`` is refused with the expected message, or for a proposal that is not there."""
    wrong, checked = [], 0
    for name, form in scripts(spec_dir):
        if not form.startswith("(assert_invalid"):
            continue
        module, message = assertion(form) or ("", "")
        try:
            load(module)
            wrong.append((name, message, "accepted", form[:200]))
        except Unsupported as error:
            assert error.feature, form
        except ValidationError as error:
            checked += 1
            if message not in (said_at_length(error), error.message) and not error.message.startswith(message):
                wrong.append((name, message, error.message, form[:200]))
    assert not wrong, wrong[:5]
    assert checked > 1000


def test_malformed_bodies_are_refused(spec_dir: Path) -> None:
    """Every ``assert_malformed`` of a binary is refused by the decoder or by the walk, as malformed."""
    checked = 0
    for name, form in scripts(spec_dir):
        if form.startswith("(assert_malformed") and "binary" in form[:60]:
            module, _ = assertion(form) or ("", "")
            with pytest.raises(ModuleError) as caught:
                load(module)
            assert isinstance(caught.value, DecodeError | Unsupported), (name, form[:200], caught.value)
            checked += 1
    assert checked > FEW


def test_valid_modules_are_accepted(spec_dir: Path) -> None:
    """Every module that a script instantiates is valid, but for proposals that are not there."""
    accepted = 0
    for name, form in scripts(spec_dir):
        if not form.startswith("(module") or form.startswith(("(module quote", "(module instance")):
            continue
        try:
            load(form)
            accepted += 1
        except Unsupported as error:
            assert error.feature, name
    assert accepted > 1000
