"""The controllers as a process: what it opens, runs and closes."""

from __future__ import annotations

import dataclasses

from clusterip.client.config import ConfigError, load
from clusterip.client.rest import Client
from clusterip.controllers import metrics
from clusterip.controllers.leaderelection.elector import LeaderElector, LeadershipLost
from clusterip.controllers.manager import Manager, UnknownController
from clusterip.controllers.options import Options
from clusterip.process import Fatal, log
from clusterip.process.health import Check, HealthServer

COMPONENT = "kube-controller-manager"
"""As who events about the leadership are recorded."""

_log = log.get("controllers")


async def main(options: Options) -> None:
    """Run the controllers until cancelled; with leader election, from when this process leads.

    Raises:
        Fatal: an option cannot be used, an address cannot be bound, or the leadership was lost.
    """
    try:
        config = dataclasses.replace(load(options.kubeconfig or None), user_agent="clusterip-controllers")
    except ConfigError as error:
        raise Fatal(str(error)) from None
    if not options.root_ca:
        options = dataclasses.replace(options, root_ca=config.root_ca)
    health = HealthServer("controllers")
    async with Client(config) as client:
        try:
            manager = Manager(client, options)
        except UnknownController as error:
            raise Fatal(f"--controllers: {error}") from None
        elector = None
        if options.leader_election is not None:
            elector = LeaderElector(client, options.leader_election, COMPONENT)
            health.add_check("leaderElection", elector.check)
        collector = metrics.register(manager, elector)
        # One that only waits for its turn is ready to take it.
        health.ready_check("informers-synced", lambda: _while_leading(elector, manager.not_synced))
        health.ready_check("api-server", lambda: _while_leading(elector, manager.not_connected))
        try:
            await _start_health(health, options)
            names = ",".join(controller.name for controller in manager.controllers)
            _log.info("starting", server=config.server, controllers=names)
            if elector is None:
                await manager.run()
            else:
                await elector.run(manager.run)
        except LeadershipLost as lost:
            raise Fatal(f"stopped, as another one may lead: {lost}") from None
        finally:
            metrics.unregister(collector)
            await health.close()


def _while_leading(elector: LeaderElector | None, check: Check) -> str | None:
    return check() if elector is None or elector.leads else None


async def _start_health(health: HealthServer, options: Options) -> None:
    for address in dict.fromkeys((options.healthz_bind_address, options.metrics_bind_address)):
        try:
            await health.start(address)
        except (OSError, ValueError) as error:
            raise Fatal(str(error)) from error
