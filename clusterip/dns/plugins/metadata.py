"""``metadata``: what is known of a query besides what is in it, by labels as CoreDNS has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from clusterip.dns import names
from clusterip.dns.message import Query
from clusterip.dns.plugins.chain import Handler, Outcome, is_in
from clusterip.dns.wire import Pod

PodAt = Callable[[str], Pod | None]
"""The Pod that has an address of its own."""


def metadata(zones: Sequence[bytes], domains: Sequence[bytes], pod_at: PodAt, next_: Handler) -> Handler:
    """Let the plugins after this one ask what is known of queries in ``zones``.

    ``domains`` are the cluster's.
    """

    def handle(query: Query) -> Outcome:
        if not is_in(query.name, zones):
            return next_(query)
        known: dict[str, str] = {}

        def of(label: str) -> str:
            if not known:
                known.update(describe(query, domains, pod_at))
            return known.get(label, "")

        return next_(replace(query, meta=of))

    return handle


def describe(query: Query, domains: Sequence[bytes], pod_at: PodAt) -> dict[str, str]:
    """The labels ``kubernetes/...`` of a query (coredns ``plugin/kubernetes/metadata.go``)."""
    found = {"": ""}
    pod = pod_at(query.client)
    if pod is not None:
        found["kubernetes/client-namespace"] = pod.metadata.namespace
        found["kubernetes/client-pod-name"] = pod.metadata.name
        for key, value in pod.metadata.labels.items():
            found["kubernetes/client-label/" + key] = value
    domain = next((each for each in domains if names.is_below(query.name, each)), None)
    if domain is None:
        return found
    base = query.name[: len(query.name) - len(domain)] + b"\0"
    left = [label.decode("latin-1") for label in names.labels(base)]
    if left and left[-1] not in ("svc", "pod"):
        return found | {"kubernetes/parse-error": "invalid query name"}
    for key in ("kind", "namespace", "service"):
        found["kubernetes/" + key] = left.pop() if left else ""
    found |= dict.fromkeys(("kubernetes/endpoint", "kubernetes/port-name", "kubernetes/protocol"), "")
    if len(left) == 1:
        found["kubernetes/endpoint"] = left[0]
    elif len(left) == 2:
        found["kubernetes/port-name"], found["kubernetes/protocol"] = (each.lstrip("_") for each in left)
    return found
