"""What stands around a call of a module or a flow, wherever it is called.

`hooks` sees calls, `caching` keeps their results, `awaiting` makes them from async code.
"""
