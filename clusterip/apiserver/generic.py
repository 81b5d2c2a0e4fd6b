"""Creating, changing and deleting objects of any kind, on top of the store and the watch cache.

The order of things is that of ``k8s.io/apiserver/pkg/registry/generic/registry/store.go``: fill in,
let the kind prepare the object, let it allocate, validate, write with optimistic concurrency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clusterip.apiserver import deletion, status
from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.admission.chain import Admission
from clusterip.apiserver.authn import SERVER, User
from clusterip.apiserver.cache import WatchCache, key_of
from clusterip.apiserver.deletion import Outcome
from clusterip.apiserver.entry import Entry, stored_form
from clusterip.apiserver.field_managers import SELF, note
from clusterip.apiserver.metadata import begin, carry_over, check_identity, check_never_stored, check_version
from clusterip.apiserver.transaction import Hooks, Transaction
from clusterip.objects import names
from clusterip.objects.codec import decode, encode
from clusterip.objects.coordination.lease import LEASES
from clusterip.objects.core.endpoints import ENDPOINTS
from clusterip.objects.core.event import EVENTS
from clusterip.objects.core.service import SERVICES
from clusterip.objects.events.event import EVENTS_V1
from clusterip.objects.meta import DeleteOptions
from clusterip.objects.metadata import validate_any_object_meta
from clusterip.objects.policy.poddisruptionbudget import PODDISRUPTIONBUDGETS
from clusterip.objects.registry import Resource
from clusterip.storage.store import Conflict, KeyValue, Store

ATTEMPTS = 8
"""How often a write is tried again after someone else was quicker."""

CREATED_BY_UPDATE = frozenset((EVENTS, EVENTS_V1, SERVICES, ENDPOINTS, LEASES))
"""Kinds of which a PUT may create an object (upstream's ``AllowCreateOnUpdate``)."""

NEEDS_VERSION = frozenset((LEASES, PODDISRUPTIONBUDGETS))
"""Kinds that cannot be replaced without saying which version is meant (``AllowUnconditionalUpdate``)."""

Changing = Callable[[Any], Any]
"""Makes the new object from the current one (None: there is none), which it may change and return."""


class Objects:
    """All objects of all kinds.

    ``user`` is for whom something is written, whom admission then judges: by default the server itself,
    who may do everything.
    """

    def __init__(
        self,
        store: Store,
        cache: WatchCache,
        admission: Admission,
        hooks: Mapping[Resource[Any], Hooks],
    ) -> None:
        self.store = store
        self.cache = cache
        self.admission = admission
        self.hooks = hooks

    async def get(self, resource: Resource[Any], namespace: str, name: str) -> Entry:
        """An object as it is now. Raises StatusError (404) if there is none."""
        await self.cache.current()
        entry = self.cache.of(resource).get(namespace, name)
        if entry is None:
            raise status.not_found(resource, name)
        return entry

    async def create(
        self,
        resource: Resource[Any],
        namespace: str,
        obj: Any,
        *,
        user: User = SERVER,
        manager: str = SELF,
        dry_run: bool = False,
        named: bool = False,
    ) -> Entry:
        """Create ``obj``; its fields are noted as those of ``manager``, unless that is empty.

        ``named`` says whether the request's URL named the object, as that of an update does.

        Raises:
            StatusError: why not: 409 it exists, 422 it is invalid, 403, 404 its namespace is not there.
        """
        meta = obj.metadata
        generated = not meta.name and bool(meta.generateName)
        begin(resource, obj, namespace)
        resource.set_defaults(obj)
        if manager:
            note(resource, obj, None, manager)
        resource.prepare_create(obj)
        resource.note_requester(obj, user)
        await self.admission.judge(
            Attributes("CREATE", user, resource, namespace, meta.name, obj, named=named)
        )
        hooks = self.hooks.get(resource)
        asked = encode(obj) if hooks is not None else b""
        for attempt in range(ATTEMPTS):
            if attempt and hooks is not None:
                obj = decode(asked, resource.type)
            if generated:
                obj.metadata.name = names.generate(meta.generateName)
            transaction = Transaction(dry_run=dry_run)
            try:
                if hooks is not None:
                    hooks.create(obj, transaction)
                errors = resource.validate(obj) or validate_any_object_meta(
                    obj.metadata, namespaced=resource.namespaced
                )
                if errors:
                    raise status.invalid(resource, obj.metadata.name, errors)
                resource.canonicalize(obj)
                if dry_run:
                    obj.metadata.resourceVersion = ""
                else:
                    check_never_stored(obj)
                key = key_of(resource, namespace, obj.metadata.name)
                value = stored_form(resource, obj)
                transaction.create(key, value)
                if dry_run:
                    await self._must_be_new(resource, namespace, obj.metadata.name)
                    return Entry(resource, namespace, obj.metadata.name, 0, value)
                revision = await self.store.transact(transaction.compares, transaction.changes)
                return Entry(resource, namespace, obj.metadata.name, revision, value)
            except Conflict as conflict:
                if conflict.key == key and not generated:
                    raise self._exists(resource, conflict.current, obj.metadata.name) from None
                if conflict.key != key:
                    await self.cache.current()  # so that the next attempt allocates something else
                    if not generated and self.cache.of(resource).get(namespace, obj.metadata.name):
                        raise status.already_exists(resource, obj.metadata.name) from None
            finally:
                transaction.end()
        raise status.conflict(resource, meta.name)

    def _exists(self, resource: Resource[Any], current: KeyValue | None, name: str) -> status.StatusError:
        if current is not None:
            existing = decode(current.value, resource.stored.type)
            if existing.metadata.deletionTimestamp is not None:
                error = status.already_exists(resource, name)
                error.status.message = f"object is being deleted: {error.status.message}"
                return error
        return status.already_exists(resource, name)

    async def _must_be_new(self, resource: Resource[Any], namespace: str, name: str) -> None:
        await self.cache.current()
        if self.cache.of(resource).get(namespace, name) is not None:
            raise status.already_exists(resource, name)

    async def update(
        self,
        resource: Resource[Any],
        namespace: str,
        name: str,
        changing: Changing,
        *,
        user: User = SERVER,
        subresource: str = "",
        manager: str = SELF,
        dry_run: bool = False,
        may_create: bool = False,
    ) -> tuple[Entry, bool]:
        """Replace an object by what ``changing`` makes of it; whether that created it.

        ``changing`` is called again with the newer object if someone else was quicker and the result
        does not insist on a resource version.

        Raises:
            StatusError: 404, 409, 422, or what ``changing`` raises.
        """
        await self.cache.current()
        entry = self.cache.of(resource).get(namespace, name)
        for _ in range(ATTEMPTS):
            if entry is None:
                if not may_create or subresource:
                    raise status.not_found(resource, name)
                self.admission.check_creation(user, resource, namespace, name)
                new = changing(None)
                new.metadata.resourceVersion = ""
                return await self.create(
                    resource, namespace, new, user=user, manager=manager, dry_run=dry_run, named=True
                ), True
            old = entry.decode()
            new = changing(old)
            if new is old:  # it was changed in place
                old = entry.decode()
            check_identity(resource, new, namespace, name)
            part = resource.parts.get(subresource)
            if part is not None or subresource in ("", "status"):
                resource.set_defaults(new)
            carry_over(resource, new, old, subresource)
            if part is not None:
                part.prepare(new, old)
            if manager and (part is not None or subresource in ("", "status", "scale")):
                note(resource, new, old, manager, subresource)
            check_version(resource, new, old, insist=resource in NEEDS_VERSION and not subresource)
            await self.admission.judge(
                Attributes("UPDATE", user, resource, namespace, name, new, old, subresource)
            )
            transaction = Transaction(dry_run=dry_run)
            try:
                written = await self._write(resource, entry, new, old, subresource, transaction)
            except Conflict as conflict:
                if conflict.key != key_of(resource, namespace, name):
                    await self.cache.current()
                    continue
                if conflict.current is None:
                    entry = None
                    may_create = False
                    continue
                # What was allocated together with the newer object is looked up in the cache.
                await self.cache.reach(conflict.current.mod_revision)
                entry = Entry(
                    resource, namespace, name, conflict.current.mod_revision, conflict.current.value
                )
            else:
                return written, False
            finally:
                transaction.end()
        raise status.conflict(resource, name)

    async def _write(
        self,
        resource: Resource[Any],
        entry: Entry,
        new: Any,
        old: Any,
        subresource: str,
        transaction: Transaction,
    ) -> Entry:
        hooks = self.hooks.get(resource)
        if subresource == "status":
            resource.prepare_status_update(new, old)
            errors = resource.validate_status_update(new, old)
        elif subresource in resource.parts:
            errors = resource.parts[subresource].validate(new, old)
        elif subresource in ("finalize", "binding"):
            errors = []
        else:
            resource.prepare_update(new, old)
            if hooks is not None:
                hooks.update(new, old, transaction)
            errors = resource.validate_update(new, old)
        # Upstream judges the metadata once for every kind and once more in the kind's own words.
        errors = validate_any_object_meta(new.metadata, namespaced=resource.namespaced) + errors
        if errors:
            raise status.invalid(resource, entry.name, errors)
        new.metadata.resourceVersion = ""
        value = stored_form(resource, new)
        key = key_of(resource, entry.namespace, entry.name)
        if deletion.may_go(new):
            return await self._remove(resource, entry, new, transaction)
        if value == entry.stored and not transaction.changes:
            return entry
        if transaction.dry_run:
            return Entry(resource, entry.namespace, entry.name, entry.revision, value)
        transaction.update(key, value, entry.revision)
        revision = await self.store.transact(transaction.compares, transaction.changes)
        return Entry(resource, entry.namespace, entry.name, revision, value)

    async def _remove(
        self, resource: Resource[Any], entry: Entry, obj: Any, transaction: Transaction
    ) -> Entry:
        obj.metadata.resourceVersion = ""
        value = stored_form(resource, obj)
        if transaction.dry_run:
            return Entry(resource, entry.namespace, entry.name, entry.revision, value)
        removal = Transaction()
        hooks = self.hooks.get(resource)
        if hooks is not None:
            hooks.delete(entry.decode(), removal)
        removal.delete(key_of(resource, entry.namespace, entry.name), entry.revision)
        revision = await self.store.transact(removal.compares, removal.changes)
        return Entry(resource, entry.namespace, entry.name, revision, value)

    async def delete(
        self,
        resource: Resource[Any],
        namespace: str,
        name: str,
        options: DeleteOptions,
        *,
        user: User = SERVER,
    ) -> tuple[Entry, bool]:
        """Delete an object, or begin to; its last state, and whether it is gone.

        Raises:
            StatusError: 404, 409 if it is not the one meant, 403 if it may not be deleted.
        """
        deletion.check_options(options)
        await self.cache.current()
        entry = self.cache.of(resource).get(namespace, name)
        transaction = Transaction(dry_run=bool(options.dryRun))
        for _ in range(ATTEMPTS):
            if entry is None:
                raise status.not_found(resource, name)
            obj = entry.decode()
            deletion.check_preconditions(resource, obj, options)
            await self.admission.judge(Attributes("DELETE", user, resource, namespace, name, old=obj))
            outcome = deletion.mark(obj, options)
            try:
                if outcome is Outcome.NOTHING:
                    return entry, False
                if outcome is Outcome.DELETE and not obj.metadata.finalizers:
                    return await self._remove(resource, entry, obj, transaction), True
                obj.metadata.resourceVersion = ""
                value = stored_form(resource, obj)
                if transaction.dry_run:
                    return Entry(resource, namespace, name, entry.revision, value), False
                marking = Transaction()
                marking.update(key_of(resource, namespace, name), value, entry.revision)
                revision = await self.store.transact(marking.compares, marking.changes)
                return Entry(resource, namespace, name, revision, value), False
            except Conflict as conflict:
                current = conflict.current
                if conflict.key != key_of(resource, namespace, name):
                    await self.cache.current()
                    continue
                if current is not None:
                    await self.cache.reach(current.mod_revision)
                entry = (
                    Entry(resource, namespace, name, current.mod_revision, current.value) if current else None
                )
        raise status.conflict(resource, name)
