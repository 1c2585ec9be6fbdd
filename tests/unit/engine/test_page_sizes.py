"""Claims about memories of pages of one byte: they end where they end, in guests, in Python and between modules."""

import pytest

from stratavm import (
    Config,
    DecodeError,
    Engine,
    Linker,
    LinkError,
    Memory,
    Module,
    Store,
    StoreLimits,
    Trap,
    ValidationError,
)
from stratavm.module.features import ALL, DEFAULT
from stratavm.module.parser import parse_wat_to_bytes
from tests.unit.engine.exported import Exporting

CONFIGS = [
    Config(tier=tier, memory_plan=plan, features=ALL)
    for tier in ("oracle", "jit0", "jit1", "auto")
    for plan in ("guard", "bounded")
]
TEXT = """(module
  (memory $small (export "small") 10 9000 (pagesize 1)) (memory $large (export "large") 1)
  (data (memory $small) (i32.const 6) "last") (data $some "passive")
  (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "get64") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "far") (param i32) (result i32) (i32.load8_u offset=5 (local.get 0)))
  (func (export "put") (param i32) (i32.store16 (local.get 0) (i32.const -1)))
  (func (export "size") (result i32) memory.size)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 7) (local.get 1)))
  (func (export "init") (param i32 i32) (memory.init $some (local.get 0) (i32.const 0) (local.get 1)))
  (func (export "copy") (param i32 i32 i32) (memory.copy $small $large (local.get 0) (local.get 1) (local.get 2)))
  (func (export "sum") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $i))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum)))"""


@pytest.fixture(params=CONFIGS, ids=lambda config: f"{config.tier}-{config.memory_plan}")
def engine(request):
    """An engine with each tier and each plan."""
    return Engine(request.param)


exports_of = Exporting(TEXT)


def traps(*actions):
    """Each goes out of bounds."""
    for action in actions:
        with pytest.raises(Trap) as caught:
            action()
        assert caught.value.kind == "memory_out_of_bounds"


def test_the_last_byte_is_there_and_the_next_is_not(engine):
    """Though both lie on the same page of the host."""
    exports = exports_of(engine)
    assert exports.peek(9) == ord("t") and exports.far(4) == ord("t") and exports.get64(2) >> 32 == 0x7473616C
    exports.put(8)
    assert exports.small.read(8, 2) == b"\xff\xff" and len(exports.small) == 10
    traps(
        lambda: exports.peek(10),
        lambda: exports.get64(3),
        lambda: exports.far(5),
        lambda: exports.put(9),
        lambda: exports.peek(-1),
        lambda: exports.fill(10, 1),
        lambda: exports.init(8, 3),
        lambda: exports.copy(8, 0, 3),
        lambda: exports.small.read(10, 1),
    )
    exports.fill(9, 1)
    exports.init(3, 7)
    exports.copy(0, 65533, 3)
    assert exports.small.read(0, 10) == bytes(3) + b"passive"


def test_it_grows_by_bytes_and_what_comes_is_zero(engine):
    """Also behind what a growth within the same page of the host made reachable."""
    exports = exports_of(engine)
    exports.fill(0, 10)
    assert exports.grow(3) == 10 and exports.size() == 13 == len(exports.small)
    assert exports.small.read(10, 3) == bytes(3)
    traps(lambda: exports.peek(13))
    assert exports.grow(5000) == 13 and exports.peek(5012) == 0
    traps(lambda: exports.peek(5013))
    assert exports.grow(4000) == -1 and exports.grow(-1) == -1 and exports.grow(3987) == 5013 and exports.grow(1) == -1
    assert exports.size() == 9000


def test_a_loop_reads_up_to_the_end_and_no_further(engine):
    """Long enough for a version without checks."""
    exports = exports_of(engine)
    exports.grow(90)
    exports.fill(0, 100)
    assert exports.sum(100) == 700
    traps(lambda: exports.sum(101), lambda: exports.sum(5000))


def test_sizes_are_bytes_for_limits(engine):
    """The store's, the limiter's, and those of what it asks."""
    asked = []

    def limiter(kind, now, wanted):
        asked.append((kind, now, wanted))
        return wanted < 2000

    with Store(engine, limits=StoreLimits(memory_bytes=1 << 16, limiter=limiter)) as store:
        exports = exports_of(engine, store=store)
        assert exports.grow(90) == 10 and exports.grow(1900) == -1
        assert asked == [("memory", 10, 100), ("memory", 100, 2000)]
        assert repr(exports.small) == "<Memory 100..9000 pages of 1 byte>" and exports.small.page_size == 1
        assert exports.large.page_size == 1 << 16 and exports.small.size_pages == 100


def test_python_makes_them_and_modules_share_them(engine):
    """By page size, which must be the same on both sides."""
    store = Store(engine)
    memory = Memory.new(store, 3, 20, page_size=1)
    assert len(memory) == 3 and memory.grow(4) == 3 and len(memory) == 7 and memory.type.page_shift == 0
    text = '(module (import "m" "memory" (memory 5 20 (pagesize {}))) (func (export "size") (result i32) memory.size))'
    assert exports_of(engine, text.format(1), store, memory=memory).size() == 7
    with pytest.raises(LinkError, match=r"expected memory 5 20, found memory 7 20 \(pagesize 1\)"):
        exports_of(engine, text.format(65536), store, memory=memory)
    for wrong in (0, 2, 4096, 1 << 17):
        with pytest.raises(ValueError, match="a page has 65536 bytes or 1"):
            Memory.new(store, 1, page_size=wrong)
    assert Memory.new(store, 0, (1 << 32) - 1, page_size=1).type.limits.maximum == (1 << 32) - 1
    with pytest.raises(ValueError, match="maximum"):
        Memory.new(store, 0, 1 << 32, page_size=1)


def test_they_are_there_on_request_alone():
    """As in the other engine: without the proposal such limits are malformed."""
    text = "(module (memory 1 (pagesize 1)))"
    assert "custom-page-sizes" not in DEFAULT and "custom-page-sizes" in ALL
    with pytest.raises(ValidationError, match="needs the proposal custom-page-sizes, which is switched off") as caught:
        Module(text)
    said = caught.value.hint.splitlines()[0]
    assert said.startswith("on request: features=Config().features | {'custom-page-sizes'}, of load() or the Engine")
    assert said.endswith("; for a command: --proposal custom-page-sizes")
    with pytest.raises(DecodeError, match="malformed limits flags"):
        Module(parse_wat_to_bytes(text))
    Module(text, Engine(features=DEFAULT | {"custom-page-sizes"}))


def test_images_and_slots_have_them(engine):
    """What a slot's tenant left behind the end is nobody's."""
    data = Module.build(TEXT, Engine(engine.config)).serialize()
    exports = Linker(engine).instantiate(Store(engine), Module.deserialize(data, engine)).exports
    assert exports.peek(9) == ord("t")
    traps(lambda: exports.peek(10))
