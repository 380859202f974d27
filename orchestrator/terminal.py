"""Text that may be written to a terminal: what others have written can't command it.

Names, errors, log lines and output come from programs that may be anybody's. A terminal obeys what
stands in them between the letters: it sets titles, fills the clipboard, moves the cursor over what
was said before. Here only letters, tabs, ends of lines and colours (SGR) are left. A whole control
sequence is left out, any other control character becomes visible.
"""

from __future__ import annotations

import re
import signal
from typing import Final

# ECMA-48, in 7 and in 8 bits: CSI to its final byte; OSC, DCS, SOS, PM and APC to their terminator.
_SEQUENCE: Final = re.compile(
    "(?P<colour>\x1b\\[[0-9;:]*m)"
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\\\|\x9c)"
    "|\x1b[ -/]+[0-~]"
    "|\r\n?"
    "|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)
_IN_JSON: Final = re.compile("[\x7f-\x9f]")


def clean(text: str) -> str:
    """Return the text with no control of a terminal but colours, tabs and ends of lines."""
    return _SEQUENCE.sub(_cleaned, text)


def clean_json(document: str) -> str:
    """Return a JSON document with the controls escaped that JSON leaves as they are."""
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def heeds_hangup() -> bool:
    """Whether the end of the terminal is to end this process: `nohup` has it ignored."""
    return signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN


def _cleaned(found: re.Match[str]) -> str:
    text = found[0]
    if found["colour"]:
        return text
    if text[0] == "\r":
        return "\n"
    return f"\\x{ord(text):02x}" if len(text) == 1 else ""
