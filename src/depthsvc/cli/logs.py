"""Logging: one event per line, JSON for machines or coloured for a terminal, with the request's id."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from depthsvc.settings import LogFormat

_CHATTY = {"httpx": logging.WARNING, "uvicorn.error": logging.ERROR, "python_multipart": logging.ERROR}
"""Library loggers whose routine messages mean nothing to an operator, or let clients fill the log."""


def configure(level: str, format: LogFormat) -> None:
    """Log to standard error. Every line carries structlog's context variables."""
    as_json = format is LogFormat.JSON or (format is LogFormat.AUTO and not sys.stderr.isatty())
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(as_json=as_json)],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name, quieter in _CHATTY.items():
        logging.getLogger(name).setLevel(quieter)


def _renderers(*, as_json: bool) -> list[Processor]:
    if as_json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [
        structlog.processors.format_exc_info,
        _escape_controls,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback),
    ]


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
