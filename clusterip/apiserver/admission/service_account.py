"""Pods run as a ServiceAccount, and find its token where client libraries look for it.

As ``plugin/pkg/admission/serviceaccount``.
"""

from __future__ import annotations

import asyncio

from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.admission.plugin import Plugin
from clusterip.objects import names
from clusterip.objects.core.containers import Container, EphemeralContainer, VolumeMount
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.core.pod.references import MIRROR_ANNOTATION, secret_names
from clusterip.objects.core.pod_spec import PodSpec
from clusterip.objects.core.references import LocalObjectReference, ObjectFieldSelector
from clusterip.objects.core.serviceaccount import SERVICEACCOUNTS, ServiceAccount
from clusterip.objects.core.volumes import (
    ConfigMapProjection,
    DownwardAPIProjection,
    DownwardAPIVolumeFile,
    KeyToPath,
    ProjectedVolumeSource,
    ServiceAccountTokenProjection,
    Volume,
    VolumeProjection,
)

DEFAULT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607
"""What automatic tokens ask for; the server knows them by this odd value."""

_VOLUME_PREFIX = "kube-api-access-"
_ENFORCE = "kubernetes.io/enforce-mountable-secrets"
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_ATTEMPTS, _RETRY_SECONDS = 10, 0.15


class ServiceAccountAdmission(Plugin):
    name = "ServiceAccount"
    operations = frozenset(("CREATE", "UPDATE"))
    resources = frozenset((PODS,))

    async def admit(self, attributes: Attributes) -> None:
        if attributes.operation != "CREATE" or attributes.subresource:
            return
        pod: Pod = attributes.obj
        if MIRROR_ANNOTATION in pod.metadata.annotations:
            _check_mirror(attributes, pod.spec)
            return  # changing it would confuse the node that shows it
        spec = pod.spec
        if not spec.serviceAccountName:
            spec.serviceAccountName = DEFAULT
        spec.serviceAccount = (
            spec.serviceAccountName
        )  # the deprecated name, filled in by defaulting otherwise
        account = await self._account(attributes, spec.serviceAccountName)
        if _automounts(account, spec):
            _mount_token(spec)
        if not spec.imagePullSecrets:
            spec.imagePullSecrets = [LocalObjectReference(name=s.name) for s in account.imagePullSecrets]

    async def validate(self, attributes: Attributes) -> None:
        pod: Pod = attributes.obj
        extra_containers = attributes.subresource == "ephemeralcontainers"
        if attributes.operation == "UPDATE" and not extra_containers:
            return
        if attributes.operation == "CREATE" and attributes.subresource:
            return
        if MIRROR_ANNOTATION in pod.metadata.annotations and not extra_containers:
            _check_mirror(attributes, pod.spec)
            return
        if not pod.spec.serviceAccountName:
            where = f"{attributes.namespace}/{pod.metadata.name}"
            raise attributes.forbidden(f"no service account specified for pod {where}")
        account = await self._account(attributes, pod.spec.serviceAccountName)
        if account.metadata.annotations.get(_ENFORCE) not in _TRUE:
            return
        why = (
            _unmountable_in(pod.spec.ephemeralContainers, "ephemeral container", account)
            if extra_containers
            else _unmountable(pod.spec, account)
        )
        if why:
            raise attributes.forbidden(why)

    async def _account(self, attributes: Attributes, name: str) -> ServiceAccount:
        """The account; waits a moment for a default one, which its controller is perhaps about to make."""
        for attempt in range(_ATTEMPTS if name == DEFAULT else 1):
            if attempt:
                await asyncio.sleep(_RETRY_SECONDS)
            entry = self.cache.of(SERVICEACCOUNTS).get(attributes.namespace, name)
            if entry is None:
                await self.cache.current()
                entry = self.cache.of(SERVICEACCOUNTS).get(attributes.namespace, name)
            if entry is not None:
                account: ServiceAccount = entry.decode()
                return account
        raise attributes.forbidden(
            f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not '
            "found"
        )


