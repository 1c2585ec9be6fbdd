"""A slow, obviously right evaluator: the reference of every differential test."""
