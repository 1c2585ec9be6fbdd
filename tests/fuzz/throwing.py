"""Statements that throw and catch, for the programs of ``programs``: in the form of 3.0, or in the one before it.

Both spellings of a program come from the same random numbers, have the same labels and mean the same, so that one is
the witness of the other: no other engine that we can ask runs the older form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stratavm.base.leb import sleb, uleb
from stratavm.spec.types import EXN, ref

if TYPE_CHECKING:
    from tests.fuzz.programs import Body

TAGS: Final = ("", "i", "I", "Fi", "fIi", "iIfFiI")
"""Parameters of the tags; programs with vectors have more."""
EXNREF: Final = ref(EXN)
VOID, END, EXN_BYTE = b"\x40", b"\x0b", b"\x69"
CATCH, CATCH_REF, CATCH_ALL, CATCH_ALL_REF = range(4)


class Throwing:
    """What a function's writer knows of exceptions. ``older`` spells them as before 3.0."""

    def __init__(self, body: Body, older: bool) -> None:
        self.body, self.older, self.guards = body, older, 0

    def raise_(self, depth: int) -> bytes:
        """Throw, seldom where nothing is around that might catch it."""
        body, code = self.body, self.body.code
        tag = body.rng.randrange(len(body.program.tags))
        values = b"".join(body.expr(t, 1) for t in body.program.tags[tag])
        share = 1 if self.guards else 63
        rare = body.masked(share, 1) + body.constant("i", body.rng.randrange(share + 1)) + code("i32.eq")
        return rare + code("if") + VOID + values + code("throw", tag) + END

    def attempt(self, depth: int) -> bytes:
        """A body whose exceptions are caught: by tag, or all of them; thrown again, maybe; or led past a handler."""
        if not self.body.affords(12):
            return self.body.assign(depth)
        return self._past(depth) if self.body.chance(0.25) else self._caught(depth)

    def _guarded(self, number: int, depth: int, labels: tuple[bool, ...]) -> bytes:
        """Statements whose exceptions somebody looks at; one of them throws, mostly."""
        body = self.body
        body.labels += labels
        self.guards += 1
        made = body.statements(number, depth + 1)
        if body.chance(0.7):
            made += self.raise_(depth) + body.statements(1, depth + 1)
        self.guards -= 1
        del body.labels[len(body.labels) - len(labels) :]
        return made

    def _handler(self, depth: int, labels: tuple[bool, ...]) -> bytes:
        """What is done with an exception."""
        body = self.body
        body.labels += labels
        made = body.statements(body.rng.randint(1, 2), depth + 1)
        del body.labels[len(body.labels) - len(labels) :]
        return made

    def _caught(self, depth: int) -> bytes:
        """A ``block``, a ``block`` with the values of the exception, and a ``try_table``; or three blocks of which the
        innermost is a ``try``."""
        body, code, rng = self.body, self.body.code, self.body.rng
        tags = body.program.tags
        tag = rng.randrange(-1, len(tags))
        values = tags[tag] if tag >= 0 else ""
        again, both = body.chance(0.3), body.chance(0.3)
        inside = self._guarded(rng.randint(1, 3), depth, (True, False, True))
        take = b"".join(code("local.set", body.local(t)) for t in reversed(values))
        rarely = body.masked(3, 1) if again else b""
        handler = self._handler(depth, (True, False, False) if self.older else (True,))
        if self.older:
            throw = rarely + code("if") + VOID + code("rethrow", 1) + END if again else b""
            arm = (code("catch", tag) if tag >= 0 else code("catch_all")) + take + throw + handler
            rest = code("catch_all") + code("br", 2) if tag >= 0 and both else b""
            return (
                code("block") + VOID + code("block") + VOID + code("try") + VOID + inside + arm + rest + END + END + END
            )
        kept = body.fresh("e") if again else 0
        throw = rarely + code("if") + VOID + code("local.get", kept) + code("throw_ref") + END if again else b""
        kind = (CATCH if tag >= 0 else CATCH_ALL) + again
        clauses = [bytes((kind,)) + (uleb(tag) if tag >= 0 else b"") + b"\0"]
        if tag >= 0 and both:
            clauses.append(bytes((CATCH_ALL,)) + b"\1")
        head = code("block") + VOID + code("block") + self._results(values, again)
        head += code("try_table") + VOID + uleb(len(clauses)) + b"".join(clauses) + inside + END + code("br", 1) + END
        return head + (code("local.set", kept) if again else b"") + take + throw + handler + END

    def _past(self, depth: int) -> bytes:
        """Exceptions of the inner body go past the handler around it, those of the outer one do not."""
        body, code = self.body, self.body.code
        inner = self._guarded(body.rng.randint(1, 2), depth, (True, False, False, True, True))
        outer = self._guarded(1, depth, (True, False, False, True))
        handler = self._handler(depth, (True, False, False, False) if self.older else (True, False))
        three = code("block") + VOID + code("block") + VOID + code("block") + VOID
        if self.older:
            inside = code("try") + VOID + inner + code("delegate", 1) + outer
            return three + code("try") + VOID + inside + code("catch_all") + handler + END + END + END + END
        inside = code("try_table") + VOID + b"\1" + bytes((CATCH_ALL_REF,)) + b"\2" + inner + END + outer
        covered = code("try_table") + VOID + b"\1" + bytes((CATCH_ALL,)) + b"\0" + inside + END + code("br", 2) + END
        led = code("block") + VOID + code("block") + EXN_BYTE + code("block") + VOID + covered
        return led + handler + code("br", 1) + END + code("throw_ref") + END

    def _results(self, values: str, again: bool) -> bytes:
        """The type of a block that ends with the values of an exception, and the exception itself."""
        if not values and not again:
            return VOID
        return sleb(self.body.program.type_index("", values + "e" * again))
