# Reading and writing files of the host on threads without Python, for event loops: see transfers.py.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from stratavm.runtime.own_threads cimport Link, Queue
from stratavm.wasi.p1.kernel cimport Buffers, iovec
from stratavm.wasi.state cimport DescriptorState, WorldState

cdef enum Phase:
    UNBEGUN = 0               # the threads do not know it
    QUEUED = 1
    RUNNING = 2
    MOVED = 3                 # a thread is done with it, and its loop is told
    OVER = 4

cdef struct Event:            # of a loop
    Queue moved               # tasks, not yet looked at
    uint32_t n_queued, n_running
    int fd                    # readable: the loop is told of them
    bint is_told
    bint is_late              # told soon, with what is moved until then
    Event* next               # that is late, too

cdef struct Task:             # what threads see of a transfer
    Link link
    void* transfer            # whose member it is: a reference from QUEUED until Python has looked at it
    Event* event
    int fd
    bint writes
    char* room
    uint64_t size
    int64_t offset            # -1: at the position
    int64_t moved             # bytes, or an error number of the host's, negative
    uint32_t phase
    bint is_left              # it runs, and nobody waits for it

cdef class Completions:
    cdef Event event
    cdef object loop          # a weak reference
    cdef list waiting         # transfers for the threads, at the loop's next turn
    cdef uint64_t forks
    cdef int add(self, Transfer transfer, object loop) except -1
    cdef int reap(self) except -1

cdef class Transfer:
    cdef Task task
    cdef Buffers buffers      # the guest's
    cdef char* out            # where it wants the number of bytes
    cdef Py_buffer memory     # the guest's, which stays where it is meanwhile
    cdef Completions completions
    cdef WorldState world
    cdef DescriptorState descriptor
    cdef object future
    cdef object user          # of the descriptor
    cdef uint64_t forks
    cdef uint32_t closing     # error number of closing the descriptor
    cdef bint holds           # the descriptor and the memory
    cdef int leave(self) except -1
    cdef int release(self) except -1
    cdef int told(self) except -1

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/eventfd.h>
    #include <sys/uio.h>
    #include <unistd.h>

    /* Whole pages: what goes past the page cache wants them. */
    static inline char *strata_pages(size_t size) {
        void *found = NULL;
        return posix_memalign(&found, 4096, size) ? NULL : (char *)found;
    }
    static inline void strata_copy(struct iovec *v, int n, char *room, size_t size, int into_room) {
        int i;
        for (i = 0; i < n && size; i++) {
            size_t piece = v[i].iov_len < size ? v[i].iov_len : size;
            into_room ? memcpy(room, v[i].iov_base, piece) : memcpy(v[i].iov_base, room, piece);
            room += piece;
            size -= piece;
        }
    }

    /* Bytes moved, or an error number, negative. */
    static inline int64_t strata_transfer(int fd, int writes, char *room, size_t size, int64_t offset) {
        ssize_t moved;
        if (writes)
            moved = offset < 0 ? write(fd, room, size) : pwrite(fd, room, size, offset);
        else
            moved = offset < 0 ? read(fd, room, size) : pread(fd, room, size, offset);
        return moved < 0 ? -errno : moved;
    }

    static inline void strata_tell(int fd) {
        uint64_t one = 1;
        if (write(fd, &one, sizeof one) != sizeof one) return;  /* it says so already */
    }
    static inline void strata_hear(int fd) {
        uint64_t count;
        if (read(fd, &count, sizeof count) != sizeof count) return;  /* it was heard before */
    }
    """
    char* pages "strata_pages"(size_t)
    void copy_buffers "strata_copy"(iovec*, int, char*, size_t, bint)
    int64_t transfer_now "strata_transfer"(int, bint, char*, size_t, int64_t)
    void tell_event "strata_tell"(int)
    void hear_event "strata_hear"(int)
    int eventfd(unsigned int, int)
    int EFD_CLOEXEC
    int EFD_NONBLOCK
    int close(int)
