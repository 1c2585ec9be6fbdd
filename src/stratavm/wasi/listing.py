"""Listings of directories as guests read them: entries in the layout of preview 1, counted and made with breaks."""

from __future__ import annotations

from array import array
from contextlib import closing

from stratavm.base.forms import Final
from stratavm.wasi.abi import DIRENT
from stratavm.wasi.context import Context
from stratavm.wasi.descriptor import Directory, Entry, Listing
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.guest import Guest

EVERY: Final = 256
"""Entries between two looks at the budget, and at whether the host wants to interrupt."""


class Records(Listing):
    """A listing while it is made."""

    def __init__(self) -> None:
        super().__init__()
        self.records = bytearray()
        self.starts = array("Q", (0,))

    def add_entry(self, entry: Entry) -> None:
        """One more entry. Its cookie is its number from 1, where the next one begins."""
        self.records += DIRENT.pack(len(self.starts), entry.ino, len(entry.name), entry.filetype)
        self.records += entry.name
        self.starts.append(len(self.records))

    def real_bytes(self) -> int:
        """What it takes of the host's memory."""
        return len(self.records) + self.starts.itemsize * len(self.starts)


def renew(ctx: Context, guest: Guest, directory: Directory) -> Listing:
    """List a directory anew, for its cursor: OVERFLOW over the quota of entries, NOMEM over that of bytes held."""
    ctx.refund(directory)
    listing = Records()
    try:
        with closing(directory.entries()) as entries:
            for number, entry in enumerate(entries, 1):
                if number > ctx.quotas.directory_entries:
                    raise WasiError(Errno.OVERFLOW)
                listing.add_entry(entry)
                if number % EVERY == 0:
                    _count(ctx, guest, listing)
                    ctx.pause(guest)
        _count(ctx, guest, listing)
    except BaseException:
        ctx.ledger.give_back(listing)
        raise
    directory.held.append(listing)
    return listing


def _count(ctx: Context, guest: Guest, listing: Records) -> None:
    """Charge for what was added."""
    if not ctx.charge(guest, listing, listing.real_bytes() - listing.size_bytes, "a directory listing"):
        raise WasiError(Errno.NOMEM)
