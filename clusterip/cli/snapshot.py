"""``clusterip snapshot``: save, restore and look at everything that a store holds."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterip.cli.cluster_options import cluster_options
from clusterip.cli.printing import print_json
from clusterip.cli.waiting import saying

if TYPE_CHECKING:
    from clusterip.cluster.paths import Paths
    from clusterip.storage.etcd.endpoints import Tls
    from clusterip.storage.etcd.login import User
    from clusterip.storage.snapshot.operations import Status

_file = click.argument("file", type=click.Path(path_type=Path, resolve_path=True))


@click.group("snapshot")
def command() -> None:
    """Save and restore everything that a store holds: all objects, and what is allocated.

    A snapshot can be restored into any store, also of the other kind. Keys and certificates are not in it:
    they are files of their own.

    \b
    Examples:
      clusterip snapshot save today.snapshot
      clusterip snapshot status today.snapshot
    """


def _store_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name a store; the command gets ``url``, ``tls`` and ``user``."""

    @click.option(
        "--store",
        default="",
        metavar="URL",
        help="Which store: sqlite:///ABSOLUTE/PATH, etcd://HOST:PORT,HOST:PORT or, with TLS, etcds://... "
        "Default: that of the cluster `clusterip up` starts.",
    )
    @click.option("--etcd-cafile", default="", help="CA to check etcd's certificates with.")
    @click.option("--etcd-certfile", default="", help="Certificate to show to etcd.")
    @click.option("--etcd-keyfile", default="", help="Its key.")
    @click.option("--etcd-user", default="", help="Who to log in as, for an etcd that has users.")
    @click.option("--etcd-password-file", default="", help="A file with that user's password.")
    @cluster_options
    @functools.wraps(function)
    def wrapped(
        *args: Any,
        store: str,
        etcd_cafile: str,
        etcd_certfile: str,
        etcd_keyfile: str,
        etcd_user: str,
        etcd_password_file: str,
        name: str,
        paths: Paths,
        **rest: Any,
    ) -> None:
        from clusterip.storage.etcd.endpoints import Tls
        from clusterip.storage.etcd.login import read_user

        def run() -> None:
            tls = Tls(etcd_cafile, etcd_certfile, etcd_keyfile)
            user = read_user(etcd_user, etcd_password_file)
            function(*args, url=store or f"sqlite://{paths.database}", tls=tls, user=user, **rest)

        _explained(run)

    return wrapped


@command.command("save")
@_file
@_store_options
def save(file: Path, url: str, tls: Tls, user: User) -> None:
    """Write all that a store holds, as of one moment, to FILE. The store may be in use.

    \b
    Examples:
      clusterip snapshot save today.snapshot
      clusterip snapshot save --store=etcd://10.0.0.1:2379 today.snapshot
    """
    import asyncio

    from clusterip.storage.snapshot import operations

    with saying(f"saving {url}"):
        count = asyncio.run(operations.save(url, file, tls, user))
    click.echo(f"saved {count} keys of {url} to {file} ({file.stat().st_size} bytes)")


@command.command("restore")
@_file
@_store_options
def restore(file: Path, url: str, tls: Tls, user: User) -> None:
    """Let a store hold what FILE has, and nothing else.

    Stop all API servers that use the store first. One that does not exist is made. Clients that were
    connected before are told 410 Gone and list everything anew.

    \b
    Example:
      clusterip snapshot restore today.snapshot
    """
    import asyncio

    from clusterip.storage.snapshot import operations

    with saying(f"restoring {file}"):
        count, revision = asyncio.run(operations.restore(file, url, tls, user))
    click.echo(f"restored {count} keys into {url}, which is at revision {revision} now")


@command.command("status")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it."
)
@_file
def status(file: Path, output: str) -> None:
    """Check that FILE is whole, and say what is in it.

    \b
    Example:
      clusterip snapshot status today.snapshot
    """
    from clusterip.storage.snapshot import operations

    def run() -> None:
        found = operations.status(file)
        if output == "json":
            print_json(found)
        else:
            _print(found)

    _explained(run)


def _print(found: Status) -> None:
    from clusterip.cli.tables import align

    header = found.header
    rows = [
        ["file", found.path],
        ["size", f"{found.size} bytes"],
        ["sha256", found.digest],
        ["saved", f"{header.saved} from {header.source} by clusterip {header.version}"],
        ["revision", str(header.revision)],
        ["keys", str(found.keys)],
    ]
    click.echo(align(rows))
    click.echo()
    counts = sorted(found.resources.items())
    click.echo(align([["RESOURCE", "KEYS"], *([name, str(count)] for name, count in counts)]))


def _explained(run: Callable[[], None]) -> None:
    """Errors as one line, without a traceback."""
    from clusterip.storage.store import StoreError

    try:
        run()
    except StoreError as error:
        click.echo(f"clusterip: {error}", err=True)
        sys.exit(1)
