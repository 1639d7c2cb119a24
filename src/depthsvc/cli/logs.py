"""Logging: one event per line, JSON for machines or coloured for a terminal, with the request's id."""

from __future__ import annotations

import logging
import sys
from functools import cached_property
from typing import TYPE_CHECKING

from depthsvc.settings import LogFormat

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

_CHATTY = {"httpx": logging.WARNING, "uvicorn.error": logging.ERROR, "python_multipart": logging.ERROR}
"""Library loggers whose routine messages mean nothing to an operator, or let clients fill the log."""


def configure(level: str, format: LogFormat) -> None:
    """Log to standard error. Every line carries structlog's context variables."""
    as_json = format is LogFormat.JSON or (format is LogFormat.AUTO and not sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(as_json=as_json))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name, quieter in _CHATTY.items():
        logging.getLogger(name).setLevel(quieter)


class _Formatter(logging.Formatter):
    """structlog's, which is imported for the first line: a command that succeeds seldom has one."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        return self._structlog.format(record)

    @cached_property
    def _structlog(self) -> logging.Formatter:
        import structlog

        return structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *self._renderers(),
            ],
        )

    def _renderers(self) -> list[Processor]:
        import structlog

        if self._as_json:
            return [structlog.processors.JSONRenderer()]
        plain = structlog.dev.plain_traceback
        return [_escape_controls, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def _escape_controls(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape what a terminal would obey, or not show: a client may have sent it. A traceback keeps its lines."""
    return {
        name: _escaped(value, kept="\n" if name == "exception" else "") if isinstance(value, str) else value
        for name, value in event.items()
    }


def _escaped(text: str, kept: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in kept else each.encode("unicode_escape").decode() for each in text
    )
