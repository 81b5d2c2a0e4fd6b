"""What a Pod and its containers may do on the node."""

from __future__ import annotations

from clusterip.objects.base import Struct, always


class AppArmorProfile(Struct):
    type: str = always("")
    localhostProfile: str | None = None


class Capabilities(Struct):
    add: list[str] = []
    drop: list[str] = []


class SELinuxOptions(Struct):
    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class SeccompProfile(Struct):
    type: str = always("")
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
    runAsUser: int | None = None
    runAsGroup: int | None = None
    runAsNonRoot: bool | None = None
    supplementalGroups: list[int] = []
    supplementalGroupsPolicy: str | None = None
    fsGroup: int | None = None
    sysctls: list[Sysctl] = []
    fsGroupChangePolicy: str | None = None
    seccompProfile: SeccompProfile | None = None
    appArmorProfile: AppArmorProfile | None = None
    seLinuxChangePolicy: str | None = None


class SecurityContext(Struct):
    capabilities: Capabilities | None = None
    privileged: bool | None = None
    seLinuxOptions: SELinuxOptions | None = None
    windowsOptions: WindowsSecurityContextOptions | None = None
    runAsUser: int | None = None
    runAsGroup: int | None = None
    runAsNonRoot: bool | None = None
    readOnlyRootFilesystem: bool | None = None
    allowPrivilegeEscalation: bool | None = None
    procMount: str | None = None
    seccompProfile: SeccompProfile | None = None
    appArmorProfile: AppArmorProfile | None = None
