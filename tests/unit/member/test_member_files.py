"""Certificates on disk: whose they are, and when they are to be renewed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from clusterip.member import identities
from clusterip.member.files import Files
from tests.support.pki import Authority


def _write(files: Files, authority: Authority, name: str) -> None:
    certificate, key = authority.issue("issued", f"system:node:{name}", organizations=["system:nodes"])
    files.write(identities.node("a"), key.read_bytes() + certificate.read_bytes())


def test_only_the_right_one_is_used(tmp_path: Path) -> None:
    own, node = Authority(tmp_path), identities.node("a")
    files = Files(tmp_path)
    assert not files.is_valid(node)
    _write(files, own, "a")
    assert files.is_valid(node)
    assert datetime.now(UTC) < files.renewal(node) < datetime.now(UTC) + timedelta(days=1)
    _write(files, own, "b")
    assert not files.is_valid(node)
    assert files.renewal(node) < datetime.now(UTC)
    (tmp_path / "other").mkdir()
    _write(files, Authority(tmp_path / "other"), "a")
    assert not files.is_valid(node)
    files.path(node).write_text("nonsense")
    assert not files.is_valid(node)
