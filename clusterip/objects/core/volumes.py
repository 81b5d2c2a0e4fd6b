"""Volumes: where the files that a Pod mounts come from."""

from __future__ import annotations

import msgspec

from clusterip.objects.base import Quantity, ResourceList, Struct, always, always_list
from clusterip.objects.core.references import (
    LocalObjectReference,
    ObjectFieldSelector,
    ResourceFieldSelector,
    TypedLocalObjectReference,
)
from clusterip.objects.enums import (
    AzureDataDiskCachingMode,
    AzureDataDiskKind,
    HostPathType,
    PersistentVolumeAccessMode,
    PersistentVolumeMode,
    PullPolicy,
    StorageMedium,
)
from clusterip.objects.meta import LabelSelector, ObjectMeta
from clusterip.objects.scalars import Int32, Int64


class AWSElasticBlockStoreVolumeSource(Struct):
    volumeID: str = always("")
    fsType: str = ""
    partition: Int32 = 0
    readOnly: bool = False


class AzureDiskVolumeSource(Struct):
    diskName: str = always("")
    diskURI: str = always("")
    cachingMode: AzureDataDiskCachingMode | None = None
    fsType: str | None = None
    readOnly: bool | None = None
    kind: AzureDataDiskKind | None = None


class AzureFileVolumeSource(Struct):
    secretName: str = always("")
    shareName: str = always("")
    readOnly: bool = False


class CSIVolumeSource(Struct):
    driver: str = always("")
    readOnly: bool | None = None
    fsType: str | None = None
    volumeAttributes: dict[str, str] = {}
    nodePublishSecretRef: LocalObjectReference | None = None


class CephFSVolumeSource(Struct):
    monitors: list[str] = always_list()
    path: str = ""
    user: str = ""
    secretFile: str = ""
    secretRef: LocalObjectReference | None = None
    readOnly: bool = False


class CinderVolumeSource(Struct):
    volumeID: str = always("")
    fsType: str = ""
    readOnly: bool = False
    secretRef: LocalObjectReference | None = None


class ClusterTrustBundleProjection(Struct):
    name: str | None = None
    signerName: str | None = None
    labelSelector: LabelSelector | None = None
    optional: bool | None = None
    path: str = always("")


class KeyToPath(Struct):
    """A key and the file that it becomes."""

    key: str = always("")
    path: str = always("")
    mode: Int32 | None = None


class ConfigMapProjection(Struct):
    name: str = ""
    items: list[KeyToPath] = []
    optional: bool | None = None


class ConfigMapVolumeSource(Struct):
    name: str = ""
    items: list[KeyToPath] = []
    defaultMode: Int32 | None = None
    optional: bool | None = None


class DownwardAPIVolumeFile(Struct):
    path: str = always("")
    fieldRef: ObjectFieldSelector | None = None
    resourceFieldRef: ResourceFieldSelector | None = None
    mode: Int32 | None = None


class DownwardAPIProjection(Struct):
    items: list[DownwardAPIVolumeFile] = []


class DownwardAPIVolumeSource(Struct):
    items: list[DownwardAPIVolumeFile] = []
    defaultMode: Int32 | None = None


class EmptyDirVolumeSource(Struct):
    medium: StorageMedium = ""
    sizeLimit: Quantity | None = None


class TypedObjectReference(Struct):
    apiGroup: str | None = always(None)
    kind: str = always("")
    name: str = always("")
    namespace: str | None = None


class VolumeResourceRequirements(Struct):
    limits: ResourceList = {}
    requests: ResourceList = {}


class PersistentVolumeClaimSpec(Struct):
    accessModes: list[PersistentVolumeAccessMode] = []
    selector: LabelSelector | None = None
    resources: VolumeResourceRequirements = msgspec.field(default_factory=VolumeResourceRequirements)
    volumeName: str = ""
    storageClassName: str | None = None
    volumeMode: PersistentVolumeMode | None = None
    dataSource: TypedLocalObjectReference | None = None
    dataSourceRef: TypedObjectReference | None = None
    volumeAttributesClassName: str | None = None


