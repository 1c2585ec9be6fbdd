;; inline: a function that calls itself stays a call.
;;! show: opt
;;! passes: inline
;;! run: f 5 => 120
(module
  (func $f (export "f") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.mul (local.get 0) (call $f (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 1)))))
