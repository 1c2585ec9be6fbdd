;; A float compared with itself: whether it is a number, which is one flag. Two floats take two.
;;! show: minst
;;! run: number 1.0 => 1
;;! run: number nan => 0
;;! run: number inf => 1
;;! run: nan 1.0 => 0
;;! run: nan nan => 1
;;! run: branch 2.0 => 1
;;! run: branch nan => 2
;;! run: pick nan => 0.0
;;! run: pick 3.0 => 3.0
;;! run: two 1.0 1.0 => 1
;;! run: two nan nan => 0
(module
  (func $number (export "number") (param f64) (result i32) (f64.eq (local.get 0) (local.get 0)))
  (func $nan (export "nan") (param f32) (result i32) (f32.ne (local.get 0) (local.get 0)))
  (func $branch (export "branch") (param f64) (result i32)
    (if (result i32) (f64.eq (local.get 0) (local.get 0)) (then (i32.const 1)) (else (i32.const 2))))
  (func $pick (export "pick") (param f64) (result f64)
    (select (f64.const 0) (local.get 0) (f64.ne (local.get 0) (local.get 0))))
  (func $two (export "two") (param f64 f64) (result i32) (f64.eq (local.get 0) (local.get 1))))
