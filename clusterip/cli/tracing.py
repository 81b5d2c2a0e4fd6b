"""What ``clusterip trace`` knows of the cluster on this machine, and whom it asks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

import click
import msgspec

from clusterip.cli.connection import local_kubeconfig
from clusterip.client.config import load
from clusterip.client.rest import Client
from clusterip.cluster import config as configs
from clusterip.kernel import namespaces
from clusterip.trace.objects import Given, Sources, TraceError


def node_namespaces() -> dict[str, Path]:
    """Where the nodes are if the kubeconfig is of a cluster made by ``clusterip up``; else nothing.

    Their addresses do not tell: other clusters on the machine may use the same.
    """
    given = click.get_current_context().params.get("kubeconfig")
    kubeconfig = given or os.environ.get("KUBECONFIG", "").partition(os.pathsep)[0] or local_kubeconfig()
    if not kubeconfig:
        return {}
    try:
        config = configs.decode((Path(kubeconfig).parent.parent / "cluster.json").read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    found = {name: namespaces.path_of(config.namespace_of(name)) for name in config.node_names}
    return {name: path for name, path in found.items() if path.exists()}


@contextlib.asynccontextmanager
async def sources(
    client: Client, pods_kubeconfig: str | None, node: str, given: IO[bytes] | None
) -> AsyncIterator[Sources]:
    """Whom to ask for what. Raises TraceError: what was given is no JSON of this shape."""
    try:
        objects = msgspec.json.decode(given.read(), type=Given) if given is not None else Given()
    except msgspec.DecodeError as error:
        raise TraceError(f"the objects given are not {{pods: [...], events: [...]}}: {error}") from error
    if pods_kubeconfig is None:
        yield Sources(client, given=objects)
        return
    async with Client(load(pods_kubeconfig)) as pods:
        yield Sources(client, pods, node, objects)
