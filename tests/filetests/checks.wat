;; checks: in the bounded plan an access of an address that an earlier one proved needs no check; another address does.
;;! show: opt minst
;;! passes: checks
;;! plan: bounded
;;! run: same 65532 => 65539
;;! run: same 65533 => trap memory_out_of_bounds
;;! run: other 0 65533 => trap memory_out_of_bounds
(module (memory 1)
  (func $same (export "same") (param i32) (result i32)
    (i32.store (local.get 0) (i32.const 7))
    (i32.add (local.get 0) (i32.load (local.get 0))))
  (func $other (export "other") (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 7))
    (i32.load (local.get 1))))
