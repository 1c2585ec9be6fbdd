"""Memories that plain data fill with megabytes: large pages where those come quickly, the same bytes everywhere."""

import os
import random
import re
import threading
from contextlib import suppress

import pytest

import stratavm
from stratavm.base.leb import sleb
from stratavm.module.encode import DataDraft, ModuleDraft, encode
from stratavm.module.model import ConstExpr, Export, Import
from stratavm.module.reader import call_slow
from stratavm.spec.types import Limits, MemoryType

PAGE = 1 << 16
PAGES = 160
HUGE = 1 << 21
QUICKLY, SLOWLY = 1 << 40, 0
PLACES = ((4097, 6 << 20), (2 << 20, 100), (5 << 20, 2 << 20), (PAGES * PAGE - 3, 3), (70_000, 0))
"""Of segments, and their bytes: later ones lie over earlier ones."""


def drafted(places, memory=0):
    """Segments of random bytes, none of them zero, and what a memory holds behind them."""
    made = random.Random(len(places))
    expected = bytearray(PAGES * PAGE)
    datas = []
    for place, size in places:
        data = made.randbytes(size).replace(b"\0", b"\1")
        expected[place : place + size] = data
        datas.append(DataDraft(data, ConstExpr(b"\x41" + sleb(place) + b"\x0b"), memory))
    return datas, bytes(expected)


@pytest.fixture
def machine(request):
    """Large pages take how long, as all that follows thinks."""
    call_slow(request.param)
    yield request.param
    call_slow(1_000_000)


def is_advised(address):
    """Whether the kernel was asked for large pages where an address lies."""
    with open("/proc/self/smaps") as maps:
        text = maps.read()
    for first, last, rest in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (.*\n(?:[A-Z].*\n)*)", text, re.M):
        if int(first, 16) <= address < int(last, 16):
            flags = re.search(r"^VmFlags:(.*)$", rest, re.M)
            return " hg" in flags[1] if flags else pytest.skip("a kernel that does not say it")
    raise AssertionError("nothing is mapped there")


@pytest.mark.parametrize("machine", [QUICKLY, SLOWLY], indirect=True)
def test_what_is_there_is_what_segments_say(machine):
    datas, expected = drafted(PLACES)
    memory = MemoryType(Limits(PAGES, None))
    exports = [Export("memory", "memory", 0)]
    instance = stratavm.load(encode(ModuleDraft(memories=[memory], datas=datas, exports=exports)))
    assert instance.exports.memory.read(0, PAGES * PAGE) == expected


@pytest.mark.skipif(not os.path.exists("/sys/kernel/mm/transparent_hugepage"), reason="a kernel without large pages")
@pytest.mark.parametrize("machine, places, advised", [
    (QUICKLY, PLACES[:3], True),
    (SLOWLY, PLACES[:3], False),
    (QUICKLY, ((4097, 3 << 20),), False),
    (QUICKLY, ((4097, 3 << 20), (9 << 20, 1 << 20)), False),
], ids=["quickly", "slowly", "too little", "too sparse"], indirect=["machine"])  # fmt: skip
def test_for_what_large_pages_are_asked(machine, places, advised):
    """For much that lies dense, until one has come slowly."""
    datas, _ = drafted(places)
    memory = MemoryType(Limits(PAGES, None))
    exports = [Export("memory", "memory", 0)]
    instance = stratavm.load(encode(ModuleDraft(memories=[memory], datas=datas, exports=exports)))
    base = instance.exports.memory.address
    assert is_advised((base + 4097 + HUGE - 1) // HUGE * HUGE + HUGE) is advised


@pytest.mark.parametrize("machine", [QUICKLY], indirect=True)
def test_a_memory_of_somebody_else_keeps_what_it_has(machine):
    """Of an imported memory nothing is known."""
    datas, expected = drafted(PLACES[:2])
    memory = MemoryType(Limits(PAGES, None))
    imports = [Import("host", "memory", "memory", memory)]
    importer = encode(ModuleDraft(imports=imports, datas=datas))
    store = stratavm.Store()
    given = stratavm.load(encode(ModuleDraft(memories=[memory], exports=[Export("memory", "memory", 0)])), store=store)
    given.exports.memory.write(9 << 20, b"still there")
    stratavm.load(importer, {"host": {"memory": given.exports.memory}}, store=store)
    found = given.exports.memory.read(0, PAGES * PAGE)
    assert found[: 9 << 20] == expected[: 9 << 20] and found[9 << 20 :][:11] == b"still there"


@pytest.mark.parametrize("machine", [QUICKLY], indirect=True)
@pytest.mark.parametrize("is_passive", [False, True])
def test_a_memory_that_threads_share_is_none_of_them(machine, is_passive):
    """Its pages are another object's."""
    how = "" if is_passive else "(i32.const 8)"
    text = f'(module (memory (export "memory") {PAGES} {PAGES} shared) (data {how} "there"))'
    instance = stratavm.load(text, store=stratavm.Store())
    assert instance.exports.memory.read(8, 5) == (bytes(5) if is_passive else b"there")


@pytest.mark.parametrize("machine", [QUICKLY], indirect=True)
def test_a_store_may_be_closed_meanwhile(machine):
    """By another thread, while pages come: what is mapped stays so until all have."""
    datas, _ = drafted(PLACES[:3])
    binary = encode(ModuleDraft(memories=[MemoryType(Limits(PAGES, None))], datas=datas))
    for _ in range(20):
        store = stratavm.Store()
        module = stratavm.Module(binary, engine=store.engine)
        thread = threading.Thread(target=store.close)
        thread.start()
        with suppress(stratavm.Closed):
            stratavm.Linker(store.engine).instantiate(store, module)
        thread.join()
        assert store.closed
