"""Claims about the functions and data segments of a module: sequences that make an item when it is asked for."""

from __future__ import annotations

import copy
import gc
import pickle
import random
import threading

import pytest

from stratavm.base.errors import DecodeError
from stratavm.base.leb import sleb, uleb
from stratavm.module.decode import decode
from stratavm.module.encode import DataDraft, FunctionDraft, ModuleDraft, encode
from stratavm.module.features import ALL
from stratavm.module.model import ConstExpr, Data, Function
from stratavm.module.parser import parse_module
from stratavm.module.sections import Datas, Functions
from stratavm.spec import types as t

COUNT = 1000
PAGE = 4096


def at(place: int) -> ConstExpr:
    """``i32.const``."""
    return ConstExpr(b"\x41" + sleb(place) + b"\x0b")


@pytest.fixture(scope="module")
def parts():
    """Bodies and segments of a module, and the module."""
    draft = ModuleDraft(memories=[t.MemoryType(t.Limits(1))] * 2)
    draft.rec_groups += [t.RecGroup((t.SubType(t.FuncType((t.I32,) * n)),)) for n in range(3)]
    draft.functions = [
        FunctionDraft(i % 3, b"\x01" * (i % 5) + b"\x0b", [(k + 1, t.F64 if k % 2 else t.I32) for k in range(i % 4)])
        for i in range(COUNT)
    ]
    draft.datas = [
        DataDraft(bytes(i % 7), (at(i), at(-i), ConstExpr(b"\x41\1\x41\2\x6a\x0b"), None)[i % 4], int(i % 4 == 1))
        for i in range(COUNT)
    ]
    return draft, decode(encode(draft), features=ALL)


def test_items_are_what_the_binary_says(parts):
    """Each of them, in order; also by slices and from the end."""
    draft, module = parts
    functions, datas = module.functions, module.datas
    assert len(functions) == len(datas) == COUNT
    assert [(f.type_index, f.locals) for f in functions] == [(f.type_index, tuple(f.locals)) for f in draft.functions]
    assert [module.binary[f.start : f.end] for f in functions] == [f.body for f in draft.functions]
    assert [module.binary[d.start : d.end] for d in datas] == [d.data for d in draft.datas]
    assert [(d.memory, d.offset and d.offset.code) for d in datas] == [
        (d.memory, d.offset and d.offset.code) for d in draft.datas
    ]
    assert [d.mode for d in datas[:4]] == ["active", "active", "active", "passive"]
    assert [d.offset.lone_i32 for d in datas[4:7]] == [4, 2**32 - 5, None]
    for items in (functions, datas):
        assert items[-1] == items[COUNT - 1] and items[-COUNT] == items[0]
        assert items[10:20:3] == tuple(items)[10:20:3] and items[::-1] == tuple(items)[::-1]
        assert items[3] in items and items.index(items[3]) <= 3 and items.count(items[3]) >= 1
        for outside in (COUNT, -COUNT - 1, 1 << 40):
            with pytest.raises(IndexError):
                items[outside]
        with pytest.raises(TypeError):
            items["0"]


def test_a_sequence_is_equal_to_a_tuple_of_its_items(parts):
    """As it was when it was one: for ``==``, hashes, models and what shows them."""
    _, module = parts
    again = decode(module.binary, features=ALL)
    for made, kind in ((module.functions, Functions), (module.datas, Datas)):
        items = tuple(made)
        assert made == items and items == made and made == kind.of(items) and kind.of(made) is made
        assert hash(made) == hash(items) == hash(kind.of(items)) and repr(made) == repr(items)
        assert made != items[:-1] and made != list(items) and kind.of(()) == ()
    assert again.functions == module.functions and again.datas == module.datas
    assert again.functions != decode(encode(ModuleDraft())).functions


def test_nothing_changes_them(parts):
    """They are data like the rest of a model."""
    _, module = parts
    for items in (module.functions, module.datas):
        with pytest.raises(TypeError):
            items[0] = items[1]
        with pytest.raises(TypeError):
            del items[0]
        with pytest.raises((AttributeError, TypeError)):
            items.n = 5


def test_they_are_copied_and_pickled_as_data(parts):
    """A copy needs no binary of its own."""
    _, module = parts
    for items in (module.functions, module.datas):
        for again in (copy.copy(items), copy.deepcopy(items), pickle.loads(pickle.dumps(items))):
            assert again == items and type(again) is type(items) and again[5] == items[5]


def test_items_outlive_what_made_them(parts):
    """They hold no record."""
    draft, _ = parts
    module = decode(encode(draft), features=ALL)
    function, data = module.functions[3], module.datas[0]
    expected = copy.copy(function), copy.deepcopy(data)
    del module
    gc.collect()
    assert (function, data) == expected


def test_threads_read_them_at_once(parts):
    """Records never change."""
    _, module = parts
    expected = tuple(module.functions), tuple(module.datas)
    wrong = []

    def read():
        for _ in range(20):
            if (tuple(module.functions), tuple(module.datas)) != expected:
                wrong.append(threading.get_ident())

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def section(number, content):
    """A section."""
    return bytes((number,)) + uleb(len(content)) + content


