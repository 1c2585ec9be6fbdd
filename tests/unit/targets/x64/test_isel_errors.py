"""What selection cannot do is said with a typed error that names the proposal; malformed SSA is never compiled."""

from __future__ import annotations

import pytest

from stratavm.base.errors import ResourceLimit, Unsupported
from stratavm.ir.ssa import IR_OPS, LAST_TERMINATOR
from stratavm.module.model import Module
from stratavm.spec.index import BY_ID, IDS
from stratavm.spec.types import I32, V128, FuncType, GlobalType, RecGroup, SubType
from stratavm.targets.x64.plan import ModulePlan, host_features
from tests.unit.targets.x64.ssa_build import Draft, compile_draft


def test_every_row_has_a_rule():
    """Rows without a rule are control, folded by the builder, made of others by it (accesses with lanes), have several
    results and are expanded, or are of objects, whose types say what is selected."""
    from tools.gen_rules import ALL

    folded = {"nop", "drop", "local.get", "local.set", "local.tee", "i32.const", "i64.const", "f32.const", "f64.const"}
    folded |= {"v128.const"}
    ruled = {rule.op for rule in ALL}
    rows = [r for r in BY_ID.values() if r.feature != "gc" and not r.control and not r.via]
    asked = {r.mnemonic for r in rows if len(r.results) < 2}
    assert asked - ruled - folded == set()


def test_a_row_without_a_rule_names_its_proposal():
    """The error says which proposal is missing."""
    draft = Draft(FuncType((I32,), (V128,)))
    draft.ret(draft.op("v128.load8_splat", V128, draft.params[0], c=draft.memarg(0)))
    with pytest.raises(Unsupported, match="has no selection rule") as info:
        compile_draft(draft)
    assert info.value.feature == BY_ID[IDS["v128.load8_splat"]].feature
    unknown = Draft(FuncType())
    unknown.node(LAST_TERMINATOR, None)
    unknown.close()
    with pytest.raises(Unsupported, match="IR operation 0x801f"):
        compile_draft(unknown)


def test_malformed_ssa_is_an_assertion_not_code():
    """A block without a terminator, a return of another number of values, a parameter that does not exist."""
    empty = Draft(FuncType())
    empty.ret()
    empty.open()
    empty.close()
    short = Draft(FuncType((), (I32,)))
    short.ret()
    extra = Draft(FuncType())
    extra.node(IR_OPS["param"], I32, c=0)
    first, last, _, *rest = extra.view.blocks[-1]
    extra.view.blocks[-1] = (first, last, 1, *rest)
    extra.ret()
    for draft, message in ((empty, "has no terminator"), (short, "return of 0 values"), (extra, "parameter node")):
        with pytest.raises(AssertionError, match=message):
            compile_draft(draft)


def test_an_enormous_context_is_refused():
    """Offsets in the context must fit a displacement."""
    groups = (RecGroup((SubType(FuncType()),)),)

    class Many(tuple):
        """A tuple that claims to be long."""

        def __len__(self) -> int:
            return 100_000_000

    module = Module(b"", groups)
    object.__setattr__(module, "global_types", Many((GlobalType(I32),)))
    with pytest.raises(ResourceLimit, match="a context of"):
        ModulePlan(module)


def test_this_machine_has_what_the_tier_needs():
    """host_features names what cpuid says; at least x86-64-v2 where these tests run."""
    flags = set()
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("flags"):
                flags = set(line.split())
                break
    names = {"sse42": "sse4_2", "popcnt": "popcnt", "lzcnt": "abm", "bmi1": "bmi1", "bmi2": "bmi2", "avx": "avx"}
    assert host_features() == {name for name, flag in names.items() if flag in flags}
    assert {"sse42", "popcnt"} <= host_features()
