;; A branch table with a result: every entry is an edge with its own argument.
;;! show: ssa minst
;;! run: f 0 => 101
;;! run: f 1 => 11
;;! run: f 9 => 1
(module (func $f (export "f") (param i32) (result i32)
  (block $default (result i32)
    (i32.add (i32.const 10)
      (block $one (result i32)
        (i32.add (i32.const 90)
          (block $zero (result i32)
            (br_table $zero $one $default (i32.const 1) (local.get 0)))))))))
