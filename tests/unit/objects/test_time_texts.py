"""Times as Kubernetes writes them, durations as kubectl shows them."""

from datetime import UTC, datetime

import pytest

from clusterip.objects import times


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-2, "<invalid>"),
        (-1.5, "0s"),
        (0, "0s"),
        (1.9, "1s"),
        (70, "70s"),
        (119, "119s"),
        (120, "2m"),
        (182, "3m2s"),
        (9 * 60 + 59, "9m59s"),
        (10 * 60 + 30, "10m"),
        (179 * 60, "179m"),
        (180 * 60, "3h"),
        (7 * 3600 + 180, "7h3m"),
        (8 * 3600 + 180, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (49 * 3600, "2d1h"),
        (8 * 86400 + 3600, "8d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (771 * 86400, "2y41d"),
        (8 * 365 * 86400 + 86400, "8y"),
    ],
)
def test_human_duration(seconds, shown):
    assert times.human_duration(seconds) == shown


def test_now_is_read_back():
    for text in (times.now(), times.now_micro()):
        assert text.endswith("Z")
        assert abs(times.seconds_since(text)) < 5
    assert len(times.now()) == len("2026-01-01T00:00:00Z")
    assert len(times.now_micro()) == len("2026-01-01T00:00:00.000000Z")


def test_parse_keeps_the_moment():
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert times.parse("2026-01-02T04:04:05+01:00") == moment
    assert times.format_time(times.parse("2026-01-02T04:04:05+01:00")) == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-02T03:04:05", "2026-13-01T00:00:00Z"])
def test_parse_rejects(text):
    with pytest.raises(ValueError, match=r"."):
        times.parse(text)


def test_age_without_time():
    assert times.age(None) == "<unknown>"
    assert times.age(times.now()) in ("0s", "1s")
