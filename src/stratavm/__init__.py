"""Strata: a WebAssembly virtual machine for Python, written in Python."""

try:
    import stratavm._build as _build
except ModuleNotFoundError:  # an installed wheel: only a source checkout has the guard
    pass
else:
    _build.verify()

__version__ = "0.1.0"

# Public name → where it lives; resolved at first use, so that `import stratavm` stays cheap.
_EXPORTS: dict[str, str] = {
    **{
        name: f"stratavm.engine.{name}"
        for name in (
            "Caller",
            "Config",
            "Engine",
            "Func",
            "Global",
            "HostSpec",
            "Instance",
            "Linker",
            "Memory",
            "Module",
            "Store",
            "Table",
            "load",
        )
    },
    **{
        name: f"stratavm.base.errors.{name}"
        for name in (
            "Closed",
            "DeadlineExceeded",
            "DecodeError",
            "ExitError",
            "InstanceBusy",
            "InstancePoisoned",
            "Interrupted",
            "LinkError",
            "ModuleError",
            "ParseError",
            "ResourceLimit",
            "StackOverflow",
            "StoreBusy",
            "StrataError",
            "Trap",
            "Unsupported",
            "ValidationError",
        )
    },
    "StoreLimits": "stratavm.runtime.limits.StoreLimits",
    "Wasi": "stratavm.wasi.Wasi",
}


def __getattr__(name: str) -> object:
    """Load a public name at first use."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'stratavm' has no attribute {name!r}")
    import importlib

    module, _, attribute = _EXPORTS[name].rpartition(".")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, loaded or not."""
    return sorted({*globals(), *_EXPORTS})
