"""Without room for another process nothing begins, nothing is left open, and the error says so."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from rootward.modules.processes.forkserver import Template
from rootward.modules.processes.scarcity import NoProcess, is_scarcity
from tests.support.hosted import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def files_left(count: int) -> Iterator[None]:
    """Let this process open no more than so many files."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = [os.open(os.devnull, os.O_RDONLY) for _ in range(count + 1)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1], limits[1]))
    for fd in free:
        os.close(fd)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def open_files() -> list[str]:
    return sorted(path.name for path in Path("/dev/fd").iterdir())


def refused(start: Callable[[], object]) -> int:
    """Start with ever more free files until that succeeds; return how often it was refused."""
    for count in range(64):
        before = open_files()
        with files_left(count):
            try:
                start()
            except OSError as error:
                is_told = is_scarcity(error)
            else:
                return count
        assert is_told
        assert open_files() == before, f"with {count} files free"
    raise AssertionError("it is never started")


def test_a_start_without_free_files_leaves_none_open() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            forked: list[Template] = []
            assert refused(lambda: forked.append(owner.bare.fork())) > 6
            template = forked[0]
            assert refused(lambda: template.slot("slot")) > 6
            template.close()
            await template.ended

    asyncio.run(scenario())


def test_a_bare_template_without_free_files_leaves_none_open() -> None:
    async def scenario() -> None:
        launched: list[Template] = []
        loop = asyncio.get_running_loop()
        assert refused(lambda: launched.append(Template.launch(loop))) > 2
        launched[0].close()
        await launched[0].ended

    asyncio.run(scenario())


def test_what_is_no_shortage_is_not_taken_for_one() -> None:
    assert is_scarcity(NoProcess("too many"))
    assert is_scarcity(MemoryError()) is False
    assert not is_scarcity(FileNotFoundError(errno.ENOENT, "no such file"))
    assert not is_scarcity(TimeoutError())
