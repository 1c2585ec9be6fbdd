;; Two threads at one word: the loads of ADR-0055, as in two.c.
(module (import "env" "memory" (memory 1 1 shared))
  (func $meet
    (drop (i32.atomic.rmw.add (i32.const 128) (i32.const 1)))
    (loop $spin (br_if $spin (i32.lt_u (i32.atomic.load (i32.const 128)) (i32.const 2)))))
  (func (export "counter") (param $me i32) (param $rounds i32)
    (call $meet)
    (loop $next
      (drop (i32.atomic.rmw.add (i32.const 64) (i32.const 1)))
      (br_if $next (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1))))))
  (func (export "exchange") (param $me i32) (param $rounds i32)
    (local $old i32) (local $found i32)
    (call $meet)
    (loop $next
      (local.set $old (i32.atomic.load (i32.const 64)))
      (block $done
        (loop $again
          (local.set $found
            (i32.atomic.rmw.cmpxchg (i32.const 64) (local.get $old) (i32.add (local.get $old) (i32.const 1))))
          (br_if $done (i32.eq (local.get $found) (local.get $old)))
          (local.set $old (local.get $found))
          (br $again)))
      (br_if $next (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1))))))
  (func (export "pingpong") (param $me i32) (param $rounds i32)
    (local $other i32)
    (call $meet)
    (local.set $other (i32.sub (i32.const 1) (local.get $me)))
    (loop $next
      (block $mine
        (loop $again
          (br_if $mine (i32.eq (i32.atomic.load (i32.const 64)) (local.get $me)))
          (drop (memory.atomic.wait32 (i32.const 64) (local.get $other) (i64.const -1)))
          (br $again)))
      (i32.atomic.store (i32.const 64) (local.get $other))
      (drop (memory.atomic.notify (i32.const 64) (i32.const 1)))
      (br_if $next (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))))
