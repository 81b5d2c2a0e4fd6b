"""What is said when the mode cannot run."""

from __future__ import annotations

import pytest

from clusterip.proxy.backend import BackendError, BackendOptions, IpvsOptions
from clusterip.proxy.ipvs import mode


def test_a_kernel_without_ipvs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode, "kernel_has_ipvs", lambda: False)
    assert "modprobe ip_vs" in mode.missing()
    with pytest.raises(BackendError, match="modprobe ip_vs"):
        mode.open_backend(BackendOptions())


def test_a_scheduler_that_there_is_not() -> None:
    with pytest.raises(BackendError, match="'fastest'; use one of rr, wrr, lc"):
        mode.open_backend(BackendOptions(ipvs=IpvsOptions(scheduler="fastest")))
