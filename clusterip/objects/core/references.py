"""References from one object to another, or to a part of one."""

from __future__ import annotations

from typing import ClassVar

from clusterip.objects.base import Quantity, Struct, always
from clusterip.objects.scalars import UID


class ConfigMapKeySelector(Struct):
    owned_whole: ClassVar[bool] = True

    name: str = ""
    key: str = always("")
    optional: bool | None = None


class FileKeySelector(Struct):
    owned_whole: ClassVar[bool] = True

    volumeName: str = always("")
    path: str = always("")
    key: str = always("")
    optional: bool | None = None


class LocalObjectReference(Struct):
    """Names an object in the same namespace."""

    owned_whole: ClassVar[bool] = True

    name: str = ""


class ObjectFieldSelector(Struct):
    """A field of the Pod itself, by path."""

    owned_whole: ClassVar[bool] = True

    apiVersion: str = ""
    fieldPath: str = always("")


class ObjectReference(Struct):
    """Names any object, or a part of one by ``fieldPath``."""

    owned_whole: ClassVar[bool] = True

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: UID = ""
    apiVersion: str = ""
    resourceVersion: str = ""
    fieldPath: str = ""


class ResourceFieldSelector(Struct):
    """An amount that a container asks for, in units of ``divisor``."""

    owned_whole: ClassVar[bool] = True

    containerName: str = ""
    resource: str = always("")
    divisor: Quantity = always("0")


class SecretKeySelector(Struct):
    owned_whole: ClassVar[bool] = True

    name: str = ""
    key: str = always("")
    optional: bool | None = None


class SecretReference(Struct):
    owned_whole: ClassVar[bool] = True

    name: str = ""
    namespace: str = ""


class TypedLocalObjectReference(Struct):
    owned_whole: ClassVar[bool] = True

    apiGroup: str | None = always(None)
    kind: str = always("")
    name: str = always("")
