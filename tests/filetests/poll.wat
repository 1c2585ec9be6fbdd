;; Every loop polls in its header: a load of one word, which faults when somebody wants the thread.
;;! show: ssa minst asm
(module (func $f (param i32)
  (loop $again (br_if $again (local.get 0)))))