def _automounts(account: ServiceAccount, spec: PodSpec) -> bool:
    for wish in (spec.automountServiceAccountToken, account.automountServiceAccountToken):
        if wish is not None:
            return wish
    return True


def _mount_token(spec: PodSpec) -> None:
    there = next((volume.name for volume in spec.volumes if volume.name.startswith(_VOLUME_PREFIX)), "")
    name = there or names.generate(_VOLUME_PREFIX)
    mounted = False
    for container in (*spec.initContainers, *spec.containers):
        if not any(mount.mountPath == MOUNT_PATH for mount in container.volumeMounts):
            mount = VolumeMount(name=name, readOnly=True, mountPath=MOUNT_PATH)
            container.volumeMounts = [*container.volumeMounts, mount]
            mounted = True
    if mounted and not there:
        spec.volumes = [*spec.volumes, Volume(name=name, projected=_token_volume())]


def _token_volume() -> ProjectedVolumeSource:
    """What client libraries expect in a Pod: a token, the API server's CA, the namespace."""
    token = ServiceAccountTokenProjection(path="token", expirationSeconds=TOKEN_SECONDS)
    authority = ConfigMapProjection(name="kube-root-ca.crt", items=[KeyToPath(key="ca.crt", path="ca.crt")])
    field = ObjectFieldSelector(apiVersion="v1", fieldPath="metadata.namespace")
    namespace = DownwardAPIProjection(items=[DownwardAPIVolumeFile(path="namespace", fieldRef=field)])
    return ProjectedVolumeSource(
        defaultMode=0o644,
        sources=[
            VolumeProjection(serviceAccountToken=token),
            VolumeProjection(configMap=authority),
            VolumeProjection(downwardAPI=namespace),
        ],
    )


def _check_mirror(attributes: Attributes, spec: PodSpec) -> None:
    if spec.serviceAccountName:
        raise attributes.forbidden("a mirror pod may not reference service accounts")
    if next(secret_names(spec), ""):
        raise attributes.forbidden("a mirror pod may not reference secrets")
    for volume in spec.volumes:
        for source in volume.projected.sources if volume.projected is not None else ():
            if source.serviceAccountToken is not None:
                why = "a mirror pod may not use ServiceAccountToken volume projections"
                raise attributes.forbidden(why)


def _unmountable(spec: PodSpec, account: ServiceAccount) -> str:
    """Why the Pod may not use a Secret it names, for accounts that limit their Pods to their own Secrets."""
    mountable = {secret.name for secret in account.secrets}
    ending = f"is not allowed because service account {account.metadata.name} does not reference that"
    for volume in spec.volumes:
        if volume.secret is not None and volume.secret.secretName not in mountable:
            return f'volume with secret.secretName="{volume.secret.secretName}" {ending} secret'
    why = _unmountable_in(spec.initContainers, "init container", account)
    why = why or _unmountable_in(spec.containers, "container", account)
    if why:
        return why
    pulling = {secret.name for secret in account.imagePullSecrets}
    for i, reference in enumerate(spec.imagePullSecrets):
        if reference.name not in pulling:
            return f'imagePullSecrets[{i}].name="{reference.name}" {ending} imagePullSecret'
    return ""


def _unmountable_in(
    containers: list[Container] | list[EphemeralContainer], what: str, account: ServiceAccount
) -> str:
    mountable = {secret.name for secret in account.secrets}
    ending = f"is not allowed because service account {account.metadata.name} does not reference that secret"
    for container in containers:
        for variable in container.env:
            selector = variable.valueFrom.secretKeyRef if variable.valueFrom is not None else None
            if selector is not None and selector.name not in mountable:
                return (
                    f"{what} {container.name} with envVar {variable.name} referencing "
                    f'secret.secretName="{selector.name}" {ending}'
                )
        for whole in container.envFrom:
            if whole.secretRef is not None and whole.secretRef.name not in mountable:
                return (
                    f"{what} {container.name} with envFrom referencing "
                    f'secret.secretName="{whole.secretRef.name}" {ending}'
                )
    return ""
