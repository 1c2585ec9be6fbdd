"""Passes over the SSA form: each named, each switched by a flag, each checked against the evaluator."""
