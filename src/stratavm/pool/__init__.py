"""The pool of instances for asyncio: who may call, when, on which instance, and what was used."""
