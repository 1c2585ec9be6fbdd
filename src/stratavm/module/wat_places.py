"""Where in the text an error of validation lies, which knows only the binary. Parses again, so only for an error."""

from __future__ import annotations

from bisect import bisect_right

from stratavm.base.errors import Unsupported, ValidationError
from stratavm.base.forms import Final
from stratavm.base.words import excerpt
from stratavm.module.features import ALL
from stratavm.module.lexer import Tokens, tokenize
from stratavm.module.model import Module
from stratavm.module.parser import ModuleParser, parse_module
from stratavm.module.parser_code import Frame
from stratavm.module.validate import validate

LISTS: Final = {
    "import": "imports", "table": "tables", "memory": "memories", "global": "globals", "export": "exports",
    "element segment": "elements", "data segment": "datas", "tag": "tags", "function": "functions",
}  # fmt: skip
"""The lists of a ``ModuleDraft`` by the kind of item of a validation error."""

Marks = list[tuple[int, int]]
"""(Offset in a function's instructions, index of the token that made them), in order of the offsets."""


class MappingParser(ModuleParser):
    """A parser that notes the tokens of items and instructions."""

    def __init__(self, tokens: Tokens, start: int = 0) -> None:
        super().__init__(tokens, start)
        self.items: dict[tuple[str, int | None], int] = {}
        self.bodies: list[Marks] = []
        self.marks: Marks = []
        self.heads: list[int] = []

    def take_field(self, keyword: str) -> None:
        """Take one field; what it adds to the module begins at its keyword."""
        at, draft, types = self.i, self.draft, len(self.table.flat)
        before = {kind: len(getattr(draft, name)) for kind, name in LISTS.items()}
        super().take_field(keyword)
        for kind, name in LISTS.items():
            for index in range(before[kind], len(getattr(draft, name))):
                self.items[kind, index] = at
        for index in range(types, len(self.table.flat)):
            self.items["type", index] = at
        if keyword == "start":
            self.items["start", None] = at
        if len(draft.functions) > before["function"]:
            self.bodies.append(self.marks)

    def _define_types(self) -> None:
        at, types = self.i, len(self.table.flat)
        super()._define_types()
        for index in range(types, len(self.table.flat)):
            self.items["type", index] = at

    def instructions(self, single: bool = False) -> bytes:
        """Take instructions and note which token made which bytes."""
        self.marks, self.heads = [], [self.i]
        return super().instructions(single)

    def expression(self) -> bytes:
        """Take instructions; the final ``end`` belongs to the closing parenthesis."""
        code = super().expression()
        self.marks.append((len(code) - 1, self.i))
        return code

    def _open(self, frames: list[Frame], out: bytearray) -> None:
        before, at, depth = len(out), self.i + 1, len(frames)
        super()._open(frames, out)
        if len(out) > before:  # the head of an `if` comes only with its first arm
            self.marks.append((before, self.heads[-1] if frames[depth - 1].arms == 1 else at))
        if len(frames) > depth:
            self.heads.append(at)

    def _close(self, frames: list[Frame], out: bytearray) -> None:
        before, at, folded = len(out), self.i, frames[-1].pending
        super()._close(frames, out)
        head = self.heads.pop()
        if len(out) > before:
            self.marks.append((before, head if folded and len(out) - before == len(folded) else at))

    def _plain(self, token: str, frame: Frame, out: bytearray) -> None:
        before, at = len(out), self.i
        super()._plain(token, frame, out)
        self.marks.append((before, at))


def locate_in_text(error: ValidationError | Unsupported, text: str | bytes, module: Module) -> None:
    """Give an error of a module that came as text its line and column, as near as can be found."""
    tokens = tokenize(text)
    parser = MappingParser(tokens, 2 if tokens.tokens[:2] == ["(", "module"] else 0)
    parser.accept("definition")
    parser.accept_id()
    if parser.toks[parser.i] in ("binary", "quote"):
        return
    parser.fields()
    token = _token_of(error, parser, module)
    if token is not None:
        line, column = tokens.position(tokens.offsets[token])
        error.locate(line=line, column=column, excerpt=excerpt(tokens.text, line, column))


def refuse_in_text(text: str, features: frozenset[str]) -> None:
    """Raise what validation says of a text whose binary the decoder refused: that error can be located.

    A text yields a binary that is well-formed, but for proposals that are not enabled.
    """
    module = parse_module(text, features=ALL)
    try:
        validate(module, features)
    except ValidationError as error:
        locate_in_text(error, text, module)
        raise


def _token_of(error: ValidationError | Unsupported, parser: MappingParser, module: Module) -> int | None:
    """The token that an error is about: of an instruction, else of its function or item."""
    if error.item is not None:
        return parser.items.get(error.item)
    if error.func is None or error.offset is None:
        return None
    index = error.func - len(module.imported_funcs)
    at = error.offset - module.functions[index].start
    marks = parser.bodies[index]
    place = bisect_right(marks, (at, len(parser.toks))) - 1
    return marks[place][1] if at >= 0 and place >= 0 else parser.items.get(("function", index))
