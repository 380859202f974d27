"""Processes that run user code, as their owner sees them, and threads.

`forkserver` starts a template from which each `child` is forked; `channel` carries messages between
both, `dispatch` hands tasks to a child, `states_sent` follows how far a replica has the state log.
`thread_pool` and `threads` run functions in threads, `interrupt` is Ctrl-C, `gc_pause` holds the
search for cyclic garbage back.
"""
