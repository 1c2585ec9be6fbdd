;; A division and a load whose results nobody wants stay, with all passes: the trap is what they are for.
;;! show: opt
;;! passes: level 1
;;! run: f 0 0 => trap div_by_zero
;;! run: f 65536 1 => trap memory_out_of_bounds
;;! run: f 0 1 => 1
(module (memory 1) (func $f (export "f") (param i32 i32) (result i32)
  (drop (i32.div_u (i32.const 1) (local.get 1)))
  (drop (i32.load (local.get 0)))
  (drop (i32.add (local.get 0) (local.get 1)))
  (i32.const 1)))
