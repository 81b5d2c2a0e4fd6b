"""The strings that Kubernetes has types of their own for, by group, and what values they may have.

A client sees these types' names in decoding errors and their values in OpenAPI. Where no values are given,
others than the known ones are let through (upstream marks the closed sets with ``+enum``).
"""

from __future__ import annotations

from typing import Annotated

from clusterip.objects.scalars import Scalar

AppArmorProfileType = Annotated[
    str, Scalar("v1.AppArmorProfileType", values=("Localhost", "RuntimeDefault", "Unconfined"))
]
AzureDataDiskCachingMode = Annotated[
    str, Scalar("v1.AzureDataDiskCachingMode", values=("None", "ReadOnly", "ReadWrite"))
]
AzureDataDiskKind = Annotated[str, Scalar("v1.AzureDataDiskKind", values=("Dedicated", "Managed", "Shared"))]
Capability = Annotated[str, Scalar("v1.Capability")]
ContainerRestartPolicy = Annotated[str, Scalar("v1.ContainerRestartPolicy")]
ContainerRestartRuleAction = Annotated[str, Scalar("v1.ContainerRestartRuleAction")]
ContainerRestartRuleOnExitCodesOperator = Annotated[str, Scalar("v1.ContainerRestartRuleOnExitCodesOperator")]
DNSPolicy = Annotated[
    str, Scalar("v1.DNSPolicy", values=("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"))
]
FinalizerName = Annotated[str, Scalar("v1.FinalizerName")]
HostPathType = Annotated[
    str,
    Scalar(
        "v1.HostPathType",
        values=(
            "",
            "BlockDevice",
            "CharDevice",
            "Directory",
            "DirectoryOrCreate",
            "File",
            "FileOrCreate",
            "Socket",
        ),
    ),
]
IPFamily = Annotated[str, Scalar("v1.IPFamily", values=("IPv4", "IPv6"))]
IPFamilyPolicy = Annotated[
    str, Scalar("v1.IPFamilyPolicy", values=("PreferDualStack", "RequireDualStack", "SingleStack"))
]
LoadBalancerIPMode = Annotated[str, Scalar("v1.LoadBalancerIPMode")]
MountPropagationMode = Annotated[
    str, Scalar("v1.MountPropagationMode", values=("Bidirectional", "HostToContainer", "None"))
]
NamespaceConditionType = Annotated[str, Scalar("v1.NamespaceConditionType")]
NamespacePhase = Annotated[str, Scalar("v1.NamespacePhase", values=("Active", "Terminating"))]
NodeAddressType = Annotated[str, Scalar("v1.NodeAddressType")]
NodeConditionType = Annotated[str, Scalar("v1.NodeConditionType")]
NodeInclusionPolicy = Annotated[str, Scalar("v1.NodeInclusionPolicy", values=("Honor", "Ignore"))]
NodePhase = Annotated[str, Scalar("v1.NodePhase", values=("Pending", "Running", "Terminated"))]
NodeSelectorOperator = Annotated[
    str, Scalar("v1.NodeSelectorOperator", values=("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"))
]
OSName = Annotated[str, Scalar("v1.OSName")]
PersistentVolumeAccessMode = Annotated[
    str,
    Scalar(
        "v1.PersistentVolumeAccessMode",
        values=("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"),
    ),
]
PersistentVolumeClaimConditionType = Annotated[str, Scalar("v1.PersistentVolumeClaimConditionType")]
PersistentVolumeClaimModifyVolumeStatus = Annotated[
    str, Scalar("v1.PersistentVolumeClaimModifyVolumeStatus", values=("InProgress", "Infeasible", "Pending"))
]
PersistentVolumeClaimPhase = Annotated[
    str, Scalar("v1.PersistentVolumeClaimPhase", values=("Bound", "Lost", "Pending"))
]
PersistentVolumeMode = Annotated[str, Scalar("v1.PersistentVolumeMode", values=("Block", "Filesystem"))]
PodConditionType = Annotated[str, Scalar("v1.PodConditionType")]
PodFSGroupChangePolicy = Annotated[
    str, Scalar("v1.PodFSGroupChangePolicy", values=("Always", "OnRootMismatch"))
]
PodPhase = Annotated[
    str, Scalar("v1.PodPhase", values=("Failed", "Pending", "Running", "Succeeded", "Unknown"))
]
PodQOSClass = Annotated[str, Scalar("v1.PodQOSClass", values=("BestEffort", "Burstable", "Guaranteed"))]
PodResizeStatus = Annotated[str, Scalar("v1.PodResizeStatus")]
PodSELinuxChangePolicy = Annotated[str, Scalar("v1.PodSELinuxChangePolicy")]
PreemptionPolicy = Annotated[str, Scalar("v1.PreemptionPolicy", values=("Never", "PreemptLowerPriority"))]
ProcMountType = Annotated[str, Scalar("v1.ProcMountType", values=("Default", "Unmasked"))]
Protocol = Annotated[str, Scalar("v1.Protocol", values=("SCTP", "TCP", "UDP"))]
PullPolicy = Annotated[str, Scalar("v1.PullPolicy", values=("Always", "IfNotPresent", "Never"))]
RecursiveReadOnlyMode = Annotated[str, Scalar("v1.RecursiveReadOnlyMode")]
ReplicationControllerConditionType = Annotated[str, Scalar("v1.ReplicationControllerConditionType")]
ResourceHealthStatus = Annotated[str, Scalar("v1.ResourceHealthStatus")]
ResourceID = Annotated[str, Scalar("v1.ResourceID")]
ResourceName = Annotated[str, Scalar("v1.ResourceName")]
ResourceResizeRestartPolicy = Annotated[str, Scalar("v1.ResourceResizeRestartPolicy")]
RestartPolicy = Annotated[str, Scalar("v1.RestartPolicy", values=("Always", "Never", "OnFailure"))]
SeccompProfileType = Annotated[
    str, Scalar("v1.SeccompProfileType", values=("Localhost", "RuntimeDefault", "Unconfined"))
]
SecretType = Annotated[str, Scalar("v1.SecretType")]
ServiceAffinity = Annotated[str, Scalar("v1.ServiceAffinity", values=("ClientIP", "None"))]
ServiceExternalTrafficPolicy = Annotated[
    str, Scalar("v1.ServiceExternalTrafficPolicy", values=("Cluster", "Local"))
]
ServiceInternalTrafficPolicy = Annotated[
    str, Scalar("v1.ServiceInternalTrafficPolicy", values=("Cluster", "Local"))
]
ServiceType = Annotated[
    str, Scalar("v1.ServiceType", values=("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"))
]
Signal = Annotated[
    str,
    Scalar(
        "v1.Signal",
        values=(
            "SIGABRT",
            "SIGALRM",
            "SIGBUS",
            "SIGCHLD",
            "SIGCLD",
            "SIGCONT",
            "SIGFPE",
            "SIGHUP",
            "SIGILL",
            "SIGINT",
            "SIGIO",
            "SIGIOT",
            "SIGKILL",
            "SIGPIPE",
            "SIGPOLL",
            "SIGPROF",
            "SIGPWR",
            "SIGQUIT",
            "SIGRTMAX",
            "SIGRTMAX-1",
            "SIGRTMAX-10",
            "SIGRTMAX-11",
            "SIGRTMAX-12",
            "SIGRTMAX-13",
            "SIGRTMAX-14",
            "SIGRTMAX-2",
            "SIGRTMAX-3",
            "SIGRTMAX-4",
            "SIGRTMAX-5",
            "SIGRTMAX-6",
            "SIGRTMAX-7",
            "SIGRTMAX-8",
            "SIGRTMAX-9",
            "SIGRTMIN",
            "SIGRTMIN+1",
            "SIGRTMIN+10",
            "SIGRTMIN+11",
            "SIGRTMIN+12",
            "SIGRTMIN+13",
            "SIGRTMIN+14",
            "SIGRTMIN+15",
            "SIGRTMIN+2",
            "SIGRTMIN+3",
            "SIGRTMIN+4",
            "SIGRTMIN+5",
            "SIGRTMIN+6",
            "SIGRTMIN+7",
            "SIGRTMIN+8",
            "SIGRTMIN+9",
            "SIGSEGV",
            "SIGSTKFLT",
            "SIGSTOP",
            "SIGSYS",
            "SIGTERM",
            "SIGTRAP",
            "SIGTSTP",
            "SIGTTIN",
            "SIGTTOU",
            "SIGURG",
            "SIGUSR1",
            "SIGUSR2",
            "SIGVTALRM",
            "SIGWINCH",
            "SIGXCPU",
            "SIGXFSZ",
        ),
    ),
]
StorageMedium = Annotated[str, Scalar("v1.StorageMedium")]
SupplementalGroupsPolicy = Annotated[str, Scalar("v1.SupplementalGroupsPolicy", values=("Merge", "Strict"))]
TaintEffect = Annotated[str, Scalar("v1.TaintEffect", values=("NoExecute", "NoSchedule", "PreferNoSchedule"))]
TerminationMessagePolicy = Annotated[
    str, Scalar("v1.TerminationMessagePolicy", values=("FallbackToLogsOnError", "File"))
]
TolerationOperator = Annotated[str, Scalar("v1.TolerationOperator", values=("Equal", "Exists", "Gt", "Lt"))]
URIScheme = Annotated[str, Scalar("v1.URIScheme", values=("HTTP", "HTTPS"))]
UniqueVolumeName = Annotated[str, Scalar("v1.UniqueVolumeName")]
UnsatisfiableConstraintAction = Annotated[
    str, Scalar("v1.UnsatisfiableConstraintAction", values=("DoNotSchedule", "ScheduleAnyway"))
]

