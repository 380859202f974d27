"""What of a tree travels: whole trees, what tasks change on modules, and the values in both.

`target` loads a tree by name, `trees` packs it, `state_log` records changes, `entries` writes them
as bytes and into another tree, `values` is the codec that all of them use. `attributes` are those
of a module, slots too; `exceptions` is the way of what user code raises.
"""
