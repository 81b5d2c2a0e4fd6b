"""Tokens that lie in Secrets, as before there were requests for tokens.

As ``pkg/controller/serviceaccount/tokens_controller.go``: whoever makes a Secret of the right type for a
ServiceAccount finds a token in it that does not expire, until the account or the Secret goes.
"""

from __future__ import annotations

import base64

from clusterip.client.errors import ApiError
from clusterip.client.informer import Informer
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller, ObjectKey
from clusterip.objects.core.secret import (
    SECRETS,
    SERVICE_ACCOUNT_NAME,
    SERVICE_ACCOUNT_TOKEN,
    Secret,
)
from clusterip.objects.core.serviceaccount import SERVICEACCOUNTS, ServiceAccount
from clusterip.process.jwt import Signer

SERVICE_ACCOUNT_UID = "kubernetes.io/service-account.uid"

_ISSUER = "kubernetes/serviceaccount"
_CLAIMS = "kubernetes.io/serviceaccount/"


class ServiceAccountTokenController(Controller[ObjectKey]):
    """Fills the Secrets of service account tokens, and deletes those whose account is gone.

    Keys are those of the Secrets.
    """

    name = "serviceaccount-token-controller"
    component = "serviceaccount-token-controller"

    def __init__(self, context: Context, signer: Signer, root_ca: str) -> None:
        super().__init__(context)
        self._signer = signer
        self._root_ca = _encoded(root_ca) if root_ca else ""
        self._accounts = self.informer(SERVICEACCOUNTS)
        only: Informer[Secret] = Informer(
            self.client, SECRETS, field_selector=f"type={SERVICE_ACCOUNT_TOKEN}"
        )
        self._secrets = self.wait_for(context.share("secrets/service-account-tokens", only))
        self._secrets.add_index("account", lambda secret: [_account_of(secret)])
        self._secrets.on_change(self._secret_changed)
        self._accounts.on_change(self._account_changed)

    async def sync(self, key: ObjectKey) -> None:
        secret = self._secrets.get(*key)
        if secret is None:
            return
        account = await self._account(secret)
        if account is None:
            await self._delete(secret)
        elif self._lacks(secret):
            await self._fill(secret, account)

    async def _account(self, secret: Secret) -> ServiceAccount | None:
        """The account that the Secret is for, looked up at the server before it counts as gone."""
        namespace, name = _account_of(secret)
        uid = secret.metadata.annotations.get(SERVICE_ACCOUNT_UID, "")
        known = self._accounts.get(namespace, name)
        if known is not None and uid in ("", known.metadata.uid):
            return known
        try:
            found = await self.client.get(ServiceAccount, name, namespace)
        except ApiError as error:
            if error.is_not_found:
                return None
            raise
        return found if uid in ("", found.metadata.uid) else None

    async def _delete(self, secret: Secret) -> None:
        meta = secret.metadata
        try:
            await self.client.delete(Secret, meta.name, meta.namespace, uid=meta.uid)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise
        self.log.info("token deleted with its account", secret=f"{meta.namespace}/{meta.name}")

    def _lacks(self, secret: Secret) -> bool:
        data = secret.data
        outdated = bool(self._root_ca) and data.get("ca.crt") != self._root_ca
        return outdated or not data.get("namespace") or not data.get("token")

    async def _fill(self, cached: Secret, account: ServiceAccount) -> None:
        meta = cached.metadata
        try:
            secret = await self.client.get(Secret, meta.name, meta.namespace)
            if secret.metadata.resourceVersion != meta.resourceVersion:
                return  # the change that made it newer brings it here again
            if self._root_ca:
                secret.data["ca.crt"] = self._root_ca
            secret.data.setdefault("namespace", _encoded(meta.namespace))
            if not secret.data.get("token"):
                secret.data["token"] = _encoded(self._token(secret, account))
            secret.metadata.annotations[SERVICE_ACCOUNT_NAME] = account.metadata.name
            secret.metadata.annotations[SERVICE_ACCOUNT_UID] = account.metadata.uid
            await self.client.update(secret)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise

    def _token(self, secret: Secret, account: ServiceAccount) -> str:
        meta = account.metadata
        return self._signer.sign(
            {
                "iss": _ISSUER,
                f"{_CLAIMS}namespace": meta.namespace,
                f"{_CLAIMS}secret.name": secret.metadata.name,
                f"{_CLAIMS}service-account.name": meta.name,
                f"{_CLAIMS}service-account.uid": meta.uid,
                "sub": f"system:serviceaccount:{meta.namespace}:{meta.name}",
            }
        )

    def _secret_changed(self, old: Secret | None, new: Secret | None) -> None:
        if new is not None:
            self.queue.add((new.metadata.namespace, new.metadata.name))

    def _account_changed(self, old: ServiceAccount | None, new: ServiceAccount | None) -> None:
        account = new or old
        assert account is not None
        for secret in self._secrets.by_index("account", (account.metadata.namespace, account.metadata.name)):
            self.queue.add((secret.metadata.namespace, secret.metadata.name))


def _account_of(secret: Secret) -> ObjectKey:
    meta = secret.metadata
    return meta.namespace, meta.annotations.get(SERVICE_ACCOUNT_NAME, "")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
