"""Ways of running a function: ``oracle`` (slow, obviously right) and ``jit``, which meet only in ``tiers/tier.py``."""
