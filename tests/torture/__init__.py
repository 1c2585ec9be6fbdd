"""Torture of the boundary: threads, traps, signals, forks, collections. A crash, a hang or a leak is a failure."""
