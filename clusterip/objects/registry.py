"""The registry of kinds. Routes, discovery, tables, defaulting and validation all follow from it.

A kind registers itself where it is defined, so adding one is adding one file::

    SERVICES = register(Resource(type=Service, group="", version="v1", plural="services", ...))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from clusterip.objects.errors import ErrorList
from clusterip.objects.meta import Object

O = TypeVar("O", bound=Object)  # noqa: E741 - the field's usual letter for "object"


@dataclass(frozen=True)
class Column:
    """A column of ``kubectl get``. ``priority`` above 0 shows it only with ``-o wide``."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


@dataclass(frozen=True)
class Scale:
    """How the ``scale`` subresource reads and writes a kind (all kinds here use ``spec.replicas``)."""

    replicas: Callable[[Any], int]
    set_replicas: Callable[[Any, int], None]
    current: Callable[[Any], int]
    selector: Callable[[Any], str]


@dataclass(frozen=True)
class View:
    """How a resource shows the objects of another one, which are stored in that one's form.

    ``read`` makes the shown object of the stored one, ``write`` the other way round; neither changes its
    argument, and both may share parts with it.
    """

    of: Resource[Any]
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


@dataclass(frozen=True)
class Part:
    """A subresource through which something of an object changes that cannot be changed otherwise.

    ``prepare(new, old)`` undoes all other changes, ``validate(new, old)`` judges the rest.
    """

    prepare: Callable[[Any, Any], None]
    validate: Callable[[Any, Any], ErrorList]


class Requester(Protocol):
    """Who makes a request, as far as a kind may want to write it down."""

    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def groups(self) -> Sequence[str]: ...
    @property
    def extra(self) -> Mapping[str, list[str]]: ...


def _nothing(*_objects: Any) -> None:
    return None


def _no_errors(*_objects: Any) -> ErrorList:
    return []


@dataclass(frozen=True, eq=False)
class Resource(Generic[O]):
    """Everything the API server, the client and the command line know of one kind.

    ``set_defaults`` fills in what the user left out. ``prepare_create`` and ``prepare_update`` are
    upstream's "strategy": they drop what a user may not set (status) and keep ``generation``.
    ``validate`` judges a new object, ``validate_update(new, old)`` a changed one (it includes
    whatever of ``validate`` still applies), ``validate_status_update(new, old)`` a changed status.
    ``canonicalize`` completes a valid object with what follows from its name, which may be generated.
    ``note_requester`` writes down in a new object who asks for it.
    ``row`` gives a table row's cells in the order of ``columns``. ``fields`` are the field
    selectors beside ``metadata.name`` and ``metadata.namespace``. ``deprecation`` is a warning that
    goes with every answer. ``view`` says that the objects are those of another resource. ``parts`` are
    subresources that show the whole object and change one part of it.
    """

    type: type[O]
    group: str
    version: str
    plural: str
    namespaced: bool
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    status: bool = False
    scale: Scale | None = None
    set_defaults: Callable[[O], None] = _nothing
    prepare_create: Callable[[O], None] = _nothing
    note_requester: Callable[[O, Requester], None] = _nothing
    prepare_update: Callable[[O, O], None] = _nothing
    prepare_status_update: Callable[[O, O], None] = _nothing
    validate: Callable[[O], ErrorList] = _no_errors
    validate_update: Callable[[O, O], ErrorList] = _no_errors
    validate_status_update: Callable[[O, O], ErrorList] = _no_errors
    canonicalize: Callable[[O], None] = _nothing
    warnings: Callable[[O], list[str]] = field(default=lambda _object: [])
    columns: Sequence[Column] = ()
    row: Callable[[O], list[Any]] | None = None
    fields: Mapping[str, Callable[[O], str]] = field(default_factory=dict)
    deprecation: str = ""
    view: View | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return self.type.__name__

    @property
    def api_version(self) -> str:
        """``v1`` or ``apps/v1``: what the object's ``apiVersion`` says."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """``services`` or ``deployments.apps``: how messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def stored(self) -> Resource[Any]:
        """The resource in whose form, and under whose name, the objects are stored."""
        return self.view.of if self.view is not None else self

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, of one object or of a part of it."""
        parts = ["/api" if not self.group else f"/apis/{self.group}", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


_by_type: dict[type[Object], Resource[Any]] = {}
_by_name: dict[tuple[str, str, str], Resource[Any]] = {}
_virtual: dict[tuple[str, str, str], Resource[Any]] = {}


def register(resource: Resource[O]) -> Resource[O]:
    """Make a kind known.

    Raises:
        ValueError: another kind already has this group, version and plural.
    """
    key = (resource.group, resource.version, resource.plural)
    if key in _by_name:
        raise ValueError(f"{resource.group_resource} ({resource.api_version}) is registered twice")
    _by_name[key] = resource
    _by_type[resource.type] = resource
    return resource


def register_virtual(resource: Resource[O]) -> Resource[O]:
    """Make a kind known that can be created but is answered instead of stored."""
    _virtual[resource.group, resource.version, resource.plural] = resource
    _by_type[resource.type] = resource
    return resource


def find_virtual(group: str, version: str, plural: str) -> Resource[Any] | None:
    return _virtual.get((group, version, plural))


def virtual_resources() -> Iterator[Resource[Any]]:
    """Every resource that can only be created. Import ``clusterip.objects.kinds`` first."""
    return iter(_virtual.values())


def resource_of(type_: type[O]) -> Resource[O]:
    """The resource of a kind's Python type. Raises KeyError if it was never registered."""
    return _by_type[type_]


def find(group: str, version: str, plural: str) -> Resource[Any] | None:
    return _by_name.get((group, version, plural))


def find_kind(api_version: str, kind: str) -> Resource[Any] | None:
    """The resource of an object's ``apiVersion`` and ``kind``, or None if there is none."""
    for resource in _by_name.values():
        if resource.kind == kind and resource.api_version == api_version:
            return resource
    return None


def resources() -> Iterator[Resource[Any]]:
    """Every registered resource, in order of registration. Import ``clusterip.objects.kinds`` first."""
    return iter(_by_name.values())
