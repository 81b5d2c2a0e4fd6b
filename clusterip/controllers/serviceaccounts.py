"""What every namespace has: the ``default`` service account and the CA of the API server."""

from __future__ import annotations

import msgspec

from clusterip.client.errors import ApiError
from clusterip.client.informer import Informer
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller
from clusterip.objects.core.configmap import CONFIGMAPS, ConfigMap
from clusterip.objects.core.namespace import NAMESPACES, Namespace
from clusterip.objects.core.serviceaccount import SERVICEACCOUNTS, ServiceAccount
from clusterip.objects.meta import Object, ObjectMeta

_ACCOUNT = "default"
_CONFIG_MAP = "kube-root-ca.crt"
_CA_KEY = "ca.crt"
_ANNOTATIONS = {
    "kubernetes.io/description": (
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints "
        "such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across "
        "distributions of Kubernetes clusters."
    )
}


class ServiceAccountController(Controller[str]):
    """Pods use the account ``default`` unless they name another, so it must be there before them."""

    name = "serviceaccount-controller"
    component = "service-account-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._namespaces = self.informer(NAMESPACES)
        only: Informer[ServiceAccount] = Informer(
            self.client, SERVICEACCOUNTS, field_selector=f"metadata.name={_ACCOUNT}"
        )
        self._accounts = self.wait_for(context.share("serviceaccounts/default", only))
        self._namespaces.on_change(self._namespace_changed)
        self._accounts.on_change(self._account_changed)

    async def sync(self, key: str) -> None:
        if not _is_active(self._namespaces.get("", key)) or self._accounts.get(key, _ACCOUNT):
            return
        account = ServiceAccount(metadata=ObjectMeta(name=_ACCOUNT, namespace=key))
        if await _create(self, account):
            self.log.info("service account created", namespace=key)

    def _namespace_changed(self, old: Namespace | None, new: Namespace | None) -> None:
        if _is_active(new) and new is not None and not _is_active(old):
            self.queue.add(new.metadata.name)

    def _account_changed(self, old: ServiceAccount | None, new: ServiceAccount | None) -> None:
        if new is None and old is not None:
            self.queue.add(old.metadata.namespace)


class RootCaPublisher(Controller[str]):
    """Keeps the ConfigMap ``kube-root-ca.crt``, which Pods check the API server's certificate with."""

    name = "root-ca-certificate-publisher-controller"
    component = "root-ca-certificate-publisher"

    def __init__(self, context: Context, root_ca: str) -> None:
        super().__init__(context)
        self._data = {_CA_KEY: root_ca}
        self._namespaces = self.informer(NAMESPACES)
        only: Informer[ConfigMap] = Informer(
            self.client, CONFIGMAPS, field_selector=f"metadata.name={_CONFIG_MAP}"
        )
        self._maps = self.wait_for(context.share("configmaps/root-ca", only))
        self._namespaces.on_change(self._namespace_changed)
        self._maps.on_change(self._map_changed)

    async def sync(self, key: str) -> None:
        if not _is_active(self._namespaces.get("", key)):
            return
        current = self._maps.get(key, _CONFIG_MAP)
        if current is None:
            meta = ObjectMeta(name=_CONFIG_MAP, namespace=key, annotations=_ANNOTATIONS)
            wanted = ConfigMap(metadata=meta, data=self._data)
            if await _create(self, wanted):
                self.log.info("root ca published", namespace=key)
        elif current.data != self._data:
            wanted = msgspec.structs.replace(current, data=self._data)
            await self.client.update(wanted)
            self.log.info("root ca restored", namespace=key)

    def _namespace_changed(self, old: Namespace | None, new: Namespace | None) -> None:
        if _is_active(new) and new is not None and not _is_active(old):
            self.queue.add(new.metadata.name)

    def _map_changed(self, old: ConfigMap | None, new: ConfigMap | None) -> None:
        changed = new or old
        if changed is not None and (new is None or new.data != self._data):
            self.queue.add(changed.metadata.namespace)


def _is_active(namespace: Namespace | None) -> bool:
    return namespace is not None and namespace.metadata.deletionTimestamp is None


async def _create(controller: Controller[str], obj: Object) -> bool:
    """Create it; False if it was there already."""
    try:
        await controller.client.create(obj)
    except ApiError as error:
        if error.is_already_exists:
            return False
        raise
    return True
