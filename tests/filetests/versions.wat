;; versions: a loop over an array has no check where the whole range lies within the memory, which is compared once.
;;! show: opt
;;! passes: fold licm versions
;;! plan: bounded
;;! run: sum 0 0 => 0
;;! run: sum 40000 6384 => 0
;;! run: sum 40000 6385 => trap memory_out_of_bounds
;;! run: sum 4294967292 2 => trap memory_out_of_bounds
(module (memory 1)
  (func $sum (export "sum") (param $p i32) (param $n i32) (result i32) (local $sum i32)
    (block $done
      (br_if $done (i32.eqz (local.get $n)))
      (loop $l
        (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $p))))
        (local.set $p (i32.add (local.get $p) (i32.const 4)))
        (br_if $l (local.tee $n (i32.add (local.get $n) (i32.const -1))))))
    (local.get $sum)))
