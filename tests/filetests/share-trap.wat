;; share: a division twice is one division, since the first has trapped if the second would.
;;! show: opt
;;! passes: share
;;! run: f 12 4 => 9
;;! run: f 1 0 => trap div_by_zero
(module (func $f (export "f") (param i32 i32) (result i32)
  (i32.mul (i32.div_u (local.get 0) (local.get 1)) (i32.div_u (local.get 0) (local.get 1)))))
