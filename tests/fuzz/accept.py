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
    "wide_arithmetic", "function_references", "multi_memory", "memory64", "threads", "custom_page_sizes",
    "tail_call", "exceptions", "simd", "relaxed_simd",
)  # fmt: skip
"""Proposals that Strata has, and the other engine on request only."""
OTHER_RULES: Final = ("locally defined global", "legacy_exceptions feature required")
"""Why the other engine refuses what Strata allows: it ties the one to the gc proposal, and never had the other."""


@cache
def _engine(objects: bool) -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_gc = objects  # which only the oracle has
    for name in ON:
        setattr(config, f"wasm_{name}", True)
    return wasmtime.Engine(config)


def _theirs(data: bytes, objects: bool) -> str:
    """Why the other engine refuses a module; empty where it accepts it."""
    try:
        wasmtime.Module.validate(_engine(objects), data)
    except wasmtime.WasmtimeError as error:
        return str(error).splitlines()[-1] or "refused"
    return ""


def _ours(data: bytes, objects: bool) -> StrataError | None:
    """Why Strata refuses a module; None where it accepts it."""
    features = ALL if objects else ALL - {"gc", "function-subtypes"}  # a part of gc to the other engine
    try:
        validate(decode(data, features=features), features)
    except StrataError as error:
        return error
    return None


def check_accept(data: bytes, objects: bool = False) -> str:
    """``valid``, ``invalid`` or ``newer``; a finding where the two disagree. ``objects``: they may be of guests."""
    ours, theirs = _ours(data, objects), _theirs(data, objects)
    if (ours is None) == (not theirs):
        return "invalid" if theirs else "valid"
    if any(reason in theirs for reason in OTHER_RULES) or isinstance(ours, Unsupported):
        return "newer"
    raise Finding(f"Strata: {ours or 'valid'}; wasmtime: {theirs or 'valid'}; {data.hex()[:2000]}")
