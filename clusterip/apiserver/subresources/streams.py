"""``exec``, ``attach`` and ``portforward`` of Pods, answered by the kubelet of their node."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.call import Call
from clusterip.apiserver.kubelet import Kubelet, Kubelets
from clusterip.apiserver.subresources.passing import upgrade
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.pod.references import all_containers
from clusterip.objects.registry import Resource
from clusterip.process.hijack import is_upgrade

_STREAMS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
"""The kubelet's names for the streams differ from the API's."""

Pairs = Sequence[tuple[str, str]]


class PodStreams:
    """Serves them."""

    def __init__(self, kubelets: Kubelets) -> None:
        self._kubelets = kubelets

    async def exec(self, call: Call, resource: Resource[Any]) -> web.StreamResponse:
        return await self._attached(call, resource, "exec")

    async def attach(self, call: Call, resource: Resource[Any]) -> web.StreamResponse:
        return await self._attached(call, resource, "attach")

    async def port_forward(self, call: Call, resource: Resource[Any]) -> web.StreamResponse:
        _check(call)
        ports = _ports(_pairs(call))
        pod = await pod_of(call, resource)
        kubelet = self._kubelet(pod, resource)
        path = f"/portForward/{pod.metadata.namespace}/{pod.metadata.name}"
        return await _upgraded(call, kubelet, f"{path}?{urlencode({'port': ports})}" if ports else path)

    async def _attached(self, call: Call, resource: Resource[Any], what: str) -> web.StreamResponse:
        _check(call)
        pairs = _pairs(call)
        pod = await pod_of(call, resource)
        container = choose_container(pod, first(pairs, "container"))
        kubelet = self._kubelet(pod, resource)
        wanted = [(theirs, "1") for ours, theirs in _STREAMS.items() if is_set(pairs, ours)]
        wanted += [(k, v) for k, v in pairs if k == "command" and what == "exec"]
        wanted.sort(key=lambda pair: pair[0])
        meta = pod.metadata
        path = f"/{what}/{meta.namespace}/{meta.name}/{quote(container)}"
        return await _upgraded(call, kubelet, f"{path}?{urlencode(wanted)}")

    def _kubelet(self, pod: Pod, resource: Resource[Any]) -> Kubelet:
        if not pod.spec.nodeName:
            raise status.bad_request(f"pod {pod.metadata.name} does not have a host assigned")
        return kubelet_of(self._kubelets, pod, resource)


def kubelet_of(kubelets: Kubelets, pod: Pod, resource: Resource[Any]) -> Kubelet:
    """The kubelet of the node that a Pod is assigned to. Raises StatusError (404, 500)."""
    kubelet = kubelets.of(pod.spec.nodeName)
    if kubelet is None:
        raise status.not_found(resource, pod.spec.nodeName)
    return kubelet


def choose_container(pod: Pod, wanted: str) -> str:
    """The container that a request means.

    Raises:
        StatusError: 400, it does not exist, or none is named and there are several.
    """
    names = [each.name for each in all_containers(pod.spec)]
    name = pod.metadata.name
    if wanted:
        if wanted not in names:
            raise status.bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(pod.spec.containers) == 1:
        return pod.spec.containers[0].name
    message = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
    raise status.bad_request(message)


def first(pairs: Pairs, name: str) -> str:
    """The first value of a parameter; nothing if it is not given."""
    return next((value for key, value in pairs if key == name), "")


def is_set(pairs: Pairs, name: str) -> bool:
    """Whether an option is chosen, as upstream's ``Convert_Slice_string_To_bool`` has it."""
    value = next((value for key, value in pairs if key == name), None)
    return value is not None and value != "0" and value.lower() != "false"


async def pod_of(call: Call, resource: Resource[Any]) -> Pod:
    """The Pod of a request. Raises StatusError (404)."""
    entry = await call.server.objects.get(resource, call.info.namespace, call.info.name)
    pod: Pod = entry.decode()
    return pod


def _check(call: Call) -> None:
    """Raises StatusError."""
    info = call.info
    if info.rest:
        raise status.no_such_path()
    if call.request.method not in ("GET", "POST"):
        raise status.method_not_allowed()
    if info.dry_run:
        raise status.bad_request("dryRun is not supported")
    # To read a Pod must not be enough to run commands in it, though a WebSocket begins with a GET.
    asked = copy.copy(info)
    asked.verb = "create"
    decision = call.server.authorizer.decide(call.user, asked)
    if not decision.allowed:
        raise status.forbidden_request(info.group, info.plural, info.name, decision.reason)


async def _upgraded(call: Call, kubelet: Kubelet, target: str) -> web.StreamResponse:
    if not is_upgrade(call.request):
        raise status.bad_request("Upgrade request required")
    return await upgrade(call, kubelet.address, target)


def _pairs(call: Call) -> Pairs:
    """The query with everything given more than once, as the words of a command are."""
    return parse_qsl(call.request.raw_path.partition("?")[2], keep_blank_values=True)


def _ports(pairs: Pairs) -> str:
    """The ports asked for, between commas. Raises StatusError (400)."""
    texts = [value for key, value in pairs if key == "ports"]
    for text in texts:
        if not (text.isascii() and text.isdigit()):
            why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
            raise status.bad_request(f"cannot convert to []int32: {why}")
    return ",".join(texts)
