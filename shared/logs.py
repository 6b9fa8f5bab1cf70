"""Logging: structlog, one JSON line per event (or a readable line at a terminal), nothing that a score or key contains.

Exceptions are told by `shared.log_text`, whoever logs them.

Our own events are rendered by msgspec and written at once, without a detour over `logging`: there is one for every
request. What the libraries log through `logging` comes out in the same form. `request_id` and other context variables
bound with structlog join every event of their task.
"""

import json
import logging
import sys
from typing import Any, Literal

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from shared.log_text import printable, told

LogFormat = Literal["json", "console"]

_encoder = msgspec.json.Encoder(enc_hook=str)


def configure_logs(service: str, log_format: LogFormat, level: str = "INFO") -> None:
    """Set up logging for this process. To standard output, as twelve-factor services do."""
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _service_adder(service),
        _tell_exception,
    ]
    is_json = log_format == "json"
    last: Processor = structlog.processors.JSONRenderer(_to_json) if is_json else _for_console
    structlog.configure(
        processors=[*processors, last],
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer) if is_json else structlog.PrintLoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )
    _configure_libraries(processors, last if not is_json else structlog.processors.JSONRenderer(_to_text), level)


def _configure_libraries(processors: list[Processor], last: Processor, level: str) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=processors,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            last,
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # arq logs the arguments of its jobs, uvicorn a line per request where ours already is.
    for chatty in ("uvicorn.access", "arq", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _to_json(event: EventDict, **_options: Any) -> bytes:
    try:
        return _encoder.encode(event)
    except UnicodeEncodeError:  # half of a surrogate pair: json can write it, and to log must not fail
        return json.dumps(event, default=str).encode()


def _to_text(event: EventDict, **options: Any) -> str:
    return _to_json(event, **options).decode()


_console = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())


def _for_console(logger: Any, name: str, event: EventDict) -> str:
    exception = event.pop("exception", None)
    line = _console(logger, name, _printable_values(event))
    return line if exception is None else f"{line}\n{exception}"


def _printable_values(event: EventDict) -> EventDict:
    return {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}


def _tell_exception(_logger: object, _name: str, event: EventDict) -> EventDict:
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else sys.exception() if given is True else given
    if isinstance(error, BaseException):
        event["exception"] = told(error)
    return event


def _service_adder(service: str) -> Processor:
    def add_service(_logger: object, _name: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add_service
