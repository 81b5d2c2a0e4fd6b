"""Discovery documents, in the words that clients look for."""

from __future__ import annotations

from typing import Any

from clusterip.apiserver import discovery
from clusterip.objects.registry import resources, virtual_resources


def entry(document: dict[str, Any] | None, name: str) -> dict[str, Any]:
    assert document is not None
    (found,) = [resource for resource in document["resources"] if resource["name"] == name]
    return dict(found)


def test_the_core_group() -> None:
    assert discovery.api_versions("10.0.0.1:6443") == {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "10.0.0.1:6443"}],
    }


def test_groups() -> None:
    groups = discovery.api_groups()["groups"]
    apps = {
        "name": "apps",
        "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
        "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
    }
    assert apps in groups
    assert "" not in [group["name"] for group in groups]
    assert discovery.group("apps") == {"kind": "APIGroup", "apiVersion": "v1"} | apps
    assert discovery.group("nothing.example") is None


def test_resources_of_a_version() -> None:
    core = discovery.group_version("", "v1")
    assert core is not None
    assert (core["kind"], core["groupVersion"]) == ("APIResourceList", "v1")
    assert entry(core, "services") == {
        "name": "services",
        "singularName": "service",
        "namespaced": True,
        "kind": "Service",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["svc"],
        "categories": ["all"],
        "storageVersionHash": "0/CO1lhkEBI=",
    }
    assert entry(core, "services/status")["verbs"] == ["get", "patch", "update"]
    assert "deletecollection" not in entry(core, "namespaces")["verbs"]
    assert entry(core, "pods/exec")["kind"] == "PodExecOptions"
    assert discovery.group_version("", "v2") is None


def test_scale_is_of_another_group() -> None:
    assert entry(discovery.group_version("apps", "v1"), "deployments/scale") == {
        "name": "deployments/scale",
        "singularName": "",
        "namespaced": True,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": ["get", "patch", "update"],
    }


def test_aggregated_has_every_resource() -> None:
    found = set()
    for legacy in (True, False):
        document = discovery.aggregated(legacy)
        assert (document["kind"], document["apiVersion"]) == (
            "APIGroupDiscoveryList",
            "apidiscovery.k8s.io/v2",
        )
        for group in document["items"]:
            for version in group["versions"]:
                assert version["freshness"] == "Current"
                for resource in version["resources"]:
                    name = group["metadata"].get("name", "")
                    found.add((name, version["version"], resource["resource"]))
    assert found == {(r.group, r.version, r.plural) for r in (*resources(), *virtual_resources())}
