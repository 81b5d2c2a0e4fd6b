"""Which Pods a node does not take."""

from __future__ import annotations

import pytest

from clusterip.node.pods.admission import Refusal, sysctls
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
