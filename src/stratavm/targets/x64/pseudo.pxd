# Operations that selection emits besides the rows of encodings.py; emit.py gives them bytes. Operands in the order given;
# D = definition, U = use, T = temporary. CC_FEQ / CC_FNE may stand where a condition code does: they look at two flags.
cdef enum Pseudo:
    P_PARAMS = 0x400   # D…: the registers of the incoming arguments (fixed); no code
    P_JMP              # edges[0]
    P_JCC              # cc; edges[0] if it holds, else edges[1]
    P_BR_TABLE         # U index (register), T; one edge per entry, the last is the default; imm = entries for all that the index can be, from aux on, or 0
    P_RETURN           # U… results (fixed)
    P_TRAP             # aux = kind: unconditional, ends the block
    P_TRAP_IF          # cc, aux = kind
    P_POLL             # loop header; D, U the same: value of a global meanwhile; cc = POLL_* bits; aux = its cell in the VMContext
    P_FUEL             # imm = units to take from exec.fuel, which traps, unchanged, if it has fewer
    P_CALL             # U… D… (fixed); aux = defined function index; imm = bytes of stack arguments. These four with MI_EXIT:
                       # in the place of this function, whose frame goes first
    P_CALL_IMPORT      # the same; aux = offset of the FuncRec pointer in the VMContext
    P_CALL_INDIRECT    # the same; the first use is the index in r10; aux = type index; disp = offset of the table's base
    P_CALL_REF         # the same; the first use is the reference in r10; aux = type index
    P_CALL_BUILTIN     # U… D…; aux = builtin number; cc = CALL_* bits
    P_INVOKE           # ends a block behind its last call; edges[0], or edges[1] where that ends with an exception
    P_LANDING          # first where such an edge leads: its code stands before the moves of the block
    P_DIVIDE           # D quotient rax, D remainder rdx, U dividend rax, U divisor (late); cc = DIV_* bits
    P_SETCC            # D; cc
    P_ZERO             # D xmm: +0.0; or D gpr: 0, which sets flags
    P_SELECT           # D same as 1, U if false, U if true (register); cc
    P_CLZ              # D, U register: bsr sequence
    P_CTZ              # the same: bsf sequence
    P_FBIT             # D same as 1, U; cc = 0 clear the sign (abs), 1 flip it (neg); aux = pool offset of the mask
    P_COPYSIGN         # D same as 1, U magnitude, U sign (late); aux = pool offset of the mask
    P_FMIN             # D same as 1, U, U (late)
    P_FMAX
    P_U64_TO_FLOAT     # D xmm, U gpr, T gpr; width of the float
    P_TRUNC            # D gpr, U xmm; cc = TRUNC_* bits; width of the float; aux = pool offset of the bound
    P_CHANGE           # D rax: what was there, U operand (late), T; an address as behind P_VIA, of late uses; the high half of
                       # imm = row of the operation in registers; aux = kind: until nobody came between
    P_NOTE             # the write barrier: U object, a scaled index as behind P_VIA, disp: a reference there is about to change
    P_NEW              # D: a new object; aux = type index; imm = its bytes, a multiple of 16, and in the upper half its elements;
                       # cc = whether it is of zeros, else of what was there. Or with U (late): so many elements, all zero, cc =
                       # log2 of their width; imm = bytes before them and the most
    P_IS               # flags: equal if U, a reference, is of a type, and with IS_OPEN T, T; imm = type index; cc = IS_* bits; aux =
                       # pool offset of the least address of an object
    P_VIA = 0x800      # + row number: r11 = [r14 + low half of imm]; the row with base r11, an index operand unless scale is 0xFF,
                       # disp, and the high half of imm as its immediate; with MI_TRAPS: aux = kind

cdef enum CallBit:
    CALL_VALUE = 1     # rax is a value, no status

cdef enum IsBit:
    IS_OPEN = 1        # others may be declared below it
    IS_NULLABLE = 2    # null is
    IS_STRUCT = 4      # any struct, whatever its type
    IS_ARRAY = 8       # any array

cdef enum PollBit:
    POLL_FLOAT = 1     # the value is in an xmm register
    POLL_IMPORTED = 2  # the cell holds a pointer to the global

cdef enum DivBit:
    DIV_SIGNED = 1
    DIV_REM = 2        # the remainder is wanted, and INT_MIN % -1 = 0
    DIV_MINUS_ONE = 4  # the divisor may be -1
    DIV_ZERO = 8       # the divisor may be 0

cdef enum Rotation:    # of a rule for shifts
    ROT_LEFT = 1
    ROT_RIGHT = 2

cdef enum TruncBit:
    TRUNC_64 = 1       # to i64
    TRUNC_UNSIGNED = 2
    TRUNC_SAT = 4

cdef enum Condition:
    CC_O = 0
    CC_NO = 1
    CC_B = 2
    CC_AE = 3
    CC_E = 4
    CC_NE = 5
    CC_BE = 6
    CC_A = 7
    CC_S = 8
    CC_NS = 9
    CC_P = 10
    CC_NP = 11
    CC_L = 12
    CC_GE = 13
    CC_LE = 14
    CC_G = 15
    CC_FEQ = 16        # equal and ordered
    CC_FNE = 17        # different or unordered
