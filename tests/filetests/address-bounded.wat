;; Bounded plan: the end of the access is compared with the size of the memory before the access.
;;! show: minst asm
;;! plan: bounded
;;! run: f 65532 => 0
;;! run: f 65533 => trap memory_out_of_bounds
(module (memory 1) (func $f (export "f") (param i32) (result i32) (i32.load (local.get 0))))
