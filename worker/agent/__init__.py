"""The agent: joins a store, claims tasks, finishes them, keeps its lease, and leaves.

`session` is one stay at a store; its loops are `exchange_loop` (claim and finish), `inbox`
(wake-ups and commands), `heartbeat` (the lease), `controller_loop` and `housekeeping`.
"""
