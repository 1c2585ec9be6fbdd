"""Sandboxed Python for agents and their protocols: a module for each package that is adapted, named as that is.

``stratavm`` needs none of these packages: each module imports its own, and says what to install where that is absent.
"""
