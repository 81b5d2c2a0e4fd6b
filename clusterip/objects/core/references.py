"""References from one object to another, or to a part of one."""

from __future__ import annotations

from clusterip.objects.base import Quantity, Struct


class ConfigMapKeySelector(Struct):
    name: str = ""
    key: str = ""
    optional: bool | None = None


class FileKeySelector(Struct):
    volumeName: str = ""
    path: str = ""
    key: str = ""
    optional: bool | None = None


class LocalObjectReference(Struct):
    name: str = ""


class ObjectFieldSelector(Struct):
    apiVersion: str = ""
    fieldPath: str = ""


class ObjectReference(Struct):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    apiVersion: str = ""
    resourceVersion: str = ""
    fieldPath: str = ""


class ResourceFieldSelector(Struct):
    containerName: str = ""
    resource: str = ""
    divisor: Quantity | None = None


class SecretKeySelector(Struct):
    name: str = ""
    key: str = ""
    optional: bool | None = None


class SecretReference(Struct):
    name: str = ""
    namespace: str = ""


class TypedLocalObjectReference(Struct):
    apiGroup: str | None = None
    kind: str = ""
    name: str = ""
