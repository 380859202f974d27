"""A private Redis server for one machine, and processes that end with their owner."""
