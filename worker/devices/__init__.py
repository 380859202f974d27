"""Devices: which ones a worker has, who holds which, and when they are free again."""
