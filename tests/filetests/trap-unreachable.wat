;; A trap is an instruction that the processor refuses; a table says which trap it means.
;;! show: ssa asm
;;! run: f 0 => 1
;;! run: f 1 => trap unreachable
(module (func $f (export "f") (param i32) (result i32)
  (if (local.get 0) (then (unreachable)))
  (i32.const 1)))
