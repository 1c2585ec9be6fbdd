;; Arguments are placed as for a call, the frame goes, and the code is jumped to. Stack arguments take the place of the
;; caller's own, with the same upper end: here they grow from none to 16 bytes, stay, and shrink to none.
;;! show: minst asm
;;! run: f 5 => 37
(module
  (func $f (export "f") (param i64) (result i64)
    (return_call $more (local.get 0) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7)))
  (func $more (param i64 i64 i64 i64 i64 i64 i64) (result i64)
    (return_call $same (local.get 6) (local.get 5) (local.get 4) (local.get 3) (local.get 2) (local.get 1)
      (i64.mul (local.get 0) (i64.const 6))))
  (func $same (param i64 i64 i64 i64 i64 i64 i64) (result i64)
    (return_call $none (i64.add (local.get 0) (local.get 6))))
  (func $none (param i64) (result i64) (local.get 0)))
