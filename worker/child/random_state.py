"""The global random generators of libraries, seeded anew in a process that was forked.

Python reseeds its own `random` after a fork. NumPy and PyTorch don't: what their global state was
when they were imported, it would be in all processes alike. What a user seeds afterwards holds.
"""

from __future__ import annotations

import os
import sys


def reseed() -> None:
    """Seed what is loaded of them from the system's randomness."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        try:
            numpy_random.seed()
        except TypeError:
            # The user has put a generator of another kind in its place, and seeds it himself.
            return
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "manual_seed"):
        # Not `torch.seed()`: that asks for the GPU where there is one.
        torch.manual_seed(int.from_bytes(os.urandom(8), "big") >> 1)
