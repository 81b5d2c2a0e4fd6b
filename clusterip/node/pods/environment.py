"""A container's environment variables: Services, ``envFrom``, ``env``.

Later ones win: Services, then ``envFrom`` in order, then ``env``. As upstream's
``makeEnvironmentVariables`` and ``pkg/kubelet/envvars``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from clusterip.node.pods.downward import PodFacts, UnknownField, field_value, resource_value
from clusterip.node.pods.expansion import expand
from clusterip.node.pods.sources import SlimService, Sources
from clusterip.objects.core.containers import Container, EnvFromSource, EnvVar


class ConfigurationError(Exception):
    """A container cannot be made as its Pod wants it; a later try may succeed."""


async def environment_of(facts: PodFacts, container: Container, sources: Sources) -> dict[str, str]:
    """All variables of a container, references in them expanded.

    Raises:
        ConfigurationError: something they come from is missing or malformed.
        ApiError, Unreachable: it could not be looked up.
    """
    values = _service_variables(facts, sources)
    for source in container.envFrom:
        values |= await _from_source(facts, source, sources)
    for variable in container.env:
        value = await _value_of(facts, container, variable, values, sources)
        if value is not None:
            values[variable.name] = value
    return values


def _service_variables(facts: PodFacts, sources: Sources) -> dict[str, str]:
    values: dict[str, str] = {}
    namespace = facts.pod.metadata.namespace
    master = [s for s in sources.services_of("default") if s.metadata.name == "kubernetes"]
    values |= service_variables(master)
    if facts.pod.spec.enableServiceLinks is not False:
        values |= service_variables(sources.services_of(namespace))
    return values


def service_variables(services: Iterable[SlimService]) -> dict[str, str]:
    """``NAME_SERVICE_HOST`` and all the others that Docker's links began with."""
    values: dict[str, str] = {}
    for service in services:
        address = service.spec.clusterIP
        if not address or address == "None" or not service.spec.ports:
            continue
        prefix = service.metadata.name.upper().replace("-", "_")
        first = service.spec.ports[0]
        shown = f"[{address}]" if ":" in address else address
        values[f"{prefix}_SERVICE_HOST"] = address
        values[f"{prefix}_SERVICE_PORT"] = str(first.port)
        for port in service.spec.ports:
            if port.name:
                values[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
        for i, port in enumerate(service.spec.ports):
            protocol = (port.protocol or "TCP").lower()
            url = f"{protocol}://{shown}:{port.port}"
            if i == 0:
                values[f"{prefix}_PORT"] = url
            start = f"{prefix}_PORT_{port.port}_{protocol.upper()}"
            values[start] = url
            values[f"{start}_PROTO"] = protocol
            values[f"{start}_PORT"] = str(port.port)
            values[f"{start}_ADDR"] = address
    return values


async def _from_source(facts: PodFacts, source: EnvFromSource, sources: Sources) -> dict[str, str]:
    namespace = facts.pod.metadata.namespace
    found: dict[str, str] = {}
    if reference := source.configMapRef:
        config_map = await sources.config_map(namespace, reference.name)
        if config_map is None and not reference.optional:
            raise ConfigurationError(f'configmap "{reference.name}" not found')
        found = dict(config_map.data) if config_map else {}
    elif secret_reference := source.secretRef:
        secret = await sources.secret(namespace, secret_reference.name)
        if secret is None and not secret_reference.optional:
            raise ConfigurationError(f'secret "{secret_reference.name}" not found')
        found = {key: _text(value) for key, value in secret.data.items()} if secret else {}
    return {source.prefix + key: value for key, value in found.items()}


async def _value_of(
    facts: PodFacts, container: Container, variable: EnvVar, values: dict[str, str], sources: Sources
) -> str | None:
    source = variable.valueFrom
    if source is None:
        return expand(variable.value, values)
    namespace = facts.pod.metadata.namespace
    try:
        if source.fieldRef:
            return field_value(facts, source.fieldRef.fieldPath)
        if source.resourceFieldRef:
            return resource_value(facts, container, source.resourceFieldRef)
    except UnknownField as error:
        raise ConfigurationError(str(error)) from error
    if key := source.configMapKeyRef:
        config_map = await sources.config_map(namespace, key.name)
        if config_map is not None and key.key in config_map.data:
            return config_map.data[key.key]
        if key.optional:
            return None
        if config_map is None:
            raise ConfigurationError(f'configmap "{key.name}" not found')
        raise ConfigurationError(f"couldn't find key {key.key} in ConfigMap {namespace}/{key.name}")
    if secret_key := source.secretKeyRef:
        secret = await sources.secret(namespace, secret_key.name)
        if secret is not None and secret_key.key in secret.data:
            return _text(secret.data[secret_key.key])
        if secret_key.optional:
            return None
        if secret is None:
            raise ConfigurationError(f'secret "{secret_key.name}" not found')
        raise ConfigurationError(
            f"couldn't find key {secret_key.key} in Secret {namespace}/{secret_key.name}"
        )
    return ""


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode(errors="surrogateescape")
