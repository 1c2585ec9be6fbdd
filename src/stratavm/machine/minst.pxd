# Machine IR between selection and emission: instructions over virtual registers with operand constraints. Target-neutral
# in shape; `op` and register numbers belong to the target. Allocators read operands and write `loc`.
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    NO_VREG = 0xFFFFFFFF
    NO_LOC = 0xFFFFFFFF
    LOC_SLOT = 0x80000000   # loc = LOC_SLOT | spill slot number (8-byte units); else loc = a register, or what the target names above them
    LOC_REMAT = 0x40000000  # loc = LOC_REMAT | number of an instruction with MI_REMAT: not kept, computed again where wanted

    MAX_REGISTERS = 64      # a location below is a register; no other is ever allocated
    MAX_CLASSES = 2         # of registers: values of 16 bytes are of class 1

cdef struct TargetFacts:
    # what neutral code asks of a Target (machine/target.py) while it compiles
    uint64_t allocatable            # registers that may hold values
    uint64_t[2] classes             # registers by class
    uint32_t n_registers            # one more than the highest of all
    uint32_t[2] order_size
    uint8_t order[2][64]            # by class: allocatable registers in the order in which they are taken
    uint8_t[2] scratch              # by class: belongs to moves and to the emitter
    bint crosses                    # eight bytes of either class may wait in the other's scratch register
    int32_t[2] pressure             # by class: values that the scheduler lets live
    const uint8_t* latency          # timings: rows by number, then pseudo operations
    const uint8_t* ports
    const uint8_t* busy
    const uint8_t* reads            # of rows only
    uint32_t rows, timed            # entries that are rows, and all
    uint32_t pseudo                 # number of the first pseudo operation
    uint32_t behind                 # a row's number plus this is the row behind a pointer of the context
    uint32_t port_count, issue

cdef enum Role:
    R_USE = 0        # read at the start of the instruction
    R_DEF = 1        # written at its end
    R_USE_LATE = 2   # read, and must not share a register with any def (alive through the end)
    R_DEF_EARLY = 3  # written before the uses are dead: shares a register with no use
    R_TEMP = 4       # scratch: live only inside the instruction, conflicts with every use and def

cdef inline bint is_use(uint32_t role) noexcept nogil:
    return role == R_USE or role == R_USE_LATE

cdef inline bint is_def(uint32_t role) noexcept nogil:
    return role == R_DEF or role == R_DEF_EARLY

cdef inline bint holds_early(uint32_t role) noexcept nogil:
    # occupies its register while the instruction reads
    return role != R_DEF

cdef inline bint holds_late(uint32_t role) noexcept nogil:
    # occupies its register while the instruction writes
    return role != R_USE

cdef enum Constraint:
    C_ANY = 0        # register or spill slot (the emitter has a memory form)
    C_REG = 1        # any register of the vreg's class
    C_FIXED = 2      # exactly `reg`
    C_SAME = 3       # a def in the same location (register) as operand number `reg` of this instruction (two-address)
    C_SLOT = 4       # must be in its spill slot (rare: stack arguments)

cdef enum OperandFlag:
    OF_SWAP = 1      # on a tied definition (operand 0, C_SAME 1): operands 1 and 2 may change places
    OF_NEAR = 2      # on a definition (operand 0, C_REG): the register of operand 1 is as good as any, if that ends here

cdef enum MFlag:
    MI_CALL = 1        # clobbers every allocatable register (no callee-saved): only slots survive
    MI_TERMINATOR = 2
    MI_MOVE = 4        # operands[0] = def, operands[1] = use: may be coalesced. Never set for i32.wrap_i64.
    MI_TRAPS = 8       # has an entry in the trap table (aux = trap kind)
    MI_EFFECT = 16     # may not be removed or moved across other effects
    MI_FLAGS_DEF = 32  # writes the condition flags
    MI_FLAGS_USE = 64  # reads them; allocators insert no flag-clobbering code between (mov does not)
    MI_EXIT = 128      # leaves the function: return, trap, tail call
    MI_REMAT = 256     # may be computed again anywhere behind: operands[0] = def, no value read, no effect
    MI_HOME = 512      # the same, and it is a load of what is never written: an operand C_ANY may be read there
    MI_INVOKE = 1024   # a terminator with two edges: the second leaves from the last call before it, where that ends with an exception

cdef extern from *:
    uint32_t lowest_bit "__builtin_ctzll"(uint64_t mask) noexcept nogil   # the first register of a mask that is not empty

cdef struct MOperand:
    uint32_t vreg
    uint8_t role
    uint8_t constraint
    uint8_t reg           # C_FIXED: register; C_SAME: operand number
    uint8_t flags         # OperandFlag
    uint32_t loc          # result of allocation

cdef struct MInst:
    uint16_t op           # machine operation of the target
    uint8_t width         # operand bytes: 1 2 4 8 16
    uint8_t cc            # condition code (jcc, setcc, cmov)
    uint16_t flags        # MFlag
    uint8_t nops
    uint8_t scale         # of an index register: 0-3 (log2); 0xFF = address has no index operand
    uint32_t ops          # first operand in MCode.operands
    uint32_t node         # SSA node it came from (dump, positions), NO_VREG if none
    int64_t imm
    int32_t disp
    uint32_t aux          # target block, trap kind, builtin number, call shape …

cdef struct MEdge:
    uint32_t target
    uint32_t args         # start in MCode.edge_args: vregs for the target's parameters
    uint32_t nargs

