"""The part that keeps a machine a member: the way to the API servers, and certificates in time."""

from __future__ import annotations

import asyncio
import hashlib
from urllib.parse import urlsplit

from clusterip.client import config
from clusterip.client.rest import Client
from clusterip.member import state
from clusterip.member.balancer import Address, Balancer, shown
from clusterip.member.checks import Checks
from clusterip.member.files import Files
from clusterip.member.identities import all_of
from clusterip.member.options import Options
from clusterip.member.rotation import Rotation
from clusterip.member.servers import Servers
from clusterip.process import log
from clusterip.process.health import HealthServer
from clusterip.process.run import Fatal
from clusterip.process.sockets import listen_tcp

_log = log.get("member")


async def main(options: Options) -> None:
    """Work until cancelled.

    Raises:
        Fatal: the machine has not joined, or an address or file cannot be used.
    """
    membership = state.read(options.state_file)
    if membership is None:
        raise Fatal(f"this machine has not joined a cluster: there is no {options.state_file}")
    try:
        listener = listen_tcp(options.bind_address)
        node = config.load(options.kubeconfig)
        reader = config.load(options.servers_kubeconfig)
    except (OSError, ValueError, config.ConfigError) as error:
        raise Fatal(str(error)) from error
    given = [address_of(url) for url in membership.servers]

    def all_of_them(servers: list[Address]) -> list[Address]:
        """In this node's own order, so that nodes spread over the servers. Those that it joined by come last:
        there may be a way to them when there is none to what servers say of themselves."""
        ranked = [
            sorted(each, key=lambda server: _rank(membership.node, server)) for each in (servers, given)
        ]
        return [*ranked[0], *ranked[1]]

    def follow(servers: list[Address]) -> None:
        state.save_servers(options.servers_file, servers)
        balancer.follow(all_of_them(servers))

    balancer = Balancer(all_of_them(state.read_servers(options.servers_file)))

    health = HealthServer("member")
    async with Client(node) as client, Client(reader) as watching:
        files = Files(options.certificate_dir)
        rotation = Rotation(client, files, all_of(membership.node, membership.addresses))
        health.ready_check("certificates", rotation.problem)
        if options.healthz_bind_address:
            await health.start(options.healthz_bind_address)
        _log.info("serving", address=options.bind_address, servers=str(balancer))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(balancer.serve(listener))
                tasks.create_task(Servers(watching, follow).run())
                tasks.create_task(rotation.run())
                tasks.create_task(Checks(balancer, node).run())
        finally:
            await health.close()


def _rank(node: str, server: Address) -> bytes:
    """Rendezvous hashing: when a server comes or goes, the others keep their places."""
    return hashlib.sha256(f"{node} {shown(server)}".encode()).digest()


def address_of(url: str) -> Address:
    """Host and port of a server's URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 6443
