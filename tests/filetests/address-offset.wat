;; Guard plan: base and index are one address; a small static offset is its displacement, and 2**31 is added first.
;;! show: minst asm
;;! run: small 0 => 0
;;! run: large 0 => trap memory_out_of_bounds
(module (memory 1)
  (func $small (export "small") (param i32) (result i32) (i32.load offset=12 (local.get 0)))
  (func $large (export "large") (param i32) (result i32) (i32.load offset=0x80000000 (local.get 0))))
