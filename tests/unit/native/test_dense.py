"""Claims about code that is published function by function: it fills pages where no other thread can be in them."""

import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import stratavm
from stratavm.native.execmem import CodeOwner
from stratavm.runtime.codemap import describe
from stratavm.runtime.gil import gil_status
from tests.forks import forked
from tests.unit.native.test_execmem import RET, protection

PAGE = os.sysconf("SC_PAGESIZE")
SPIN = """(module (func $spin (export "spin") (loop (br 0))) {})"""


@contextmanager
def a_guest_without_the_gil(more=""):
    """In another thread, an endless loop, which a tick has made let go of the GIL; its module, with more in it."""
    module = stratavm.Module(SPIN.format(more))
    store = stratavm.Store(module.engine)
    spin = stratavm.Linker(module.engine).instantiate(store, module).exports.spin
    ended = []

    def run():
        with pytest.raises(stratavm.Interrupted):
            spin()
        ended.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 60
    while not gil_status()["loose"]:
        assert time.monotonic() < deadline, "the guest never let go of the GIL"
        time.sleep(0.001)
    try:
        yield module
    finally:
        store.interrupt()
        thread.join(60)
    assert ended
    assert gil_status()["loose"] == 0


def test_functions_published_one_by_one_share_pages():
    """Their bytes, and what the first page of each chunk loses, not a page each. All executable, none writable."""
    owner = CodeOwner("m")
    where = {func: owner.publish(RET * (100 + func), func=func) for func in range(300)}
    assert owner.pages_bytes <= owner.code_bytes * 17 // 16 + 2 * PAGE
    assert {protection(address) for address in where.values()} == {"r-xp"}
    for func, address in where.items():
        assert describe(address) == describe(address + 99 + func) == (owner.serial, func, 0)


def test_a_function_may_begin_in_a_page_and_end_in_another():
    """What lies behind it does too; a chunk's end is no place to go on."""
    owner = CodeOwner("m")
    where = [owner.publish(RET * 3000, func=func) for func in range(100)]
    assert all(protection(address) == protection(address + 2999) == "r-xp" for address in where)
    assert all(describe(address + 2999) == (owner.serial, func, 0) for func, address in enumerate(where))
    assert owner.pages_bytes < 85 * PAGE


def test_no_page_with_code_is_opened_beside_a_guest_without_the_gil():
    """It might run there. Each publication has pages of its own then, and begins where it varies."""
    owner = CodeOwner("m")
    before = [owner.publish(RET * 200) for _ in range(30)]
    with a_guest_without_the_gil():
        beside = [owner.publish(RET * 200) for _ in range(60)]
    behind = owner.publish(RET * 200)
    pages = [address // PAGE for address in beside]
    assert len(set(pages)) == len(pages)
    assert not set(pages) & {address // PAGE for address in before}
    assert len({address % PAGE for address in beside}) > 20
    assert behind // PAGE in {pages[-1], pages[-1] + 1}


def test_a_large_function_beside_such_a_guest_takes_no_page_more():
    """How far it may begin behind the start of its page is what its last page has left."""
    owner = CodeOwner("m")
    with a_guest_without_the_gil():
        for size in (4096, 4000, 1, 5000, 8192, 8191):
            before = owner.pages_bytes
            owner.publish(RET * size)
            assert owner.pages_bytes - before == -(-size // PAGE) * PAGE


def test_functions_are_compiled_at_their_calls_while_another_thread_runs_code_of_the_module():
    """In a page that lost its right to be executed, even for a microsecond, that thread would end the process."""
    more = " ".join(f'(func (export "f{i}") (result i32) (i32.const {i}))' for i in range(64))
    for _ in range(20):  # so many go into the page of the other thread's loop
        with a_guest_without_the_gil(more) as module:
            exports = stratavm.Linker(module.engine).instantiate(stratavm.Store(module.engine), module).exports
            assert [exports[f"f{i}"]() for i in range(64)] == list(range(64))


def test_a_module_compiled_at_its_calls_takes_its_bytes_and_no_page_per_function():
    """Lazy stubs included: the counter of a program that starts."""
    functions = " ".join(
        f'(func (export "f{i}") (param i32) (result i32) (i32.mul (local.get 0) (i32.const {i})))' for i in range(200)
    )
    module = stratavm.Module(f"(module {functions})", engine=stratavm.Engine(tier="jit0"))
    exports = stratavm.Linker(module.engine).instantiate(stratavm.Store(module.engine), module).exports
    assert [exports[f"f{i}"](3) for i in range(200)] == [3 * i for i in range(200)]
    owner = module.code.lazy.owner
    assert owner.pages_bytes <= owner.code_bytes * 17 // 16 + 2 * PAGE


def filled(owner):
    """How many pages thirty pieces of code are put in."""
    return len({owner.publish(RET * 200) // PAGE for _ in range(30)})


def test_a_child_process_fills_pages_again():
    """The threads that ran guests without the GIL are not in it."""
    owner = CodeOwner("m")
    with a_guest_without_the_gil():
        assert forked(lambda: filled(owner) <= 3 and not gil_status()["loose"])


def test_one_module_lets_guests_run_without_the_gil():
    """It counts the threads that do; another that did would not be seen by who opens pages."""
    source = Path(stratavm.__file__).parent
    found = {path.name for path in source.rglob("*.py") if "PyEval_SaveThread()" in path.read_text()}
    assert found == {"gil.py"}
