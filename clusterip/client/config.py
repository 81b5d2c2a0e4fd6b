"""Where the API server is and how to prove who we are: kubeconfig files and in-cluster settings."""

from __future__ import annotations

import base64
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from clusterip.client.credentials import Anonymous, Credentials, Plugin, TokenFile, basic, bearer
from clusterip.objects import codec

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigError(Exception):
    """No usable configuration; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Config:
    """A way to one API server. ``server`` is a URL without trailing slash; ``namespace`` the default one.

    ``server_hostname`` is the name to expect in the server's certificate if it is not the URL's;
    ``root_ca`` what that certificate is checked with, in PEM ("" means the system's authorities).
    """

    server: str
    namespace: str = "default"
    root_ca: str = field(default="", repr=False)
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    credentials: Credentials = field(default_factory=Anonymous, repr=False)
    server_hostname: str | None = None
    proxy: str | None = None
    user_agent: str = "clusterip"


class _Cluster(msgspec.Struct, rename="kebab"):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = None


class _Variable(msgspec.Struct):
    name: str
    value: str = ""


class _Exec(msgspec.Struct):
    command: str
    apiVersion: str = ""
    args: list[str] = []
    env: list[_Variable] = []


class _User(msgspec.Struct, rename="kebab"):
    token: str = ""
    tokenFile: str = msgspec.field(name="tokenFile", default="")
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    username: str = ""
    password: str = ""
    exec: _Exec | None = None


class _Context(msgspec.Struct):
    cluster: str = ""
    user: str = ""
    namespace: str = ""


class _NamedCluster(msgspec.Struct):
    name: str
    cluster: _Cluster


class _NamedUser(msgspec.Struct):
    name: str
    user: _User = msgspec.field(default_factory=_User)


class _NamedContext(msgspec.Struct):
    name: str
    context: _Context


class _File(msgspec.Struct, rename="kebab"):
    clusters: list[_NamedCluster] = []
    users: list[_NamedUser] = []
    contexts: list[_NamedContext] = []
    current_context: str = ""


def load(kubeconfig: str | None = None, context: str | None = None) -> Config:
    """The configuration: the file given, ``$KUBECONFIG``, ``~/.kube/config`` or the Pod's service account.

    Of several files in ``$KUBECONFIG`` the first that sets a name wins, as kubectl merges them.

    Raises:
        ConfigError: none of these exists, or one cannot be used.
    """
    if kubeconfig:
        return _from_files([Path(kubeconfig)], context)
    if paths := [Path(p) for p in os.environ.get("KUBECONFIG", "").split(os.pathsep) if p]:
        existing = [path for path in paths if path.exists()]
        if not existing:
            raise ConfigError(f"KUBECONFIG names no existing file: {os.pathsep.join(map(str, paths))}")
        return _from_files(existing, context)
    home = Path("~/.kube/config").expanduser()
    if home.exists():
        return _from_files([home], context)
    if "KUBERNETES_SERVICE_HOST" in os.environ and SERVICE_ACCOUNT.joinpath("token").exists():
        return _in_cluster()
    raise ConfigError("no cluster configured; pass --kubeconfig FILE or set KUBECONFIG")


def _in_cluster() -> Config:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    namespace = SERVICE_ACCOUNT / "namespace"
    try:
        root_ca = (SERVICE_ACCOUNT / "ca.crt").read_text()
        return Config(
            server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            namespace=namespace.read_text().strip() if namespace.exists() else "default",
            root_ca=root_ca,
            ssl_context=ssl.create_default_context(cadata=root_ca),
            credentials=TokenFile(SERVICE_ACCOUNT / "token"),
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"the Pod's service account cannot be used: {error}") from error


def _from_files(paths: list[Path], context_name: str | None) -> Config:
    clusters: dict[str, tuple[_Cluster, Path]] = {}
    users: dict[str, tuple[_User, Path]] = {}
    contexts: dict[str, _Context] = {}
    current = context_name or ""
    for path in paths:
        parsed = _read(path)
        for cluster in parsed.clusters:
            clusters.setdefault(cluster.name, (cluster.cluster, path))
        for user in parsed.users:
            users.setdefault(user.name, (user.user, path))
        for each in parsed.contexts:
            contexts.setdefault(each.name, each.context)
        current = current or parsed.current_context
    where = ", ".join(map(str, paths))
    if not current and len(contexts) == 1:
        current = next(iter(contexts))
    if current not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise ConfigError(f"{where}: there is no context {current!r}; contexts are: {known}")
    context = contexts[current]
    if context.cluster not in clusters:
        raise ConfigError(
            f"{where}: context {current!r} names a cluster {context.cluster!r} that is not there"
        )
    if context.user and context.user not in users:
        raise ConfigError(f"{where}: context {current!r} names a user {context.user!r} that is not there")
    cluster_entry, cluster_path = clusters[context.cluster]
    user_entry, user_path = users.get(context.user, (_User(), cluster_path))
    try:
        root_ca = _root_ca(cluster_entry, cluster_path.parent)
        return Config(
            server=_url(cluster_entry.server),
            namespace=context.namespace or "default",
            root_ca=root_ca,
            ssl_context=_tls(cluster_entry, root_ca, user_entry, user_path.parent),
            credentials=_credentials(user_entry, user_path.parent),
            server_hostname=cluster_entry.tls_server_name,
            proxy=cluster_entry.proxy_url,
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"{where}: context {current!r}: {error}") from error


def _read(path: Path) -> _File:
    import yaml  # only a kubeconfig needs it, and not every process has one

    try:
        tree: Any = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return codec.convert(tree or {}, _File)
    except OSError as error:
        raise ConfigError(f"cannot read the kubeconfig {path}: {error.strerror}") from error
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path} is not a kubeconfig: {error}") from error


def _url(server: str) -> str:
    if not server:
        raise ConfigError("the cluster has no server address")
    return (server if "://" in server else f"https://{server}").rstrip("/")


def _root_ca(cluster: _Cluster, directory: Path) -> str:
    return _pem(cluster.certificate_authority_data, directory, cluster.certificate_authority).decode()


def _tls(cluster: _Cluster, root_ca: str, user: _User, user_dir: Path) -> ssl.SSLContext | None:
    if _url(cluster.server).startswith("http://"):
        return None
    context = ssl.create_default_context(cadata=root_ca or None)
    if cluster.insecure_skip_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = _pem(user.client_certificate_data, user_dir, user.client_certificate)
    if certificate:
        _load_certificate(context, certificate, _pem(user.client_key_data, user_dir, user.client_key))
    return context


def _pem(data: str, directory: Path, name: str) -> bytes:
    if data:
        return base64.b64decode(data)
    return (directory / name).read_bytes() if name else b""


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # OpenSSL's Python binding reads keys only from files; memory that looks like one keeps it off the disk.
    descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _credentials(user: _User, directory: Path) -> Credentials:
    # Upstream's order of preference: a token file is fresher than a token beside it.
    if user.tokenFile:
        return TokenFile(directory / user.tokenFile)
    if user.token:
        return bearer(user.token)
    if user.username:
        return basic(user.username, user.password)
    if user.exec is not None:
        environment = {variable.name: variable.value for variable in user.exec.env}
        command = user.exec.command
        if "/" in command:
            command = str(directory / command)
        return Plugin([command, *user.exec.args], environment, user.exec.apiVersion)
    return Anonymous()
