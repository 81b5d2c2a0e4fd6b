"""Go's regular expressions, translated."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterip.dns.config.goregex import compile_go


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"^ip-(?P<a>[0-9]*)[.]t[.]$", "ip-7.t.", True),
        (r"(?<a>x)\z", "ax", True),
        (r"x\z", "x\n", False),
        (r"^[[:alpha:]-]+$", "ab-c", True),
        (r"^[[:alpha:][:digit:]_]+$", "a1_", True),
        (r"^[^[:space:]]+$", "a b", False),
        (r"(?i)ABC", "xabc", True),
        (r"a(?i)B|c", "ab", None),
        (r"a(?i:B)", "ab", True),
        (r"^(a(?i)B)C$", "abC", True),
        (r"^(a(?i)B)C$", "abc", False),
        (r"(?i)^(a)b(?-i)C$", "ABC", True),
        (r"(?i)^(a)b(?-i)C$", "ABc", False),
        (r"\Qa.b\E", "axb", False),
        (r"\Qa.b\E$", "a.b", True),
        (r"^\x{61}$", "a", True),
        (r"^[]a]+$", "]a", True),
        (r"^[a[]+$", "a[", True),
        (r"^\d\w\s$", "1a ", True),
        (r"^\d$", "٣", False),
        (r"\pL", "a", None),
        (r"(?U)a+", "a", None),
        (r"(", "a", None),
        (r"[a", "a", None),
        ("a" * 10_001, "a", None),
    ],
)
def test_patterns(pattern: str, text: str, matches: bool | None) -> None:
    """None: it is refused."""
    if matches is None:
        with pytest.raises(ValueError, match=r"\w"):
            compile_go(pattern)
    else:
        assert (compile_go(pattern).search(text) is not None) == matches


@given(st.text(alphabet="ab[](){}?:^$|\\QEzxp<>P=!iUms-+*.1", max_size=20))
def test_any_text_is_a_pattern_or_none(text: str) -> None:
    with contextlib.suppress(ValueError):
        compile_go(text)
