"""Keeping what runs equal to what was asked for.

`controller` runs rounds under a leader lease; `reconcile` decides what to do, as a pure function.
"""
