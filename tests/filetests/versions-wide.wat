;; A loop over a memory of 64-bit addresses: before it, what the addresses are made of is found to be below 2**32, and
;; the highest of them to lie within the memory; then no round looks.
;;! show: opt
;;! passes: fold licm versions
;;! run: f 8 100 => 0
;;! run: f 65000 1000 => trap memory_out_of_bounds
;;! run: f 0xffffffffffffff00 1000 => trap memory_out_of_bounds
(module (memory i64 1)
  (func $f (export "f") (param $p i64) (param $n i64) (result i64) (local $i i64) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum)
        (i64.load8_u (i64.add (local.get $p) (i64.shl (local.get $i) (i64.const 1))))))
      (br_if $next (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $n))))
    (local.get $sum)))
