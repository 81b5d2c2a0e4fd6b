"""``clusterip trace``."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING

import click

from clusterip.cli import completing
from clusterip.cli.connection import connected
from clusterip.cli.printing import print_json
from clusterip.cli.waiting import saying

if TYPE_CHECKING:
    from clusterip.cli.connection import Session
    from clusterip.trace.objects import Sources
    from clusterip.trace.request import Request
    from clusterip.trace.story import Story


@click.command("trace")
@click.argument("target", shell_complete=completing.services)
@click.option(
    "--from",
    "client",
    metavar="CLIENT",
    shell_complete=completing.clients,
    default="external",
    show_default=True,
    help="Who connects: pod/NAME, pod/NAMESPACE/NAME, node/NAME, or external: this machine.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "dot", "svg"]),
    default="text",
    help="How to print it.",
)
@click.option(
    "--timeout",
    "seconds",
    type=click.FloatRange(0.1, 60),
    default=3.0,
    help="Seconds to wait for an answer.  [default: 3]",
)
@click.option(
    "--agent",
    is_flag=True,
    help="Let the agent of the client's node do it, through the API server. No root is needed here.",
)
@click.option("--pods-kubeconfig", hidden=True, help="A node's own, which reads the Pods of --on-node.")
@click.option("--on-node", default="", hidden=True)
@click.option("--given", type=click.File("rb"), hidden=True, help="Pods and Events as JSON.")
@connected
async def command(
    target: str,
    client: str,
    output: str,
    seconds: float,
    agent: bool,
    pods_kubeconfig: str | None,
    on_node: str,
    given: IO[bytes] | None,
    session: Session,
) -> None:
    """Connect to a Service and tell the way of the packet, step by step.

    One real connection is made by a process in the client's network namespace. What is told was either
    observed on its packets (rules, map elements, routes, connection tracking) or computed from the objects;
    the two are marked apart. Traffic of others is neither touched nor looked at. If the connection fails, the
    first thing that is wrong is named, and what would mend it.

    Run it as root on the machine that has the client's node: that works in every Kubernetes cluster.
    Elsewhere it asks the node's agent, if that is one of ours; so does --agent.

    TARGET is a name or an address, with a port where the Service has several: http://NAME, NAME.NAMESPACE,
    NAME:PORT, NAME:PORTNAME, ADDRESS:PORT/udp.

    \b
    Examples:
      clusterip trace --from pod/client http://my-service
      clusterip trace --from pod/shop/cart-0 db.shop:5432
      clusterip trace --from node/node-1 10.96.0.10:53/udp
      clusterip trace http://172.30.0.11:30080
      clusterip trace --from pod/client http://my-service -o json | jq .outcome
      clusterip trace --from pod/client http://my-service -o svg > trace.svg

    \b
    Exit codes: 0 reached; 1 the trace could not be done; 2 called wrongly;
    10 no such Service, 11 no such port, 12 no Pod matches the selector, 13 Pods not ready, 14 no endpoints,
    15 no such target port, 16 nobody listens, 17 dropped, 18 refused, 19 the proxy's rules are stale,
    20 DNS, 21 wrong address, 22 no route, 23 no answer.
    """
    from clusterip.cli.connection import CommandError
    from clusterip.cli.tracing import sources
    from clusterip.trace.agent import ask
    from clusterip.trace.objects import TraceError
    from clusterip.trace.request import BadRequest, Request, parse_client, parse_target

    try:
        request = Request(parse_client(client, session.namespace), parse_target(target), seconds)
    except BadRequest as error:
        raise CommandError(f"error: {error}", 2) from error
    try:
        with saying(f"connecting to {target}"):
            if agent:
                story = await ask(request, session.client, session.namespace)
            else:
                async with sources(session.client, pods_kubeconfig, on_node, given) as asked:
                    story = await _here_or_there(request, asked, session.namespace, is_agent=bool(on_node))
    except TraceError as error:
        raise CommandError(f"error: {error}") from error
    if output == "json":
        print_json(story)
    elif output == "text":
        from clusterip.trace.text import show

        click.echo(show(story))
    else:
        from clusterip.trace import drawing

        click.echo(drawing.svg(story) if output == "svg" else drawing.dot(story))
    sys.exit(story.exit_code)


async def _here_or_there(request: Request, asked: Sources, namespace: str, *, is_agent: bool) -> Story:
    """A trace on this machine; where it cannot begin here, by the agent of the client's node."""
    from clusterip.cli.tracing import node_namespaces
    from clusterip.trace.agent import ask
    from clusterip.trace.follow import follow
    from clusterip.trace.objects import Elsewhere, TraceError

    try:
        return await follow(request, asked, namespace, node_namespaces())
    except Elsewhere as elsewhere:
        if is_agent or not elsewhere.node:
            raise
        try:
            return await ask(request, asked.client, namespace)
        except TraceError as error:
            raise TraceError(f"{elsewhere}; {error}") from error
