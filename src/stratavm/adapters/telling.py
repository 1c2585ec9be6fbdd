"""What became of a piece of code, as a language model reads it. All of it is text; most of it is the program's own."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stratavm.sandbox.python.results import PythonCompleted

MOST_CHARS: Final = 50_000
"""Of an output, or a value: what is longer has its beginning and its end."""
MOST_FILES: Final = 50
LIMITS: Final = {
    "output": "more was printed than is kept",
    "files": "there was no more room for files",
    "tools": "no more calls of tools are allowed",
}


def clipped(text: str, most: int = MOST_CHARS) -> str:
    """Its beginning and its end, where it is long."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}\n[… {len(text) - 2 * half} characters …]\n{text[-half:]}"


def unfit(name: str, text: str, most: int) -> str:
    """Why a text of a model cannot be given to the guest; empty where it can."""
    if len(text) > most or len(text.encode(errors="surrogatepass")) > most:
        return f"{name} has more than {most} bytes"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return f"{name} has half of a surrogate pair in it"
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
    if done.files:
        names = [f"{path!r:.200} ({len(data)} bytes)" for path, data in sorted(done.files.items())[:MOST_FILES]]
        more = f" and {len(done.files) - MOST_FILES} more" if len(done.files) > MOST_FILES else ""
        parts.append(f"[files] {', '.join(names)}{more}\n")
    parts += [f"[limit] {LIMITS[name]}\n" for name in done.limits]
    return "".join(parts) or "[no output]\n"
