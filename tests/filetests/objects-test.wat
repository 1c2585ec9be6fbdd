;; A test of a type is instructions: what is less than any address is no object (null, handles, numbers), and the header
;; of what is one says its type. Where others may be declared below that, a rare path goes up. What a branch or a trap
;; asks is left in the flags.
;;! show: asm
;;! run: number 1 => 1
;;! run: number 0 => 0
;;! run: branch 1 => 7
;;! run: branch 0 => trap cast_failure
(module
  (type $open (sub (struct (field i32))))
  (type $final (sub final $open (struct (field i32) (field i32))))
  (type $other (struct (field i32)))
  (func $made (param i32) (result anyref)
    (if (result anyref) (local.get 0) (then (struct.new $final (i32.const 7) (i32.const 8))) (else (struct.new_default $other))))
  (func $number (export "number") (param i32) (result i32) (ref.test (ref $open) (call $made (local.get 0))))
  (func $branch (export "branch") (param i32) (result i32)
    (struct.get $final 0 (ref.cast (ref null $final) (call $made (local.get 0)))))
  (func $is_final (param anyref) (result i32) (ref.test (ref $final) (local.get 0)))
  (func $is_struct (param anyref) (result i32) (ref.test (ref struct) (local.get 0)))
  (func $is_array (param anyref) (result i32) (ref.test (ref null array) (local.get 0)))
  (func $is_eq (param anyref) (result i32) (ref.test (ref null eq) (local.get 0)))
  (func $is_i31 (param anyref) (result i32) (ref.test (ref null i31) (local.get 0))))
