"""The finer options of ``clusterip dns``: forwarding, cache, TLS, limits, processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., None]

_options = (
    click.option(
        "--forward-policy",
        type=click.Choice(["sequential", "random", "round_robin"]),
        default="sequential",
        show_default=True,
        help="Which of the --forward servers is asked first.",
    ),
    click.option(
        "--forward-except",
        multiple=True,
        metavar="NAME",
        help="A name at and below which no other server is asked. May be repeated.",
    ),
    click.option("--force-tcp", is_flag=True, help="Ask other servers over TCP only."),
    click.option(
        "--max-concurrent",
        type=click.IntRange(0),
        default=1000,
        show_default=True,
        metavar="N",
        help="Questions to other servers at a time; more are refused. 0: no limit.",
    ),
    click.option(
        "--serve-stale",
        type=click.FloatRange(0),
        default=3600,
        show_default=True,
        metavar="SECONDS",
        help="How long past its end an answer is still given if no other server answers. 0: not at all.",
    ),
    click.option(
        "--prefetch",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="N",
        help="Fetch an answer again shortly before its end if it was asked for N times. 0: never.",
    ),
    click.option(
        "--max-cache-ttl",
        type=click.IntRange(0),
        default=3600,
        show_default=True,
        metavar="SECONDS",
        help="How long an answer from another server is remembered at most.",
    ),
    click.option(
        "--max-negative-cache-ttl",
        type=click.IntRange(0),
        default=1800,
        show_default=True,
        metavar="SECONDS",
        help="How long it is remembered at most that something does not exist.",
    ),
    click.option(
        "--loop-detection/--no-loop-detection",
        default=True,
        show_default=True,
        help="End if the --forward servers forward back here.",
    ),
    click.option(
        "--tls-bind",
        multiple=True,
        metavar="ADDRESS:PORT",
        help="Where to answer over TLS, usually at port 853. May be repeated.",
    ),
    click.option("--tls-cert-file", default="", metavar="FILE", help="The certificate for --tls-bind, PEM."),
    click.option("--tls-private-key-file", default="", metavar="FILE", help="Its private key, PEM."),
    click.option(
        "--tls-client-ca-file",
        default="",
        metavar="FILE",
        help="Who signs the certificates that clients of --tls-bind must have, PEM. Default: they need none.",
    ),
    click.option(
        "--lameduck",
        type=click.FloatRange(0),
        default=0,
        show_default=True,
        metavar="SECONDS",
        help="How long to go on answering after being told to stop, while /ready says no.",
    ),
    click.option(
        "--dns64",
        default="",
        metavar="PREFIX",
        help="Make IPv6 addresses with this NAT64 prefix, such as 64:ff9b::/96, "
        "for clients on IPv6 and names that have none.",
    ),
    click.option(
        "--rate-limit",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="N",
        help="How often per second a client's network gets the same answer over UDP. 0: no limit.",
    ),
    click.option(
        "--server-id",
        default="",
        metavar="TEXT",
        help="What is told to who asks which server this is. Default: the machine's name.",
    ),
    click.option(
        "--cookie-secret",
        default="",
        metavar="HEX",
        envvar="CLUSTERIP_DNS_COOKIE_SECRET",
        help="32 hexadecimal digits that servers of one address share. Default: made up.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1, 64),
        default=1,
        show_default=True,
        metavar="N",
        help="Processes that share the port.",
    ),
    click.option(
        "--local-interface",
        default="",
        metavar="NAME",
        help="Node-local mode: give the --bind addresses to this interface, such as lo, while serving.",
    ),
)


def server_options(command: Command) -> Command:
    """Add the options; their values arrive as keyword arguments named as in ``dns.options.Options``."""
    for option in reversed(_options):
        command = option(command)
    return command


def check(values: dict[str, Any]) -> None:
    """Raises click.UsageError if options do not fit together."""
    if values["tls_bind"] and not (values["tls_cert_file"] and values["tls_private_key_file"]):
        raise click.UsageError("--tls-bind needs --tls-cert-file and --tls-private-key-file")
