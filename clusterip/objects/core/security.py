"""What a Pod and its containers may do on the node."""

from __future__ import annotations

from clusterip.objects.base import Struct, always
from clusterip.objects.enums import (
    AppArmorProfileType,
    Capability,
    PodFSGroupChangePolicy,
    PodSELinuxChangePolicy,
    ProcMountType,
    SeccompProfileType,
    SupplementalGroupsPolicy,
)
from clusterip.objects.scalars import Int64


class AppArmorProfile(Struct):
    type: AppArmorProfileType = always("")
    localhostProfile: str | None = None


class Capabilities(Struct):
    add: list[Capability] = []
    drop: list[Capability] = []


class SELinuxOptions(Struct):
    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class SeccompProfile(Struct):
    type: SeccompProfileType = always("")
    localhostProfile: str | None = None


class Sysctl(Struct):
    name: str = always("")
    value: str = always("")


class WindowsSecurityContextOptions(Struct):
    gmsaCredentialSpecName: str | None = None
    gmsaCredentialSpec: str | None = None
    runAsUserName: str | None = None
    hostProcess: bool | None = None


class PodSecurityContext(Struct):
    seLinuxOptions: SELinuxOptions | None = None
    windowsOptions: WindowsSecurityContextOptions | None = None
    runAsUser: Int64 | None = None
    runAsGroup: Int64 | None = None
    runAsNonRoot: bool | None = None
    supplementalGroups: list[Int64] = []
    supplementalGroupsPolicy: SupplementalGroupsPolicy | None = None
    fsGroup: Int64 | None = None
    sysctls: list[Sysctl] = []
    fsGroupChangePolicy: PodFSGroupChangePolicy | None = None
    seccompProfile: SeccompProfile | None = None
    appArmorProfile: AppArmorProfile | None = None
    seLinuxChangePolicy: PodSELinuxChangePolicy | None = None


class SecurityContext(Struct):
    capabilities: Capabilities | None = None
    privileged: bool | None = None
    seLinuxOptions: SELinuxOptions | None = None
    windowsOptions: WindowsSecurityContextOptions | None = None
    runAsUser: Int64 | None = None
    runAsGroup: Int64 | None = None
    runAsNonRoot: bool | None = None
    readOnlyRootFilesystem: bool | None = None
    allowPrivilegeEscalation: bool | None = None
    procMount: ProcMountType | None = None
    seccompProfile: SeccompProfile | None = None
    appArmorProfile: AppArmorProfile | None = None
