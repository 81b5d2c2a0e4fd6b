"""Several API servers on one etcd."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from clusterip.storage.open import open_store
from clusterip.storage.store import Put
from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.etcd import Etcd, running_etcd

SERVICES = "/api/v1/namespaces/default/services"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    with running_etcd(tmp_path) as running:
        yield running


@pytest.fixture
def servers(etcd: Etcd, tmp_path: Path) -> Iterator[list[RunningApiServer]]:
    with ExitStack() as stack:
        running = []
        for n in range(3):
            directory = tmp_path / f"apiserver-{n}"
            directory.mkdir()
            store = f"--store=etcd://{etcd.endpoint}"
            running.append(stack.enter_context(running_apiserver(directory, store)))
        yield running


def test_what_one_wrote_the_others_read(servers: list[RunningApiServer]) -> None:
    for n in range(30):
        writer, reader = random.sample(servers, 2)
        path = f"/api/v1/namespaces/default/configmaps/c{n}"
        body = {"metadata": {"name": f"c{n}"}, "data": {"v": "1"}}
        assert writer.request("POST", path.rpartition("/")[0], body)[0] == 201
        code, read = reader.request("GET", path)
        assert (code, read["data"]) == (200, {"v": "1"})
        read["data"]["v"] = "2"
        assert reader.request("PUT", path, read)[0] == 200
        items = writer.request("GET", path.rpartition("/")[0])[1]["items"]
        assert [item["data"]["v"] for item in items if item["metadata"]["name"] == f"c{n}"] == ["2"]
        assert writer.request("DELETE", path)[0] == 200
        assert reader.request("GET", path)[0] == 404


async def test_reads_are_not_held_up_by_what_others_keep_in_etcd(
    etcd: Etcd, servers: list[RunningApiServer]
) -> None:
    store = await open_store(f"etcd://{etcd.endpoint}")
    try:
        await store.transact((), [Put("/elsewhere", b"x")])
        code, _ = await asyncio.to_thread(servers[0].request, "GET", SERVICES)
        assert code == 200
    finally:
        await store.close()


def test_a_list_has_what_was_written_before_it_whoever_wrote_it(servers: list[RunningApiServer]) -> None:
    """Without a resource version a list is consistent, page by page, on servers that others keep busy."""
    done = threading.Event()
    with ThreadPoolExecutor(3) as pool:
        busy = [pool.submit(_keep_busy, server, done) for server in servers]
        try:
            written: list[int] = []
            for n in range(40):
                writer, reader, third = random.sample(servers, 3)
                body = {"metadata": {"name": f"c{n:03}", "labels": {"test": "mine"}}}
                code, made = writer.request("POST", CONFIGMAPS, body)
                assert code == 201
                version = int(made["metadata"]["resourceVersion"])
                assert version > max(written, default=0)
                written.append(version)
                listed = reader.request("GET", f"{CONFIGMAPS}?labelSelector=test%3Dmine&limit=7")[1]
                assert int(listed["metadata"]["resourceVersion"]) >= version
                items, token = listed["items"], listed["metadata"].get("continue")
                while token:
                    query = f"?labelSelector=test%3Dmine&limit=7&continue={token}"
                    page = random.choice(servers).request("GET", CONFIGMAPS + query)[1]
                    assert page["metadata"]["resourceVersion"] == listed["metadata"]["resourceVersion"]
                    items, token = items + page["items"], page["metadata"].get("continue")
                assert [int(item["metadata"]["resourceVersion"]) for item in items] == written
                # A version that another server gave is one that this server knows, or waits for.
                query = f"?resourceVersion={version}&resourceVersionMatch=NotOlderThan"
                names = {i["metadata"]["name"] for i in third.request("GET", CONFIGMAPS + query)[1]["items"]}
                assert f"c{n:03}" in names
            assert not any(task.done() for task in busy)
        finally:
            done.set()
    for server in servers:
        start = written[0] - 1
        query = f"?watch=1&labelSelector=test%3Dmine&resourceVersion={start}&timeoutSeconds=1"
        events = [json.loads(line) for line in _text(server.request("GET", CONFIGMAPS + query)[1])]
        assert [event["type"] for event in events] == ["ADDED"] * len(written)
        assert [int(event["object"]["metadata"]["resourceVersion"]) for event in events] == written


def test_compaction_by_one_server_is_right_for_all(
    etcd: Etcd, servers: list[RunningApiServer], tmp_path: Path
) -> None:
    versions = []
    for n in range(12):
        _, made = random.choice(servers).request("POST", CONFIGMAPS, {"metadata": {"name": f"c{n:03}"}})
        versions.append(made["metadata"]["resourceVersion"])
    listed = servers[0].request("GET", f"{CONFIGMAPS}?limit=5")[1]
    token = listed["metadata"]["continue"]
    assert (
        servers[1].request("POST", SERVICES.replace("services", "secrets"), {"metadata": {"name": "s"}})[0]
        == 201
    )
    _compact(etcd)
    for server in servers:
        # What a server has in memory it still tells; what only etcd had is gone, on each of them alike.
        watch = f"{CONFIGMAPS}?watch=1&resourceVersion={versions[5]}&timeoutSeconds=1"
        events = [json.loads(line) for line in _text(server.request("GET", watch)[1])]
        assert [event["object"]["metadata"]["resourceVersion"] for event in events] == versions[6:]
        code, status = server.request("GET", f"{CONFIGMAPS}?limit=5&continue={token}")
        assert (code, status["reason"]) == (410, "Expired")
        fresh = status["metadata"]["continue"]
        code, rest = server.request("GET", f"{CONFIGMAPS}?limit=50&continue={fresh}")
        assert (code, len(rest["items"])) == (200, 7)
        exact = f"{CONFIGMAPS}?resourceVersion={versions[5]}&resourceVersionMatch=Exact"
        assert server.request("GET", exact)[0] == 410
        assert len(server.request("GET", CONFIGMAPS)[1]["items"]) >= 12
    # One that starts now has never seen what was before.
    directory = tmp_path / "late"
    directory.mkdir()
    with running_apiserver(directory, f"--store=etcd://{etcd.endpoint}") as late:
        assert len(late.request("GET", CONFIGMAPS)[1]["items"]) >= 12
        watch = f"{CONFIGMAPS}?watch=1&resourceVersion={versions[0]}&timeoutSeconds=1"
        (event,) = (json.loads(line) for line in _text(late.request("GET", watch)[1]))
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
        assert late.request("DELETE", f"{CONFIGMAPS}/c000")[0] == 200
        assert servers[1].request("GET", f"{CONFIGMAPS}/c000")[0] == 404


def _keep_busy(server: RunningApiServer, done: threading.Event) -> None:
    n = 0
    while not done.is_set():
        n += 1
        name = f"busy-{server.port}-{n % 5}"
        server.request("POST", CONFIGMAPS, {"metadata": {"name": name}})
        server.request("DELETE", f"{CONFIGMAPS}/{name}")


def _compact(etcd: Etcd) -> None:
    """Forget all that is past, as the servers do it every five minutes."""
    revision = etcd.ask("/v3/kv/range", key="AA==")["header"]["revision"]
    etcd.ask("/v3/kv/compaction", revision=revision)


def _text(answer: object) -> list[str]:
    """The lines of a watch, of which a single one has been decoded."""
    return answer.splitlines() if isinstance(answer, str) else [json.dumps(answer)]
