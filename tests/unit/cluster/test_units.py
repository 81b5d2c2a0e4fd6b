"""Unit files, as systemd reads them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clusterip.cluster.machines import units

PROGRAM = str(Path(sys.executable).parent / "clusterip")


def _install(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "install", "--dry-run", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize(
    "arguments",
    [
        ("server", "--store=etcd://10.0.0.1:2379,10.0.0.2:2379", "--tls-san", "odd name;%x"),
        ("agent", "--join", "https://10.0.0.1:6443", "--ca-hash", "sha256:00", "--token", "abcdef.0123"),
    ],
    ids=["server", "agent"],
)
def test_systemd_takes_them(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = _install(*arguments)
    assert done.returncode == 0, done.stderr
    assert "abcdef.0123" not in done.stdout
    file = tmp_path / f"clusterip-{arguments[0]}.service"
    file.write_text(done.stdout)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert file.name not in checked.stderr, checked.stderr


def test_the_options_are_checked_at_once() -> None:
    done = _install("server", "--stor=x")
    assert done.returncode == 2
    assert "No such option" in done.stderr


def test_a_token_is_taken_out() -> None:
    assert units.without_token(["--join", "u", "--token", "a.b"]) == (["--join", "u"], "a.b")
    assert units.without_token(["--token=a.b", "--join=u"]) == (["--join=u"], "a.b")
    assert units.without_token(["--join=u"]) == (["--join=u"], "")
    text = units.unit("server", "/usr/bin/clusterip", ["--a=$x %n"], Path("/x y"))
    assert 'ExecStart=/usr/bin/clusterip server "--a=$$x %%n"' in text
    assert 'RequiresMountsFor="/x y"' in text


def test_what_was_installed_is_uninstalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "DIRECTORY", tmp_path / "system")
    monkeypatch.setattr(units, "SECRETS", tmp_path / "secrets")
    monkeypatch.setattr(units, "_systemctl", lambda *_steps: False)  # not that of this machine
    text = units.unit("agent", "/usr/bin/clusterip", [], tmp_path / "data")
    units.install("agent", text, "abcdef.0123")
    secret = tmp_path / "secrets" / "agent.env"
    assert secret.read_text() == "CLUSTERIP_TOKEN=abcdef.0123\n"
    assert secret.stat().st_mode & 0o77 == 0
    assert units.uninstall(tmp_path) == []
    unit = tmp_path / "system" / "clusterip-agent.service"
    assert units.uninstall(tmp_path / "data") == [f"removed {unit}"]
    assert not unit.exists()
    assert not secret.exists()
