"""Arrays of guests from buffers of others."""

from __future__ import annotations

import ctypes

from stratavm import Module, Store
from stratavm.engine.engine import Engine

TEXT = "(module (type $bytes (array (mut i8))) (type $ints (array (mut i32))) (type $doubles (array (mut f64))))"


def test_a_buffer_that_says_this_machines_order_of_bytes() -> None:
    """As those of ctypes do, whose items Python cannot give one by one."""
    engine = Engine()
    store, module = Store(engine), Module(TEXT, engine=engine)
    for name, item in (("bytes", ctypes.c_uint8), ("ints", ctypes.c_int32), ("doubles", ctypes.c_double)):
        view = memoryview((item * 3)(1, 2, 3))
        assert view.format.startswith("<")
        new = module.object_type(name).new(store, view)
        new[1:] = view[:2]
        assert list(new) == [1, 1, 2]
