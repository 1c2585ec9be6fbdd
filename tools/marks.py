"""Which lines of hot modules ran: the trace build marks each in a byte of its own, without asking Python anything.

Cython's line tracing calls ``__Pyx_TraceLine(line, …, __PYX_ERR(file, …))`` before each statement, which would make a
frame, take the GIL and call a trace function. ``marked`` puts a store in its place: code keeps its locks
and runs at the usual speed, and may be a signal handler. The bytes are a file in ``$STRATA_LINES`` that
all processes of a run map, so that children count as well, however they end. ``ran`` reads it.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = "STRATA_LINES"
"""The environment variable that names the folder of marks; without it they are made in vain."""

HEAD = """\
static unsigned char *strata_ran;
/* Looked at first: processes that run side by side would pass the page to and fro for each store. */
#define STRATA_RAN(place) { if (!strata_ran[place]) strata_ran[place] = 1; }
"""
TAIL = """
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned char strata_unseen[%(count)d];

__attribute__((constructor)) static void strata_map(void) {
    const char *folder = getenv("%(folder)s");
    strata_ran = strata_unseen;
    if (!folder) return;
    int directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int file = openat(directory, "%(module)s", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file >= 0 && !ftruncate(file, %(count)d)) {
        void *map = mmap(NULL, %(count)d, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (map != MAP_FAILED) strata_ran = map;
    }
    close(file);
    close(directory);
}
"""
TRACED = re.compile(r"__Pyx_TraceLine\((\d+),\d+,\d+,__PYX_ERR\((\d+), \d+, \w+\)\)")
CALL = re.compile(r"^ *__Pyx_TraceLine\(", re.MULTILINE)
FILES = re.compile(r"^static const char\* const __pyx_f\[\] = \{\n(.*?)^\};", re.DOTALL | re.MULTILINE)
NAME = re.compile(r'^  "(.*)",$', re.MULTILINE)

Line = tuple[str, int]
"""A file, relative to ``src``, and a line of it."""


def calls(text: str) -> list[Line]:
    """The lines that a C file of Cython's traces, in its order; one is traced where several pieces of C came of it.

    Raises:
        ValueError: a line is traced in a way that is not known here.
    """
    files = FILES.search(text)
    names = NAME.findall(files[1]) if files else []
    found = [(names[int(file)], int(line)) for line, file in TRACED.findall(text)]
    if len(found) != (there := len(CALL.findall(text))):
        raise ValueError(f"{there} lines are traced, of which {len(found)} are understood")
    return found


def places(text: str) -> dict[Line, int]:
    """Each of those lines with its place among the marks."""
    return {line: place for place, line in enumerate(dict.fromkeys(calls(text)))}


def marked(text: str, module: str) -> str:
    """The C file of a module with a mark in the place of each call of the tracer."""
    found, lines = places(text), iter(calls(text))
    body = TRACED.sub(lambda _: f"STRATA_RAN({found[next(lines)]})", text)
    return HEAD + body + TAIL % {"count": max(1, len(found)), "folder": FOLDER, "module": module}


def ran(text: str, file: Path) -> set[Line]:
    """The lines that ran, by a module's C file and the file of its marks.

    Raises:
        ValueError: it has not as many marks as lines: it is of another build, or a process could not make it so long.
    """
    found, marks = places(text), file.read_bytes()
    if len(marks) != max(1, len(found)):
        raise ValueError(f"{file}: {len(marks)} marks of {len(found)} lines: of another build, or the disk was full")
    return {line for line, place in found.items() if marks[place]}
