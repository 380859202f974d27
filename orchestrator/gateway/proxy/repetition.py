"""Whether a call that was lost may be sent again, to another replica.

Only when nothing of its answer has come, which the call itself knows; how often all calls of a
service together may be is the budget's to say.
"""

from __future__ import annotations

from typing import Final

ATTEMPTS: Final = 4


def why_not_again(attempts: int, is_repeatable: bool, *, in_part: bool) -> str | None:
    """Return why a call isn't sent again after so many attempts, or None if it is.

    `in_part` says that some of its body is gone, `is_repeatable` that it may run twice.
    """
    if in_part:
        return "was lost, and the call not repeated: its body was sent in part"
    if not is_repeatable:
        return "was lost, and the call not repeated: it may have begun there"
    if attempts >= ATTEMPTS:
        return f"was lost, the last of {attempts}"
    return None
