# strata: hot
"""What rewrite rules share: how they make nodes, what they know of values, and how they say that they applied.

A *rule* is a function with the name of its number: ``add_zero`` answers ``did(r, R_ADD_ZERO, value)`` where it applies,
else ``NONE``. Its operands are values of the form under construction, so that a rule sees what earlier rules made of
them. It returns the value that the node is equal to, or changes the node in place and returns ``CHANGED``. `make gen`
collects rules and their docstrings from the modules that define them, for ``strata rules``; the tests hold a proof of
each by its name.
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.stratavm.ir.passes.stream import Stream
from cython.cimports.stratavm.ir.ssa import IR_CONST, IR_CONST_V128, NO_VALUE, T_V128


@cython.cclass
class Algebra(Stream):
    """What a rule sees as ``r``."""

    def make(self, op, type, a, b):
        """A pure node that a rule needs."""
        return self.out.node(op, type, 0, a, b, NO_VALUE, self.position)

    def constant(self, type, bits):
        """A constant that a rule needs."""
        return self.out.node(
            IR_CONST, type, 0, cython.cast(uint32_t, bits), cython.cast(uint32_t, bits >> 32), NO_VALUE, self.position
        )

    def vector(self, low, high):
        """A constant of 128 bits that a rule needs."""
        index: uint32_t = self.out.constant(low)
        self.out.constant(high)
        return self.out.node(IR_CONST_V128, T_V128, 0, index, NO_VALUE, NO_VALUE, self.position)
