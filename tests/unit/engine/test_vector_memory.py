"""Claims about vectors in memory: each access reads and writes its own bytes, up to the last, and traps behind them."""

import struct

import pytest

from stratavm import Store, Trap, load
from tests.vectors import v, vector_engine

SPLATS = {"8": "b", "16": "h", "32": "i", "64": "q"}
EXTENDED = {"8x8": ("b", "h"), "16x4": ("h", "i"), "32x2": ("i", "q")}
ACCESSES = [
    ("v128.load", 16), ("v128.load32_zero", 4), ("v128.load64_zero", 8),
    *((f"v128.load{bits}_splat", int(bits) // 8) for bits in SPLATS),
    *((f"v128.load{shape}_{sign}", 8) for shape in EXTENDED for sign in "su"),
]  # fmt: skip
LANES = [(bits, lane) for bits in (8, 16, 32, 64) for lane in (0, 128 // bits - 1)]
OFFSETS = (0, 3, 1 << 31, (1 << 32) - 1)
SHAPES = {
    "guard": ("1", "guard", "i32"),
    "bounded": ("1", "bounded", "i32"),
    "memory64": ("i64 1", "guard", "i64"),
    "bytes": ("100 (pagesize 1)", "guard", "i32"),
    "second": ("1", "guard", "i32"),
    "second-bounded": ("1", "bounded", "i32"),
}


def name(op, offset):
    """The export of an access."""
    return f"{op} {offset}"


def functions(address, memory):
    """Loads, stores and lanes with each offset, by an address that is a parameter."""
    where = "$m " if memory else ""
    lines = []
    for offset in OFFSETS:
        at = f"{where}offset={offset}"
        for op, _ in ACCESSES:
            lines.append(f"""(func (export "{name(op, offset)}") (param {address}) (result v128)
              ({op} {at} (local.get 0)))""")
        lines.append(f"""(func (export "{name("v128.store", offset)}") (param {address} v128)
          (v128.store {at} (local.get 0) (local.get 1)))""")
        for bits, lane in LANES:
            lines.append(f"""(func (export "{name(f"v128.load{bits}_lane", offset)} {lane}") (param {address} v128)
              (result v128) (v128.load{bits}_lane {at} {lane} (local.get 0) (local.get 1)))""")
            lines.append(f"""(func (export "{name(f"v128.store{bits}_lane", offset)} {lane}") (param {address} v128)
              (v128.store{bits}_lane {at} {lane} (local.get 0) (local.get 1)))""")
    return "\n".join(lines)


@pytest.fixture(params=["jit0", "jit1", "auto", "starved", "without-avx"], scope="module")
def tier(request):
    """Each tier; few registers with garbage in what is dead; and a processor that lacks AVX."""
    return request.param


@pytest.fixture(params=SHAPES, scope="module")
def world(request, tier):
    """The exports, the memory, its size, and whether addresses have 64 bits."""
    type_, plan, address = SHAPES[request.param]
    second = request.param.startswith("second")
    memories = ("(memory 2)" if second else "") + f'(memory $m (export "memory") {type_})'
    text = f"(module {memories} {functions(address, second)})"
    with pytest.MonkeyPatch.context() as patch:
        if tier == "starved":
            patch.setenv("STRATA_REGS", "4")
            patch.setenv("STRATA_POISON", "1")
            patch.setenv("STRATA_CHECK", "2")
        cpu = "v2" if tier == "without-avx" else "native"
        known = tier if tier in ("jit0", "jit1", "auto") else "jit1"
        engine = vector_engine(known, {"custom-page-sizes"}, memory_plan=plan, cpu=cpu)
        exports = load(text, store=Store(engine)).exports
        size = 100 if request.param == "bytes" else 65536
        yield exports, exports.memory, size


def expected(op, data):
    """What an access makes of its bytes."""
    word = op.removeprefix("v128.load")
    if word == "":
        return data
    if word.endswith("_zero"):
        return data.ljust(16, b"\0")
    if word.endswith("_splat"):
        return data * (16 // len(data))
    shape, sign = word.split("_")
    narrow, wide = EXTENDED[shape]
    if sign == "u":
        narrow, wide = narrow.upper(), wide.upper()
    count = 8 // struct.calcsize(narrow)
    return struct.pack(f"<{count}{wide}", *struct.unpack(f"<{count}{narrow}", data))


def pattern(size):
    """Bytes that tell places apart, with signs."""
    return bytes((37 * i + (i >> 5) + 129) & 0xFF for i in range(size))


@pytest.mark.parametrize("offset", OFFSETS)
def test_loads_read_their_bytes(world, offset):
    """At the first, at odd places, at the last; behind that they trap. Wherever the memory has them at all."""
    exports, memory, size = world
    data = pattern(size)
    memory.write(0, data)
    for op, width in ACCESSES:
        access = exports[name(op, offset)]
        for place in (0, 1, 16, 33, size - width - 1, size - width):
            if place >= offset:
                assert access(place - offset) == expected(op, data[place : place + width]), (op, place)
        for place in {size - width + 1, max(size - 1, size - width + 1), size, size + 70000}:
            with pytest.raises(Trap, match="out of bounds"):
                access(max(0, place - offset))
        with pytest.raises(Trap, match="out of bounds"):
            access(-1)


@pytest.mark.parametrize("offset", OFFSETS[:2])
def test_stores_write_their_bytes_and_no_others(world, offset):
    """A store that reaches behind the last byte writes nothing."""
    exports, memory, size = world
    data = pattern(size)
    access = exports[name("v128.store", offset)]
    for place in (3, 16, 77, size - 16):
        memory.write(0, data)
        access(place - offset, v(place))
        assert memory.read(0, size) == data[:place] + v(place) + data[place + 16 :]
    memory.write(0, data)
    for place in range(size - 15, size + 1):
        with pytest.raises(Trap, match="out of bounds"):
            access(place - offset, v(place))
    assert memory.read(0, size) == data


@pytest.mark.parametrize("offset", OFFSETS[:2])
@pytest.mark.parametrize(("bits", "lane"), LANES)
def test_lanes_go_to_and_from_memory(world, offset, bits, lane):
    """One lane of a vector, the others as they were."""
    exports, memory, size = world
    data, width = pattern(size), bits // 8
    loads = exports[f"{name(f'v128.load{bits}_lane', offset)} {lane}"]
    stores = exports[f"{name(f'v128.store{bits}_lane', offset)} {lane}"]
    begin = lane * width
    for place in (3, 50, size - width):
        memory.write(0, data)
        given = v(place)
        assert loads(place - offset, given) == given[:begin] + data[place : place + width] + given[begin + width :]
        stores(place - offset, given)
        assert memory.read(0, size) == data[:place] + given[begin : begin + width] + data[place + width :]
    memory.write(0, data)
    for access in (loads, stores):
        with pytest.raises(Trap, match="out of bounds"):
            access(size - width + 1 - offset, v(1))
    assert memory.read(0, size) == data
