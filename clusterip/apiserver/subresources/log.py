"""``pods/NAME/log``: what a container wrote, from the kubelet of its node.

As ``pkg/registry/core/pod/rest/log.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.backend import BackendError, Connection, Head
from clusterip.apiserver.call import Call
from clusterip.apiserver.kubelet import Kubelets
from clusterip.apiserver.subresources.passing import ended_with_client, stream
from clusterip.apiserver.subresources.streams import choose_container, first, is_set, kubelet_of, pod_of
from clusterip.objects import times
from clusterip.objects.errors import FieldError, forbidden, invalid
from clusterip.objects.meta import Object, StatusDetails
from clusterip.objects.registry import Resource

_FLAGS = ("follow", "previous", "timestamps")
_LEAST = {"tailLines": 0, "limitBytes": 1, "sinceSeconds": 1}
_MESSAGE_LIMIT = 10_000
_REFUSALS = {
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    409: ("Conflict", "the server reported a conflict"),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: (
        "TooManyRequests",
        "the server has received too many requests and has asked us to try again later",
    ),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: (
        "Timeout",
        "the server was unable to return a response in the time allotted, but may still be processing the "
        "request",
    ),
}
"""What a kubelet's refusal is called, by its code (``NewGenericServerResponse``)."""


class PodLogOptions(Object):
    """What is asked for; it comes in the query."""


_OPTIONS: Resource[Any] = Resource(
    type=PodLogOptions, group="", version="v1", plural="podlogoptions", namespaced=True
)


class PodLogs:
    """Serves logs."""

    def __init__(self, kubelets: Kubelets) -> None:
        self._kubelets = kubelets

    async def serve(self, call: Call, resource: Resource[Any]) -> web.StreamResponse:
        if call.info.rest:
            raise status.no_such_path()
        if call.info.verb != "get":
            raise status.method_not_allowed()
        pairs = parse_qsl(call.request.raw_path.partition("?")[2], keep_blank_values=True)
        wanted = _read_options(call.info.name, dict(reversed(pairs)))
        wanted |= {flag: "true" for flag in _FLAGS if is_set(pairs, flag)}
        pod = await pod_of(call, resource)
        container = choose_container(pod, first(pairs, "container"))
        if not pod.spec.nodeName:
            return web.Response(status=204, headers={"Cache-Control": "no-cache, private"})
        kubelet = kubelet_of(self._kubelets, pod, resource)
        unchecked = is_set(pairs, "insecureSkipTLSVerifyBackend")
        address = kubelet.unchecked if unchecked else kubelet.address
        target = f"/containerLogs/{pod.metadata.namespace}/{pod.metadata.name}/{quote(container)}"
        if wanted:
            target += f"?{urlencode(sorted(wanted.items()))}"
        try:
            connection = await Connection.open(address)
        except BackendError as error:
            raise _unreachable(f"https://{address}{target}", error) from None
        with ended_with_client(call, connection):
            connection.send_head("GET", target, [("Host", str(address))])
            try:
                head = await connection.read_head()
            except BackendError as error:
                raise _unreachable(f"https://{address}{target}", error) from None
            if not 200 <= head.code <= 206:
                raise await _refusal(call, connection, head)
            return await stream(call, connection, head, [("Content-Type", "text/plain")])


def _read_options(name: str, query: Mapping[str, str]) -> dict[str, str]:
    """The options that are more than flags.

    Raises:
        StatusError: 400, one cannot be read; 422, one makes no sense.
    """
    read: dict[str, str] = {}
    errors: list[FieldError] = []
    for option, least in _LEAST.items():
        if option not in query:
            continue
        try:
            value = int(query[option])
        except ValueError:
            why = f'strconv.ParseInt: parsing "{query[option]}": invalid syntax'
            raise status.bad_request(why) from None
        read[option] = str(value)
        if value < least and not (option == "sinceSeconds" and "sinceTime" in query):
            bound = "greater than or equal to 0" if least == 0 else "greater than 0"
            errors.append(invalid(option, value, f"must be {bound}"))
    if moment := query.get("sinceTime"):
        try:
            times.parse(moment)
        except ValueError:
            why = f'parsing time "{moment}" as "2006-01-02T15:04:05Z07:00": cannot parse "{moment}" as "2006"'
            raise status.bad_request(why) from None
        read["sinceTime"] = moment
        if "sinceSeconds" in query:
            why = "at most one of `sinceTime` or `sinceSeconds` may be specified"
            errors.append(forbidden("[]", why))
    if "stream" in query:
        errors.append(forbidden("stream", "may not be specified"))
    if errors:
        raise status.invalid(_OPTIONS, name, errors)
    return read


def _unreachable(url: str, error: BackendError) -> status.StatusError:
    return status.failure(500, "", f'Get "{url}": {error}')


async def _refusal(call: Call, connection: Connection, head: Head) -> status.StatusError:
    """A kubelet's refusal as the API tells it."""
    text = (await _message(connection, head)).decode(errors="replace")
    if head.code == 500:
        return status.internal(text)
    if head.code == 400:
        return status.bad_request(text)
    reason, message = _REFUSALS.get(head.code, ("", ""))
    if head.code in (403, 406, 415):
        reason = {403: "Forbidden", 406: "NotAcceptable", 415: "UnsupportedMediaType"}[head.code]
        message = text
    elif not message and head.code > 500:
        reason = "InternalError"
        message = f'an error on the server ("{text}") has prevented the request from succeeding'
    elif not message:
        message = f"the server responded with the status code {head.code} but did not return more information"
    name = call.info.name
    details = StatusDetails(name=name, kind="pods/log")
    return status.failure(head.code, reason, f"{message} ( pods/log {name})", details)


async def _message(connection: Connection, head: Head) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(10):
            async for chunk in connection.body(head, "GET"):
                body += chunk
                if len(body) > _MESSAGE_LIMIT:
                    break
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return body  # an explanation cut short is better than none
    return body[:_MESSAGE_LIMIT]
