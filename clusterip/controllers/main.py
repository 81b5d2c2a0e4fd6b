"""The controllers as a process: what it opens, runs and closes."""

from __future__ import annotations

import dataclasses

from clusterip.client.config import ConfigError, load
from clusterip.client.rest import Client
from clusterip.controllers import metrics
from clusterip.controllers.manager import Manager, UnknownController
from clusterip.controllers.options import Options
from clusterip.process import Fatal, log
from clusterip.process.health import HealthServer

_log = log.get("controllers")


async def main(options: Options) -> None:
    """Run the controllers until cancelled.

    Raises:
        Fatal: an option cannot be used, or an address cannot be bound.
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
        collector = metrics.register(manager)
        health.ready_check("informers-synced", manager.not_synced)
        health.ready_check("api-server", manager.not_connected)
        try:
            await _start_health(health, options)
            names = ",".join(controller.name for controller in manager.controllers)
            _log.info("starting", server=config.server, controllers=names)
            await manager.run()
        finally:
            metrics.unregister(collector)
            await health.close()


async def _start_health(health: HealthServer, options: Options) -> None:
    for address in dict.fromkeys((options.healthz_bind_address, options.metrics_bind_address)):
        try:
            await health.start(address)
        except (OSError, ValueError) as error:
            raise Fatal(str(error)) from error
