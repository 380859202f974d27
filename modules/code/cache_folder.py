"""Where this user's cache is: for code that has travelled, and for the workspaces of tasks."""

from __future__ import annotations

import os


def cache_folder(given: str = "") -> str:
    """Return the folder: the one given, else `ROOTWARD_CACHE`, else one in the user's own cache."""
    chosen = given or os.environ.get("ROOTWARD_CACHE", "")
    if not chosen:
        chosen = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "rootward")
    return os.path.abspath(os.path.expanduser(chosen))
