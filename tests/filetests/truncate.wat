;; Float to integer: the fast way is one instruction and one test, the slow way finds out which trap or bound it is.
;;! show: minst asm
;;! run: strict -7.9 => -7
;;! run: strict nan => trap invalid_conversion
;;! run: strict 1e10 => trap int_overflow
;;! run: clamped 1e10 => 2147483647
(module
  (func $strict (export "strict") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func $clamped (export "clamped") (param f64) (result i32) (i32.trunc_sat_f64_s (local.get 0))))
