"""What a machine must know of a cluster to be one of its nodes: ``kube-public/cluster-info``.

Everybody may read it, as kubeadm has it; so there is nothing in it that is secret, and nothing of it is to
be believed before its CA is known to be the right one.
"""

from __future__ import annotations

import base64
import hashlib
from ipaddress import IPv4Address, IPv4Network, IPv6Network

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

NAMESPACE, NAME = "kube-public", "cluster-info"
CA_KEY, SETTINGS_KEY = "ca.crt", "clusterip.json"
HASH_PREFIX = "sha256:"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What all servers and nodes of a cluster must agree on."""

    domain: str = "cluster.local"
    pod_cidr: IPv4Network = IPv4Network("10.244.0.0/16")
    service_cidr: IPv4Network = IPv4Network("10.96.0.0/16")
    pod_cidr_ipv6: IPv6Network | None = None
    service_cidr_ipv6: IPv6Network | None = None
    proxy_mode: str = "nftables"
    pod_network_mode: str = "auto"

    @property
    def pod_cidrs(self) -> str:
        """The Pods' networks, separated by commas; so are ``service_cidrs``."""
        return ",".join(str(each) for each in (self.pod_cidr, self.pod_cidr_ipv6) if each is not None)

    @property
    def service_cidrs(self) -> str:
        return ",".join(str(each) for each in (self.service_cidr, self.service_cidr_ipv6) if each is not None)

    @property
    def dns_address(self) -> IPv4Address:
        """ClusterIP of ``kube-system/kube-dns``."""
        return self.service_cidr[10]

    @property
    def api_service_address(self) -> IPv4Address:
        """ClusterIP of ``default/kubernetes``."""
        return self.service_cidr[1]


def encode(settings: Settings) -> str:
    return msgspec.json.encode(settings, enc_hook=str).decode()


def decode(text: str | bytes) -> Settings:
    """Raises ValueError."""
    return msgspec.json.decode(text, type=Settings, dec_hook=lambda kind, value: kind(value))


def hash_of(authority: bytes) -> str:
    """``sha256:HEX`` of a CA's public key, as ``kubeadm join --discovery-token-ca-cert-hash`` has it.

    Args:
        authority: the CA's certificate, PEM.

    Raises:
        ValueError: that is none.
    """
    key = x509.load_pem_x509_certificate(authority).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return HASH_PREFIX + hashlib.sha256(der).hexdigest()


def kubeconfig_of(authority: bytes, server: str) -> str:
    """The kubeconfig without a user that kubeadm puts there."""
    return (
        "apiVersion: v1\nkind: Config\nclusters:\n- name: ''\n  cluster:\n"
        f"    certificate-authority-data: {base64.b64encode(authority).decode()}\n    server: {server}\n"
        "contexts: []\nusers: []\npreferences: {}\ncurrent-context: ''\n"
    )