class PersistentVolumeClaimTemplate(Struct):
    """A claim made for a Pod and deleted with it."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
    spec: PersistentVolumeClaimSpec = msgspec.field(default_factory=PersistentVolumeClaimSpec)


class EphemeralVolumeSource(Struct):
    volumeClaimTemplate: PersistentVolumeClaimTemplate | None = None


class FCVolumeSource(Struct):
    targetWWNs: list[str] = []
    lun: Int32 | None = None
    fsType: str = ""
    readOnly: bool = False
    wwids: list[str] = []


class FlexVolumeSource(Struct):
    driver: str = always("")
    fsType: str = ""
    secretRef: LocalObjectReference | None = None
    readOnly: bool = False
    options: dict[str, str] = {}


class FlockerVolumeSource(Struct):
    datasetName: str = ""
    datasetUUID: str = ""


class GCEPersistentDiskVolumeSource(Struct):
    pdName: str = always("")
    fsType: str = ""
    partition: Int32 = 0
    readOnly: bool = False


class GitRepoVolumeSource(Struct):
    repository: str = always("")
    revision: str = ""
    directory: str = ""


class GlusterfsVolumeSource(Struct):
    endpoints: str = always("")
    path: str = always("")
    readOnly: bool = False


class HostPathVolumeSource(Struct):
    path: str = always("")
    type: HostPathType | None = None


class ISCSIVolumeSource(Struct):
    targetPortal: str = always("")
    iqn: str = always("")
    lun: Int32 = always(0)
    iscsiInterface: str = ""
    fsType: str = ""
    readOnly: bool = False
    portals: list[str] = []
    chapAuthDiscovery: bool = False
    chapAuthSession: bool = False
    secretRef: LocalObjectReference | None = None
    initiatorName: str | None = None


class ImageVolumeSource(Struct):
    reference: str = ""
    pullPolicy: PullPolicy = ""


class NFSVolumeSource(Struct):
    server: str = always("")
    path: str = always("")
    readOnly: bool = False


class PersistentVolumeClaimVolumeSource(Struct):
    claimName: str = always("")
    readOnly: bool = False


class PhotonPersistentDiskVolumeSource(Struct):
    pdID: str = always("")
    fsType: str = ""


class PodCertificateProjection(Struct):
    signerName: str = always("")
    keyType: str = always("")
    maxExpirationSeconds: Int32 | None = None
    credentialBundlePath: str = ""
    keyPath: str = ""
    certificateChainPath: str = ""
    userAnnotations: dict[str, str] = {}


class PortworxVolumeSource(Struct):
    volumeID: str = always("")
    fsType: str = ""
    readOnly: bool = False


class SecretProjection(Struct):
    name: str = ""
    items: list[KeyToPath] = []
    optional: bool | None = None


class ServiceAccountTokenProjection(Struct):
    audience: str = ""
    expirationSeconds: Int64 | None = None
    path: str = always("")


class VolumeProjection(Struct):
    secret: SecretProjection | None = None
    downwardAPI: DownwardAPIProjection | None = None
    configMap: ConfigMapProjection | None = None
    serviceAccountToken: ServiceAccountTokenProjection | None = None
    clusterTrustBundle: ClusterTrustBundleProjection | None = None
    podCertificate: PodCertificateProjection | None = None


class ProjectedVolumeSource(Struct):
    """Several sources in one directory."""

    sources: list[VolumeProjection] = always_list()
    defaultMode: Int32 | None = None


class QuobyteVolumeSource(Struct):
    registry: str = always("")
    volume: str = always("")
    readOnly: bool = False
    user: str = ""
    group: str = ""
    tenant: str = ""


class RBDVolumeSource(Struct):
    monitors: list[str] = always_list()
    image: str = always("")
    fsType: str = ""
    pool: str = ""
    user: str = ""
    keyring: str = ""
    secretRef: LocalObjectReference | None = None
    readOnly: bool = False


class ScaleIOVolumeSource(Struct):
    gateway: str = always("")
    system: str = always("")
    secretRef: LocalObjectReference | None = None
    sslEnabled: bool = False
    protectionDomain: str = ""
    storagePool: str = ""
    storageMode: str = ""
    volumeName: str = ""
    fsType: str = ""
    readOnly: bool = False


class SecretVolumeSource(Struct):
    secretName: str = ""
    items: list[KeyToPath] = []
    defaultMode: Int32 | None = None
    optional: bool | None = None


class StorageOSVolumeSource(Struct):
    volumeName: str = ""
    volumeNamespace: str = ""
    fsType: str = ""
    readOnly: bool = False
    secretRef: LocalObjectReference | None = None


class VsphereVirtualDiskVolumeSource(Struct):
    volumePath: str = always("")
    fsType: str = ""
    storagePolicyName: str = ""
    storagePolicyID: str = ""


class Volume(Struct):
    name: str = always("")
    hostPath: HostPathVolumeSource | None = None
    emptyDir: EmptyDirVolumeSource | None = None
    gcePersistentDisk: GCEPersistentDiskVolumeSource | None = None
    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource | None = None
    gitRepo: GitRepoVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    iscsi: ISCSIVolumeSource | None = None
    glusterfs: GlusterfsVolumeSource | None = None
    persistentVolumeClaim: PersistentVolumeClaimVolumeSource | None = None
    rbd: RBDVolumeSource | None = None
    flexVolume: FlexVolumeSource | None = None
    cinder: CinderVolumeSource | None = None
    cephfs: CephFSVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    downwardAPI: DownwardAPIVolumeSource | None = None
    fc: FCVolumeSource | None = None
    azureFile: AzureFileVolumeSource | None = None
    configMap: ConfigMapVolumeSource | None = None
    vsphereVolume: VsphereVirtualDiskVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    azureDisk: AzureDiskVolumeSource | None = None
    photonPersistentDisk: PhotonPersistentDiskVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None
    portworxVolume: PortworxVolumeSource | None = None
    scaleIO: ScaleIOVolumeSource | None = None
    storageos: StorageOSVolumeSource | None = None
    csi: CSIVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    image: ImageVolumeSource | None = None
