# What short ways see of a world and its descriptors.
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef class WorldState:
    cdef public bint closed
    cdef public object table               # descriptors by number
    cdef public object clock
    cdef public object random_bytes
    cdef public object checkpoint          # or None
    cdef public object args                # C strings
    cdef public object environ
    cdef public uint64_t written_bytes     # in total
    cdef public uint64_t most_written_bytes
    cdef public uint64_t most_items        # of an iovec list
    # What the guest has asked for, and keeps.
    cdef public bint gave_args
    cdef public bint gave_environ
    cdef public bint gave_preopens
    cdef public bint gave_random
    cdef public bint gave_time
    cdef public uint64_t monotonic_ns      # the greatest reading of these clocks
    cdef public uint64_t cpu_ns

cdef enum:
    UNKNOWN = -1      # the kernel has to be asked
    MOVING = -2       # a call moves it, and is the only one that uses the descriptor

cdef enum:
    DISK_NONE = 0
    DISK_CACHED = 1
    DISK_DIRECT = 2   # the kernel, told not to wait, waits for the disk all the same

cdef class DescriptorState:
    cdef public uint64_t rights
    cdef public uint64_t inheriting
    cdef public uint32_t flags             # the guest's
    cdef public bint gone                  # it has no number any more
    cdef public object preopen             # the guest's name of a pre-opened directory, or None
    cdef public list users                 # calls that use it
    cdef public int fd                     # of the host, -1 = none
    cdef public bint positioned            # ``fd`` is a regular file: offsets and position are the kernel's
    cdef public int disk                   # whether reading and writing ``fd`` may wait for a disk
    cdef public bint stats                 # its attributes are those of ``fd``
    cdef public int64_t position           # of ``fd``, or one of the numbers below
    cdef uint64_t forks                    # of this process and those before it, when the descriptor was made
    cdef public uint64_t short_read        # bytes that reading ``fd`` once may ask for, 0 = the general way only
    cdef public uint64_t short_write       # bytes up to which one write to ``fd`` is whole, or all that the call is for

    cdef int64_t begin_moving(self) except? -1
    cdef int end_moving(self, int64_t position) except -1
    cdef int64_t known_position(self) except? -1
