"""The controllers as a process: what it opens, runs and closes."""

from __future__ import annotations

import dataclasses
import ssl

from clusterip.client.config import ConfigError, load
from clusterip.client.rest import Client
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
        options = dataclasses.replace(options, root_ca=_trusted(config.ssl_context))
    health = HealthServer("controllers")
    async with Client(config) as client:
        try:
            manager = Manager(client, options)
        except UnknownController as error:
            raise Fatal(f"--controllers: {error}") from None
        health.ready_check("informers-synced", manager.not_synced)
        health.ready_check("api-server", manager.not_connected)
        try:
            for address in dict.fromkeys((options.healthz_bind_address, options.metrics_bind_address)):
                await health.start(address)
            names = ",".join(controller.name for controller in manager.controllers)
            _log.info("starting", server=config.server, controllers=names)
            await manager.run()
        except (OSError, ValueError) as error:
            raise Fatal(str(error)) from error
        finally:
            await health.close()


def _trusted(context: ssl.SSLContext | None) -> str:
    """The certificates that we check the API server with, in PEM; "" without TLS."""
    if context is None or context.verify_mode == ssl.CERT_NONE:
        return ""
    return "".join(map(ssl.DER_cert_to_PEM_cert, context.get_ca_certs(binary_form=True)))
