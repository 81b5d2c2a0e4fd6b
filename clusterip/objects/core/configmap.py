"""ConfigMap: configuration as keys and values, for Pods to read."""

from __future__ import annotations

from typing import Any

from clusterip.objects import names, times
from clusterip.objects.core.data import validate_immutable, validate_keys, validate_size
from clusterip.objects.errors import ErrorList, Path, invalid
from clusterip.objects.meta import Object
from clusterip.objects.metadata import validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.scalars import Base64
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN


class ConfigMap(Object):
    immutable: bool | None = None
    data: dict[str, str] = {}
    binaryData: dict[str, Base64] = {}


def _validate(config_map: ConfigMap) -> ErrorList:
    errors = validate_object_meta(config_map.metadata, namespaced=True, name_rule=names.dns_subdomain)
    return errors + _validate_data(config_map)


def _validate_data(config_map: ConfigMap) -> ErrorList:
    data, binary = Path("data"), Path("binaryData")
    errors = validate_keys(data, config_map.data)
    for key in config_map.data.keys() & config_map.binaryData.keys():
        errors.append(invalid(data.key(key), key, "duplicate of key present in binaryData"))
    errors += validate_keys(binary, config_map.binaryData)
    return errors + validate_size(Path(""), config_map.data, config_map.binaryData)


def _validate_update(new: ConfigMap, old: ConfigMap) -> ErrorList:
    return (
        validate_object_meta_update(new.metadata, old.metadata)
        + validate_immutable(new, old, "data", "binaryData")
        + _validate_data(new)
    )


def _row(config_map: ConfigMap) -> list[Any]:
    meta = config_map.metadata
    return [
        meta.name,
        len(config_map.data) + len(config_map.binaryData),
        times.age(meta.creationTimestamp),
    ]


CONFIGMAPS = register(
    Resource(
        type=ConfigMap,
        group="",
        version="v1",
        plural="configmaps",
        namespaced=True,
        singular="configmap",
        short_names=("cm",),
        validate=_validate,
        validate_update=_validate_update,
        columns=(NAME_COLUMN, Column("Data", description="How many keys it has."), AGE_COLUMN),
        row=_row,
    )
)
