"""Fuzzing: generators make modules from seeds, oracles judge what Strata does with them. Every finding names
its seed.
"""
