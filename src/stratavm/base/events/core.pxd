# Events as hot modules use them: `if channel.heard: channel.post(event, source)`.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from stratavm.base.events.ring cimport Cell, Record, Ring

cdef class Event:
    cdef object label
    cdef uint64_t number
    cdef readonly uint64_t sequence

cdef class Source:
    cdef readonly Bus bus
    cdef readonly str label
    cdef Cell own
    cdef Cell* cell               # its own, for code that knows no Python objects
    cpdef object emit(self, Event event)

cdef class Subscription:
    cdef readonly object type
    cdef readonly str name
    cdef Bus bus
    cdef object call
    cdef object owner             # weak reference to the object whose method is called, or None
    cdef object where
    cdef object on_close
    cdef readonly uint64_t serial
    cdef bint plain               # open, strong, no condition
    cdef bint active
    cdef object call_checked(self, Event event)

cdef class Channel:
    cdef readonly object type
    cdef readonly Bus bus
    cdef tuple listeners
    cdef readonly bint heard
    cdef uint8_t* ring_flag       # this type's entry of Ring.heard, or NULL
    cdef object refresh(self)
    cdef object post(self, Event event, Source source)

cdef class Bus:
    cdef dict channels            # event class -> Channel
    cdef dict subscriptions       # class -> tuple of Subscription, in order of subscription
    cdef dict identities          # label -> identity of its last source
    cdef readonly Source origin   # the source of events that are emitted on the bus itself
    cdef Ring* ring
    cdef list kinds               # event class by kind
    cdef readonly list async_listeners    # of listening.py
    cdef uint32_t ring_capacity
    cdef list backlog             # events that are next, before those in the ring
    cdef uint64_t version
    cdef uint64_t serial
    cdef readonly uint64_t failures
    cpdef Source source(self, str label)
    cdef Channel channel_of(self, object type_)
    cdef object fail(self, Subscription listener, Event event, object error)
    cdef object change(self, object type_, object added, object removed)
    cdef object take_event(self)
    cdef object take_record(self)
    cdef object fill_backlog(self)
    cdef object event_of(self, Record* record)
