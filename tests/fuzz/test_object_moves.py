"""What programs of objects do is there often, each of it: in so many of two hundred, as their text says."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from tests.fuzz.object_moves import SHOWN
from tests.fuzz.object_types import Ref
from tests.fuzz.objects import Guests

SEEDS: Final = 200
LEAST: Final = {
    "an exception in a field of a struct": 12,
    "an exception in a field of an array": 10,
    "exceptions in a table": 40,
    "an exception in a global": 50,
    "an exception in an exception": 40,
    "throw 0": 90,
    "throw 1": 90,
    "throw_ref": 90,
    "array.init_data i8": 5,
    "array.init_data i16": 4,
    "array.init_data v128": 12,
    "array.new_data i8": 12,
    "array.new_data i16": 12,
    "array.new_data v128": 15,
    "array.init_elem of a type": 15,
    "array.init_elem of a type without null": 3,
    "array.new_elem of a type": 25,
    "array.new_elem of a type without null": 8,
    "a chain of casts": 20,
    "a block that takes objects": 30,
    "a memory of 64 bits": 40,
    "a table of 64 bits that grows": 4,
    "an object's number in memory": 60,
    "what memory has": 30,
    "an object at the host": 30,
    "return_call": 25,
    "return_call_ref": 8,
    "return_call_indirect": 6,
    "data.drop": 4,
    "exceptions that lie in an object alone": 15,
    "what an array has that was written to": 80,
}
WORDS: Final = {
    "an exception in a global": "(global.set 1 ",
    "an exception in an exception": "(throw 2 ",
    "throw 0": "(throw 0 ",
    "throw 1": "(throw 1 ",
    "throw_ref": "(throw_ref ",
    "a block that takes objects": "(block (param ",
    "a memory of 64 bits": "(memory i64 ",
    "a table of 64 bits that grows": "(i32.wrap_i64 (table.grow ",
    "an object's number in memory": ".store ",
    "what memory has": ".load offset=",
    "an object at the host": "(call $host ",
    "return_call": "(return_call $",
    "return_call_ref": "(return_call_ref ",
    "return_call_indirect": "(return_call_indirect ",
    "data.drop": "(data.drop ",
    "exceptions that lie in an object alone": "(call $shelf)",
    "what an array has that was written to": f"(select (i32.const {SHOWN}) (array.len ",
}
CHAIN: Final = re.compile(r"\(br_on_cast(_fail)? \S+ \S+ \S+ \((br|block \S+ \(result \S+\) \(br \S+ \(br)_on_cast")


def traits(guests: Guests, text: str) -> Iterator[str]:
    """What a program has."""
    for shape in guests.shapes:
        article = "an" if shape.kind == "array" else "a"
        yield from (
            f"an exception in a field of {article} {shape.kind}" for f in shape.fields if f.storage == Ref("exn")
        )
    if Ref("exn") in guests.tables:
        yield "exceptions in a table"
    for name, index in re.findall(r"\((array\.(?:new|init)_(?:data|elem)) (\d+) \d", text):
        storage = guests.shapes[int(index)].fields[0].storage
        if not isinstance(storage, Ref):
            yield f"{name} {storage}"
        elif isinstance(storage.heap, int):
            yield f"{name} of a type{'' if storage.null else ' without null'}"
    yield from (what for what, word in WORDS.items() if word in text)
    if CHAIN.search(re.sub(r"\(ref (null )?(\w+)\)", r"\1\2", text).replace("null ", "null")):
        yield "a chain of casts"


def test_programs_of_objects_do_each_thing_often() -> None:
    """A few times as often as here; none came to be missing."""
    found = Counter[str]()
    for seed in range(SEEDS):
        guests = Guests(random.Random(seed))
        found.update(set(traits(guests, guests.text())))
    assert {what: number for what, number in LEAST.items() if found[what] < number} == {}
