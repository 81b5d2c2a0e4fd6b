"""The selectors of a request that somebody asks about, which narrow what it would show.

As ``pkg/registry/authorization/util``: what of a selector cannot be understood is left out, which asks
for more rather than for less, and the answer says so.
"""

from __future__ import annotations

from clusterip.objects.authorization.reviews import (
    FieldSelectorAttributes,
    LabelSelectorAttributes,
    ResourceAttributes,
)
from clusterip.objects.field_selectors import FieldTerm
from clusterip.objects.selectors import parse_field_selector, parse_label_selector

_LABEL_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def field_selector(attributes: FieldSelectorAttributes) -> tuple[str, bool]:
    """The selector as a request would carry it, and whether something of it was left out."""
    if attributes.rawSelector:
        try:
            return str(parse_field_selector(attributes.rawSelector)), False
        except ValueError:
            return "", True
    terms = [
        FieldTerm(each.key, each.operator == "In", each.values[0])
        for each in attributes.requirements
        if each.operator in ("In", "NotIn") and len(each.values) == 1
    ]
    return ",".join(map(str, terms)), len(terms) < len(attributes.requirements)


def evaluation_error(resource: ResourceAttributes) -> str:
    """What to say of selectors that were not understood; empty if all were."""
    problems = []
    if resource.fieldSelector is not None:
        left, incomplete = field_selector(resource.fieldSelector)
        if incomplete:
            problems.append(_problem("fieldSelector", partially=bool(left)))
    if resource.labelSelector is not None:
        some, incomplete = _label_selector(resource.labelSelector)
        if incomplete:
            problems.append(_problem("labelSelector", partially=some))
    return "; ".join(problems)


def _label_selector(attributes: LabelSelectorAttributes) -> tuple[bool, bool]:
    """Whether something of the selector is understood, and whether something is not."""
    if attributes.rawSelector:
        try:
            parse_label_selector(attributes.rawSelector)
        except ValueError:
            return False, True
        return True, False
    known = [each for each in attributes.requirements if each.operator in _LABEL_OPERATORS]
    return bool(known), len(known) < len(attributes.requirements)


def _problem(name: str, *, partially: bool) -> str:
    return f"spec.resourceAttributes.{name} {'partially ' if partially else ''}ignored due to parse error"
