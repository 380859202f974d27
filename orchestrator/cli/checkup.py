"""The command `doctor`: the check-up, told line by line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from .failures import FAILED, NO_REDIS
from .output import emit_json, json_option, paint, tell, write
from .session import connection_options, settings_of

if TYPE_CHECKING:
    from ..findings import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@json_option
@connection_options
def doctor(as_json: bool, redis_url: str | None, prefix: str | None) -> int:
    """Check Redis, the secret, the clock and the workers, and say what to do."""
    from ..doctor import examine
    from ..errors import NoRedis
    from ..findings import PROBLEM, Finding

    settings = settings_of(redis_url, prefix)
    code = 0
    try:
        findings = examine(settings)
    except NoRedis as error:
        code = NO_REDIS
        advice = "start it, or correct REDIS_URL"
        findings = [Finding(check="redis", level=PROBLEM, message=str(error), advice=advice)]
    if settings.redis_url is None:
        code = NO_REDIS
    elif not code and any(finding.level == PROBLEM for finding in findings):
        code = FAILED
    if as_json:
        emit_json({"ok": not code, "checks": [finding.to_json() for finding in findings]})
    else:
        _print(findings)
    return code


def _print(findings: list[Finding]) -> None:
    for finding in findings:
        level = paint(finding.level.ljust(8), _COLOURS[finding.level], sys.stdout)
        write(f"{level} {finding.check.ljust(12)} {finding.message}")
        if finding.advice and finding.level != "ok":
            write(f"{' ' * 22}{finding.advice}")
    troubles = sum(finding.level == "problem" for finding in findings)
    if troubles:
        tell(f"{troubles} problem{'' if troubles == 1 else 's'} to mend")
