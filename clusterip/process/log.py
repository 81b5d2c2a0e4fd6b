"""Structured logging: one line an event, in logfmt, on standard error.

::

    log = get("dns")
    log.info("service synced", service="default/my-service", seconds=0.1)

    2026-01-01T00:00:00.000Z INFO dns event="service synced" service=default/my-service seconds=0.1

Everything goes through the standard library's ``logging``, so lines of libraries look the same.
"""

from __future__ import annotations

import json
import logging
import os
import time
import traceback

_ROOT = "clusterip"
_DEBUG_VERBOSITY = 4
"""Upstream's convention: ``-v 2`` is for operators, 4 for debugging."""

_bare = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@+,[]{}<>*%#~$&()|;?!^")


def quote(value: object) -> str:
    """``value`` as a logfmt value: bare if it may be, else in double quotes, always one line."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    if text and _bare.issuperset(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


class Logger:
    """A named logger whose events carry fields. ``event`` is a constant text, the fields vary."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, /, **fields: object) -> None:
        """For people who debug this program: shown from ``-v 4``."""
        if self._logger.isEnabledFor(logging.DEBUG):
            self._logger.debug(event, extra={"fields": fields})

    def info(self, event: str, /, **fields: object) -> None:
        self._logger.info(event, extra={"fields": fields})

    def warning(self, event: str, /, **fields: object) -> None:
        self._logger.warning(event, extra={"fields": fields})

    def error(self, event: str, /, **fields: object) -> None:
        self._logger.error(event, extra={"fields": fields})

    def exception(self, event: str, /, **fields: object) -> None:
        """An error with the traceback of the exception being handled."""
        self._logger.error(event, exc_info=True, extra={"fields": fields})

    @property
    def debugging(self) -> bool:
        """Whether ``debug`` writes anything: ask before computing costly fields."""
        return self._logger.isEnabledFor(logging.DEBUG)


class Formatter(logging.Formatter):
    """``TIME LEVEL PART event=... key=value ...``; UTC with milliseconds."""

    def format(self, record: logging.LogRecord) -> str:
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        name = record.name.removeprefix(_ROOT + ".")
        parts = [f"{second}.{int(record.msecs):03d}Z {record.levelname} {name}"]
        parts.append(f'event="{quote(record.getMessage() + " ")[1:-2]}"')
        fields: dict[str, object] = getattr(record, "fields", {})
        parts += [f"{key}={quote(value)}" for key, value in fields.items()]
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            parts.append(f"error={quote(f'{type(error).__name__}: {error}')}")
            parts.append(f"traceback={quote(''.join(traceback.format_exception(error)).rstrip())}")
        return " ".join(parts)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the keys of Kubernetes' own JSON logs (``--logging-format=json``).

    ``ts`` is in milliseconds, ``err`` an error's text; ``v`` is there for what is no error. Upstream:
    ``k8s.io/component-base/logs/json``.
    """

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "ts": round(record.created * 1000, 4),
            "logger": record.name.removeprefix(_ROOT + "."),
            "msg": record.getMessage(),
        }
        if record.levelno < logging.ERROR:
            entry["v"] = _DEBUG_VERBOSITY if record.levelno <= logging.DEBUG else 0
        entry |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            entry["err"] = f"{type(error).__name__}: {error}"
            entry["stacktrace"] = "".join(traceback.format_exception(error)).rstrip()
        return json.dumps(entry, default=str)


class _StandardError(logging.Handler):
    """Writes each line with one write(2): whole lines also when several processes share the file."""

    def emit(self, record: logging.LogRecord) -> None:
        data = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
        try:
            while data:
                data = data[os.write(2, data) :]
        except OSError:
            return  # a full or closed standard error must not stop the part that logs


def setup(verbosity: int = 0, *, as_json: bool = False) -> None:
    """Send all logging to standard error; debug lines from ``verbosity`` 4. May be called again."""
    handler = _StandardError()
    handler.setFormatter(JsonFormatter() if as_json else Formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(_ROOT).setLevel(logging.DEBUG if verbosity >= _DEBUG_VERBOSITY else logging.INFO)


def get(name: str) -> Logger:
    """The logger of a part: ``get("dns")`` or ``get(__name__)``."""
    return Logger(logging.getLogger(name if name.startswith(_ROOT) else f"{_ROOT}.{name}"))
