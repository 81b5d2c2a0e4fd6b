"""Writes deploy/grafana-dashboard.json: ``python tools/grafana_dashboard.py``.

Panels are rows of a table here; where they stand on the page follows from their order.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "deploy" / "grafana-dashboard.json"
_WIDTH, _HEIGHT = 8, 8
_RATE = "[$__rate_interval]"
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """A graph. ``queries``: legend and PromQL; ``unit`` is Grafana's name of it."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    text: str = ""


def _quantiles(metric: str, by: str = "") -> tuple[tuple[str, str], ...]:
    labels = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    return tuple(
        (
            f"p{round(100 * quantile)}{legend}",
            f"histogram_quantile({quantile}, sum by ({labels}) (rate({metric}_bucket{_RATE})))",
        )
        for quantile in (0.5, 0.99)
    )


ROWS: dict[str, tuple[Panel, ...]] = {
    "Services": (
        Panel(
            "A change until a node's kernel has it",
            "s",
            _quantiles("clusterip_proxy_change_duration_seconds"),
            "From its arrival at the proxy.",
        ),
        Panel(
            "A Pod's change until a node's kernel has it",
            "s",
            _quantiles("kubeproxy_network_programming_duration_seconds"),
            "From the Pod's condition, which is noted in whole seconds.",
        ),
        Panel(
            "A change until DNS has it",
            "s",
            _quantiles("coredns_kubernetes_dns_programming_duration_seconds"),
            "Of headless Services; from the Pod's condition, which is noted in whole seconds.",
        ),
    ),
    "Proxy": (
        Panel(
            "Changes taken in",
            "ops",
            (
                ("Services", f"sum(rate(kubeproxy_sync_proxy_rules_service_changes_total{_RATE}))"),
                ("endpoints", f"sum(rate(kubeproxy_sync_proxy_rules_endpoint_changes_total{_RATE}))"),
            ),
        ),
        Panel(
            "Changes that wait",
            "short",
            (
                ("Services {{instance}}", "kubeproxy_sync_proxy_rules_service_changes_pending"),
                ("endpoints {{instance}}", "kubeproxy_sync_proxy_rules_endpoint_changes_pending"),
            ),
        ),
        Panel("Writing to the kernel", "s", _quantiles("kubeproxy_sync_proxy_rules_duration_seconds")),
        Panel(
            "Not as wanted",
            "short",
            (
                ("refused parts {{instance}}", "clusterip_proxy_refused_parts"),
                ("others' changes undone {{instance}}", f"increase(clusterip_proxy_repairs_total{_RATE})"),
                (
                    "failed writes {{instance}}",
                    f"increase(kubeproxy_sync_proxy_rules_nftables_sync_failures_total{_RATE})",
                ),
            ),
            "All of it should be 0.",
        ),
        Panel(
            "Ports without local endpoints",
            "short",
            (
                (
                    "{{traffic_policy}} {{ip_family}} {{instance}}",
                    "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
                ),
            ),
            "Traffic that a policy Local drops on a node.",
        ),
        Panel(
            "UDP flows forgotten",
            "ops",
            (
                (
                    "{{instance}}",
                    f"sum by (instance) (rate(kubeproxy_conntrack_reconciler_deleted_entries_total{_RATE}))",
                ),
            ),
        ),
    ),
    "DNS": (
        Panel(
            "Questions",
            "reqps",
            (("{{instance}}", f"sum by (instance) (rate(coredns_dns_requests_total{_RATE}))"),),
        ),
        Panel(
            "Answers by code",
            "reqps",
            (("{{rcode}}", f"sum by (rcode) (rate(coredns_dns_responses_total{_RATE}))"),),
        ),
        Panel("Answered within", "s", _quantiles("coredns_dns_request_duration_seconds")),
        Panel(
            "Cache hits",
            "percentunit",
            (
                (
                    "{{instance}}",
                    f"sum by (instance) (rate(coredns_cache_hits_total{_RATE}))"
                    f" / sum by (instance) (rate(coredns_cache_requests_total{_RATE}))",
                ),
            ),
        ),
        Panel(
            "Upstreams answer within",
            "s",
            _quantiles("coredns_proxy_request_duration_seconds", "to"),
        ),
        Panel(
            "Upstreams that do not answer",
            "ops",
            (
                ("{{to}}", f"sum by (to) (rate(coredns_proxy_healthcheck_failures_total{_RATE}))"),
                ("questions", f"sum(rate(clusterip_dns_forward_failures_total{_RATE}))"),
            ),
        ),
    ),
    "API server and controllers": (
        Panel(
            "Requests",
            "reqps",
            (("{{verb}}", f"sum by (verb) (rate(apiserver_request_total{_RATE}))"),),
        ),
        Panel(
            "Refused or failed",
            "reqps",
            (("{{code}}", f'sum by (code) (rate(apiserver_request_total{{code!~"2.."}}{_RATE}))'),),
        ),
        Panel(
            "Answered within",
            "s",
            _quantiles("apiserver_request_sli_duration_seconds", "verb"),
        ),
        Panel("Objects", "short", (("{{resource}}", "topk(10, apiserver_storage_objects)"),)),
        Panel("Controllers' queues", "short", (("{{name}}", "topk(10, workqueue_depth)"),)),
        Panel(
            "Syncs that failed",
            "ops",
            (("{{name}}", f"sum by (name) (rate(clusterip_controller_sync_errors_total{_RATE}))"),),
        ),
    ),
    "Processes": (
        Panel("Memory", "bytes", (("{{job}} {{instance}}", "process_resident_memory_bytes"),)),
        Panel(
            "Processor",
            "percentunit",
            (("{{job}} {{instance}}", f"rate(process_cpu_seconds_total{_RATE})"),),
        ),
        Panel(
            "Leader",
            "short",
            (("{{name}} {{instance}}", "leader_election_master_status"),),
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"h": 1, "w": 24, "x": 0, "y": top}
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": place,
                "panels": [],
            }
        )
        top += 1
        for index, panel in enumerate(row):
            place = {
                "h": _HEIGHT,
                "w": _WIDTH,
                "x": index * _WIDTH % 24,
                "y": top + index * _WIDTH // 24 * _HEIGHT,
            }
            panels.append(_graph(len(panels) + 1, panel, place))
        top += -(-len(row) * _WIDTH // 24) * _HEIGHT
    return {
        "uid": "clusterip",
        "title": "clusterip",
        "tags": ["clusterip", "kubernetes"],
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "schemaVersion": 39,
        "version": 1,
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [],
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                    "refresh": 1,
                    "regex": "",
                    "hide": 0,
                    "multi": False,
                    "includeAll": False,
                    "current": {},
                    "options": [],
                }
            ]
        },
        "panels": panels,
    }


def _graph(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "color": {"mode": "palette-classic"},
                "custom": {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never"},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "editorMode": "code",
                "expr": expression,
                "legendFormat": legend,
                "range": True,
            }
            for index, (legend, expression) in enumerate(panel.queries)
        ],
    }


def text() -> str:
    """The file's content."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
