"""Calls of served modules: from arguments through a signed envelope to an endpoint, and back.

`client` chooses the replica and repeats, `connections` keeps connections, `endpoints` says where
modules answer now, `envelope` is what is inside a call and its answer, `proof` how a replica shows
that it is the one meant, `tracing` what of a trace goes along, `bounds` how many replicas there may
be to call.
"""
