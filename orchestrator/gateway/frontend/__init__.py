"""The gateway towards its callers: it listens, reads requests, and answers."""
