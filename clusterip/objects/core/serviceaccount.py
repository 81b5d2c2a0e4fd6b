"""ServiceAccount: who a Pod is to the API server."""

from __future__ import annotations

from typing import Annotated, Any

from clusterip.objects import names, times
from clusterip.objects.base import ListMap
from clusterip.objects.core.references import LocalObjectReference, ObjectReference
from clusterip.objects.errors import ErrorList
from clusterip.objects.meta import Object
from clusterip.objects.metadata import validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Resource, register
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN


class ServiceAccount(Object):
    secrets: Annotated[list[ObjectReference], ListMap(("name",), merge="name")] = []
    imagePullSecrets: list[LocalObjectReference] = []
    automountServiceAccountToken: bool | None = None


def _keep_only_secret_names(account: ServiceAccount, _old: ServiceAccount | None = None) -> None:
    account.secrets = [ObjectReference(name=secret.name) for secret in account.secrets]


def _validate(account: ServiceAccount) -> ErrorList:
    return validate_object_meta(account.metadata, namespaced=True, name_rule=names.dns_subdomain)


def _validate_update(new: ServiceAccount, old: ServiceAccount) -> ErrorList:
    return validate_object_meta_update(new.metadata, old.metadata)


def _row(account: ServiceAccount) -> list[Any]:
    return [account.metadata.name, times.age(account.metadata.creationTimestamp)]


SERVICEACCOUNTS = register(
    Resource(
        type=ServiceAccount,
        group="",
        version="v1",
        plural="serviceaccounts",
        namespaced=True,
        singular="serviceaccount",
        short_names=("sa",),
        prepare_create=_keep_only_secret_names,
        prepare_update=_keep_only_secret_names,
        validate=_validate,
        validate_update=_validate_update,
        columns=(NAME_COLUMN, AGE_COLUMN),
        row=_row,
    )
)
