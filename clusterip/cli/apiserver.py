"""``clusterip apiserver``: serve the Kubernetes API."""

from __future__ import annotations

import sys

import click


def _port_range(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit() and 0 < int(first) <= int(last) < 65536):
        raise click.BadParameter(f"{text} is not a range of ports such as 30000-32767")
    return int(first), int(last)


def _listed(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())


@click.command(name="apiserver")
@click.option(
    "--store",
    required=True,
    metavar="URL",
    help="Where objects live: sqlite:///ABSOLUTE/PATH, etcd://HOST:PORT,HOST:PORT or, with TLS, etcds://...",
)
@click.option("--etcd-cafile", default="", help="CA to check etcd's certificates with.")
@click.option("--etcd-certfile", default="", help="Certificate to show to etcd.")
@click.option("--etcd-keyfile", default="", help="Its key.")
@click.option("--etcd-user", default="", help="Who to log in as, for an etcd that has users.")
@click.option("--etcd-password-file", default="", help="A file with that user's password.")
@click.option(
    "--bind-address",
    "bind_addresses",
    multiple=True,
    callback=_listed,
    default=("0.0.0.0",),
    show_default=True,
    help="Address to listen on; several, or separated by commas.",
)
@click.option("--secure-port", type=click.IntRange(0, 65535), default=6443, show_default=True)
@click.option("--advertise-address", default="", help="Address that the kubernetes Service leads to.")
@click.option(
    "--service-cluster-ip-range",
    "service_cluster_ip_ranges",
    multiple=True,
    callback=_listed,
    default=("10.0.0.0/24",),
    show_default=True,
    help="CIDR that ClusterIPs come from; two of different families for dual-stack.",
)
@click.option(
    "--service-node-port-range",
    callback=_port_range,
    default="30000-32767",
    show_default=True,
    help="Ports that node ports come from.",
)
@click.option(
    "--cert-dir", default="/var/run/kubernetes", show_default=True, help="Where made keys are kept."
)
@click.option(
    "--tls-cert-file", default="", help="The server's certificate; made in --cert-dir if not given."
)
@click.option("--tls-private-key-file", default="", help="Its key.")
@click.option("--client-ca-file", default="", help="CA whose client certificates are accepted.")
@click.option("--token-auth-file", default="", help='CSV file of tokens: token,user,uid,"group1,group2".')
@click.option("--kubelet-client-certificate", default="", help="Certificate to show to kubelets.")
@click.option("--kubelet-client-key", default="", help="Its key.")
@click.option("--kubelet-certificate-authority", default="", help="CA to check kubelets' certificates with.")
@click.option(
    "--service-account-issuer",
    "service_account_issuers",
    multiple=True,
    default=("https://kubernetes.default.svc.cluster.local",),
    show_default=True,
    help="Issuer of service account tokens; of several, the first is that of new ones.",
)
@click.option("--service-account-signing-key-file", default="", help="Key that signs service account tokens.")
@click.option(
    "--service-account-key-file",
    "service_account_key_files",
    multiple=True,
    help="File of further keys whose service account tokens are accepted; several.",
)
@click.option(
    "--service-account-jwks-uri", default="", help="Where others find the keys of service account tokens."
)
@click.option(
    "--service-account-max-token-expiration",
    type=click.IntRange(0),
    default=0,
    metavar="SECONDS",
    help="What no service account token outlives; 0: no limit.",
)
@click.option(
    "--service-account-extend-token-expiration",
    type=bool,
    default=True,
    show_default=True,
    help="Let tokens that Pods get by themselves be good for a year.",
)
@click.option(
    "--api-audiences",
    multiple=True,
    callback=_listed,
    help="For whom tokens must be to be good here; by default the issuers.",
)
@click.option(
    "--anonymous-auth",
    type=bool,
    default=False,
    show_default=True,
    help="Take requests without credentials for those of system:anonymous.",
)
@click.option(
    "--enable-bootstrap-token-auth",
    type=bool,
    is_flag=False,
    flag_value=True,
    default=False,
    show_default=True,
    help="Let in who knows a bootstrap token of a Secret in kube-system.",
)
@click.option(
    "--authorization-mode",
    default="AlwaysAllow",
    show_default=True,
    help="AlwaysAllow, AlwaysDeny, or Node,RBAC: the first that allows a request decides.",
)
@click.option(
    "--enable-admission-plugins",
    multiple=True,
    callback=_listed,
    help="Admission plugin that is on beside those that are by default; several, or separated by commas.",
)
@click.option(
    "--disable-admission-plugins",
    multiple=True,
    callback=_listed,
    help="Admission plugin that is off; several, or separated by commas.",
)
@click.option("-v", "--v", "verbosity", type=int, default=0, help="Log verbosity.")
def command(verbosity: int, **settings: object) -> None:
    """Serve the Kubernetes API.

    \b
    Examples:
      clusterip apiserver --store=sqlite:///var/lib/my/store.db --cert-dir=/var/lib/my/pki
      clusterip apiserver --store=etcd://10.0.0.1:2379 --authorization-mode=Node,RBAC --secure-port=6443
    """
    from clusterip.apiserver.main import main
    from clusterip.apiserver.options import Options
    from clusterip.process import log
    from clusterip.process.run import run

    log.setup(verbosity)
    options = Options(**settings)  # type: ignore[arg-type]
    sys.exit(run(lambda: main(options)))


if __name__ == "__main__":
    command()
