"""Certificates: signed by one authority, good for what they are for, made only when needed."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clusterip.client.config import load
from clusterip.cluster.certificates import Certificates, wanted
from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.errors import ClusterError
from clusterip.cluster.kubeconfigs import write_all
from clusterip.cluster.paths import Paths


def _load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_every_certificate_is_signed_and_says_who_and_what_for(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    certificates.ensure(wanted(ClusterConfig()))
    authority = _load(certificates.authority.certificate)
    for each in wanted(ClusterConfig()):
        pair = certificates.pair(each.file)
        certificate = _load(pair.certificate)
        certificate.verify_directly_issued_by(authority)
        (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert name.value == each.user
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        kind = ExtendedKeyUsageOID.SERVER_AUTH if each.hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        assert list(usage) == [kind]
        assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
        ssl.create_default_context().load_cert_chain(pair.certificate, pair.key)


def test_good_ones_are_kept_and_others_are_made_again(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    certificates.ensure(wanted(ClusterConfig(nodes=2)))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    certificates.ensure(wanted(ClusterConfig(nodes=2)))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    certificates.ensure(wanted(ClusterConfig(nodes=3, domain="blue.local")))
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after["ca.crt"] == before["ca.crt"]
    assert after["apiserver.crt"] != before["apiserver.crt"]
    assert after["node-1.crt"] == before["node-1.crt"]
    assert "node-3.crt" in after


def test_another_authority_signs_all_anew(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    certificates.ensure(wanted(ClusterConfig()))
    certificates.authority.key.unlink()
    certificates.authority.certificate.unlink()
    certificates.ensure(wanted(ClusterConfig()))
    authority = _load(certificates.authority.certificate)
    _load(certificates.pair("admin").certificate).verify_directly_issued_by(authority)


def test_an_authority_is_never_replaced(tmp_path: Path) -> None:
    """Other machines may trust it: what is lost or wrong is for a person to mend."""
    certificates = Certificates(tmp_path / "one")
    certificates.authority.key.parent.mkdir()
    certificates.ensure([])
    before = certificates.authority.certificate.read_bytes()
    key = certificates.authority.key.read_bytes()
    certificates.authority.key.unlink()
    with pytest.raises(ClusterError, match=r"Put ca\.crt and ca\.key back"):
        certificates.ensure([])
    other = Certificates(tmp_path / "other")
    other.authority.key.parent.mkdir()
    other.ensure([])
    certificates.authority.key.write_bytes(other.authority.key.read_bytes())
    with pytest.raises(ClusterError, match="is not the key of"):
        certificates.ensure([])
    certificates.authority.key.write_bytes(key)
    certificates.ensure([])
    assert certificates.authority.certificate.read_bytes() == before


def test_kubeconfigs_are_for_root_only_and_can_be_used(tmp_path: Path) -> None:
    paths = Paths.of("blue", str(tmp_path))
    paths.make()
    certificates = Certificates(paths.pki)
    config = ClusterConfig(name="blue")
    certificates.ensure(wanted(config))
    write_all(config, paths, certificates)
    assert stat.S_IMODE(paths.admin_kubeconfig.stat().st_mode) == 0o600
    loaded = load(str(paths.kubeconfig("node-1")))
    assert loaded.server == config.api_url
    assert loaded.ssl_context is not None
