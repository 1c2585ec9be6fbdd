# strata: hot
"""Level 1 allocation: linear scan that splits values (Wimmer and Mössenböck, *Optimized Interval Splitting*, 2005).

Parts of values come in order of their start. A part gets a register that is free for all of it: one that saves a move
first. Before a call it is cut, and lives in its slot to where it is worth a register again. Where no register is free,
the value goes to its slot that is wanted again in the outermost loop, and there last. Cuts and reloads move out of
the loops that do not use the value: to the loop's header, so that they happen on the edge into it.
"""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t
from cython.cimports.libc.stdlib import free
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.machine.minst import MAX_REGISTERS, NO_VREG, lowest_bit
from cython.cimports.stratavm.machine.regalloc.ranges import (
    CH_EARLY,
    CH_FORCED,
    IN_SLOT,
    MANY,
    MAX_CLIMB,
    NO_REG,
    NONE,
    READS,
    U_LOOP,
    U_MUST,
    U_SHOULD,
    V_FIXED,
    V_SLOT,
    WRITES,
    Child,
    Claim,
    Range,
    Use,
    Value,
)

SINK_DISTANCE = cython.declare(uint32_t, 4 * 8)
"""Positions: what can be computed again and is used no sooner is not computed at its definition, but for the use."""


@cython.cclass
class SplittingScan:
    """State of the scan; arrays reused between functions."""

    def __dealloc__(self):
        free(self.heap)

    def run(self, m, t, registers):
        """Set ``place`` of every part, and cut parts until that is possible."""
        i: uint32_t = 0
        c: uint32_t
        v: uint32_t
        self.registers = registers
        self.n_heap = 0
        self.failed = False
        for v in range(m.target.n_registers):
            self.tenants[v].n = 0
            self.claim[v] = t.first_claim[v]
        while not self.failed:
            breathe(i)
            while i < t.n_order and t.values[t.order[i]].child == NONE:
                i += 1
            if i < t.n_order:
                c = t.values[t.order[i]].child
                if self.n_heap and self._before(self.heap[0], c):
                    c = self._pop()
                else:
                    i += 1
            elif self.n_heap:
                c = self._pop()
            else:
                return 1
            self.pos = t.children[c].start
            self._process(c)
        return 0

    # ---- parts to come -------------------------------------------------------------------------

    def _before(self, a, b):
        """Order of work: by start, then by age."""
        x: uint32_t = self.t.children[a].start
        y: uint32_t = self.t.children[b].start
        return x < y or (x == y and a < b)

    def _push(self, c):
        """A part that comes later; never before the one at hand."""
        i: uint32_t = self.n_heap
        if self.t.children[c].start < self.pos:
            return self._fail()
        vec_room(self.heap, self.cap_heap, i + 1)
        self.n_heap = i + 1
        while i and self._before(c, self.heap[(i - 1) >> 1]):
            self.heap[i] = self.heap[(i - 1) >> 1]
            i = (i - 1) >> 1
        self.heap[i] = c
        return 0

    def _pop(self):
        """The earliest part."""
        top: uint32_t = self.heap[0]
        self.n_heap -= 1
        c: uint32_t = self.heap[self.n_heap]
        i: uint32_t = 0
        k: uint32_t = 1
        while k < self.n_heap:
            if k + 1 < self.n_heap and self._before(self.heap[k + 1], self.heap[k]):
                k += 1
            if not self._before(self.heap[k], c):
                break
            self.heap[i] = self.heap[k]
            i = k
            k = 2 * i + 1
        self.heap[i] = c
        return top

    def _fail(self):
        """Leave the function to level 0's allocator."""
        self.failed = True
        return 0

    # ---- one part ------------------------------------------------------------------------------

    def _process(self, c):
        """A place for a part, or for its beginning."""
        part: cython.pointer(Child) = cython.address(self.t.children[c])
        v: cython.pointer(Value) = cython.address(self.t.values[part.vreg])
        rclass: uint32_t = self.m.vclass[part.vreg]
        allowed: uint64_t = self.registers & self.m.target.classes[rclass]
        if v.flags & V_FIXED and v.child == c and part.place == NO_REG and part.start == v.start:
            return self._preset(c)
        if part.flags & CH_FORCED:
            return self._spill(c, part.start, False)
        need: uint32_t = part.use
        call: uint32_t = self._call(c)
        limit: uint32_t = part.end
        if need == NONE or self.t.uses[need].pos >= (limit if call == NONE else call):
            return self._spill(c, part.start, False)
        if v.remat != NONE and part.start == v.start and self._waits(need, part.start):
            return self._spill(c, part.start, False)
        if call != NONE:
            limit = self._after_last_use(c, call)
        reg: uint32_t = self._hinted(c, allowed, limit)
        if reg == NO_REG:
            i: uint32_t
            for i in range(self.m.target.order_size[rclass]):
                reg = self._fits(c, self.m.target.order[rclass][i], allowed, limit)
                if reg != NO_REG:
                    break
        if reg == NO_REG:
            if part.flags & CH_EARLY:
                return self._spill(c, part.start, False)
            return self._partly(c, need, call, limit, allowed)
        self._take(c, reg, need, self._held(c, need))
        if call != NONE:
            return self._cut_at_call(c, call if call < self.free_until[reg] else self.free_until[reg])
        return 0

    def _waits(self, need, start):
        """Whether what can be computed again is not worth a register at its definition: one operand reads it at its
        home, or it is used later.
        """
        use: cython.pointer(Use) = cython.address(self.t.uses[need])
        return use.pos > start + SINK_DISTANCE or (use.kind == U_SHOULD and use.next == NONE)

    def _preset(self, c):
        """A result in its fixed register: there to the next gap, then wherever there is room."""
        part: cython.pointer(Child) = cython.address(self.t.children[c])
        v: cython.pointer(Value) = cython.address(self.t.values[part.vreg])
        part.place = v.last = v.fixed
        rest: uint32_t = self.t.split(c, (part.start & ~cython.cast(uint32_t, 3)) + 5)
        if rest != NONE:
            self._push(rest)
        return 0

    def _call(self, c):
        """Where the first call writes that the part lives across, or NONE."""
        r: uint32_t = self.t.children[c].range
        steps: uint32_t = 0
        n: uint32_t
        pos: uint32_t
        while r != NONE:
            rr: cython.pointer(Range) = cython.address(self.t.ranges[r])
            n = self._call_before(rr.start + 1)
            n = 0 if n == NONE else n + 1
            if n == self.t.n_calls:
                return NONE
            pos = self.t.calls[n]
            if pos < rr.end:
                return pos
            steps += 1
            if steps > MAX_STEPS:
                return rr.end
            r = rr.next
        return NONE

    def _call_before(self, pos):
        """Index of the last call that writes before a position, or NONE."""
        low: uint32_t = 0
        high: uint32_t = self.t.n_calls
        mid: uint32_t
        while low < high:
            mid = (low + high) >> 1
            if self.t.calls[mid] < pos:
                low = mid + 1
            else:
                high = mid
        return low - 1 if low else cython.cast(uint32_t, NONE)

    def _held(self, c, need):
        """The position before which the part may not lose its register again."""
        part: cython.pointer(Child) = cython.address(self.t.children[c])
        u: uint32_t = need
        held: uint32_t = self.t.uses[need].pos + 1
        if part.start == self.t.values[part.vreg].start and part.start & 3:
            held = (part.start & ~cython.cast(uint32_t, 3)) + 5
        else:
            while u != NONE and self.t.uses[u].pos >> 2 == self.t.uses[need].pos >> 2:
                held = self.t.uses[u].pos + 1
                u = self.t.uses[u].next
        return held if held < part.end else part.end

    # ---- free registers ------------------------------------------------------------------------

    def _measure(self, c, reg):
        """Up to where the register is free for the part, and who is there now."""
        now: cython.pointer(Tenants) = cython.address(self.tenants[reg])
        k: uint32_t = 0
        other: uint32_t
        pos: uint32_t
        free_until: uint32_t = self._claimed(c, reg)
        self.clash[reg] = NONE
        while k < now.n:
            other = now.items[k]
            if self.t.children[other].end <= self.pos:
                now.n -= 1
                now.items[k] = now.items[now.n]
                continue
            pos = self._meeting(c, other)
            if pos <= self.pos:
                self.clash[reg] = other
            elif pos < free_until:
                free_until = pos
            k += 1
        if now.n == MAX_TENANTS and self.clash[reg] == NONE:
            free_until = 0
        self.free_until[reg] = free_until
        return 0

    def _meeting(self, a, b):
        """The first position where both parts are alive, or NONE. What lies behind is forgotten of ``b``."""
        x: uint32_t = self.t.children[a].range
        y: uint32_t = self.t.children[b].range
        steps: uint32_t = 0
        while self.t.ranges[y].end <= self.pos:
            if self.t.ranges[y].next == NONE:
                return NONE
            y = self.t.ranges[y].next
        self.t.children[b].range = y
        while True:
            p: cython.pointer(Range) = cython.address(self.t.ranges[x])
            q: cython.pointer(Range) = cython.address(self.t.ranges[y])
            steps += 1
            if p.start < q.end and q.start < p.end:
                return p.start if p.start > q.start else q.start
            if steps > MAX_STEPS:
                return p.start if p.start > q.start else q.start
            if p.end <= q.start:
                x = p.next
                if x == NONE:
                    return NONE
            else:
                y = q.next
                if y == NONE:
                    return NONE

    def _claimed(self, c, reg):
        """The first position where a fixed operand of another value is in the register, or NONE."""
        r: uint32_t = self.t.children[c].range
        vreg: uint32_t = self.t.children[c].vreg
        e: uint32_t = self.claim[reg]
        steps: uint32_t = 0
        while e != NONE and self.t.claims[e].end <= self.pos:
            e = self.t.claims[e].next
        self.claim[reg] = e
        while e != NONE and r != NONE:
            claim: cython.pointer(Claim) = cython.address(self.t.claims[e])
            rr: cython.pointer(Range) = cython.address(self.t.ranges[r])
            steps += 1
            if claim.end <= rr.start or (claim.vreg == vreg and vreg != NO_VREG):
                e = claim.next
            elif rr.end <= claim.start:
                r = rr.next
            else:
                return claim.start if claim.start > rr.start else rr.start
            if steps > MAX_STEPS:
                return claim.start if claim.start > rr.start else rr.start
        return NONE

    def _fits(self, c, reg, allowed, limit):
        """The register if it is free for the part up to a limit, else NO_REG."""
        if reg >= MAX_REGISTERS or not allowed >> reg & 1:
            return NO_REG
        self._measure(c, reg)
        return reg if self.clash[reg] == NONE and self.free_until[reg] >= limit else cython.cast(uint32_t, NO_REG)

    def _hinted(self, c, allowed, limit):
        """A register that saves a move: of the part before, of a tied or copied value, over an edge, of a fixed use."""
        v: cython.pointer(Value) = cython.address(self.t.values[self.t.children[c].vreg])
        found: uint32_t[6]
        n: uint32_t = 1
        k: uint32_t
        found[0] = v.last
        if v.hint != NONE:
            found[n] = self.t.values[v.hint].last
            n += 1
        if v.kin != NONE:
            found[n] = self.t.values[v.kin].last
            n += 1
        found[n] = v.wanted
        n += 1
        if v.kin != NONE:
            k = self.t.values[v.kin].kin
            found[n] = self.t.values[v.kin].wanted if k == NONE else self.t.values[k].last
            n += 1
        for k in range(n):
            found[0] = self._fits(c, found[k], allowed, limit)
            if found[0] != NO_REG:
                return found[0]
        return NO_REG

    def _take(self, c, reg, need, held):
        """The part gets the register."""
        now: cython.pointer(Tenants) = cython.address(self.tenants[reg])
        part: cython.pointer(Child) = cython.address(self.t.children[c])
        part.place = cython.cast(uint8_t, reg)
        part.held = held if self.t.uses[need].pos >> 2 == part.start >> 2 else part.start
        self.t.values[part.vreg].last = cython.cast(uint8_t, reg)
        if now.n == MAX_TENANTS:
            return self._fail()
        now.items[now.n] = c
        now.n += 1
        return 0

    # ---- cuts ----------------------------------------------------------------------------------

    def _last_use(self, c, pos):
        """Position of the last use before a position, else the start. Uses before the part at hand are forgotten."""
        part: cython.pointer(Child) = cython.address(self.t.children[c])
        u: uint32_t = part.use
        last: uint32_t = part.start if part.last_use == NONE else part.last_use
        while u != NONE and self.t.uses[u].pos < pos:
            last = self.t.uses[u].pos
            if last < self.pos:
                part.last_use = last
                part.use = self.t.uses[u].next
            u = self.t.uses[u].next
        return last

    def _after_last_use(self, c, call):
        """Where a part that lives across a call may be cut at the earliest: in the gap behind its last use before."""
        last: uint32_t = self._last_use(c, call)
        behind: uint32_t = last + READS if last & 3 == 0 else (last & ~cython.cast(uint32_t, 3)) + 5
        latest: uint32_t = self._legal(c, call)
        return behind if behind < latest else latest

    def _legal(self, c, pos):
        """Where to cut so that the register is free from a position on.

        Before the instruction, unless it reads the value there; what it reads and keeps needs another place for both.
        """
        part: cython.pointer(Child) = cython.address(self.t.children[c])
        gap: uint32_t = (pos & ~cython.cast(uint32_t, 3)) + READS
        u: uint32_t
        if pos & 3 != WRITES or part.start >= gap or self._last_use(c, pos) < gap:
            return pos if pos & 3 != WRITES or part.start >= gap else gap
        u = part.use
        while u != NONE and self.t.uses[u].pos < pos:
            u = self.t.uses[u].next
        return gap if u != NONE and self.t.uses[u].pos == pos else pos

    def _outermost(self, inside, outside):
        """The outermost loop around the first position that is not around the second, or NONE."""
        loop: uint32_t = self.t.loop_of[self.t.block_of[inside >> 2]]
        found: uint32_t = NONE
        steps: uint32_t = 0
        while loop != NONE and steps < MAX_CLIMB:
            if self.t.loops[loop].start <= outside < self.t.loops[loop].end:
                break
            found = loop
            loop = self.t.loops[loop].parent
            steps += 1
        return found

    def _cut(self, c, pos):
        """Cut a part that has a register; what follows looks for a place of its own."""
        rest: uint32_t = self.t.split(c, pos)
        if rest == NONE:
            return 0
        if self.t.children[rest].start == pos and pos & 3 == WRITES:
            part: cython.pointer(Child) = cython.address(self.t.children[rest])
            part.flags |= CH_FORCED
        return self._push(rest)

    def _cut_at_call(self, c, pos):
        """Cut before a call: behind the last use in its block, or before the loop around it that does not use it."""
        last: uint32_t = self._last_use(c, pos)
        loop: uint32_t = self._outermost(pos, last)
        at: uint32_t = self._after_last_use(c, pos)
        head: uint32_t = 4 * self.m.blocks[self.t.block_of[pos >> 2]].first + READS
        if at < head:
            at = self._legal(c, pos)
            at = head if head < at else at
        if loop != NONE and self.t.loops[loop].start > last:
            at = self.t.loops[loop].start
        rest: uint32_t = self.t.split(c, at)
        if rest == NONE:
            return self._fail()
        return self._spill(rest, pos, True)

    # ---- when no register is free for all of it ------------------------------------------------

    def _partly(self, c, need, call, limit, allowed):
        """A register that is free for the beginning, or that another value has to leave, or none."""
        reg: uint32_t
        best: uint32_t = NO_REG
        held: uint32_t = self._held(c, need)
        pos: uint32_t = self.t.uses[need].pos
        left: uint64_t = allowed
        while left:
            reg = lowest_bit(left)
            left &= left - 1
            if self.clash[reg] == NONE and self.free_until[reg] >= held:
                if best == NO_REG or self.free_until[reg] > self.free_until[best]:
                    best = reg
        must: cython.bint = self.t.uses[need].kind == U_MUST and pos <= self.pos
        reg = self._cheapest(c, held, allowed)
        if best != NO_REG and reg != NO_REG:
            inner: uint32_t = self.t.loop_of[self.t.block_of[self.free_until[best] >> 2]]
            if inner == NONE or self._depth(self._next_use(self.clash[reg])) >= self.t.loops[inner].depth:
                reg = NO_REG
        if best != NO_REG and reg == NO_REG:
            self._take(c, best, need, held)
            return self._cut(c, self._legal(c, self.free_until[best]))
        if reg == NO_REG:
            if must:
                return self._fail()
            return self._spill(c, self.pos, False)
        if not must and not self._is_worse(self.clash[reg], need):
            return self._spill(c, self.pos, False)
        self._evict(reg)
        if self.failed:
            return 0
        self._take(c, reg, need, held)
        if self.free_until[reg] < limit:
            return self._cut(c, self._legal(c, self.free_until[reg]))
        if call != NONE:
            return self._cut_at_call(c, call if call < self.free_until[reg] else self.free_until[reg])
        return 0

    def _next_use(self, c):
        """The next use of a part from the position at hand on, or NONE."""
        self._last_use(c, self.pos)
        return self.t.children[c].use

    def _depth(self, use):
        """Loop depth at which a value would be loaded again for a use, if it leaves its register now."""
        if use == NONE:
            return 0
        pos: uint32_t = self.t.uses[use].pos
        loop: uint32_t = self.t.loop_of[self.t.block_of[self.pos >> 2]]
        steps: uint32_t = 0
        while loop != NONE and steps < MAX_CLIMB:
            if self.t.loops[loop].start <= pos < self.t.loops[loop].end:
                return self.t.loops[loop].depth
            loop = self.t.loops[loop].parent
            steps += 1
        return 0

    def _is_worse(self, c, need):
        """Whether a part earns its register less than the part at hand would."""
        use: uint32_t = self._next_use(c)
        theirs: uint32_t = self._depth(use)
        ours: uint32_t = self._depth(need)
        if theirs != ours:
            return theirs < ours
        return use == NONE or self.t.uses[use].pos > self.t.uses[need].pos

    def _cheapest(self, c, held, allowed):
        """The register whose value is wanted again in the outermost loop, and there last."""
        best: uint32_t = NO_REG
        best_depth: uint32_t = 0
        best_pos: uint32_t = 0
        reg: uint32_t
        use: uint32_t
        depth: uint32_t
        pos: uint32_t
        while allowed:
            reg = lowest_bit(allowed)
            allowed &= allowed - 1
            if self.clash[reg] == NONE or self.free_until[reg] < held:
                continue
            use = self._next_use(self.clash[reg])
            other: cython.pointer(Child) = cython.address(self.t.children[self.clash[reg]])
            if other.held > self.pos:
                continue
            if use != NONE and self.t.uses[use].pos == self.pos and self.t.uses[use].kind == U_MUST:
                continue
            depth = self._depth(use)
            pos = NONE if use == NONE else self.t.uses[use].pos
            if best == NO_REG or depth < best_depth or (depth == best_depth and pos > best_pos):
                best = reg
                best_depth = depth
                best_pos = pos
        return best

    def _evict(self, reg):
        """The value in a register goes to its slot, if it can before the loops around that do not use it."""
        c: uint32_t = self.clash[reg]
        k: uint32_t
        now: cython.pointer(Tenants) = cython.address(self.tenants[reg])
        last: uint32_t = self._last_use(c, self.pos)
        loop: uint32_t = self._outermost(self.pos, last)
        at: uint32_t = self._legal(c, self.pos)
        if loop != NONE and self.t.loops[loop].start > last:
            at = self.t.loops[loop].start
        for k in range(now.n):
            if now.items[k] == c:
                now.n -= 1
                now.items[k] = now.items[now.n]
                break
        if at <= self.t.children[c].start:
            return self._spill(c, self.pos, False)
        c = self.t.split(c, at)
        if c == NONE:
            return self._fail()
        return self._spill(c, self.pos, False)

    # ---- slots ---------------------------------------------------------------------------------

    def _spill(self, c, start, early):
        """The part lives in its slot up to the first use behind ``start`` that is worth a register."""
        part: cython.pointer(Child) = cython.address(self.t.children[c])
        v: cython.pointer(Value) = cython.address(self.t.values[part.vreg])
        pos: uint32_t = NONE
        use: uint32_t = self._worthy(c, start, cython.address(pos), early)
        rest: uint32_t = c
        if use == NONE or pos > part.start:
            part.place = IN_SLOT
            v.flags |= V_SLOT
            if use == NONE:
                return 0
            if pos <= start:
                return self._fail()
            rest = self.t.split(c, pos)
            if rest == NONE:
                return 0
        elif part.start <= self.pos:  # it would come back at once, for ever
            return self._fail()
        part = cython.address(self.t.children[rest])
        if use == MANY:
            part.flags |= CH_EARLY
        return self._push(rest)

    def _worthy(self, c, start, where, early):
        """The use for which the value is loaded again, and where; MANY for an early load; NONE where none is."""
        u: uint32_t = self.t.children[c].use
        seen: uint32_t = NONE
        loop: uint32_t
        while u != NONE:
            pos: uint32_t = self.t.uses[u].pos
            kind: uint32_t = self.t.uses[u].kind
            if pos > start:
                if early:
                    where[0] = self._early(c, u, start)
                    if where[0] != NONE:
                        return MANY
                if kind == U_MUST:
                    where[0] = self._reload(c, u, start)
                    return u
                loop = self._outermost(pos, start)
                if kind != U_LOOP and loop != NONE and self.t.loops[loop].start > start:
                    where[0] = self.t.loops[loop].start
                    return u
                if kind == U_SHOULD:
                    if seen != NONE and self._call_before(pos) == self._call_before(self.t.uses[seen].pos):
                        where[0] = self._reload(c, seen, start)
                        return seen
                    seen = u
            u = self.t.uses[u].next
        return NONE

    def _early(self, c, use, start):
        """The next block behind the last call before a use that a way without a call leads to, or NONE.

        On that way the value is in its register still: the other one, which may be seldom gone, pays the reload.
        """
        pos: uint32_t = self.t.uses[use].pos
        first: uint32_t = self.t.block_of[self.t.children[c].start >> 2]
        last: uint32_t = self.t.block_of[pos >> 2]
        n: uint32_t = self._call_before(pos)
        block: uint32_t
        loop: uint32_t
        steps: uint32_t
        if n == NONE or self.t.calls[n] < start:
            return NONE
        block = self.t.block_of[self.t.calls[n] >> 2]
        loop = self._outermost(self.t.calls[n], pos)
        block = block + 1 if loop == NONE else self.t.loops[loop].stop
        for steps in range(MAX_STEPS):
            if block > last:
                return NONE
            if self.t.first_pred[block] < first:
                return 4 * self.m.blocks[block].first
            block += 1
        return NONE

    def _reload(self, c, use, start):
        """Where to load a value again for a use.

        At the head of the outermost loop around it; or of its block, where a way from before the part comes in (the
        value may be in a register there); or just before.
        """
        pos: uint32_t = self.t.uses[use].pos
        loop: uint32_t = self._outermost(pos, start)
        block: uint32_t = self.t.block_of[pos >> 2]
        if loop != NONE and self.t.loops[loop].start > start:
            return self.t.loops[loop].start
        if 4 * self.m.blocks[block].first > start and self.t.only_pred[block] == MANY:
            if self.t.first_pred[block] < self.t.block_of[self.t.children[c].start >> 2]:
                return 4 * self.m.blocks[block].first
        return (pos & ~cython.cast(uint32_t, 3)) + READS
