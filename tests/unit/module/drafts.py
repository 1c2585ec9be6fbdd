"""Drafts of modules that exist."""

from stratavm.module.encode import DataDraft, FunctionDraft, ModuleDraft
from stratavm.module.model import Module


def draft_of(module: Module) -> ModuleDraft:
    """The draft that encodes to a module of the same meaning; the name section stays a custom section."""
    binary = module.binary
    return ModuleDraft(
        rec_groups=list(module.rec_groups),
        imports=list(module.imports),
        functions=[FunctionDraft(f.type_index, binary[f.start : f.end], f.locals) for f in module.functions],
        tables=list(module.tables),
        memories=list(module.memories),
        tags=[t.type_index for t in module.tags],
        globals=list(module.globals),
        exports=list(module.exports),
        start=module.start,
        elements=list(module.elements),
        datas=[DataDraft(binary[d.start : d.end], d.offset, d.memory) for d in module.datas],
        data_count=module.data_count,
        customs=list(module.customs),
    )
