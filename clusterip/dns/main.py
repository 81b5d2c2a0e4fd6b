"""The DNS server as a process: by a configuration file, or by flags that stand for one."""

from __future__ import annotations

import asyncio

from clusterip.dns.config.model import Config
from clusterip.dns.config.servers import load
from clusterip.dns.config.source import BadConfig
from clusterip.dns.flags import config_of
from clusterip.dns.identity import Identity
from clusterip.dns.options import Options
from clusterip.dns.server import Server
from clusterip.dns.worker import Worker
from clusterip.process import Fatal


def configuration(options: Options) -> Config:
    """What the file or the flags say now. Raises BadConfig."""
    return config_of(options) if options.conf is None else load(options.conf, options.port)


async def main(options: Options, worker: Worker | None = None) -> None:
    """Serve DNS until cancelled.

    At the start questions wait for a moment until everything is known of the clusters. If that takes longer
    they are answered: those about other names normally, those about a cluster with SERVFAIL. Once everything
    is known ``/readyz`` turns green.

    Raises:
        Fatal: the configuration cannot be used, an address cannot be bound, or questions go in circles.
    """
    try:
        Identity(options.server_id, bytes.fromhex(options.cookie_secret))
    except ValueError as error:
        raise Fatal(f"--cookie-secret: {error}") from None
    server = Server(options, lambda: configuration(options), worker or Worker())
    try:
        await server.start()
        await server.run()
    except asyncio.CancelledError:
        await server.stop()
        raise
    except BadConfig as error:
        raise Fatal(str(error)) from None
    except OSError as error:
        raise Fatal(error.strerror or str(error)) from None
    finally:
        await server.close()