@pytest.mark.parametrize(("types", "bodies"), [(0, 1), (1, 0), (1, 2), (3, 2), (0, 5000), (5000, 0)])
def test_more_bodies_than_types_or_fewer_are_refused(types, bodies):
    """Whichever are more: what has no place is not written."""
    binary = b"\0asm\1\0\0\0" + section(1, b"\1\x60\0\0") + section(3, uleb(types) + bytes(types))
    binary += section(10, uleb(bodies) + b"\4\1\1\x7f\x0b" * bodies)
    with pytest.raises(DecodeError, match="inconsistent lengths"):
        decode(binary)


@pytest.mark.parametrize("number", [3, 10, 11])
@pytest.mark.parametrize("count", [2**32 - 1, 100_000, 2])
def test_a_count_is_held_against_the_bytes_that_follow(number, count):
    """No memory is taken on its word."""
    with pytest.raises(DecodeError):
        decode(b"\0asm\1\0\0\0" + section(number, uleb(count) + b"\0"))


def test_what_a_sequence_is_made_of_must_fit():
    """Numbers of a binary have 32 bits."""
    with pytest.raises(OverflowError):
        Functions.of((Function(0, 0, 1 << 32),))
    with pytest.raises(OverflowError):
        Datas.of((Data("passive", -1, 0),))
    with pytest.raises(AttributeError):
        Functions.of((None,))


def laid_out_slowly(module, memory, count):
    """What ``lay_out`` says, page by page."""
    pages: dict[int, bytearray] = {}
    for data in module.datas[:count]:
        for i in range(data.start, data.end if data.mode == "active" and data.memory == memory else data.start):
            page, offset = divmod(data.offset.lone_i32 + i - data.start, PAGE)
            pages.setdefault(page, bytearray(PAGE))[offset] = module.binary[i]
    return pages


@pytest.mark.parametrize("seed", range(20))
def test_what_is_laid_out_is_what_copying_in_order_gives(seed):
    """Overlaps, gaps of any length, segments over several pages, other memories and passive ones between."""
    rng = random.Random(seed)
    draft = ModuleDraft(memories=[t.MemoryType(t.Limits(4)), t.MemoryType(t.Limits(4))])
    for _ in range(rng.randrange(1, 60)):
        content = rng.randbytes(rng.choice((0, 1, 5, 100, PAGE, 2 * PAGE + 1)))
        place = rng.randrange((4 << 16) - len(content) + 1)
        place -= rng.random() < 0.3 and place % PAGE
        draft.datas.append(DataDraft(content, None if rng.random() < 0.1 else at(place), rng.randrange(2)))
    module = decode(encode(draft), features=ALL)
    count, gap = rng.randrange(len(draft.datas) + 1), rng.choice((0, 1, 16))
    for memory in range(2):
        runs = module.datas.lay_out(module.binary, memory, count, PAGE, gap, 1 << 30)
        pages = laid_out_slowly(module, memory, count)
        found = {
            start // PAGE + i: content[i * PAGE : (i + 1) * PAGE]
            for start, content in runs
            for i in range(len(content) // PAGE)
        }
        assert {page: content for page, content in found.items() if page in pages} == pages
        assert not any(any(content) for page, content in found.items() if page not in pages)
        ends = [start + len(content) for start, content in runs]
        assert all(a[0] - end > gap * PAGE for end, a in zip(ends, runs[1:], strict=False))
        assert all(
            start // PAGE in pages and (end - 1) // PAGE in pages for (start, _), end in zip(runs, ends, strict=True)
        )
        total = sum(len(content) for _, content in runs)
        assert module.datas.lay_out(module.binary, memory, count, PAGE, gap, total) == runs
        assert module.datas.lay_out(module.binary, memory, count, PAGE, gap, max(total - 1, 0)) == []


def test_what_is_not_at_a_constant_place_in_the_first_memory_is_found(parts):
    """The others need no look of Python's."""
    _, module = parts
    assert module.datas.not_plain() == [i for i in range(COUNT) if i % 4 in (1, 2)]
    assert Datas.of(tuple(module.datas)).not_plain() == module.datas.not_plain()
    assert module.datas.leading([1 << 16, 1 << 32]) == 2 and module.datas.leading([1 << 16, -1]) == 1
    assert module.datas.leading([0, 1 << 32]) == 2, "a segment of no bytes fits at the end"


@pytest.mark.parametrize("start", ["$seen", "$own", "$named", ""])
def test_functions_that_something_refers_to(start):
    """Those of exports, elements, globals and the start function, which may be imported: only those with a body have a
    record, ascending; and no collection looks through such numbers."""
    module = parse_module(
        """(module (import "m" "seen" (func $seen)) (import "m" "other" (func $other))
             (func $own) (func $nobody) (func $named (export "named")) (func $held) (func $listed)
             (global funcref (ref.func $held)) (table 4 funcref) (elem (i32.const 0) $listed $other) """
        + (f"(start {start}))" if start else ")")
    )
    assert module.declared_funcs == {1, 4, 5, 6}
    assert module.recorded_funcs == ((2, 4, 5, 6) if start == "$own" else (4, 5, 6))
    assert module.func_type_indices == (module.func_type_indices[0],) * 7
    for numbers in (module.declared_funcs, module.recorded_funcs, module.func_type_indices):
        assert not gc.is_tracked(numbers)
