# strata: hot
"""When garbage is collected: decisions, from numbers to numbers, which know no heap."""

import cython
from cython.cimports.libc.stdint import uint64_t

SMALLEST = cython.declare(uint64_t, 1 << 16)
LARGEST = cython.declare(uint64_t, 4 << 20)
FREE = cython.declare(uint64_t, 9 << 20)
"""The constant of the square-root rule: bytes of room that are worth as much as a look at all."""
LEAST_GROWTH = cython.declare(uint64_t, 4 << 20)
MOST_GROWN = cython.declare(uint64_t, 1 << 44)
MOST_DEAR = cython.declare(uint64_t, 1 << 53)  # a thousand times as much has 64 bits
MOST_BORN = cython.declare(uint64_t, 1 << 23)
MOST_SPEED = cython.declare(uint64_t, 1 << 31)
MOST_SHARE = cython.declare(uint64_t, 300)
"""Thousandths of the time that guests have while full collections go on in slices for long, where what they make
meanwhile is little."""
LEAST_SHARE = cython.declare(uint64_t, 200)
"""That they have however much it is."""
SHORT_SHARE = cython.declare(uint64_t, 150)
"""That they have while these go on for no longer than ``SHORT_US``."""
MEANWHILE = cython.declare(uint64_t, 340)
"""Thousandths of what slices look at that may grow old meanwhile."""
WITH_THREAD = cython.declare(uint64_t, 230)
"""The same where a thread makes marks beside the guest, which has more of the time then."""
SPARED_SHARE = cython.declare(uint64_t, 340)
"""That they have for long while a thread makes marks beside them, or none does for a few full collections."""
SHORT_SPARED = cython.declare(uint64_t, 250)
"""And for no longer than ``SHORT_US``, while one does."""
LONG_REST = cython.declare(uint64_t, 8)
"""Full collections without a thread in a row that are no longer a few."""
BESIDE_SHARE = cython.declare(uint64_t, 600)
"""Thousandths of the time that a guest has while a thread makes marks beside it, about."""
MOST_RESTS = cython.declare(uint64_t, 32)
SHORT_US = cython.declare(uint64_t, 5_000)
LONG_US = cython.declare(uint64_t, 10_000)
NEAR_SHARE = cython.declare(uint64_t, 25)
"""That they have at least where the limit would else be reached before slices end."""
WORST_SHARE = cython.declare(uint64_t, 240)
"""Thousandths that they have of any ten milliseconds at least, with what is before slices and behind them."""
LEAST_SLICED = cython.declare(uint64_t, 100)
"""Thousandths of the guest's time that slices take at least."""
FAIR_SLICED = cython.declare(uint64_t, 900)
"""That they may take whatever looks at new objects do."""
SURVIVES = cython.declare(uint64_t, 900)
UNSEEN = cython.declare(uint64_t, 3)
ENDLESS = cython.declare(uint64_t, 1 << 63)
ROOT_OF_FREE = cython.declare(uint64_t, 3 << 10)


