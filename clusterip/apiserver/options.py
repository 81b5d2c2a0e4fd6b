"""What an API server can be told. Names are those of kube-apiserver's flags."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """An API server's settings.

    Attributes:
        store: where objects live: ``sqlite:///ABSOLUTE/PATH`` or ``etcd://HOST:PORT,HOST:PORT``
            (``etcds`` for TLS).
        etcd_cafile: the CA that etcd's certificates are checked with; naming any of these three files
            means TLS.
        etcd_certfile: the certificate shown to etcd.
        etcd_keyfile: its key.
        etcd_user: who to log in as, for an etcd that has users.
        etcd_password_file: a file with that user's password.
        bind_addresses: addresses to listen on.
        secure_port: the port on each of them; 0 takes a free one.
        advertise_address: where the ``kubernetes`` Service sends its clients; by default the first
            bind address that is not a wildcard or loopback.
        service_cluster_ip_ranges: one range, or two of different families for dual-stack.
        service_node_port_range: first and last node port.
        cert_dir: where self-signed certificates and the token signing key are kept if none are given.
        token_auth_file: a CSV file: token,user,uid,"group1,group2".
        kubelet_client_certificate: the certificate shown to kubelets, with its key.
        kubelet_certificate_authority: the CA that kubelets' certificates are checked against; without
            one they are not checked.
        service_account_issuers: who says that tokens are genuine; the first signs new ones.
        service_account_jwks_uri: where others find the keys of tokens; by default this server.
        service_account_max_token_expiration: seconds that no token outlives; 0: no limit.
        service_account_extend_token_expiration: whether the tokens that Pods get by themselves are good
            for a year, for programs that read theirs only once.
        api_audiences: for whom tokens must be to be good here; by default the issuers.
        anonymous_auth: whether requests without credentials are those of ``system:anonymous``.
        enable_bootstrap_token_auth: whether Secrets of bootstrap tokens let in who knows them.
        authorization_mode: ``AlwaysAllow``, ``AlwaysDeny``, or ``Node`` and ``RBAC`` between commas.
        enable_admission_plugins: admission plugins that are on beside those that always are.
        disable_admission_plugins: admission plugins that are off.
        default_watch_timeout: seconds, the least time after which a watch without ``timeoutSeconds``
            ends (each gets up to twice that, so that not all come back at once).
    """

    store: str
    etcd_cafile: str = ""
    etcd_certfile: str = ""
    etcd_keyfile: str = ""
    etcd_user: str = ""
    etcd_password_file: str = ""
    bind_addresses: tuple[str, ...] = ("0.0.0.0",)
    secure_port: int = 6443
    advertise_address: str = ""
    service_cluster_ip_ranges: tuple[str, ...] = ("10.0.0.0/24",)
    service_node_port_range: tuple[int, int] = (30000, 32767)
    cert_dir: str = "/var/run/kubernetes"
    tls_cert_file: str = ""
    tls_private_key_file: str = ""
    client_ca_file: str = ""
    token_auth_file: str = ""
    kubelet_client_certificate: str = ""
    kubelet_client_key: str = ""
    kubelet_certificate_authority: str = ""
    service_account_issuers: tuple[str, ...] = ("https://kubernetes.default.svc.cluster.local",)
    service_account_signing_key_file: str = ""
    service_account_key_files: tuple[str, ...] = ()
    service_account_jwks_uri: str = ""
    service_account_max_token_expiration: int = 0
    service_account_extend_token_expiration: bool = True
    api_audiences: tuple[str, ...] = ()
    anonymous_auth: bool = False
    enable_bootstrap_token_auth: bool = False
    authorization_mode: str = "AlwaysAllow"
    enable_admission_plugins: tuple[str, ...] = ()
    disable_admission_plugins: tuple[str, ...] = ()
    default_watch_timeout: int = 1800
