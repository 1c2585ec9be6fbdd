"""What a file is that is no WebAssembly module: its name, and what to do about it. Looks at the first bytes only."""

from __future__ import annotations

from stratavm.base.forms import Final

MAGIC: Final = b"\0asm"
HEADER_BYTES: Final = 8
LOOK_AT: Final = 512

UNPACK: Final = "unpack it first"
BUILD: Final = (
    "build it for WebAssembly: clang --target=wasm32-wasi, rustc --target wasm32-wasip1, GOOS=wasip1 GOARCH=wasm"
)
COMPONENT: Final = (
    "Strata runs core modules: build for wasm32-wasip1 instead of wasm32-wasip2, or leave the step out that makes a "
    "component\n(wasm-tools component new, jco, componentize-py); "
    "`wasm-tools component unbundle --module-dir DIR FILE` takes the core modules out of a component"
)

BEGINNINGS: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"\x1f\x8b", "a gzip file", "unpack it first: gunzip, or gzip.decompress(data)"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", UNPACK),
    (b"\xfd7zXZ\0", "an xz file", UNPACK),
    (b"BZh", "a bzip2 file", UNPACK),
    (b"PK\x03\x04", "a zip archive", "unpack it first, and take the .wasm file in it"),
    (b"!<arch>\n", "an archive of object files", "link it: wasm-ld makes a module of object files"),
    (b"BC\xc0\xde", "LLVM bitcode", "compile it: clang --target=wasm32-wasi, and no -emit-llvm"),
    (b"MZ", "a Windows program", BUILD),
    (b"\xcf\xfa\xed\xfe", "a macOS program", BUILD),
    (b"\xca\xfe\xba\xbe", "a Java class or a macOS program", BUILD),
    (b"\x89PNG", "an image", ""),
    (b"\x89s", "an image of compiled code whose beginning is damaged", "copy or fetch it again, or `strata build` it"),
    (b"%PDF", "a PDF document", ""),
    (b"\xff\xfe", "text in UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "save it as UTF-8"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself: git lfs pull"),
    (b"#!", "a script", "it is the host's to run, not a guest"),
    (b"AGFzbQ", "a module in base64", "decode it first: base64.b64decode(data)"),
    (b"0061736d", "a module in hexadecimal digits", "decode it first: bytes.fromhex(text)"),
)  # fmt: skip
WASMTIME: Final = 200
"""``e_ident[EI_OSABI]`` of the ELF images that wasmtime compiles modules to."""


def recognise(data: bytes) -> tuple[str, str] | None:
    """What data without a module's header is, and what to do; None where it could be anything."""
    if data[:4] == MAGIC:
        return _version(data)
    head = data[:LOOK_AT].lstrip()
    if data[:4] == b"\x7fELF":
        if data[7:8] == bytes((WASMTIME,)):
            return "a module that wasmtime has compiled (.cwasm)", "give Strata the .wasm file that it was made from"
        return "a native program or object file (ELF)", BUILD
    for beginning, name, action in BEGINNINGS:
        if data.startswith(beginning) or head.startswith(beginning):
            return name, action
    if head[:1] == b"<":
        return "a web page or XML", "a download that failed often leaves one behind: look at it, and fetch again"
    return _text(data, head)


def _version(data: bytes) -> tuple[str, str] | None:
    """Data that has the magic number and another version, or is cut off."""
    version, layer = data[4:6], data[6:8]
    if len(data) < HEADER_BYTES:
        return f"the first {len(data)} bytes of a module", "it was cut off: copy or fetch it again"
    if layer == b"\1\0":
        return "a component, not a core module", COMPONENT
    if version == b"\1\0" and layer == b"\0\0":
        return None
    return f"a module of version {int.from_bytes(data[4:8], 'little')}", "Strata knows version 1"


def _text(data: bytes, head: bytes) -> tuple[str, str] | None:
    """Text of any kind."""
    mark = data[:3] == b"\xef\xbb\xbf"
    if head.removeprefix(b"\xef\xbb\xbf")[:1] in (b"(", b";"):
        if mark:
            return "text with a byte order mark", "save it as UTF-8 without one"
        return "a module in the text format", "stratavm.Module and stratavm.load take it as text"
    try:
        text = data[:LOOK_AT].decode()
    except UnicodeDecodeError as error:
        if error.start < min(len(data), LOOK_AT) - 3:
            return None
        text = data[: error.start].decode()
    if text.strip() and all(c.isprintable() or c in "\t\n\r\f" for c in text):
        return "text, but not of a module", "a module's text begins with (module"
    return None
