"""Identity: when a module of a tree is unchanged from one submission to the next.

`reading` makes a record of a live tree and its project's sources, `record` stores it, `changes`
compares two records. "Unchanged" is never wrong as far as a process can see; "changed" may be, and
comes with a reason.
"""
