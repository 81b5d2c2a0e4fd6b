"""Label and field selectors, their text forms and how they match."""

from clusterip.objects.field_selectors import FieldSelector, FieldTerm, parse_field_selector
from clusterip.objects.label_selector_syntax import parse_label_selector
from clusterip.objects.label_selectors import (
    EVERYTHING,
    NOTHING,
    Requirement,
    Selector,
    SelectorError,
    from_label_selector,
    from_map,
    requirement,
)

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "FieldSelector",
    "FieldTerm",
    "Requirement",
    "Selector",
    "SelectorError",
    "from_label_selector",
    "from_map",
    "parse_field_selector",
    "parse_label_selector",
    "requirement",
]
