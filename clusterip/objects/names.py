"""Which names, labels, keys and ports Kubernetes accepts.

Each function says what is wrong with a value as a list of messages, empty if nothing is, in the
words of ``k8s.io/apimachinery/pkg/util/validation`` and ``pkg/api/validate/content``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_UNDERSCORE_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORE_SUBDOMAIN = rf"{_UNDERSCORE_LABEL}(\.{_UNDERSCORE_LABEL})*"
_DNS1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_LABEL_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_LABEL_KEY})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_PERCENT = "[0-9]+%"
_HEADER = "[-A-Za-z0-9]+"

_label = re.compile(_LABEL).fullmatch
_subdomain = re.compile(_SUBDOMAIN).fullmatch
_underscore_subdomain = re.compile(_UNDERSCORE_SUBDOMAIN).fullmatch
_dns1035 = re.compile(_DNS1035).fullmatch
_label_key = re.compile(_LABEL_KEY).fullmatch
_label_value = re.compile(_LABEL_VALUE).fullmatch
_config_key = re.compile(_CONFIG_KEY).fullmatch
_percent = re.compile(_PERCENT).fullmatch
_header = re.compile(_HEADER).fullmatch
_port_name_characters = re.compile("[-a-z0-9]+").fullmatch
_letter = re.compile("[a-z]").search
_printable_except_equals = re.compile("[ -<>-~]*").fullmatch

_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, {}'-' or '.', "
    "and must start and end with an alphanumeric character"
)
_KEY_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)

NameRule = Callable[[str], list[str]]


def _mismatch(rule: str, regex: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}', " for example in examples)
    eg = f"e.g. {shown}" if examples else ""
    return f"{rule} ({eg}regex used for validation is '{regex}')"


def _too_long(limit: int, unit: str = "characters") -> str:
    return f"must be no more than {limit} {unit}"


def in_range(value: int, low: int, high: int) -> list[str]:
    return [] if low <= value <= high else [f"must be between {low} and {high}, inclusive"]


def dns_label(value: str) -> list[str]:
    """An RFC 1123 label: Namespaces, Services, containers, hostnames. At most 63 characters."""
    errors = [_too_long(63)] if len(value) > 63 else []
    if not _label(value):
        if _subdomain(value):
            errors.append("must not contain dots")
        else:
            rule = (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
                "and must start and end with an alphanumeric character"
            )
            errors.append(_mismatch(rule, _LABEL, "my-name", "123-abc"))
    return errors


def dns_subdomain(value: str, *, unit: str = "characters") -> list[str]:
    """An RFC 1123 subdomain: what most kinds' names must be. At most 253 characters."""
    errors = [_too_long(253, unit)] if len(value) > 253 else []
    if not _subdomain(value):
        errors.append(_mismatch(_SUBDOMAIN_RULE.format(""), _SUBDOMAIN, "example.com"))
    return errors


def dns_subdomain_with_underscore(value: str) -> list[str]:
    """As ``dns_subdomain``, with underscores: DNS search paths."""
    errors = [_too_long(253)] if len(value) > 253 else []
    if not _underscore_subdomain(value):
        errors.append(_mismatch(_SUBDOMAIN_RULE.format("'_', "), _UNDERSCORE_SUBDOMAIN, "example.com"))
    return errors


def wildcard_subdomain(value: str) -> list[str]:
    """A host name whose first label is ``*``: Ingress rules."""
    errors = [_too_long(253)] if len(value) > 253 else []
    if not value.startswith("*.") or not _subdomain(value[2:]):
        rule = (
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
            "must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric "
            "character"
        )
        errors.append(_mismatch(rule, rf"\*\.{_SUBDOMAIN}", "*.example.com"))
    return errors


def dns1035_label(value: str) -> list[str]:
    """A label that starts with a letter (RFC 1035)."""
    errors = [_too_long(63)] if len(value) > 63 else []
    if not _dns1035(value):
        rule = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
            "start with an alphabetic character, and end with an alphanumeric character"
        )
        errors.append(_mismatch(rule, _DNS1035, "my-name", "abc-123"))
    return errors


_KEY_MISMATCH = _mismatch(_KEY_RULE, _LABEL_KEY, "MyName", "my.name", "123-abc")


def label_key(value: str) -> list[str]:
    """A label's key, also called a qualified name: ``[prefix/]name``."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return [
            f"a valid label key {_KEY_MISMATCH} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    errors = []
    if slash:
        if not prefix:
            errors.append("prefix part must be non-empty")
        else:
            errors += [f"prefix part {message}" for message in dns_subdomain(prefix, unit="bytes")]
    if not name:
        errors.append("name part must be non-empty")
    elif len(name) > 63:
        errors.append(f"name part {_too_long(63, 'bytes')}")
    if not _label_key(name):
        errors.append(f"name part {_KEY_MISMATCH}")
    return errors


def label_value(value: str) -> list[str]:
    errors = [_too_long(63, "bytes")] if len(value) > 63 else []
    if not _label_value(value):
        rule = f"a valid label must be an empty string or {_KEY_RULE.removeprefix('must ')}"
        errors.append(_mismatch(rule, _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return errors


def port_number(value: int) -> list[str]:
    return in_range(value, 1, 65535)


def port_name(value: str) -> list[str]:
    """A port's name by RFC 6335: at most 15 characters, at least one of them a letter."""
    errors = [_too_long(15)] if len(value) > 15 else []
    if not _port_name_characters(value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _letter(value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def config_key(value: str) -> list[str]:
    """A key in the data of a ConfigMap or Secret; it becomes a file name."""
    errors = [_too_long(253)] if len(value) > 253 else []
    if not _config_key(value):
        rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        errors.append(_mismatch(rule, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    if value == ".":
        errors.append("must not be '.'")
    elif value == "..":
        errors.append("must not be '..'")
    elif value.startswith(".."):
        errors.append("must not start with '..'")
    return errors


def environment_variable(value: str) -> list[str]:
    """A variable's name by the relaxed rule that is the default since Kubernetes 1.32."""
    errors = [] if value else ["environment variable name must be non-empty"]
    if not _printable_except_equals(value):
        errors.append(
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        )
    return errors


def percent(value: str) -> list[str]:
    if _percent(value):
        return []
    rule = "a valid percent string must be a numeric string followed by an ending '%'"
    return [_mismatch(rule, _PERCENT, "1%", "93%")]


def http_header(value: str) -> list[str]:
    if _header(value):
        return []
    rule = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [_mismatch(rule, _HEADER, "X-Header-Name")]


def path_segment(value: str) -> list[str]:
    """A name that may stand between two slashes of a URL; what every kind's names must be."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{character}'" for character in "/%" if character in value]


def as_prefix(name: str) -> str:
    """A ``generateName`` as the name rules judge it: a trailing dash may stand, something follows it.

    Upstream's ``maskTrailingDash``, which drops one character more than it masks.
    """
    return name[:-2] + "a" if len(name) > 1 and name.endswith("-") else name


_RANDOM_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"
_RANDOM_LENGTH = 5
_GENERATED_LIMIT = 63


def random_suffix(length: int = _RANDOM_LENGTH) -> str:
    """Characters without vowels or look-alikes, so that a name never spells a word."""
    return "".join(random.choices(_RANDOM_CHARACTERS, k=length))


def generate(prefix: str) -> str:
    """The name that ``metadata.generateName`` becomes: the prefix, cut to fit, and five characters."""
    return prefix[: _GENERATED_LIMIT - _RANDOM_LENGTH] + random_suffix()
