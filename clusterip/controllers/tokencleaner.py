"""Bootstrap tokens go when their time is over.

As ``pkg/controller/bootstrap/tokencleaner.go``.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from clusterip.client.errors import ApiError
from clusterip.client.informer import Informer
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller, ObjectKey
from clusterip.objects import times
from clusterip.objects.core.secret import SECRETS, Secret

BOOTSTRAP_TOKEN = "bootstrap.kubernetes.io/token"
NAMESPACE = "kube-system"


class TokenCleaner(Controller[ObjectKey]):
    """Deletes the Secrets of bootstrap tokens that have expired."""

    name = "token-cleaner-controller"
    component = "token-cleaner"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        only: Informer[Secret] = Informer(
            self.client, SECRETS, namespace=NAMESPACE, field_selector=f"type={BOOTSTRAP_TOKEN}"
        )
        self._secrets = self.wait_for(context.share("secrets/bootstrap-tokens", only))
        self._secrets.on_change(self._changed)

    async def sync(self, key: ObjectKey) -> None:
        secret = self._secrets.get(*key)
        seconds = _seconds_left(secret) if secret is not None else None
        if secret is None or seconds is None:
            return
        if seconds > 0:
            self.queue.add_after(key, seconds)
            return
        meta = secret.metadata
        try:
            await self.client.delete(Secret, meta.name, meta.namespace, uid=meta.uid)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise
        self.log.info("expired bootstrap token deleted", secret=f"{meta.namespace}/{meta.name}")

    def _changed(self, old: Secret | None, new: Secret | None) -> None:
        if new is not None:
            self.queue.add((new.metadata.namespace, new.metadata.name))


def _seconds_left(secret: Secret) -> float | None:
    """None: it does not expire. What is no time counts as over, as it does where tokens are used."""
    try:
        text = base64.b64decode(secret.data.get("expiration", "")).decode()
        return (times.parse(text) - datetime.now(UTC)).total_seconds() if text else None
    except (ValueError, binascii.Error):
        return 0.0
