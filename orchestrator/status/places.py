"""Where in the user's own code an error was raised, read from the text of its traceback.

Frames of libraries, of Python and of rootward are passed over, on whatever machine they are.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<where>.+)$')
_OURS = str(Path(__file__).absolute().parents[2]) + os.sep


def users_line(traceback: str) -> str | None:
    """Return the last place in the user's own code that a traceback went through, or None."""
    found: str | None = None
    if "_RemoteTraceback" in traceback:
        # One error that went through several processes: the first part is where it was raised.
        traceback = traceback.partition("\nThe above exception was the direct cause")[0]
    lines = traceback.splitlines()
    for number, line in enumerate(lines):
        frame = _FRAME.match(line)
        if frame is None or _is_foreign(frame["file"]):
            continue
        code = lines[number + 1].strip() if number + 1 < len(lines) else ""
        found = f"{frame['file']}:{frame['line']} in {frame['where']}"
        if code and not code.startswith(("File ", "^")):
            found += f": {code if len(code) <= 80 else code[:77] + '...'}"
    return found


def _is_foreign(file: str) -> bool:
    # A worker on another machine may have us elsewhere: site-packages tells it there.
    library = ("site-packages" in file) or ("dist-packages" in file) or "/lib/python3" in file
    return library or file.startswith(("<frozen", _OURS))
