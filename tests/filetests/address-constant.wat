;; A constant address is a displacement and needs no index.
;;! show: minst asm
;;! run: f => 0
(module (memory 1) (func $f (export "f") (result i32) (i32.load offset=4 (i32.const 16))))
