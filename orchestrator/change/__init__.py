"""Change without fear: what a deploy would change, what it may leave as it is, plans to hold to."""
