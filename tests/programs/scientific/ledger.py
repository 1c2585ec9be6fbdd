"""A ledger: records, decimal sums, JSON and CSV there and back."""

import csv
import dataclasses
import enum
import io
import json
from collections import Counter, defaultdict
from decimal import ROUND_HALF_EVEN, Decimal, getcontext


class Kind(enum.Enum):
    SALE = "sale"
    REFUND = "refund"
    FEE = "fee"


class Flags(enum.IntFlag):
    PAID = 1
    SENT = 2
    LATE = 4


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class Entry:
    number: int
    kind: Kind = dataclasses.field(compare=False)
    amount: Decimal = dataclasses.field(compare=False)
    flags: Flags = dataclasses.field(default=Flags(0), compare=False)
    notes: tuple[str, ...] = dataclasses.field(default=(), compare=False, repr=False)

    def __post_init__(self):
        if self.amount == 0:
            raise ValueError(f"entry {self.number} has no amount")


def plain(value):
    match value:
        case Decimal():
            return {"$decimal": str(value)}
        case enum.Enum():
            return value.value
        case Entry():
            return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case tuple() | list():
            return [plain(each) for each in value]
    return value


def rich(found):
    if "$decimal" in found:
        return Decimal(found["$decimal"])
    if "kind" in found:
        found |= {"kind": Kind(found["kind"]), "flags": Flags(found["flags"]), "notes": tuple(found["notes"])}
        return Entry(**found)
    return found


state, entries = 42, []
for number in range(300):
    state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
    amount = Decimal(state >> 40).scaleb(-3).quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)
    kind = list(Kind)[state >> 20 & 0xFFFF and state % 3]
    entries.append(Entry(number, kind, amount, Flags(state >> 33 & 7), (f"n{number}", 'with "quotes", and\nlines')))
text = json.dumps(plain(entries), indent=1, sort_keys=True)
assert json.loads(text, object_hook=rich) == entries
print(len(text), text[:180].replace("\n", " "))
totals = defaultdict(Decimal)
for entry in entries:
    totals[entry.kind] += entry.amount if entry.kind is not Kind.REFUND else -entry.amount
print({kind.name: str(total) for kind, total in sorted(totals.items(), key=lambda each: each[1])})
print(Counter(str(entry.flags) for entry in entries).most_common())
getcontext().prec = 40
print(sum(totals.values()) / len(entries), (totals[Kind.SALE] ** 2).sqrt(), totals[Kind.FEE].ln())
file = io.StringIO()
writer = csv.DictWriter(
    file, ["number", "kind", "amount", "notes"], extrasaction="ignore", quoting=csv.QUOTE_NONNUMERIC
)
writer.writeheader()
writer.writerows(plain(entries))
rows = list(csv.DictReader(io.StringIO(file.getvalue())))
print(len(file.getvalue()), len(rows), rows[7], csv.Sniffer().sniff("a;b;c\n1;2;3\n4;5;6\n").delimiter)
print(repr(max(entries)), dataclasses.replace(entries[3], amount=Decimal("1e-9")), min(entries).flags)
for bad in ("0", "-0.00"):
    try:
        Entry(1, Kind.FEE, Decimal(bad))
    except ValueError as error:
        print(error)
try:
    json.loads('{"a": [1, 2,, 3]}')
except json.JSONDecodeError as error:
    print(error, error.pos)
