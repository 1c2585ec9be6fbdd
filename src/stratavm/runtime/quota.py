"""The quota: one number of bytes that everything shares which guests make a store hold. The pot: one number of units of
fuel, from which the stores of a program's threads draw."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.stratavm.runtime.pot import pot_give, pot_left, pot_take

from stratavm.base.errors import ResourceLimit
from stratavm.base.numbers import whole

LARGEST = (1 << 63) - 1


@cython.freelist(8)
@cython.auto_pickle(False)
@cython.cclass
class Quota:
    """``held`` of ``total`` bytes are taken. Whoever takes some gives back as many when they are gone. ``limit`` is its
    name in ``StoreLimits``."""

    def claim(self, count):
        """Take bytes; false, and none are taken, where so many are not left."""
        if count > self.total - self.held:
            return False
        self.held += count
        return True

    def give_back(self, count):
        """Give bytes back."""
        self.held -= min(count, self.held)

    def check(self, count, what):
        """Raise ResourceLimit where so many bytes are not left."""
        if count > self.total - self.held:
            needed: object = int(self.held) + count
            raise ResourceLimit(
                f"{what} of {count} bytes does not fit: the store holds {self.held} of {self.total} bytes; "
                f"StoreLimits({self.limit}={needed}) allows it",
                limit=self.limit,
                needed=needed,
            )
        return 0

    def charge(self, count: object, what: str = "a buffer") -> None:
        """``claim`` for callers in Python.

        Raises:
            ResourceLimit: so many are not left; none are taken.
            TypeError, ValueError: it is no whole number, or a negative one.
        """
        wanted: uint64_t = min(whole("count", count, unit="bytes"), LARGEST)
        self.check(wanted, what)
        self.claim(wanted)

    def refund(self, count: object) -> None:
        """``give_back`` for callers in Python. Raises as ``charge`` does for what is no number."""
        self.give_back(min(whole("count", count, unit="bytes"), LARGEST))

    def __repr__(self) -> str:
        return f"<quota: {self.held} of {self.total} bytes>"


@cython.auto_pickle(False)
@cython.cclass
class FuelPot:
    """Fuel of several stores, which is the host's to give and each one's to use."""

    def open(self, context, given):
        """It begins with what one store has, of what the host has given that."""
        self.given = given
        self.pot.left = context.fuel
        self.pot.least = max(1, context.fuel >> 11)
        context.fuel = 0
        return 0

    def total(self, context):
        """What guests of one of the stores may still use."""
        return context.fuel + pot_left(cython.address(self.pot))

    def change(self, context, more):
        """The host gives ``more``, or takes as much where it is negative, or all there is; first from this store."""
        taken: uint64_t = 0
        if more >= 0:
            pot_give(cython.address(self.pot), more)
            self.given += more
        else:
            taken = min(-more, context.fuel)
            context.fuel -= taken
            taken += pot_take(cython.address(self.pot), -more - taken)
            self.given -= taken
        return 0

    def __repr__(self) -> str:
        return f"<pot of fuel: {pot_left(cython.address(self.pot))} of {self.given} units>"


def new_quota(total, limit):
    """A quota of which nothing is taken."""
    quota: Quota = Quota.__new__(Quota)
    quota.total = total
    quota.limit = limit
    return quota


def give_back(quota, count):
    """Give bytes back, if the quota is there: a store that the collector takes apart has lost it."""
    if quota is not None:
        quota.give_back(count)
