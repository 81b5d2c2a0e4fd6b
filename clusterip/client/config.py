"""Where the API server is and how to prove who we are: kubeconfig files and in-cluster settings."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from clusterip.client.credentials import Anonymous, Credentials, TokenFile, basic, bearer
from clusterip.client.plugin import ClusterInfo, Plugin, encoded
from clusterip.client.proxies import proxy_for
from clusterip.client.tls import Pem, Tls
from clusterip.objects import codec

ACCEPT = "application/json, application/vnd.kubernetes.protobuf;q=0.5"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigError(Exception):
    """No usable configuration; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Config:
    """A way to one API server. ``server`` is a URL without trailing slash; ``namespace`` the default one.

    ``server_hostname`` is the name to expect in the server's certificate if it is not the URL's;
    ``root_ca`` what that certificate is checked with, in PEM ("" means the system's authorities);
    ``tls``, if any, makes contexts that follow changes of files; ``ssl_context`` is its first, or fixed.
    """

    server: str
    namespace: str = "default"
    root_ca: str = field(default="", repr=False)
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    tls: Tls | None = field(default=None, repr=False)
    credentials: Credentials = field(default_factory=Anonymous, repr=False)
    server_hostname: str | None = None
    proxy: str | None = None
    user_agent: str = "clusterip"
    compress: bool = True
    """Whether the server may compress its answers."""
    accept: str = ACCEPT
    """In which forms informers take their objects, by HTTP's rules."""


class _Extension(msgspec.Struct):
    name: str = ""
    extension: Any = None


class _Cluster(msgspec.Struct, rename="kebab"):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = None
    disable_compression: bool = False
    extensions: list[_Extension] = []


class _Variable(msgspec.Struct):
    name: str
    value: str = ""


class _Exec(msgspec.Struct):
    command: str
    apiVersion: str = ""
    args: list[str] = []
    env: list[_Variable] = []
    installHint: str = ""
    interactiveMode: str = "IfAvailable"
    provideClusterInfo: bool = False


class _AuthProvider(msgspec.Struct):
    name: str = ""


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
    auth_provider: _AuthProvider | None = None


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
        authority = Pem(path=SERVICE_ACCOUNT / "ca.crt")
        tls = Tls(authority, Pem(), Pem())
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        return Config(
            server=server,
            namespace=namespace.read_text().strip() if namespace.exists() else "default",
            root_ca=authority.read().decode(),
            ssl_context=tls.context(),
            tls=tls,
            credentials=TokenFile(SERVICE_ACCOUNT / "token"),
            proxy=proxy_for(server),
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
        return _config(context, cluster_entry, cluster_path.parent, user_entry, user_path.parent)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{where}: context {current!r}: {error}") from error


def _config(context: _Context, cluster: _Cluster, cluster_dir: Path, user: _User, user_dir: Path) -> Config:
    server = _url(cluster.server)
    proxy = cluster.proxy_url or proxy_for(server)
    if proxy and not proxy.startswith(("http://", "https://")):
        raise ValueError(f"proxy {proxy}: only HTTP proxies can be used")
    authority = Pem.of(cluster.certificate_authority_data, cluster_dir, cluster.certificate_authority)
    root_ca = authority.read().decode()
    tls = None
    if not server.startswith("http://"):
        certificate = Pem.of(user.client_certificate_data, user_dir, user.client_certificate)
        key = Pem.of(user.client_key_data, user_dir, user.client_key)
        tls = Tls(authority, certificate, key, check_server=not cluster.insecure_skip_tls_verify)
    return Config(
        server=server,
        namespace=context.namespace or "default",
        root_ca=root_ca,
        ssl_context=tls.context() if tls is not None else None,
        tls=tls,
        credentials=_credentials(user, user_dir, cluster, root_ca),
        server_hostname=cluster.tls_server_name,
        proxy=proxy,
        compress=not cluster.disable_compression,
    )


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


def _credentials(user: _User, directory: Path, cluster: _Cluster, root_ca: str) -> Credentials:
    # Upstream's order of preference: a token file is fresher than a token beside it.
    if user.tokenFile:
        return TokenFile(directory / user.tokenFile)
    if user.token:
        return bearer(user.token)
    if user.username:
        return basic(user.username, user.password)
    if user.exec is not None:
        return _plugin(user.exec, directory, cluster, root_ca)
    if user.auth_provider is not None:
        raise ValueError(
            f"the auth-provider {user.auth_provider.name!r} is of old: Kubernetes has no such providers any"
            " more; use its credential plugin (exec)"
        )
    return Anonymous()


def _plugin(exec_: _Exec, directory: Path, cluster: _Cluster, root_ca: str) -> Plugin:
    command = exec_.command
    if "/" in command:
        command = str(directory / command)
    info = None
    if exec_.provideClusterInfo:
        extensions = {each.name: each.extension for each in cluster.extensions}
        info = ClusterInfo(
            server=_url(cluster.server),
            tls_server_name=cluster.tls_server_name or "",
            insecure_skip_tls_verify=cluster.insecure_skip_tls_verify,
            certificate_authority_data=encoded(root_ca),
            proxy_url=cluster.proxy_url or "",
            disable_compression=cluster.disable_compression,
            config=extensions.get("client.authentication.k8s.io/exec"),
        )
    return Plugin(
        [command, *exec_.args],
        {variable.name: variable.value for variable in exec_.env},
        exec_.apiVersion,
        interactive_mode=exec_.interactiveMode,
        install_hint=exec_.installHint,
        cluster=info,
    )
