"""SQLite in memory and in a file, a store of keys, pickles of every protocol, structures, mapped bytes."""

import array
import collections
import copyreg
import dbm.dumb
import io
import os
import pickle
import pickletools
import shelve
import sqlite3
import struct
import tempfile

base = sqlite3.connect(":memory:", detect_types=sqlite3.PARSE_DECLTYPES)
base.execute("PRAGMA foreign_keys = ON")
base.executescript("""
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, boss INTEGER REFERENCES people);
CREATE TABLE work (person INTEGER REFERENCES people ON DELETE CASCADE, hours REAL CHECK (hours > 0), what TEXT);
CREATE INDEX by_person ON work (person, hours);
CREATE VIEW totals AS SELECT name, SUM(hours) AS total FROM people JOIN work ON person = id GROUP BY id;
CREATE TRIGGER noted AFTER DELETE ON people BEGIN INSERT INTO work VALUES (NULL, 1, 'gone ' || old.name); END;
""")
names = ["Ann", "Bob", "Cy", "Dée", "Eve", "Flo"]
base.executemany("INSERT INTO people VALUES (?, ?, ?)", [(n, name, n // 2 or None) for n, name in enumerate(names, 1)])
rows = [(n * 7 % 6 + 1, (n * 37 % 80 + 1) / 8, f"task {n}") for n in range(200)]
with base:
    base.executemany("INSERT INTO work VALUES (?, ?, ?)", rows)
print(base.execute("SELECT * FROM totals ORDER BY total DESC, name").fetchall())
print(
    base.execute("""
WITH RECURSIVE chain (id, name, depth) AS (
  SELECT id, name, 0 FROM people WHERE boss IS NULL
  UNION ALL SELECT p.id, p.name, depth + 1 FROM people p JOIN chain ON p.boss = chain.id)
SELECT group_concat(name || depth, ' ') FROM chain""").fetchone()
)
print(
    base.execute("""
SELECT what, hours, rank() OVER (PARTITION BY person ORDER BY hours DESC, what) AS place,
       round(avg(hours) OVER (ORDER BY rowid ROWS 3 PRECEDING), 4)
FROM work ORDER BY place, what LIMIT 4""").fetchall()
)


class Median:
    def __init__(self):
        self.seen = []

    def step(self, value):
        self.seen.append(value)

    def finalize(self):
        return sorted(self.seen)[len(self.seen) // 2]


base.create_aggregate("median", 1, Median)
base.create_function("twice", 1, lambda text: text * 2, deterministic=True)
base.create_collation("backwards", lambda a, b: (a < b) - (a > b))
print(base.execute("SELECT median(hours), twice('ab'), count(DISTINCT person) FROM work").fetchone())
print(base.execute("SELECT name FROM people ORDER BY name COLLATE backwards").fetchmany(2))
base.row_factory = sqlite3.Row
row = base.execute("SELECT id, name AS called FROM people WHERE name LIKE 'd%' OR id = :n", {"n": 4}).fetchone()
print(row.keys(), tuple(row), row["CALLED"])
for bad in (
    "INSERT INTO people VALUES (1, 'x', NULL)",
    "INSERT INTO work VALUES (99, 1, 'x')",
    "INSERT INTO work VALUES (1, -1, 'x')",
    "SELEC 1",
    "SELECT nothing FROM work",
):
    try:
        base.execute(bad)
    except sqlite3.Error as error:
        print(type(error).__name__, error)
try:
    with base:
        base.execute("DELETE FROM people WHERE name = 'Flo'")
        print(base.execute("SELECT count(*) FROM work WHERE what LIKE 'gone%'").fetchone()[0])
        raise KeyError("undo")
except KeyError:
    print(base.execute("SELECT count(*), (SELECT count(*) FROM work) FROM people").fetchone()[:])
print(base.execute("SELECT json_extract('{\"a\": [1, {\"b\": 2.5}]}', '$.a[1].b'), hex(zeroblob(3))").fetchone()[:])
dump = [line for line in base.iterdump() if line.startswith("INSERT")]
print(len(dump), dump[0], dump[-1])
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "base.db")
    copy = sqlite3.connect(path)
    base.row_factory = None
    base.backup(copy)
    copy.execute("UPDATE work SET hours = hours * 2 WHERE person = 1")
    copy.commit()
    copy.close()
    copy = sqlite3.connect(path)
    print(copy.execute("SELECT name, total FROM totals ORDER BY 1 LIMIT 2").fetchall(), os.path.getsize(path))
    print(copy.execute("PRAGMA integrity_check").fetchall())
    copy.close()
    with shelve.Shelf(dbm.dumb.open(os.path.join(folder, "shelf"), "c"), writeback=True) as shelf:
        for number in range(50):
            shelf[f"k{number}"] = {"n": number, "list": list(range(number))}
        shelf["k7"]["list"].append("added")
        del shelf["k8"]
    with shelve.Shelf(dbm.dumb.open(os.path.join(folder, "shelf"), "r")) as shelf:
        print(len(shelf), shelf["k7"]["list"][-2:], "k8" in shelf, sorted(os.listdir(folder)))
Point = collections.namedtuple("Point", "x y", defaults=[0])


class Kept:
    def __init__(self, value):
        self.value, self.secret = value, lambda: 1

    def __getstate__(self):
        return {"value": self.value}

    def __setstate__(self, state):
        self.__dict__.update(state, restored=True)


class Odd:
    pass


copyreg.pickle(Odd, lambda odd: (Odd, ()))
ring = [1, {2: (3, "é")}, b"\0\xff", {1.5, None}, Kept(9), Point(1), Odd(), 2**100, -0.0, range(3), slice(1, None)]
ring.append(ring)
for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
    data = pickle.dumps(ring, protocol)
    again = pickle.loads(data)
    assert again[-1] is again and again[4].restored and not hasattr(again[4], "secret")
    print(protocol, len(pickletools.optimize(data)), again[:4], again[5], again[7:11])


class Safe(pickle.Unpickler):
    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"{module}.{name} is refused")


try:
    Safe(io.BytesIO(b"cos\nsystem\n(S'x'\ntR.")).load()
except pickle.UnpicklingError as error:
    print(error)
record = struct.Struct("<4sBxhIqd?3s")
packed = record.pack(b"HEAD", 7, -2, 2**32 - 1, -(2**63), 2.5, True, b"abc")
print(record.size, packed.hex(), record.unpack(packed), [*struct.iter_unpack(">h", b"\0\1\xff\xfe")])
try:
    struct.pack("b", 200)
except struct.error as error:
    print(error)
numbers = array.array("i", range(10))
view = memoryview(numbers)[2:8:2]
view[1] = 99
numbers.byteswap()
numbers.byteswap()
print(numbers, view.tolist(), view.contiguous, memoryview(b"abcdef").cast("H").tolist(), numbers.buffer_info()[1])
