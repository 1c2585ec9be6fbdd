# What both walks over a body read the same way. A `.pxd` alone: inline in each.
from libc.stdint cimport uint8_t, uint32_t

from stratavm.spec._gen_ops cimport *

cdef inline uint32_t row_behind(uint8_t prefix, uint32_t code) noexcept nogil:
    """The row of an opcode behind a prefix byte, or NO_OP."""
    if prefix == 0xFC:
        return FIRST_FC + code if code < N_FC else NO_OP
    if prefix == 0xFD:
        return FIRST_FD + code if code < N_FD else NO_OP
    if prefix == 0xFB:
        return FIRST_FB + code if code < N_FB else NO_OP
    if prefix == 0xFE:
        return FIRST_FE + code if code < N_FE else NO_OP
    return NO_OP
