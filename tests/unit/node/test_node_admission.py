"""Which Pods a node does not take."""

from __future__ import annotations

from typing import Any

import pytest

from clusterip.node.pods.admission import Refusal, room, sysctls
from clusterip.objects import codec
from clusterip.objects.core.pod import Pod


def setting(name: str) -> Pod:
    context = {"sysctls": [{"name": name, "value": "1"}]}
    return codec.convert({"spec": {"securityContext": context}}, Pod)


def test_sysctls_must_be_safe_or_allowed() -> None:
    assert sysctls(())(codec.convert({"spec": {}}, Pod)) is None
    assert sysctls(())(setting("kernel.shm_rmid_forced")) is None
    assert sysctls(())(setting("net/ipv4/tcp_syncookies")) is None
    refusal = Refusal("SysctlForbidden", 'forbidden sysctl: "kernel.msgmax" not allowlisted')
    assert sysctls(())(setting("kernel.msgmax")) == refusal


@pytest.mark.parametrize("allowed", ["kernel.msg*", "kernel.msgmax", "kernel/msgmax"])
def test_unsafe_ones_may_be_allowed(allowed: str) -> None:
    assert sysctls((allowed,))(setting("kernel.msgmax")) is None
    assert sysctls((allowed,))(setting("kernel.sem")) is not None


def asking(name: str = "", cpu: str = "", *ports: tuple[int, str, str], **spec: Any) -> Pod:
    main = {
        "name": "main",
        "resources": {"requests": {"cpu": cpu} if cpu else {}},
        "ports": [{"hostPort": number, "protocol": protocol, "hostIP": ip} for number, protocol, ip in ports],
    }
    return codec.convert({"metadata": {"name": name}, "spec": {"containers": [main], **spec}}, Pod)


def test_what_is_asked_for_must_be_there() -> None:
    check = room({"cpu": "2", "memory": "1Gi", "pods": "3"}, lambda _pod: [asking("a", "1500m")])
    assert check(asking("b", "500m")) is None
    assert check(asking("c")) is None
    assert check(asking("d", "600m")) == Refusal(
        "OutOfcpu", "Node didn't have enough resource: cpu, requested: 600, used: 1500, capacity: 2000"
    )
    assert check(asking("e", "600m", priority=2_000_000_000)) is None
    full = room({"pods": "3"}, lambda _pod: [asking(name) for name in "abc"])(asking("d"))
    assert full == Refusal(
        "OutOfpods", "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"
    )


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ((80, "TCP", ""), False),
        ((80, "TCP", "192.0.2.1"), False),
        ((80, "UDP", ""), True),
        ((81, "TCP", ""), True),
        ((90, "TCP", "192.0.2.1"), False),
        ((90, "TCP", "192.0.2.2"), True),
        ((90, "TCP", "0.0.0.0"), False),
    ],
)
def test_ports_of_the_node_are_given_once(wanted: tuple[int, str, str], fits: bool) -> None:
    taken = asking("a", "", (80, "TCP", ""), (90, "TCP", "192.0.2.1"))
    refusal = room({}, lambda _pod: [taken])(asking("b", "", wanted))
    assert (refusal is None) == fits
    if refusal is not None:
        assert refusal.reason == "NodePorts"
