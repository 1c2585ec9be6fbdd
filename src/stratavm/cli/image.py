"""An image that is to be run: by whose key, and a note where its code is not used."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING
from stratavm.base.text import printable
from stratavm.cli import output
from stratavm.engine.aot import BuiltCodeRefused
from stratavm.engine.source import image_in, with_trust

if TYPE_CHECKING:
    from stratavm.cli.program import Options
    from stratavm.engine.engine import Engine
    from stratavm.engine.source import Source


def attended(origin: Source, key: bytes | None, engine: Engine, options: Options) -> Source:
    """What was read, an image, with the key that counts for it; from here on a note on standard error says what of it
    is not used. Who asks for the oracle wants none of its code.

    Raises:
        DecodeError: a key was given, and it is no image.
    """
    if options.tier != "oracle":
        engine.bus.subscribe(BuiltCodeRefused, lambda event: _tell(event, options))
    return origin if key is None else with_trust(image_in(origin), key, False)


def _tell(refused: BuiltCodeRefused, options: Options) -> None:
    """Say what is not used, and why; behind the wall of ``--isolate`` no image can be anybody's."""
    what = "the code in" if refused.part == "code" else "a part of"
    why = "behind the wall of --isolate there is no key" if options.isolate else refused.reason
    output.note(f"{what} {printable(options.module)} is not used: {why}")