cdef struct MBlock:
    uint32_t first        # instruction range [first, last); the last instruction is the terminator
    uint32_t last
    uint32_t params       # start in MCode.block_params (vregs); parallel definition at the block's head
    uint32_t nparams
    uint32_t edges        # first of its successors in MCode.edges
    uint32_t nedges       # A block with more than one successor passes no arguments (isel splits those edges).
    uint32_t depth        # loop depth
    uint32_t flags        # BlockFlag of ir/ssa.pxd

cdef struct Move:
    # inserted by the allocator; moves with equal `at` form ONE parallel move, resolved by regalloc/moves into a sequence
    uint32_t at           # before instruction `at`
    uint32_t src          # loc
    uint32_t dst          # loc
    uint32_t vreg         # what is moved (its class and width)

@cython.final
cdef class MCode:
    # One function of machine IR, owned arrays, reused by clear().
    cdef MInst* insts
    cdef uint32_t n_insts, cap_insts
    cdef MOperand* operands
    cdef uint32_t n_operands, cap_operands
    cdef MBlock* blocks
    cdef uint32_t n_blocks, cap_blocks
    cdef MEdge* edges
    cdef uint32_t n_edges, cap_edges
    cdef uint32_t* edge_args
    cdef uint32_t n_edge_args, cap_edge_args
    cdef uint32_t* block_params
    cdef uint32_t n_block_params, cap_block_params
    cdef uint8_t* vclass           # register class of each vreg
    cdef uint8_t* vwidth           # bytes of its spill slot and of a move: 4, 8 or 16
    cdef uint32_t n_vregs, cap_vclass, cap_vwidth
    cdef uint64_t* constants       # constant pool (8-byte words), reached rip-relative
    cdef uint32_t n_constants, cap_constants
    cdef uint32_t out_arg_bytes    # outgoing stack-argument area (16-byte multiple)
    # results of allocation
    cdef Move* moves               # sorted by `at`, already sequentialised
    cdef uint32_t n_moves, cap_moves
    cdef uint32_t n_slots          # spill slots in 8-byte units (16-byte values take two, aligned)
    cdef TargetFacts target
    cdef readonly object record    # the Target, which keeps the tables of `target`

    cdef int clear(self) except -1 nogil
    cdef int vreg_room(self) except -1 nogil
    cdef int inst_room(self) except -1 nogil
    cdef int operand_room(self) except -1 nogil

    cdef inline uint32_t vreg(self, uint8_t rclass, uint8_t width) except? 0xFFFFFFFF nogil:
        """A new virtual register: its class, and the bytes that a move or spill of it copies."""
        cdef uint32_t n = self.n_vregs
        if n >= self.cap_vclass or n >= self.cap_vwidth:
            self.vreg_room()
        self.vclass[n] = rclass
        self.vwidth[n] = width
        self.n_vregs = n + 1
        return n

    cdef inline uint32_t inst(self, uint16_t op, uint8_t width, uint16_t flags) except? 0xFFFFFFFF nogil:
        """Append an instruction without operands; returns its number. No cc, immediate, address or origin yet."""
        cdef uint32_t n = self.n_insts
        if n == self.cap_insts:
            self.inst_room()
        cdef MInst* m = &self.insts[n]
        m.op = op
        m.width = width
        m.cc = 0
        m.flags = flags
        m.nops = 0
        m.scale = 0xFF
        m.ops = self.n_operands
        m.node = NO_VREG
        m.imm = 0
        m.disp = 0
        m.aux = 0
        self.n_insts = n + 1
        return n

    cdef inline MInst* last(self) noexcept nogil:
        """The newest instruction; the pointer dies with the next one."""
        return &self.insts[self.n_insts - 1]

    cdef inline uint32_t operand(self, uint32_t vreg, uint8_t role, uint8_t constraint, uint8_t reg) except? 0xFFFFFFFF nogil:
        """Append an operand to the newest instruction; returns its index in ``operands``."""
        cdef uint32_t n = self.n_operands
        cdef MInst* m = self.last()
        if n == self.cap_operands or m.nops == 0xFF:
            self.operand_room()
        cdef MOperand* o = &self.operands[n]
        o.vreg = vreg
        o.role = role
        o.constraint = constraint
        o.reg = reg
        o.flags = 0
        o.loc = NO_LOC
        m.nops += 1
        self.n_operands = n + 1
        return n

    cdef uint32_t block(self, uint32_t depth, uint32_t flags) except? 0xFFFFFFFF nogil   # starts at the next instruction
    cdef int end_block(self) except -1 nogil                                              # the newest block ends here
    cdef int block_param(self, uint32_t vreg) except -1 nogil                             # of the newest block
    cdef uint32_t edge(self, uint32_t target) except? 0xFFFFFFFF nogil                    # of the newest block
    cdef int edge_arg(self, uint32_t vreg) except -1 nogil                                # of the newest edge
    cdef uint32_t constant(self, uint64_t word) except? 0xFFFFFFFF nogil   # byte offset in the pool; 8-byte words are shared
    cdef uint32_t constant16(self, uint64_t low, uint64_t high) except? 0xFFFFFFFF nogil   # of two words, aligned to 16 bytes
    cdef bint has_wide(self) noexcept nogil       # whether a value has 16 bytes
    cdef int move(self, uint32_t at, uint32_t src, uint32_t dst, uint32_t vreg) except -1 nogil

cdef inline uint64_t bit(uint32_t reg) noexcept nogil:
    # the mask of one register
    return <uint64_t>1 << reg

cdef inline bint is_in(uint64_t mask, uint32_t loc) noexcept nogil:
    # whether a location is a register of a mask
    return loc < MAX_REGISTERS and mask >> loc & 1