DaemonSetConditionType = Annotated[str, Scalar("v1.DaemonSetConditionType")]
DaemonSetUpdateStrategyType = Annotated[
    str, Scalar("v1.DaemonSetUpdateStrategyType", values=("OnDelete", "RollingUpdate"))
]
DeploymentConditionType = Annotated[str, Scalar("v1.DeploymentConditionType")]
DeploymentStrategyType = Annotated[
    str, Scalar("v1.DeploymentStrategyType", values=("Recreate", "RollingUpdate"))
]
PersistentVolumeClaimRetentionPolicyType = Annotated[
    str, Scalar("v1.PersistentVolumeClaimRetentionPolicyType")
]
PodManagementPolicyType = Annotated[
    str, Scalar("v1.PodManagementPolicyType", values=("OrderedReady", "Parallel"))
]
ReplicaSetConditionType = Annotated[str, Scalar("v1.ReplicaSetConditionType")]
StatefulSetConditionType = Annotated[str, Scalar("v1.StatefulSetConditionType")]
StatefulSetUpdateStrategyType = Annotated[
    str, Scalar("v1.StatefulSetUpdateStrategyType", values=("OnDelete", "RollingUpdate"))
]

AddressType = Annotated[str, Scalar("v1.AddressType", values=("FQDN", "IPv4", "IPv6"))]

PathType = Annotated[str, Scalar("v1.PathType", values=("Exact", "ImplementationSpecific", "Prefix"))]
PolicyType = Annotated[str, Scalar("v1.PolicyType", values=("Egress", "Ingress"))]

CoordinatedLeaseStrategy = Annotated[str, Scalar("v1.CoordinatedLeaseStrategy")]

UnhealthyPodEvictionPolicyType = Annotated[
    str, Scalar("v1.UnhealthyPodEvictionPolicyType", values=("AlwaysAllow", "IfHealthyBudget"))
]

KeyUsage = Annotated[str, Scalar("v1.KeyUsage")]
RequestConditionType = Annotated[str, Scalar("v1.RequestConditionType")]

LabelSelectorOperator = Annotated[str, Scalar("v1.LabelSelectorOperator")]
ManagedFieldsOperationType = Annotated[str, Scalar("v1.ManagedFieldsOperationType")]
