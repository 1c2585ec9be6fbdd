;; Reading and writing a table compares the index first; the size is a field of the context.
;;! show: minst
;;! run: null 0 => 1
;;! run: null 2 => trap table_out_of_bounds
;;! run: size => 2
(module (table $t 2 externref)
  (func $null (export "null") (param i32) (result i32) (ref.is_null (table.get $t (local.get 0))))
  (func $put (param i32 externref) (table.set $t (local.get 0) (local.get 1)))
  (func $size (export "size") (result i32) (table.size $t)))
