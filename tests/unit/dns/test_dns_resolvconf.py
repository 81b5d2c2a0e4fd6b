"""Which upstreams are used, and which never."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterip.dns import resolvconf
from clusterip.dns.resolvconf import Upstreams
from clusterip.process import Fatal

OWN = ("10.0.0.1:53",)


def named(upstreams: Upstreams) -> list[str]:
    return [str(each) for each in upstreams()]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(resolvconf, "_TRUST_SECONDS", -1.0)
    monkeypatch.setattr(resolvconf, "_BEHIND_STUB", tmp_path / "behind-stub")
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# x\nsearch a b\nnameserver 192.0.2.1\nnameserver\t2001:db8::1\nnameserver bad\nnameserver\n"
    )
    return path


def test_addresses_and_files_in_order(file: Path) -> None:
    upstreams = Upstreams(["9.9.9.9", "1.1.1.1:5353", "[2001:db8::2]:54", str(file), "9.9.9.9"], OWN)
    assert named(upstreams) == [
        "9.9.9.9:53",
        "1.1.1.1:5353",
        "[2001:db8::2]:54",
        "192.0.2.1:53",
        "[2001:db8::1]:53",
    ]


def test_a_file_that_changes_is_followed_and_health_is_kept(file: Path) -> None:
    upstreams = Upstreams([str(file)], OWN)
    first = upstreams()[0]
    file.write_text("nameserver 192.0.2.9\nnameserver 192.0.2.1\n")
    assert named(upstreams) == ["192.0.2.9:53", "192.0.2.1:53"]
    assert upstreams()[1] is first
    file.write_text("")
    assert named(upstreams) == ["192.0.2.9:53", "192.0.2.1:53"]
    file.unlink()
    assert named(upstreams) == ["192.0.2.9:53", "192.0.2.1:53"]


def test_a_file_may_come_later(file: Path) -> None:
    later = file.with_name("later")
    upstreams = Upstreams([str(later)], OWN)
    assert named(upstreams) == []
    file.rename(later)
    assert len(named(upstreams)) == 2


def test_the_stub_of_systemd_resolved_is_looked_behind(file: Path, tmp_path: Path) -> None:
    file.write_text("nameserver 127.0.0.53\n")
    assert named(Upstreams([str(file)], OWN)) == ["127.0.0.53:53"]
    (tmp_path / "behind-stub").write_text("nameserver 192.0.2.3\n")
    assert named(Upstreams([str(file)], OWN)) == ["192.0.2.3:53"]


@pytest.mark.parametrize("own", ["192.0.2.1:53", "[2001:db8::1]:53"])
def test_this_server_is_never_its_own_upstream(file: Path, own: str) -> None:
    assert len(named(Upstreams([str(file)], [own]))) == 1
    with pytest.raises(Fatal, match="itself"):
        Upstreams([own.removesuffix(":53").strip("[]")], [own])


@pytest.mark.parametrize("own", [":53", "0.0.0.0:53", "[::]:53"])
def test_nor_on_any_address_of_the_machine(file: Path, own: str) -> None:
    file.write_text("nameserver 127.0.0.1\nnameserver 192.0.2.1\n")
    assert named(Upstreams([str(file)], [own])) == ["192.0.2.1:53"]
    assert named(Upstreams(["127.0.0.1:5353"], [own])) == ["127.0.0.1:5353"]


@pytest.mark.parametrize(
    "element", ["www..example.com", "1.2.3", "1.2.3.4:x", "", "1.2.3.4:99999", "::1:53:"]
)
def test_what_cannot_be_used_is_named(element: str) -> None:
    with pytest.raises(Fatal, match="not an IP address"):
        Upstreams([element], OWN)
