"""Log lines: one per event, readable by people and by logfmt parsers."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator

import pytest

from clusterip.process import log


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("clusterip")
    before = root.handlers[:], root.level, own.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])


def test_a_line_has_time_level_part_event_and_fields(capfd: pytest.CaptureFixture[str]) -> None:
    log.setup()
    log.get("dns").info("service synced", service="default/x", seconds=0.25, ready=True)
    line = capfd.readouterr().err
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO dns "
        r'event="service synced" service=default/x seconds=0.25 ready=true\n',
        line,
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain-1.2:3/x", "plain-1.2:3/x"),
        ("", '""'),
        ("two words", '"two words"'),
        ('he said "no"', r'"he said \"no\""'),
        ("line\nline", r'"line\nline"'),
        ("a=b", '"a=b"'),
        ("back\\slash", r'"back\\slash"'),
        (None, "None"),
        (3, "3"),
        (False, "false"),
        (0.1 + 0.2, "0.3"),
    ],
)
def test_values_stay_on_one_line_and_unambiguous(value: object, written: str) -> None:
    assert log.quote(value) == written


def test_debug_needs_verbosity_4(capfd: pytest.CaptureFixture[str]) -> None:
    logger = log.get("clusterip.dns.server")
    log.setup(2)
    logger.debug("hidden")
    assert not logger.debugging
    log.setup(4)
    logger.debug("shown")
    assert logger.debugging
    assert [line.split(" ", 1)[1] for line in capfd.readouterr().err.splitlines()] == [
        'DEBUG dns.server event="shown"'
    ]


def test_an_exception_is_one_line_with_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    log.setup()
    try:
        raise ValueError("no such thing")
    except ValueError:
        log.get("dns").exception("failed", service="a/b")
    (line,) = capfd.readouterr().err.splitlines()
    assert 'event="failed" service=a/b error="ValueError: no such thing" traceback="Traceback' in line


def test_libraries_log_in_the_same_shape(capfd: pytest.CaptureFixture[str]) -> None:
    log.setup()
    logging.getLogger("asyncio").warning("took %d s", 3)
    logging.getLogger("asyncio").info("hidden")
    assert capfd.readouterr().err.endswith('WARNING asyncio event="took 3 s"\n')


def test_lines_in_json_have_the_keys_of_kubernetes(capfd: pytest.CaptureFixture[str]) -> None:
    log.setup(as_json=True)
    log.get("proxy").info("rules are in place", ports=3, family=object)
    try:
        raise ValueError("no\nway")
    except ValueError:
        log.get("proxy").exception("failed")
    first, second = map(json.loads, capfd.readouterr().err.splitlines())
    assert (first["msg"], first["logger"], first["v"], first["ports"]) == (
        "rules are in place",
        "proxy",
        0,
        3,
    )
    assert abs(first["ts"] / 1000 - time.time()) < 60
    assert (second["msg"], second["err"]) == ("failed", "ValueError: no\nway")
    assert "v" not in second
    assert "test_log.py" in second["stacktrace"]
