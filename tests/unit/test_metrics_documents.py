"""The table of metrics is what the code has, and the dashboard asks for nothing else."""

from __future__ import annotations

import json
import re
import runpy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TABLE = runpy.run_path(str(ROOT / "tools/metrics_table.py"))
DASHBOARD = runpy.run_path(str(ROOT / "tools/grafana_dashboard.py"))
_WORD = re.compile(r"[a-zA-Z_:][\w:]*")
_KNOWN_WORDS = {
    *("by", "sum", "rate", "increase", "topk", "histogram_quantile", "le", "to", "instance", "rcode"),
    *("verb", "code", "name", "__rate_interval"),
}


def names() -> set[str]:
    """All names that queries may use."""
    found = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
    for family in TABLE["families"]():
        if family.kind == "histogram":
            found |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
        else:
            found.add(family.name)
    return found


def test_the_table_is_current() -> None:
    assert TABLE["DOCUMENT"].read_text() == TABLE["document"](), "run: python tools/metrics_table.py"


def test_every_metric_is_described() -> None:
    families = TABLE["families"]()
    assert len(families) > 70
    assert [family.name for family in families if not family.text] == []


def test_the_table_knows_what_is_registered() -> None:
    """Those that exist as soon as their module is imported, with their labels."""
    import clusterip.apiserver.metrics
    import clusterip.dns.programming
    import clusterip.proxy.iptables.metrics
    from clusterip.dns.figures import DNS_REGISTRY
    from clusterip.proxy import metrics

    _ = clusterip, metrics
    from prometheus_client import REGISTRY

    known = {family.name.removesuffix("_total"): family for family in TABLE["families"]()}
    collectors = {*REGISTRY._collector_to_names, *DNS_REGISTRY._collector_to_names}
    checked = 0
    for collector in collectors:
        name, labels = getattr(collector, "_name", ""), getattr(collector, "_labelnames", ())
        if TABLE["_NAME"].match(name):
            assert set(known[name.removesuffix("_total")].labels) == set(labels), name
            checked += 1
    assert checked > 25


def test_the_dashboard_is_current() -> None:
    assert DASHBOARD["FILE"].read_text() == DASHBOARD["text"](), "run: python tools/grafana_dashboard.py"


def test_the_dashboard_asks_only_for_what_there_is() -> None:
    known = names()
    asked = 0
    for panel in _graphs():
        for target in panel["targets"]:
            words = _WORD.findall(re.sub(r'\{[^}]*\}|"[^"]*"', "", target["expr"]))
            unknown = set(words) - known - _KNOWN_WORDS
            assert not unknown, (panel["title"], unknown)
            asked += len(set(words) & known)
    assert asked > 30


def test_the_dashboards_labels_are_the_metrics() -> None:
    labels = {label for family in TABLE["families"]() for label in family.labels}
    labels |= {"le", "instance", "job"}
    for panel in _graphs():
        for target in panel["targets"]:
            grouped = re.findall(r"by \(([^)]*)\)", target["expr"])
            used = {label.strip() for group in grouped for label in group.split(",")}
            used |= set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert used <= labels, (panel["title"], used - labels)


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    dashboard = json.loads(DASHBOARD["FILE"].read_text())
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= dashboard.keys()
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for before, after in pairwise(places):
        beside = after["y"] == before["y"] and after["x"] >= before["x"] + before["w"]
        assert beside or after["y"] >= before["y"] + before["h"], (before, after)
    for panel in _graphs():
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["targets"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("document", ["metrics.md"])
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / "docs" / document
    for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / link).exists(), link


def _graphs() -> list[dict[str, Any]]:
    panels = json.loads(DASHBOARD["FILE"].read_text())["panels"]
    return [panel for panel in panels if panel["type"] == "timeseries"]
