"""Which top-level names the text of a source imports, also inside its functions.

Found by the words of the text, not by parsing it: a million lines take a second and not a minute,
and a name too many (out of a docstring, say) only matters when the project has such a file.
"""

from __future__ import annotations

import re
from typing import Final

_FROM: Final = rb"from[ \t]+([^\s.;#()]+)[^\s;#()]*[ \t]+import\b"
_IMPORT: Final = rb"import[ \t]+([^\n;#(]+)"
_CALL: Final = rb"""(?:import_module|__import__|run_module)\(\s*['"]([^'"\s.]+)"""
_STATEMENT: Final = re.compile(
    rb"(?:^|[;:])[ \t]*(?:" + _FROM + rb"|" + _IMPORT + rb")", re.MULTILINE
)
_CALLS: Final = re.compile(_CALL)
_FILES: Final = re.compile(rb"""['"/]([^'"/\s]+\.py)['"]""")
_BY_PATH: Final = re.compile(
    rb"spec_from_file_location|FileLoader|run_path|load_source|\bexec\(|\bexecfile\("
)


def named_files(source: bytes) -> set[str]:
    """Return the names of Python files that stand as texts in a source that runs files by path."""
    return {name.decode("utf-8", "replace") for name in _FILES.findall(source)}


def runs_files(source: bytes) -> bool:
    """Whether a source may run files by their path, of which no module tells."""
    return _BY_PATH.search(source) is not None


def imported_names(source: bytes) -> set[str]:
    """Return the top-level names that a source imports absolutely, in whatever place."""
    names: set[bytes] = set(_CALLS.findall(source))
    for origin, listed in _STATEMENT.findall(source.replace(b"\\\n", b" ")):
        if origin:
            names.add(origin)
        for part in listed.split(b","):
            words = part.split()
            if words:
                names.add(words[0].partition(b".")[0])
    found = (name.decode("utf-8", "replace") for name in names)
    return {name for name in found if name.isidentifier()}
