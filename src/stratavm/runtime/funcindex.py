"""Which addresses are functions of a store: raw funcrefs that come from outside are checked here before a guest may
see them."""

# strata: hot
import bisect
from operator import itemgetter

import cython
from cython.cimports.stratavm.contract._gen_layout import FUNCREC_SIZE

first_of = itemgetter(0)


@cython.cclass
class FuncIndex:
    """FuncRecs with their owners, instances and functions that have one of their own; made when the first is looked
    up."""

    def __cinit__(self):
        self.lone = {}
        self.ranges = []

    def add(self, owner):
        """Add an owner: ``records()`` says where its FuncRecs lie, and how many."""
        address, count = owner.records()
        if count == 1:
            self.lone[address] = owner
        elif count:
            bisect.insort(self.ranges, (address, address + count * FUNCREC_SIZE, owner), key=first_of)

    def owner_of(self, address):
        """The owner of the FuncRec at an address, or None."""
        found: object = self.lone.get(address)
        if found is not None:
            return found
        at: object = bisect.bisect_right(self.ranges, address, key=first_of) - 1
        if at < 0:
            return None
        start, end, owner = self.ranges[at]
        return owner if address < end and (address - start) % FUNCREC_SIZE == 0 else None
