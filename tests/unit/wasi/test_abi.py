"""The table of functions and the layouts are those of snapshot_preview1."""

import pytest
import wasmtime

from stratavm.module.encode import ModuleDraft, encode
from stratavm.module.model import Import
from stratavm.wasi import abi
from stratavm.wasi.errno import FROM_HOST, Errno
from stratavm.wasi.p1 import functions
from stratavm.wasi.registry import Registry


@pytest.mark.parametrize("layout", abi.SIZES, ids=lambda s: s.format)
def test_a_layout_has_the_size_of_the_definition(layout):
    """No field is missing and no padding is wrong in sum."""
    assert layout.size == abi.SIZES[layout]


def test_all_46_functions_are_there_and_documented():
    """The whole of preview 1."""
    assert len(functions()) == 46
    assert all(f.doc.endswith((".", "'")) for f in functions().values())


def test_another_implementation_agrees_on_every_name_and_type():
    """A module that imports all functions with our types links with wasmtime's."""
    draft, namespace = ModuleDraft(), "wasi_snapshot_preview1"
    for name, function in functions(namespace).items():
        draft.imports.append(Import(namespace, name, "func", function.type, draft.type_index(function.type)))
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    store.set_wasi(wasmtime.WasiConfig())
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    linker.instantiate(store, wasmtime.Module(engine, encode(draft)))


def test_the_older_namespace_has_the_same_functions():
    """``wasi_unstable`` differs in layouts, never in types."""
    new, old = functions(), functions("wasi_unstable")
    assert {n: f.type for n, f in new.items()} == {n: f.type for n, f in old.items()}


@pytest.mark.parametrize(
    ("name", "signature", "said"),
    [
        ("clock_time", "i->i", r"clock_time: 'i->i' has 1 parameters, its body takes 2 behind ctx and guest"),
        ("clock_time", "iq->i", "clock_time: expected a signature such as .*, got 'iq->i'"),
        ("clock_time", "ii", "clock_time: expected a signature such as .*, got 'ii'"),
        ("clock_res", "ii->i", "clock_res is declared twice"),
    ],
    ids=["too few letters", "an unknown letter", "no arrow", "a name that is taken"],
)
def test_a_function_that_does_not_fit_its_signature_is_refused_where_it_is_declared(name, signature, said):
    """The first guest that calls it would find out otherwise."""
    registry = Registry()

    @registry.function("clock_res", "ii->i")
    def body(ctx, guest, clock, out):
        """Nothing."""

    with pytest.raises(ValueError, match=said):
        registry.function(name, signature)(body)
    assert list(registry) == ["clock_res"]


def test_an_unknown_namespace_is_refused():
    """Not an empty dictionary."""
    with pytest.raises(ValueError, match="wasi_snapshot_preview2"):
        functions("wasi_snapshot_preview2")


def test_the_host_s_errors_have_names_of_their_own():
    """The table is made from names; a few that matter, by number."""
    import errno

    assert FROM_HOST[errno.ENOENT] is Errno.NOENT
    assert FROM_HOST[errno.EAGAIN] is Errno.AGAIN
    assert FROM_HOST[errno.ENOTSUP] is Errno.NOTSUP
    assert FROM_HOST[errno.E2BIG] is Errno.TOOBIG
    assert [Errno.NOTCAPABLE, Errno.NOENT, Errno.PERM, Errno.BADF] == [76, 44, 63, 8]
