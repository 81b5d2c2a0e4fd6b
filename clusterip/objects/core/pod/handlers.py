"""Validation of probes and lifecycle hooks: what is run or asked, and how often."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.core.containers import HTTPGetAction, Lifecycle, LifecycleHandler, Probe
from clusterip.objects.errors import (
    ErrorList,
    Path,
    forbidden,
    invalid,
    invalid_each,
    not_supported,
    required,
)
from clusterip.objects.rules import not_negative_fields, port_number_or_name

HTTP_SCHEMES = ("HTTP", "HTTPS")

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_NUMBERS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)


def validate_probe(probe: Probe | None, path: Path, *, readiness: bool) -> ErrorList:
    """Errors of a probe. Only a readiness probe may want more than one success in a row."""
    if probe is None:
        return []
    errors = _validate_handler(probe, path, None)
    errors += not_negative_fields(path, probe, *_NUMBERS)
    grace, where = probe.terminationGracePeriodSeconds, path.child("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        errors.append(invalid(where, grace, "must be greater than 0"))
    if readiness and grace is not None:
        errors.append(invalid(where, grace, "must not be set for readinessProbes"))
    if not readiness and probe.successThreshold != 1:
        errors.append(invalid(path.child("successThreshold"), probe.successThreshold, "must be 1"))
    return errors


def validate_lifecycle(lifecycle: Lifecycle | None, grace_period: int | None, path: Path) -> ErrorList:
    if lifecycle is None:
        return []
    errors: ErrorList = []
    if lifecycle.postStart is not None:
        errors += _validate_handler(lifecycle.postStart, path.child("postStart"), grace_period)
    if lifecycle.preStop is not None:
        errors += _validate_handler(lifecycle.preStop, path.child("preStop"), grace_period)
    return errors


def _validate_handler(handler: Probe | LifecycleHandler, path: Path, grace: int | None) -> ErrorList:
    present = [name for name in _HANDLERS if getattr(handler, name, None) is not None]
    if not present:
        return [required(path, "must specify a handler type")]
    errors = _validate_action(handler, present[0], path.child(present[0]), grace)
    for extra in present[1:]:
        errors.append(forbidden(path.child(extra), "may not specify more than 1 handler type"))
    return errors


def _validate_action(
    handler: Probe | LifecycleHandler, name: str, path: Path, grace: int | None
) -> ErrorList:
    if name == "exec" and handler.exec is not None:
        return [] if handler.exec.command else [required(path.child("command"))]
    if name == "httpGet" and handler.httpGet is not None:
        return _validate_http(handler.httpGet, path)
    if name == "tcpSocket" and handler.tcpSocket is not None:
        return port_number_or_name(path.child("port"), handler.tcpSocket.port)
    if isinstance(handler, Probe):
        return port_number_or_name(path.child("port"), handler.grpc.port) if handler.grpc else []
    if handler.sleep is not None and grace is not None and not 0 <= handler.sleep.seconds <= grace:
        message = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
        return [invalid(path, handler.sleep.seconds, message)]
    return []


def _validate_http(action: HTTPGetAction, path: Path) -> ErrorList:
    errors: ErrorList = [] if action.path else [required(path.child("path"))]
    errors += port_number_or_name(path.child("port"), action.port)
    if action.scheme not in HTTP_SCHEMES:
        errors.append(not_supported(path.child("scheme"), action.scheme, HTTP_SCHEMES))
    for header in action.httpHeaders:
        errors += invalid_each(path.child("httpHeaders"), header.name, names.http_header(header.name))
    return errors
