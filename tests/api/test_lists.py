"""Lists: pages of one snapshot, versions, metadata only."""

from __future__ import annotations

from tests.support.apiserver import RunningApiServer


def fill(server: RunningApiServer, namespace: str, count: int) -> str:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for i in range(count):
        assert server.request("POST", path, {"metadata": {"name": f"c{i}"}})[0] == 201
    return path


def test_pages_are_of_one_snapshot(apiserver: RunningApiServer, namespace: str) -> None:
    path = fill(apiserver, namespace, 5)
    _, first = apiserver.request("GET", f"{path}?limit=2")
    assert first["metadata"]["remainingItemCount"] == 3
    apiserver.request("DELETE", f"{path}/c3")
    apiserver.request("POST", path, {"metadata": {"name": "c9"}})
    names = [item["metadata"]["name"] for item in first["items"]]
    token = first["metadata"]["continue"]
    while token:
        _, page = apiserver.request("GET", f"{path}?limit=2&continue={token}")
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue")
    assert names == ["c0", "c1", "c2", "c3", "c4"]


def test_exact_versions(apiserver: RunningApiServer, namespace: str) -> None:
    path = fill(apiserver, namespace, 2)
    _, before = apiserver.request("GET", path)
    version = before["metadata"]["resourceVersion"]
    apiserver.request("DELETE", f"{path}/c0")
    _, then = apiserver.request("GET", f"{path}?resourceVersion={version}&resourceVersionMatch=Exact")
    assert [item["metadata"]["name"] for item in then["items"]] == ["c0", "c1"]
    _, now = apiserver.request("GET", f"{path}?resourceVersion={version}")
    assert [item["metadata"]["name"] for item in now["items"]] == ["c1"]


def test_metadata_only(apiserver: RunningApiServer, namespace: str) -> None:
    path = fill(apiserver, namespace, 1)
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    _, listed = apiserver.request("GET", path, Accept=accept)
    assert (listed["kind"], listed["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    item = listed["items"][0]
    assert set(item) == {"kind", "apiVersion", "metadata"}
    assert (item["kind"], item["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")


def test_delete_collection(apiserver: RunningApiServer, namespace: str) -> None:
    path = fill(apiserver, namespace, 3)
    code, deleted = apiserver.request("DELETE", f"{path}?fieldSelector=metadata.name%3Dc1")
    assert (code, [item["metadata"]["name"] for item in deleted["items"]]) == (200, ["c1"])
    apiserver.request("DELETE", path)
    assert apiserver.request("GET", path)[1]["items"] == []
