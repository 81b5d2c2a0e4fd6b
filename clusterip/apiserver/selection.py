"""Which objects of a resource a list, a watch or a deletecollection is about."""

from __future__ import annotations

from collections.abc import Mapping

from clusterip.apiserver import status
from clusterip.apiserver.entry import Entry
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.selectors import FieldSelector, Selector, parse_field_selector, parse_label_selector

_ALWAYS = ("metadata.name", "metadata.namespace")


class Selection:
    """A namespace (empty: all), labels and fields. ``everything`` if nothing has to be looked at."""

    __slots__ = ("everything", "fields", "labels", "namespace")

    def __init__(
        self, namespace: str = "", labels: Selector | None = None, fields: FieldSelector | None = None
    ) -> None:
        self.namespace = namespace
        self.labels = labels
        self.fields = fields
        self.everything = not namespace and labels is None and fields is None

    def matches(self, entry: Entry) -> bool:
        if self.namespace and entry.namespace != self.namespace:
            return False
        return self.matches_content(entry)

    def matches_content(self, entry: Entry) -> bool:
        """As ``matches``, for an entry that is known to be in the namespace."""
        if self.labels is not None and not self.labels.matches(entry.labels):
            return False
        return self.fields is None or self.fields.matches(entry.field)

    @property
    def selects(self) -> bool:
        """Whether labels or fields are looked at."""
        return self.labels is not None or self.fields is not None


def _unknown(field: str, known: Mapping[str, object]) -> str:
    if known:
        return f"field label not supported: {field}"
    only = ", ".join(f'"{name}"' for name in _ALWAYS)
    return f'"{field}" is not a known field selector: only {only}'


def selection_of(info: RequestInfo) -> Selection:
    """The selection a request asks for.

    Raises:
        StatusError: 400, a selector cannot be parsed or names a field that cannot be selected by.
    """
    query = info.query
    labels = fields = None
    text = query.get("labelSelector")
    if text:
        try:
            labels = parse_label_selector(text)
        except ValueError as error:
            raise status.bad_request(str(error)) from None
    text = query.get("fieldSelector")
    if text:
        try:
            fields = parse_field_selector(text)
        except ValueError as error:
            raise status.bad_request(str(error)) from None
        known = info.resource.fields if info.resource else {}
        for term in fields.terms:
            if term.field not in known and term.field not in _ALWAYS:
                raise status.bad_request(_unknown(term.field, known))
    if info.name and info.verb == "watch":
        fields = parse_field_selector(f"metadata.name={info.name}")
    namespace = info.namespace if info.resource is None or info.resource.namespaced else ""
    return Selection(namespace, labels, fields)
