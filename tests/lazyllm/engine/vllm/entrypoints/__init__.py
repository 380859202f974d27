"""The stand-in's servers."""
