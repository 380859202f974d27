"""A stand-in for vLLM on the path of a test: the same command and routes, its model an echo."""

__version__ = "0.6.0"
