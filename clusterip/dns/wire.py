"""Services and EndpointSlices cut down to what DNS needs, decoded straight from the API's JSON.

At 50,000 endpoints the rest of these objects would cost more memory than everything else here.
"""

from __future__ import annotations

import msgspec

_MAX_LABEL = 63
_SERVICE_NAME = "kubernetes.io/service-name"
_IMPORT_NAME = "multicluster.kubernetes.io/service-name"
_IMPORT_CLUSTER = "multicluster.kubernetes.io/source-cluster"
_LAST_CHANGE = "endpoints.kubernetes.io/last-change-trigger-time"


class Metadata(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""


class Namespace(msgspec.Struct, gc=False):
    metadata: Metadata


class ServicePort(msgspec.Struct, gc=False):
    port: int = 0
    name: str = ""
    protocol: str = "TCP"


class ServiceSpec(msgspec.Struct, gc=False):
    clusterIP: str = ""
    clusterIPs: list[str] = []
    type: str = "ClusterIP"
    externalName: str = ""
    ports: list[ServicePort] = []


class Service(msgspec.Struct, gc=False):
    metadata: Metadata
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)

    @property
    def headless(self) -> bool:
        return self.spec.clusterIP == "None" and self.spec.type != "ExternalName"


class SliceLabels(msgspec.Struct, gc=False):
    service: str = msgspec.field(name=_SERVICE_NAME, default="")

    @property
    def cluster(self) -> str:
        """Which cluster the endpoints are in; "": this one."""
        return ""


class SliceAnnotations(msgspec.Struct, gc=False):
    last_change: str = msgspec.field(name=_LAST_CHANGE, default="")


_NO_ANNOTATIONS = SliceAnnotations()


class SliceMetadata(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""
    labels: SliceLabels = msgspec.field(default_factory=SliceLabels)
    annotations: SliceAnnotations = msgspec.field(default_factory=lambda: _NO_ANNOTATIONS)


class EndpointConditions(msgspec.Struct, gc=False):
    ready: bool | None = None


class Endpoint(msgspec.Struct, gc=False):
    addresses: list[str] = []
    conditions: EndpointConditions | None = None
    hostname: str | None = None

    @property
    def ready(self) -> bool:
        """``publishNotReadyAddresses`` is already in this condition; unset counts as ready."""
        return self.conditions is None or self.conditions.ready is not False


class EndpointPort(msgspec.Struct, gc=False):
    port: int | None = None
    name: str | None = None
    protocol: str | None = None


class EndpointSlice(msgspec.Struct, gc=False):
    metadata: SliceMetadata
    addressType: str = ""
    endpoints: list[Endpoint] | None = None
    ports: list[EndpointPort] | None = None


class TargetRef(msgspec.Struct, gc=False):
    kind: str = ""
    name: str = ""


class PlacedEndpoint(Endpoint, gc=False):
    """One that is known to be in a topology zone (``zonal``)."""

    zone: str | None = None


class PlacedEndpointSlice(EndpointSlice, gc=False):
    endpoints: list[PlacedEndpoint] | None = None  # type: ignore[assignment]  # read, never written


class NamedEndpoint(PlacedEndpoint, gc=False):
    """One that is named after its Pod if it has no hostname (``endpoint_pod_names``)."""

    targetRef: TargetRef | None = None

    @property
    def pod_label(self) -> str:
        """The Pod's name if it fits into a label, else nothing."""
        target = self.targetRef
        if target is None or target.kind != "Pod" or len(target.name) > _MAX_LABEL or "." in target.name:
            return ""
        return target.name


class NamedEndpointSlice(EndpointSlice, gc=False):
    endpoints: list[NamedEndpoint] | None = None  # type: ignore[assignment]  # read, never written


class ImportLabels(msgspec.Struct, gc=False):
    """Labels of a slice whose endpoints another cluster has exported (KEP-1645)."""

    service: str = msgspec.field(name=_IMPORT_NAME, default="")
    cluster: str = msgspec.field(name=_IMPORT_CLUSTER, default="")


class ImportSliceMetadata(SliceMetadata, gc=False):
    labels: ImportLabels = msgspec.field(default_factory=ImportLabels)  # type: ignore[assignment]


class ImportSlice(EndpointSlice, gc=False):
    metadata: ImportSliceMetadata


class ServiceImportSpec(msgspec.Struct, gc=False):
    ips: list[str] = []
    type: str = "ClusterSetIP"
    ports: list[ServicePort] = []
    externalName: str = ""
    """Always "": an import is no alias."""

    @property
    def clusterIPs(self) -> list[str]:
        return self.ips

    @property
    def clusterIP(self) -> str:
        return self.ips[0] if self.ips else ""


class ServiceImport(msgspec.Struct, gc=False):
    """A ServiceImport of multicluster.x-k8s.io/v1alpha1, to be read as a Service is."""

    metadata: Metadata
    spec: ServiceImportSpec = msgspec.field(default_factory=ServiceImportSpec)

    @property
    def headless(self) -> bool:
        return self.spec.type == "Headless"


class PodMetadata(Metadata, gc=False):
    labels: dict[str, str] = {}


class PodIP(msgspec.Struct, gc=False):
    ip: str = ""


class PodSpec(msgspec.Struct, gc=False):
    hostNetwork: bool = False


class PodStatus(msgspec.Struct, gc=False):
    phase: str = ""
    podIPs: list[PodIP] = []


class Pod(msgspec.Struct, gc=False):
    metadata: PodMetadata
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)

    @property
    def addresses(self) -> list[str]:
        """None once it has ended: they may be another Pod's by now."""
        if self.status.phase in ("Succeeded", "Failed"):
            return []
        return [each.ip for each in self.status.podIPs]