def next_nursery(nursery, took_ns, most_ns, rate, keeping, given_up, made, large, survival):
    """How many bytes may be handed out before new objects are looked at again, after a look that took so long: as many
    as take a third of what a pause may, if as much of them lives, but no more than a quarter more than before; a sixth
    where so much of them does, ``survival`` thousandths, that most are kept without a look, which nothing stops on its
    way, while a processor may be five times as slow for a moment. After a look that was ``given_up`` as many as can be
    looked at in that time if all of them live, ``rate`` in a microsecond, and no more than half. But no fewer than
    before where of what was ``made`` the most were ``large`` objects: a look at one of these takes as long however soon
    it comes. What died young until now may live from here on: then they all have to get marks within half of the pause,
    ``keeping`` in a microsecond, behind a look that took the other half."""
    aim: uint64_t = most_ns // (6 if survival >= SURVIVES else 3)
    more: uint64_t = nursery // 4 * 5
    size: uint64_t
    if given_up:
        size = min(nursery // 2, aim * rate // 1000)
    else:
        size = max(nursery // 2, min(more, nursery * aim // max(took_ns, 1)))
    if large > made // 2:
        size = max(size, nursery)
    return max(SMALLEST, min(size, most_ns // 2 * keeping // 1000, LARGEST))


def next_keeping(keeping, made, took_ns, most_ns, large):
    """How many bytes get marks in a microsecond in the place of a look, after so many were ``made`` and did in so long,
    behind a look that was given up, ``large`` of them for large objects. Where these are the most the time says nothing
    of small ones; nor does less than an eighth of a pause: what took it lay in the processor's caches, where a large
    nursery does not. If it is less than was believed that is right half way at once, or the next pause would be as much
    too long. No time: a look was not given up, and a little more is believed each time."""
    if took_ns == 0:
        return min(keeping + keeping // 4096 + 1, MOST_KEEPING)
    if large > made // 2 or took_ns < most_ns // 8:
        return keeping
    return min((keeping + made * 1000 // took_ns) // 2, keeping)


def time_for_new(most_ns, roots_ns):
    """How long a look at new objects may take in a pause of which the roots take so much, whatever is new: what they
    leave, but as long as they take, since else roots that fill the pause would be all that is looked at."""
    return max(most_ns - min(roots_ns, most_ns), roots_ns)


def time_to_look(most_ns, made, keeping):
    """How long a look at new objects may take, behind the roots and before it is given up: what is left of the pause if
    all of them, so many bytes, get marks instead, but half of it at least."""
    return max(most_ns - min(made * 1000 // max(keeping, 1), most_ns), most_ns // 2)


def due_after(allowed, runway, live, rate, survival, speed, looking, guests):
    """How many bytes grow old before slices begin, that look at ``live`` bytes: what ``allowed`` has beside the runway,
    but an eighth of that at least. Where slices leave a guest fewer thousandths of the time, ``guests``, than it has of
    any stretch, it gets so much time before them that it has these of all, and no more than twice what is allowed."""
    less: uint64_t = WORST_SHARE - min(guests, WORST_SHARE)
    beside: uint64_t = 1000 - WORST_SHARE - WORST_SHARE * min(looking, 1000) // 1000
    made: uint64_t = made_in(min(live, MOST_GROWN) * 1000 // max(rate, 1), speed) // 1000 * min(survival, 1000)
    owed: uint64_t = min(made // beside * less, 2 * min(allowed, MOST_GROWN))
    return max(allowed - min(runway, allowed), owed, allowed // 8)


def share_beside(whole, rate, runway, grown, survival, speed, looking, helped, rests):
    """Thousandths of the time that guests have at least between slices that look at ``whole`` bytes together, ``rate``
    in a microsecond, while ``grown`` bytes have grown old of which ``runway`` were to. What dies meanwhile is garbage
    until the next full collection has ended, so that as much as ``MEANWHILE`` may grow old until slices are over: a
    guest that makes more has less of the time, down to ``LEAST_SHARE``. Where slices are over soon it has the time
    beside them. But ``SPARED_SHARE`` where a thread has ``helped`` and makes most of the marks, and in long collections
    where it ``rests``, which are few. Where four times as much grew old as was to it has ``LEAST_SHARE``."""
    alone: uint64_t = made_in(min(whole, MOST_GROWN) * 1000 // max(rate, 1), speed) // 1000 * min(survival, 1000)
    dense: uint64_t = alone // max(whole // 1_000_000 * MEANWHILE, 1)  # thousandths of its time that slices take
    most: uint64_t = 1_000_000 // (1000 + min(looking, MOST_SPEED) + dense)
    is_far: cython.bint = grown // 4 > runway
    least: uint64_t = SHORT_SPARED if helped and not is_far else SHORT_SHARE
    if is_far:
        most = LEAST_SHARE
    else:
        most = SPARED_SHARE if helped or rests else max(min(most, MOST_SHARE), LEAST_SHARE)
    takes_us: uint64_t = min(whole // max(rate, 1), LONG_US)
    long: uint64_t = takes_us - min(takes_us, SHORT_US)
    return least + (most - least) * long // (LONG_US - SHORT_US)


def bytes_between(live, rate, slice_ns, runway, survival, speed, looking, guests):
    """How many bytes may be handed out between two slices, so that what lives is looked at, ``rate`` bytes of it in a
    microsecond, before ``runway`` bytes have grown old, which ``survival`` thousandths of what is handed out do. But
    ``guests`` thousandths of the time are the guest's (``slices_most``), beside looks at new objects, which take
    ``looking`` thousandths of its own; and slices take ``LEAST_SLICED`` thousandths of that, so that they come to an
    end where nothing grows old. Where what grows old meanwhile is no more than half of what a slice looks at they take
    no more, though the runway was too short: what they end with is little. In a millisecond of its time a guest has
    ``speed`` bytes handed out."""
    slices: uint64_t = live * 1000 // max(rate * slice_ns, 1) + 1
    room: uint64_t = min(runway, MOST_GROWN) * 1000 // max(survival, 1)
    meanwhile: uint64_t = made_in(slice_ns, speed)
    dense: uint64_t = meanwhile * 1000 // slices_most(looking, guests)
    seldom: uint64_t = meanwhile * 1000 // LEAST_SLICED
    if 2 * seldom * min(survival, 1000) > rate * slice_ns:
        seldom = min(seldom, room // slices)
    return max(SMALLEST // 2, dense, seldom)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def made_in(time_ns: uint64_t, speed: uint64_t) -> uint64_t:
    """Bytes that are handed out in so much of the guest's time."""
    return min(speed, MOST_SPEED) * min(time_ns, MOST_SPEED) // 1_000_000


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def slices_most(looking: uint64_t, guests: uint64_t) -> uint64_t:
    """Thousandths of the guest's time that slices may take at most besides, if it has ``guests`` thousandths of all."""
    others: uint64_t = 1_000_000 // max(guests, 1) - 1000
    return max(others - min(looking, others), FAIR_SLICED)


def runway_within(allowed, live, rate, slice_ns, survival, speed, looking, guests):
    """How many of ``allowed`` bytes may grow old while slices go on, which begin when the others have: as many as do if
    slices come as densely as they may, with ``guests`` thousandths of the time left to the guest, but no less than an
    eighth of all, nor more than twice as much. Where little grows old, no more than half of what lives though slices
    come as seldom as they may, and than eight times what is allowed, it is that much, and a quarter more: so guests
    have their time."""
    slices: uint64_t = live * 1000 // max(rate * slice_ns, 1) + 1
    meanwhile: uint64_t = made_in(slice_ns, speed)
    dense: uint64_t = max(SMALLEST // 2, meanwhile * 1000 // slices_most(looking, guests))
    share: uint64_t = min(survival, 1000)
    grown: uint64_t = min(dense, MOST_GROWN // slices) * slices // 1000 * share
    seldom: uint64_t = min(meanwhile * 1000 // LEAST_SLICED, MOST_GROWN // slices) * slices // 1000 * share
    if seldom <= min(live // 2, allowed * 8):
        return max(allowed // 8, seldom // 4 * 5)
    return max(allowed // 8, min(grown, allowed * 2))


def runway_beside(allowed, live, rate, survival, speed):
    """``runway_within`` where a thread makes marks beside the guest: as many as grow old in the time that it takes
    alone, ``BESIDE_SHARE`` thousandths of which the guest has, but no more than ``WITH_THREAD`` of what lives, and no
    less than an eighth of what is allowed."""
    time_ns: uint64_t = min(live, MOST_GROWN) * 1000 // max(rate, 1)
    grown: uint64_t = made_in(time_ns, speed) // 1000 * BESIDE_SHARE // 1000 * min(survival, 1000)
    return max(min(grown, live // 1000 * WITH_THREAD), allowed // 8)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def grown_near(
    live: uint64_t, rate: uint64_t, slice_ns: uint64_t, survival: uint64_t, speed: uint64_t, looking: uint64_t
) -> uint64_t:
    """Bytes that grow old while slices look at ``live`` bytes and leave guests ``NEAR_SHARE``."""
    slices: uint64_t = live * 1000 // max(rate * slice_ns, 1) + 1
    dense: uint64_t = dense_near(slice_ns, speed, looking)
    return min(dense, MOST_GROWN // slices) * slices // 1000 * min(survival, 1000)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def dense_near(slice_ns: uint64_t, speed: uint64_t, looking: uint64_t) -> uint64_t:
    """Bytes between two slices that leave guests ``NEAR_SHARE``."""
    return max(SMALLEST // 2, made_in(slice_ns, speed) * 1000 // slices_most(looking, NEAR_SHARE))


def runway_near(runway, room, live, rate, slice_ns, survival, speed, looking):
    """How many bytes may grow old while slices go on, of ``room`` that are left below the limit: ``runway`` if that is
    far, and no more than a third of what is left. As much is then left for what grows before, and for what of both will
    be garbage that only the next slices find. But as many as do if guests have ``NEAR_SHARE`` of the time meanwhile."""
    least: uint64_t = grown_near(live, rate, slice_ns, survival, speed, looking)
    return min(runway, max(room // 3, least), room)


def due_near(due, runway, room):
    """How many bytes grow old before slices begin, ``due`` if the limit is far: no more than leave the runway below it,
    and an eighth of what is left, for holes that are too small. But a third of what is left: where the runway wants
    more than the others full collections would follow one another, and come to no end in time all the same."""
    return min(due, max(room - min(runway + room // 8, room), room // 3, SMALLEST))


def nursery_near(nursery, room):
    """How many bytes may be handed out before a look at new objects, ``nursery`` if the limit is far: no more than a
    quarter of what is left below it, so that it is looks that find what died young, and not who finds no room."""
    return max(min(nursery, room // 4), SMALLEST)


def bytes_near(between, left, unseen, rate, slice_ns, survival, speed, looking, room):
    """How many bytes may be handed out between two slices, ``between`` if the limit is far: so few that slices look at
    all that is left before ``room`` bytes have grown old, which are left below it; but guests have ``NEAR_SHARE`` of
    the time. Less than ``left`` may be what is thought, but no more than ``unseen`` can be; of that at least a quarter
    is looked at."""
    slices: uint64_t = max(left, unseen // 4) * 1000 // max(rate * slice_ns, 1) + 1
    made: uint64_t = min(room, MOST_GROWN) * 1000 // max(survival, 1)
    return min(between, max(made // slices, dense_near(slice_ns, speed, looking)))


def is_left_beside(left, whole, grown, between, decided):
    """Whether the next slice is left to a thread that makes marks beside the guest, of ``whole`` bytes of which
    ``left`` are still to be looked at: while what has grown old meanwhile, ``grown``, is no more than ``WITH_THREAD``
    thousandths of what was looked at, and of an eighth of all that the thread is given to begin with. Near the limit,
    where ``decided`` bytes are handed out between two slices instead of ``between``, the guest helps."""
    looked_at: uint64_t = whole - min(left, whole)
    return decided >= between and grown <= (looked_at + whole // 8) // 1000 * WITH_THREAD


def rests_next(rested, took_ns, wall_ns):
    """How many full collections have no thread beside the guest, after one that had: where that had less than three
    quarters of a processor, so that the guest waited for what it had in its hands. It is tried again after twice as
    many as the last time, ``rested``, but ``MOST_RESTS`` at most."""
    if wall_ns < 1_000_000 or took_ns >= wall_ns // 4 * 3:
        return 0
    return min(max(2 * rested, 1), MOST_RESTS)


def rests_shortly(resting, rests):
    """Whether full collections have no thread for a while only: of ``rests`` in a row ``resting`` are still to come."""
    return resting != 0 and 0 < rests < LONG_REST


def lives_on(survival, tenured):
    """Whether what is new may grow old without a look at it: so much of it lives on, ``survival`` thousandths, that a
    look costs more than what it frees is worth. But one nursery of each few is looked at, to see whether it is still
    so: so many have not been, in a row."""
    return survival >= SURVIVES and tenured < UNSEEN


def averaged(before, seen):
    """What is believed after something was seen: it changes by a quarter."""
    return (3 * before + min(seen, MOST_SPEED)) // 4


def next_rate(rate, looked_at, took_ns):
    """The rate after a slice that has looked at so many bytes; slices of less than 20 microseconds say nothing."""
    return rate if took_ns < 20_000 else (3 * rate + looked_at * 1000 // took_ns) // 4 + 1


@cython.ccall
@cython.nogil
@cython.exceptval(check=False)
def root_of(square: uint64_t) -> uint64_t:
    """The integer square root, by Newton's method."""
    root: uint64_t = square
    better: uint64_t = (square + 1) // 2
    while better < root:
        root = better
        better = (root + square // root) // 2
    return root


def growth_allowed(live, born, rate, soft, share, helped, alone):
    """How many bytes may grow old between the ends of two full collections, of a heap in which ``live`` bytes are
    reachable, ``born`` grow old in a millisecond of the guest's time and ``rate`` are looked at in a microsecond: by
    the square-root rule, so that a heap that is dear to look at gets more room and a large one less of its size, but no
    more than seven sixteenths of that. A quarter where it is ``helped``: a thread makes marks beside the guest, which
    cost it nothing; a half where it is ``alone``, though threads may be had, so that such collections do not follow one
    another at once. More only so that looking takes no more than ``share`` thousandths of the time; the room ends at
    ``soft`` bytes in all, unless it would take more than that share then."""
    pace: uint64_t = born * 1024 // max(rate * 1000, 1)  # bytes born in the time that looking at a KiB takes
    dear: uint64_t = (live >> 10) * min(pace, MOST_DEAR // max(live >> 10, 1))
    fair: uint64_t = dear // max(share, 1) * (1000 - min(share, 1000))
    root: uint64_t = root_of(dear * FREE) if dear < ENDLESS // FREE else root_of(dear) * ROOT_OF_FREE
    most: uint64_t = live // 16 * (4 if helped else 8 if alone else 7)
    wanted: uint64_t = max(min(root, most), fair, LEAST_GROWTH)
    return max(min(wanted, soft - min(soft, live)), fair, SMALLEST)


def next_born(born, grown, guest_ns):
    """Bytes that grow old in a millisecond of the guest's time, after it made so many in so long; less than 100
    microseconds say nothing. No guest writes more than ``MOST_BORN``: large objects are zeroed in pauses."""
    if guest_ns < 100_000:
        return born
    return (born + min(min(grown, MOST_GROWN) * 1000 // (guest_ns // 1000), MOST_BORN)) // 2
