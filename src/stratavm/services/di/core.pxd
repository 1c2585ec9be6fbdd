# The frozen plan of a container, and its scopes.

cdef class Plan:
    cdef readonly object key
    cdef readonly str name            # for messages and the graph
    cdef readonly object factory
    cdef public tuple needs           # Plans of the arguments, positional ones first
    cdef readonly tuple keywords      # names of the last arguments, or None
    cdef readonly int level           # of the scope that keeps the value; 0 is the container
    cdef readonly int slot            # in that scope's cache; -1 for singletons and transients
    cdef readonly bint transient
    cdef readonly bint is_async       # the factory is a coroutine function or an async generator function
    cdef readonly bint is_generator   # the factory yields the value, then cleans up
    cdef public bint needs_async      # it, or something it needs, is async
    cdef public bint retired          # of an override that has ended
    cdef object value                 # of a singleton; UNSET before it is built, and always for others

cdef class Pending:
    cdef object task                  # that builds, or None: then the thread does
    cdef unsigned long thread         # its identity
    cdef readonly bint done
    cdef readonly object error        # what every waiter raises; None if built or handed over
    cdef object event                 # what threads wait for, made by the first of them
    cdef list futures                 # what tasks wait for
    cdef Plan plan
    cdef Pending older                # the build that was under way in the same scope when this one began
    cdef object owner(self)

cdef class Scope:
    cdef dict plans                   # key -> Plan; empty when closed, so that a hit needs no test
    cdef readonly tuple levels        # names
    cdef readonly tuple sizes         # number of slots by level
    cdef readonly int level
    cdef readonly Scope parent
    cdef readonly bint closed
    cdef bint owns_parent             # the parent was opened on the way here
    cdef list cache                   # by slot
    cdef Pending building             # builds under way, the newest first
    cdef list cleanups                # generators to resume, oldest first
    cdef Scope home(self, Plan plan)
    cdef object miss(self, object key, object name)
    cdef object once(self, Plan plan)
    cdef Pending begin(self, Plan plan, Pending mine)
    cdef object keep(self, Plan plan, object value)
