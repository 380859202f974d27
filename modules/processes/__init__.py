"""Processes that run user code, as their owner sees them, and threads.

`forkserver` starts a template from which each `child` is forked; `channel` carries messages between
both, `dispatch` hands tasks to a child. `thread_pool` and `threads` run functions in threads.
"""
