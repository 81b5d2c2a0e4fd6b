"""`clusterip doctor` on a machine with a cluster, with a broken one, and without any."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from typing import Any

from clusterip.kernel.rtnetlink import RouteSocket
from tests.support.cluster import Machine, TestCluster


def findings(cluster: TestCluster, *checks: str) -> tuple[int, list[dict[str, Any]]]:
    done = cluster.run("doctor", "-o", "json", *(f"--check={check}" for check in checks))
    assert done.stdout, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return done.returncode, found


def bad(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    assert all(each["remedy"] for each in found if each["level"] in ("warning", "error"))
    return [(each["level"], each["subject"]) for each in found if each["level"] in ("warning", "error")]


def test_without_a_cluster(stopped_cluster: TestCluster) -> None:
    code, found = findings(stopped_cluster, "kernel", "programs", "clock", "certificates", "parts", "dns")
    assert (code, bad(found)) == (0, [])
    assert {each["check"] for each in found} == {
        *("kernel", "programs", "clock", "certificates", "parts", "dns")
    }


def test_all_is_well(cluster: TestCluster) -> None:
    names = ("leftovers", "clashes", "disk", "limits", "clock", "certificates", "parts", "dns")
    code, found = findings(cluster, *names)
    assert (code, bad(found)) == (0, []), found
    said = {each["subject"]: each["message"] for each in found}
    assert said["proxies"] == "3 have the kernel as wanted"
    assert said["nodes"] == "3 are Ready and renew their leases"
    assert "10.97.0.10 answers" in said["DNS by its Service"]
    assert "connection tracking of node-1" in said


def test_routes_of_others_and_other_proxies(cluster: TestCluster, machine: Machine) -> None:
    with RouteSocket() as routes:
        routes.add_route("10.97.3.0/24", link="uplink")
    subprocess.run(["nft", "add", "table", "ip", "kube-proxy"], check=True)
    chain = "{ type filter hook forward priority 0; policy drop; }"
    subprocess.run(["nft", "add", "table", "inet", "firewalld"], check=True)
    try:
        subprocess.run(["nft", "add", "chain", "inet", "firewalld", "filter_FORWARD", chain], check=True)
        code, found = findings(cluster, "clashes")
        assert (code, sorted(bad(found))) == (
            2,
            [
                ("error", "kube-proxy"),
                ("error", "overlapping ranges"),
                ("warning", "firewall policy"),
                ("warning", "firewalld"),
            ],
        )
        (route,) = (each for each in found if each["subject"] == "overlapping ranges")
        assert route["remedy"].startswith("ip route delete 10.97.3.0/24 dev uplink")
    finally:
        subprocess.run(["nft", "delete", "table", "ip", "kube-proxy"], check=True)
        subprocess.run(["nft", "delete", "table", "inet", "firewalld"], check=True)
        with RouteSocket() as routes:
            routes.delete_route("10.97.3.0/24", link="uplink")


def test_what_a_cluster_leaves_that_ends_by_force(cluster: TestCluster) -> None:
    certificate = cluster.paths.pki / "admin.crt"
    good = certificate.read_bytes()
    certificate.write_bytes((cluster.paths.pki / "dns.crt").read_bytes())
    code, found = findings(cluster, "certificates")
    assert (code, bad(found)) == (2, [("error", "certificate admin")])
    certificate.write_bytes(good)
    cluster.paths.stopping.touch()  # so that nobody starts anything again
    while alive := cluster.records.alive:
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    code, found = findings(cluster, "leftovers", "parts", "dns", "clock")
    assert code == 2
    assert ("warning", f"cluster {cluster.name}") in bad(found)
    assert ("warning", "cluster") in bad(found)
    assert ("error", "API server") in bad(found)
