# When garbage is collected: decisions, from numbers to numbers.
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    MOST_KEEPING = 18000             # bytes that get marks in a microsecond: so many that they bound no nursery
    ALL_OF_TIME = 1000               # thousandths

cpdef uint64_t next_nursery(
    uint64_t nursery,
    uint64_t took_ns,
    uint64_t most_ns,
    uint64_t rate,
    uint64_t keeping,
    bint given_up,
    uint64_t made,
    uint64_t large,
    uint64_t survival,
) noexcept nogil
cpdef uint64_t next_keeping(
    uint64_t keeping, uint64_t made, uint64_t took_ns, uint64_t most_ns, uint64_t large
) noexcept nogil
cpdef uint64_t time_for_new(uint64_t most_ns, uint64_t roots_ns) noexcept nogil
cpdef uint64_t time_to_look(uint64_t most_ns, uint64_t made, uint64_t keeping) noexcept nogil
cpdef uint64_t due_after(
    uint64_t allowed,
    uint64_t runway,
    uint64_t live,
    uint64_t rate,
    uint64_t survival,
    uint64_t speed,
    uint64_t looking,
    uint64_t guests,
) noexcept nogil
cpdef uint64_t share_beside(
    uint64_t whole,
    uint64_t rate,
    uint64_t runway,
    uint64_t grown,
    uint64_t survival,
    uint64_t speed,
    uint64_t looking,
    bint helped,
    bint rests,
) noexcept nogil
cpdef uint64_t bytes_between(
    uint64_t live,
    uint64_t rate,
    uint64_t slice_ns,
    uint64_t runway,
    uint64_t survival,
    uint64_t speed,
    uint64_t looking,
    uint64_t guests,
) noexcept nogil
cpdef uint64_t runway_within(
    uint64_t allowed,
    uint64_t live,
    uint64_t rate,
    uint64_t slice_ns,
    uint64_t survival,
    uint64_t speed,
    uint64_t looking,
    uint64_t guests,
) noexcept nogil
cpdef uint64_t runway_near(
    uint64_t runway,
    uint64_t room,
    uint64_t live,
    uint64_t rate,
    uint64_t slice_ns,
    uint64_t survival,
    uint64_t speed,
    uint64_t looking,
) noexcept nogil
cpdef uint64_t due_near(uint64_t due, uint64_t runway, uint64_t room) noexcept nogil
cpdef uint64_t nursery_near(uint64_t nursery, uint64_t room) noexcept nogil
cpdef uint64_t bytes_near(
    uint64_t between,
    uint64_t left,
    uint64_t unseen,
    uint64_t rate,
    uint64_t slice_ns,
    uint64_t survival,
    uint64_t speed,
    uint64_t looking,
    uint64_t room,
) noexcept nogil
cpdef bint is_left_beside(
    uint64_t left, uint64_t whole, uint64_t grown, uint64_t between, uint64_t decided
) noexcept nogil
cpdef uint64_t runway_beside(
    uint64_t allowed, uint64_t live, uint64_t rate, uint64_t survival, uint64_t speed
) noexcept nogil
cpdef bint rests_shortly(uint64_t resting, uint64_t rests) noexcept nogil
cpdef bint lives_on(uint64_t survival, uint64_t tenured) noexcept nogil
cpdef uint64_t averaged(uint64_t before, uint64_t seen) noexcept nogil
cpdef uint64_t next_rate(uint64_t rate, uint64_t looked_at, uint64_t took_ns) noexcept nogil
cpdef uint64_t growth_allowed(
    uint64_t live, uint64_t born, uint64_t rate, uint64_t soft, uint64_t share, bint helped, bint alone
) noexcept nogil
cpdef uint64_t rests_next(uint64_t rested, uint64_t took_ns, uint64_t wall_ns) noexcept nogil
cpdef uint64_t next_born(uint64_t born, uint64_t grown, uint64_t guest_ns) noexcept nogil
