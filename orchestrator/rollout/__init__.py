"""Canaries: who gets a call, what calls were like by generation, and when a canary has baked."""
