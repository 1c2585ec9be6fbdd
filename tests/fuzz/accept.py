"""An oracle for the front end: another engine's decoder and validator accept exactly the modules that ours do."""

from __future__ import annotations

from functools import cache
from typing import Final

import wasmtime

from stratavm.base.errors import StrataError, Unsupported
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.validate import validate
from tests.fuzz.oracles import Finding

ON: Final = (
    "gc", "wide_arithmetic", "function_references", "multi_memory", "memory64", "threads", "custom_page_sizes",
    "tail_call", "exceptions", "simd", "relaxed_simd",
)  # fmt: skip
"""Proposals that Strata has, and the other engine on request only."""
OTHER_RULES: Final = ("legacy_exceptions feature required",)
"""Why the other engine refuses what Strata allows: it never had this."""


@cache
def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    for name in ON:
        setattr(config, f"wasm_{name}", True)
    return wasmtime.Engine(config)


def _theirs(data: bytes) -> str:
    """Why the other engine refuses a module; empty where it accepts it."""
    try:
        wasmtime.Module.validate(_engine(), data)
    except wasmtime.WasmtimeError as error:
        return str(error).splitlines()[-1] or "refused"
    return ""


def _ours(data: bytes) -> StrataError | None:
    """Why Strata refuses a module; None where it accepts it."""
    try:
        validate(decode(data, features=ALL), ALL)
    except StrataError as error:
        return error
    return None


def check_accept(data: bytes) -> str:
    """``valid``, ``invalid`` or ``newer``; a finding where the two disagree."""
    ours, theirs = _ours(data), _theirs(data)
    if (ours is None) == (not theirs):
        return "invalid" if theirs else "valid"
    if any(reason in theirs for reason in OTHER_RULES) or isinstance(ours, Unsupported):
        return "newer"
    raise Finding(f"Strata: {ours or 'valid'}; wasmtime: {theirs or 'valid'}; {data.hex()[:2000]}")
