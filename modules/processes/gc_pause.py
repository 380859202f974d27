"""Holding back Python's search for cyclic garbage while a great many objects are made.

The search is started by the number of objects that were made and looks at all that live: where
hundreds of thousands are made to stay, most of the time would go into searching what is no garbage.
Reference counts go on freeing what they can meanwhile.  Whoever had switched the search off finds
it off afterwards.
"""

from __future__ import annotations

import gc


class GcPaused:
    """A context in which no garbage is searched for; the outermost one ends that, also on errors.

    It holds for the whole process: keep it short.
    """

    __slots__ = ("_was_on",)

    def __enter__(self) -> None:
        self._was_on = gc.isenabled()
        gc.disable()

    def __exit__(self, *_error: object) -> None:
        if self._was_on:
            gc.enable()
