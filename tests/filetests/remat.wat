;; What can be computed again is not stored: the memory's base and a number on both sides of calls, a float read in place.
;;! show: minst ra asm
;;! machine: remat pointers zero
;;! allocator: splitting
;;! run: f 3 => 8.25
(module
  (memory 1)
  (func $g (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export "f") (param $n i32) (result f64) (local $i i32) (local $s f64)
    (loop $next
      (i32.store offset=8 (local.get $i) (local.get $n))
      (i32.store offset=16 (local.get $i) (call $g (i32.const 5)))
      (local.set $s (f64.mul (f64.add (local.get $s) (f64.convert_i32_u (i32.load offset=8 (local.get $i)))) (f64.const 1.5)))
      (local.set $i (i32.load offset=16 (local.get $i)))
      (br_if $next (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 2))) (i32.const 0))))
    (local.get $s)))
