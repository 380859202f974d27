"""The HTTP server inside a replica: from a connection to a call of `forward`, and back."""
