"""Secret: keys and values, in base64, that only those who need them should read."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from clusterip.objects import names, times
from clusterip.objects.core.data import validate_immutable, validate_keys, validate_size
from clusterip.objects.enums import SecretType
from clusterip.objects.errors import ErrorList, Path, invalid, required
from clusterip.objects.meta import Object
from clusterip.objects.metadata import METADATA, immutable, validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.scalars import Base64
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN


class Secret(Object):
    immutable: bool | None = None
    data: dict[str, Base64] = {}
    stringData: dict[str, str] = {}
    type: SecretType = ""


OPAQUE = "Opaque"
SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"
SERVICE_ACCOUNT_NAME = "kubernetes.io/service-account.name"
TLS = "kubernetes.io/tls"
BASIC_AUTH = "kubernetes.io/basic-auth"
SSH_AUTH = "kubernetes.io/ssh-auth"

_DATA = Path("data")
_JSON_KEYS = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}


def _set_defaults(secret: Secret) -> None:
    secret.type = secret.type or OPAQUE
    for key, value in secret.stringData.items():
        secret.data[key] = base64.b64encode(value.encode()).decode()
    secret.stringData = {}


def _prepare_update(new: Secret, old: Secret) -> None:
    new.type = new.type or old.type


def _validate(secret: Secret) -> ErrorList:
    errors = validate_object_meta(secret.metadata, namespaced=True, name_rule=names.dns_subdomain)
    return errors + _validate_data(secret)


def _validate_data(secret: Secret) -> ErrorList:
    errors = validate_keys(_DATA, secret.data) + validate_size(_DATA, {}, secret.data)
    return errors or _validate_type(secret)


def _validate_type(secret: Secret) -> ErrorList:
    data = secret.data
    if secret.type == SERVICE_ACCOUNT_TOKEN:
        named = secret.metadata.annotations.get(SERVICE_ACCOUNT_NAME)
        return [] if named else [required(METADATA.child("annotations").key(SERVICE_ACCOUNT_NAME))]
    if secret.type in _JSON_KEYS:
        return _validate_json(_JSON_KEYS[secret.type], data)
    if secret.type == BASIC_AUTH and not {"username", "password"} & data.keys():
        return [required(_DATA.key("username")), required(_DATA.key("password"))]
    if secret.type == SSH_AUTH and not data.get("ssh-privatekey"):
        return [required(_DATA.key("ssh-privatekey"))]
    if secret.type == TLS:
        return [required(_DATA.key(key)) for key in ("tls.crt", "tls.key") if key not in data]
    return []


def _validate_json(key: str, data: dict[str, str]) -> ErrorList:
    if key not in data:
        return [required(_DATA.key(key))]
    try:
        msgspec.json.decode(base64.b64decode(data[key]), type=dict[str, Any])
    except msgspec.DecodeError as error:
        return [invalid(_DATA.key(key), "<secret contents redacted>", str(error))]
    return []


def _validate_update(new: Secret, old: Secret) -> ErrorList:
    return (
        validate_object_meta_update(new.metadata, old.metadata)
        + immutable(new.type, old.type, Path("type"))
        + validate_immutable(new, old, "data")
        + _validate_data(new)
    )


def _row(secret: Secret) -> list[Any]:
    meta = secret.metadata
    return [meta.name, secret.type, len(secret.data), times.age(meta.creationTimestamp)]


SECRETS = register(
    Resource(
        type=Secret,
        group="",
        version="v1",
        plural="secrets",
        namespaced=True,
        singular="secret",
        set_defaults=_set_defaults,
        prepare_update=_prepare_update,
        validate=_validate,
        validate_update=_validate_update,
        columns=(
            NAME_COLUMN,
            Column("Type", description="What the data is for."),
            Column("Data", description="How many keys it has."),
            AGE_COLUMN,
        ),
        row=_row,
        fields={"type": lambda secret: secret.type},
    )
)
