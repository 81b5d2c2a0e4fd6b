"""Which other objects a Pod's spec names, as upstream's ``pkg/api/pod/util.go`` visits them."""

from __future__ import annotations

from collections.abc import Iterator

from clusterip.objects.core.containers import Container, EphemeralContainer
from clusterip.objects.core.pod_spec import PodSpec
from clusterip.objects.core.volumes import Volume

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
"""On the Pods by which a node shows what it runs without having been told to."""

_WITH_SECRET_REF = ("cephfs", "cinder", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos")
_PLAIN_VOLUMES = frozenset(
    (
        "awsElasticBlockStore",
        "azureDisk",
        "cephfs",
        "cinder",
        "downwardAPI",
        "emptyDir",
        "fc",
        "flexVolume",
        "flocker",
        "gcePersistentDisk",
        "gitRepo",
        "hostPath",
        "image",
        "iscsi",
        "nfs",
        "photonPersistentDisk",
        "portworxVolume",
        "projected",
        "quobyte",
        "rbd",
        "scaleIO",
        "storageos",
        "vsphereVolume",
    )
)
_API_VOLUMES = {
    "configMap": "configmaps (via configmap volumes)",
    "secret": "secrets (via secret volumes)",
    "csi": "csidrivers (via CSI volumes)",
    "glusterfs": "endpoints (via glusterFS volumes)",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "ephemeral": "persistentvolumeclaims (via ephemeral volumes)",
    "azureFile": "secrets (via azureFile volumes)",
}
_API_SOURCES = {
    "configMap": "configmaps (via projected volumes)",
    "secret": "secrets (via projected volumes)",
    "serviceAccountToken": "serviceaccounts (via projected volumes)",
    "clusterTrustBundle": "clustertrustbundles",
    "podCertificate": "podcertificates",
}


def all_containers(spec: PodSpec) -> Iterator[Container | EphemeralContainer]:
    yield from spec.initContainers
    yield from spec.containers
    yield from spec.ephemeralContainers


def secret_names(spec: PodSpec) -> Iterator[str]:
    """The Secrets that the Pod cannot run without or would use."""
    yield from filter(None, _secret_names(spec))


def config_map_names(spec: PodSpec) -> Iterator[str]:
    """The ConfigMaps that the Pod cannot run without or would use."""
    yield from filter(None, _config_map_names(spec))


def claim_names(pod_name: str, spec: PodSpec) -> Iterator[str]:
    """The PersistentVolumeClaims that the Pod mounts, those made for it among them."""
    for volume in spec.volumes:
        if volume.persistentVolumeClaim is not None:
            yield volume.persistentVolumeClaim.claimName
        elif volume.ephemeral is not None:
            yield f"{pod_name}-{volume.name}"


def needed_api(spec: PodSpec) -> str:
    """What of the API the Pod depends on, in words; empty if nothing (``HasAPIObjectReference``)."""
    if spec.serviceAccountName:
        return "serviceaccounts"
    if next(secret_names(spec), ""):
        return "secrets"
    if next(config_map_names(spec), ""):
        return "configmaps"
    if spec.resourceClaims:
        return "resourceclaims"
    return next(filter(None, map(_needed_by_volume, spec.volumes)), "")


def _needed_by_volume(volume: Volume) -> str:
    for field, what in _API_VOLUMES.items():
        if getattr(volume, field) is not None:
            return what
    if volume.projected is not None:
        for source in volume.projected.sources:
            for field, what in _API_SOURCES.items():
                if getattr(source, field) is not None:
                    return what
    if any(getattr(volume, field) is not None for field in _PLAIN_VOLUMES):
        return ""
    return f'volumes of an unknown type, as "{volume.name}" is'


def _secret_names(spec: PodSpec) -> Iterator[str]:
    for reference in spec.imagePullSecrets:
        yield reference.name
    for container in all_containers(spec):
        for whole in container.envFrom:
            if whole.secretRef is not None:
                yield whole.secretRef.name
        for variable in container.env:
            if variable.valueFrom is not None and variable.valueFrom.secretKeyRef is not None:
                yield variable.valueFrom.secretKeyRef.name
    for volume in spec.volumes:
        yield from _secrets_of_volume(volume)


def _secrets_of_volume(volume: Volume) -> Iterator[str]:
    if volume.secret is not None:
        yield volume.secret.secretName
    if volume.azureFile is not None:
        yield volume.azureFile.secretName
    if volume.csi is not None and volume.csi.nodePublishSecretRef is not None:
        yield volume.csi.nodePublishSecretRef.name
    for source in volume.projected.sources if volume.projected is not None else ():
        if source.secret is not None:
            yield source.secret.name
    for field in _WITH_SECRET_REF:
        reference = getattr(getattr(volume, field), "secretRef", None)
        if reference is not None:
            yield reference.name


def _config_map_names(spec: PodSpec) -> Iterator[str]:
    for container in all_containers(spec):
        for whole in container.envFrom:
            if whole.configMapRef is not None:
                yield whole.configMapRef.name
        for variable in container.env:
            if variable.valueFrom is not None and variable.valueFrom.configMapKeyRef is not None:
                yield variable.valueFrom.configMapKeyRef.name
    for volume in spec.volumes:
        if volume.configMap is not None:
            yield volume.configMap.name
        for source in volume.projected.sources if volume.projected is not None else ():
            if source.configMap is not None:
                yield source.configMap.name
