;; Unsigned division by a power of two is a shift, its remainder a mask, without any pass.
;;! show: minst
;;! run: div 100 => 12
;;! run: rem 100 => 4
(module
  (func $div (export "div") (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 8)))
  (func $rem (export "rem") (param i64) (result i64) (i64.rem_u (local.get 0) (i64.const 8))))
