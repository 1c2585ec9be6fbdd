;; What an instruction leaves in the zero flag is not compared with zero again; other conditions need the comparison.
;;! show: asm
;;! run: count 5 => 15
;;! run: sign 3 => 2
;;! run: sign 9 => 1
(module
  (func $count (export "count") (param i32) (result i32) (local i32)
    (loop
      (local.set 1 (i32.add (local.get 1) (local.get 0)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func $sign (export "sign") (param i32) (result i32)
    (local.set 0 (i32.sub (local.get 0) (i32.const 5)))
    (if (result i32) (i32.gt_s (local.get 0) (i32.const 0)) (then (i32.const 1)) (else (i32.const 2)))))
