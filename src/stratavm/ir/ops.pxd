# The operations of nodes that are rows of WebAssembly: their ids (below 0x8000; ``ssa.pxd`` has the IR's own, from
# there) and what is known of each. Passes, builders and selectors speak of operations through this page alone: where
# the numbers come from is known here.
from stratavm.spec._gen_ops cimport *
from stratavm.spec._gen_optables cimport *
