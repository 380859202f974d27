"""A tree's run on one machine without Redis.

`executor` runs its tasks in this process; `service` keeps the processes of one served module, each
of them a `replica`.
"""
