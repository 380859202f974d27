"""Calls of served modules: from arguments through a signed envelope to an endpoint, and back.

`client` chooses the replica and repeats, `connections` keeps connections, `endpoints` says where
modules answer now, `envelope` is what is inside a call and its answer.
"""
