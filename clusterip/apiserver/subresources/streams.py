"""``log``, ``exec``, ``attach`` and ``portforward`` of Pods, answered by the kubelet of their node."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.call import Call
from clusterip.apiserver.kubelet import Kubelet, Kubelets
from clusterip.objects.core.pod import Pod
from clusterip.objects.registry import Resource

_STREAMS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
_TRUE = ("true", "1")


class PodStreams:
    def __init__(self, kubelets: Kubelets) -> None:
        self._kubelets = kubelets

    async def log(self, call: Call, resource: Resource[Any]) -> web.StreamResponse:
        if call.info.verb != "get":
            raise status.method_not_allowed()
        pod = await _pod(call, resource)
        query = dict(call.info.query)
        container = choose_container(pod, query.pop("container", ""))
        if not pod.spec.nodeName:
            return call.respond(b"", 200, "text/plain")
        _check_log_options(pod, query)
        meta = pod.metadata
        path = f"/containerLogs/{meta.namespace}/{meta.name}/{quote(container)}"
        kubelet = await self._kubelet(pod)
        return await kubelet.stream(call, f"{path}?{urlencode(query)}")

    async def exec(self, call: Call, resource: Resource[Any]) -> web.StreamResponse:
        return await self._attached(call, resource, "exec")

    async def attach(self, call: Call, resource: Resource[Any]) -> web.StreamResponse:
        return await self._attached(call, resource, "attach")

    async def port_forward(self, call: Call, resource: Resource[Any]) -> web.StreamResponse:
        pod = await _pod(call, resource)
        kubelet = await self._kubelet(pod)
        query = urlencode([(k, v) for k, v in _pairs(call) if k == "ports"])
        path = f"/portForward/{pod.metadata.namespace}/{pod.metadata.name}"
        return await kubelet.upgrade(call, f"{path}?{query}" if query else path)

    async def _attached(self, call: Call, resource: Resource[Any], what: str) -> web.StreamResponse:
        pod = await _pod(call, resource)
        pairs = _pairs(call)
        given = dict(pairs)
        container = choose_container(pod, given.get("container", ""))
        if not any(given.get(stream) in _TRUE for stream in ("stdin", "stdout", "stderr")):
            raise status.bad_request("you must specify at least 1 of stdin, stdout, stderr")
        kubelet = await self._kubelet(pod)
        # The kubelet's names for the streams differ from the API's.
        wanted = [(_STREAMS[k], "1") for k, v in pairs if k in _STREAMS and v in _TRUE]
        wanted += [(k, v) for k, v in pairs if k == "command"]
        meta = pod.metadata
        path = f"/{what}/{meta.namespace}/{meta.name}/{quote(container)}"
        return await kubelet.upgrade(call, f"{path}?{urlencode(wanted)}")

    async def _kubelet(self, pod: Pod) -> Kubelet:
        if not pod.spec.nodeName:
            raise status.bad_request(f"pod {pod.metadata.name} does not have a host assigned")
        return self._kubelets.of(pod.spec.nodeName)


def choose_container(pod: Pod, wanted: str) -> str:
    """The container that a request means.

    Raises:
        StatusError: 400, it does not exist, or none is named and there are several.
    """
    names = [container.name for container in pod.spec.containers]
    init = [container.name for container in pod.spec.initContainers]
    name = pod.metadata.name
    if wanted:
        if wanted not in names + init:
            raise status.bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(names) == 1:
        return names[0]
    message = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
    if init:
        message += f" or one of the init containers: [{' '.join(init)}]"
    raise status.bad_request(message)


def _check_log_options(pod: Pod, query: dict[str, str]) -> None:
    """Raises StatusError (422) for numbers that make no sense."""
    for option, least in (("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)):
        text = query.get(option)
        if text is None:
            continue
        try:
            value = int(text)
        except ValueError:
            raise status.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
        if value < least:
            why = "must be greater than or equal to 0" if least == 0 else "must be greater than 0"
            message = (
                f'PodLogOptions "{pod.metadata.name}" is invalid: {option}: Invalid value: {value}: {why}'
            )
            raise status.failure(422, "Invalid", message)
    if "sinceSeconds" in query and "sinceTime" in query:
        message = (
            f'PodLogOptions "{pod.metadata.name}" is invalid: : Forbidden: at most one of `sinceTime` or '
            "`sinceSeconds` may be specified"
        )
        raise status.failure(422, "Invalid", message)


async def _pod(call: Call, resource: Resource[Any]) -> Pod:
    entry = await call.server.objects.get(resource, call.info.namespace, call.info.name)
    pod: Pod = entry.decode()
    return pod


def _pairs(call: Call) -> list[tuple[str, str]]:
    """The query with everything given more than once, as the words of a command are."""
    return parse_qsl(call.request.raw_path.partition("?")[2], keep_blank_values=True)
