"""What became of a piece of code, as a language model reads it. All of it is text; most of it is the program's own."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.text import escape

if TYPE_CHECKING:
    from stratavm.sandbox.python.results import PythonCompleted

MOST_CHARS: Final = 50_000
"""Of an output, or a value: what is longer has its beginning and its end."""
MOST_FILES: Final = 50
LEFT: Final = "\n\t"
CONTROLS: Final = {code: escape(chr(code)) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in LEFT}
"""What acts on a terminal, which a client may be, as an escape."""
NO_CHARACTER: Final = "\uffff"
ENDED: Final = "[ended] the code has ended its session: its variables are lost, and the next code begins anew\n"
LIMITS: Final = {
    "output": "more was printed than is kept",
    "files": "there was no more room for files",
    "tools": "no more calls of tools are allowed",
}


def clipped(text: str, most: int = MOST_CHARS) -> str:
    """Its beginning and its end, where it is long; controls as escapes, but for ends of lines and tabulators."""
    half = most // 2
    if len(text) > most:
        text = f"{text[:half]}\n[… {len(text) - 2 * half} characters …]\n{text[-half:]}"
    return text.replace("\r\n", "\n").translate(CONTROLS)


def unfit(name: str, text: str, most: int) -> str:
    """Why a text of a model cannot be given to the guest; empty where it can."""
    if len(text) > most or len(text.encode(errors="surrogatepass")) > most:
        return f"{name} has more than {most} bytes"
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" or letter == NO_CHARACTER for letter in text):
        return f"{name} has half of a surrogate pair in it, or \\uffff, which is no character"
    return ""


def logs(done: PythonCompleted, most: int = MOST_CHARS) -> str:
    """What it printed: its standard output, then its standard error."""
    middle = "\n" if done.stdout and done.stderr and not done.stdout.endswith("\n") else ""
    return clipped(f"{done.stdout}{middle}{done.stderr}", most)


def ending(done: PythonCompleted, ended: str | None = None) -> str:
    """Why it did not end well, in a line; empty where it did. ``ended``: the session is gone, too."""
    if done.ok:
        return ""
    said = str(done.error) if done.error is not None else f"it exited with code {done.code}"
    if done.reason != "exit":
        said = f"it was stopped ({done.reason}): {done.message}"
    gone = "" if ended is None else "; its variables are lost, and the next code begins anew"
    return clipped(said, 4000) + gone


def told(done: PythonCompleted, ended: str | None = None) -> str:
    """All that there is to say, part by part."""
    parts = []
    if printed := logs(done):
        parts.append(printed if printed.endswith("\n") else f"{printed}\n")
    if done.value is not None:
        parts.append(f"[value] {clipped(done.value if done.is_repr else repr(done.value))}\n")
    if said := ending(done, ended):
        parts.append(f"[failed] {said}\n")
    elif ended is not None:  # by ``exit()``
        parts.append(ENDED)
    if done.files:
        names = [f"{path!r:.200} ({len(data)} bytes)" for path, data in sorted(done.files.items())[:MOST_FILES]]
        more = f" and {len(done.files) - MOST_FILES} more" if len(done.files) > MOST_FILES else ""
        parts.append(f"[files] {', '.join(names)}{more}\n")
    parts += [f"[limit] {LIMITS[name]}\n" for name in done.limits]
    return "".join(parts) or "[no output]\n"
