"""What ``stratavm.run`` is asked for is checked here, once, before anything begins."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from posixpath import normpath

from stratavm.base.forms import Any
from stratavm.base.numbers import seconds_or_none, whole, whole_or_none
from stratavm.engine.module import Module
from stratavm.sandbox.arguments import (
    MOST_BYTES,
    MOST_FUEL,
    MOST_THREADS,
    ROOT,
    Arguments,
    Dirs,
    Input,
    ModuleLike,
    contents,
    folders_of,
    input_of,
    kind_of,
    path_of,
    plain_text,
    texts,
)
from stratavm.wasi import given


def checked(
    module: ModuleLike,
    streams: tuple[Sequence[str], Mapping[str, str] | None, Input],
    paths: tuple[Mapping[str, bytes | str] | None, Dirs | None],
    limits: tuple[float | None, int | None, int | None, int, int],
) -> Arguments:
    """The record of what was asked for.

    Raises:
        TypeError, ValueError: something is not what it must be; the message says what is expected.
    """
    args, env, stdin = streams
    files, dirs = paths
    timeout, fuel, max_memory, max_output, threads = limits
    if env is not None and not isinstance(env, Mapping):
        raise TypeError(f'env must be a mapping such as {{"HOME": "/"}}, got {env!r:.60}')
    given.environment(env)
    asked = Arguments(
        module=_module(module),
        args=texts(args),
        env={plain_text(name): plain_text(value) for name, value in (env or {}).items()},
        stdin=input_of(stdin),
        files=None if files is None else contents(files),
        folders=tuple(folders_of(dirs or ())),
        timeout=seconds_or_none("timeout", timeout),
        fuel=whole_or_none("fuel", fuel, most=MOST_FUEL, unit="units"),
        max_memory=whole_or_none("max_memory", max_memory, most=MOST_BYTES, unit="bytes"),
        max_output=whole("max_output", max_output, most=MOST_BYTES, unit="bytes"),
        threads=whole("threads", threads, most=MOST_THREADS),
        name=_name(module),
    )
    _check_places(asked)
    return asked


def _name(module: ModuleLike) -> str:
    return module.name if isinstance(module, Module) else os.path.basename(path_of(module) or "module")


def _module(value: Any) -> ModuleLike:
    if isinstance(value, (str, bytes, bytearray, memoryview, os.PathLike, Module)):
        return plain_text(value) if isinstance(value, str) else value
    apart = "; its arguments stand apart: run(module, [...])" if isinstance(value, (list, tuple)) else ""
    raise TypeError(f"module must be a path, bytes, text or a Module, got {kind_of(value)}{apart}")


def _check_places(asked: Arguments) -> None:
    """Files have the root of the guest's tree for themselves."""
    if asked.files is not None and any(normpath(folder.guest) == ROOT for folder in asked.folders):
        raise ValueError(f"dirs: a folder cannot be at {ROOT!r} in the guest, where `files` are")
