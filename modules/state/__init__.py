"""What of a tree travels: whole trees, what tasks change on modules, and the values in both.

`target` loads a tree by name, `trees` packs it, `state_log` records and applies changes, `values`
is the codec that all of them use.
"""
