;; Extensions and wraps are single moves; an unsigned i32 is converted to a float as an i64.
;;! show: minst asm
;;! run: wrap 4294967297 => 1
;;! run: sign 4294967295 => -1
;;! run: zero -1 => 4294967295
;;! run: float -1 => 4294967295.0
(module
  (func $wrap (export "wrap") (param i64) (result i32) (i32.wrap_i64 (local.get 0)))
  (func $sign (export "sign") (param i64) (result i64) (i64.extend32_s (local.get 0)))
  (func $zero (export "zero") (param i32) (result i64) (i64.extend_i32_u (local.get 0)))
  (func $float (export "float") (param i32) (result f64) (f64.convert_i32_u (local.get 0))))
