"""The way of a call through the gateway: table, choice of a replica, upstream connection."""
