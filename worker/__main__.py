"""The worker process: `python -P -m rootward.worker --slots 4`.

`rootward worker` and `rootward up` become or start exactly this. The first SIGTERM or SIGINT
drains, the second ends at once. It exits with 0 when it has drained, 1 when it was ended at once,
2 for wrong usage or a missing secret, 3 when Redis isn't given or isn't reached. What an option
doesn't say comes from the environment, which the settings alone read.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence

from rootward.modules.errors import RootwardError
from rootward.orchestrator.errors import NoRedis
from rootward.orchestrator.log_format import log_as_text
from rootward.orchestrator.refusals import refusal
from rootward.orchestrator.settings import Settings
from rootward.orchestrator.terminal import clean

from .hidden_environment import hide

_PLAIN = frozenset(vars(logging.makeLogRecord({})))


class _JsonLines(logging.Formatter):
    """One JSON object a record: time, level, event, message, and what else it was given."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", record.name),
            "message": record.getMessage(),
        }
        for key, value in vars(record).items():
            if key not in _PLAIN and key not in fields:
                fields[key] = value
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker until it is told to end; return its exit code."""
    given = _parser().parse_args(arguments)
    try:
        settings = Settings.from_environment(
            host=given.host,
            metrics_port=given.metrics_port,
            metrics_host=given.metrics_host,
            task_drain_seconds=given.drain_tasks,
        )
        hide()
        _log_to_stderr(settings.log_format, _level(given))
        from .agent.agent import Agent
        from .child.process_tree import raise_descriptor_limit
        from .devices.offers import options_by_name

        raise_descriptor_limit()
        agent = Agent(
            slots=given.slots,
            name=given.name,
            resources=options_by_name(given.resource),
            queues=given.queues,
            settings=settings,
        )
        return 0 if agent.run(burst=given.burst) else 1
    except RootwardError as error:
        sys.stderr.write(clean(f"error: {error}\n"))
        return 3 if isinstance(error, NoRedis) else 2
    except Exception as error:
        if (refused := refusal(error)) is None:
            raise
        sys.stderr.write(clean(f"error: {refused.sentence}\n"))
        return refused.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -P -m rootward.worker", description="Run a worker."
    )
    parser.add_argument("--slots", type=_count, default=4, help="tasks at once (4)")
    parser.add_argument("--name", help="the worker's name (host and process)")
    parser.add_argument("--host", help="where replicas listen (ROOTWARD_HOST, 127.0.0.1)")
    parser.add_argument(
        "--resource",
        action="append",
        default=[],
        metavar="NAME=AMOUNT",
        help="what it offers: gpu=2, gpu=0,3 (devices), gpu=auto; may be given again",
    )
    parser.add_argument(
        "--queues",
        type=lambda text: [name for name in text.split(",") if name],
        help="take from these queues (comma between) instead of the plain one",
    )
    parser.add_argument("--metrics-port", help="tell metrics there (ROOTWARD_METRICS_PORT, off)")
    parser.add_argument("--metrics-host", help="on this address (127.0.0.1)")
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument("-v", "--verbose", action="store_true", help="log every step")
    loud.add_argument("-q", "--quiet", action="store_true", help="log what goes wrong only")
    parser.add_argument(
        "--drain-tasks", metavar="S", help="seconds for running tasks at SIGTERM (9)"
    )
    parser.add_argument("--burst", action="store_true", help="end when nothing is left to do")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _level(given: argparse.Namespace) -> int:
    if given.quiet:
        return logging.WARNING
    return logging.DEBUG if given.verbose else logging.INFO


def _log_to_stderr(log_format: str, level: int) -> None:
    # Other libraries have no steps of ours to tell.
    for_all = max(level, logging.INFO)
    if log_format == "json":
        handler = logging.StreamHandler()
        handler.setFormatter(_JsonLines())
        logging.basicConfig(level=for_all, handlers=[handler])
    else:
        log_as_text(for_all)
    logging.getLogger("rootward").setLevel(level)
    # RQ tells of every subscription.
    logging.getLogger("rq.worker").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
