"""The slots: children that run one task at a time each, and how far ahead of them is claimed."""
