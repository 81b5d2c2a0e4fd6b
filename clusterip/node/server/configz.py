"""``/configz``: the configuration in force, as upstream's ``KubeletConfiguration``."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from clusterip.node.options import Options
from clusterip.objects import codec


def configuration(options: Options) -> dict[str, Any]:
    """What the options are, by upstream's names."""
    found: dict[str, Any] = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "enableServer": bool(options.port),
        "address": options.address,
        "port": options.port,
        "tlsCertFile": options.tls_cert_file,
        "tlsPrivateKeyFile": options.tls_private_key_file,
        "authentication": {
            "x509": {"clientCAFile": options.client_ca_file},
            "webhook": {"enabled": True, "cacheTTL": "2m0s"},
            "anonymous": {"enabled": False},
        },
        "authorization": {"mode": "Webhook"},
        "staticPodPath": str(options.pod_manifest_path or ""),
        "clusterDomain": options.cluster_domain,
        "clusterDNS": list(options.cluster_dns),
        "resolvConf": str(options.resolv_conf),
        "maxPods": options.max_pods,
        "podPidsLimit": options.pod_max_pids,
        "cgroupsPerQOS": options.cgroups_per_qos,
        "cgroupRoot": options.cgroup_root,
        "registerNode": options.register_node,
        "allowedUnsafeSysctls": list(options.allowed_unsafe_sysctls),
        "containerLogMaxSize": str(options.log_limits.size),
        "containerLogMaxFiles": options.log_limits.files,
        "imageGCHighThresholdPercent": options.images.high,
        "imageGCLowThresholdPercent": options.images.low,
        "imageMinimumGCAge": f"{options.images.minimum_age:g}s",
        "evictionHard": {each.signal: each.text for each in options.eviction_hard},
        "evictionSoft": {each.signal: each.text for each in options.eviction_soft} or "",
        "evictionSoftGracePeriod": {each.signal: f"{each.patience:g}s" for each in options.eviction_soft}
        or "",
        "evictionMaxPodGracePeriod": options.eviction_max_pod_grace_seconds or "",
        "evictionPressureTransitionPeriod": f"{options.pressure_seconds:g}s",
    }
    return {key: value for key, value in found.items() if value not in ("", [])}


def serve(options: Options) -> Any:
    """The handler."""

    async def handler(_request: web.Request) -> web.Response:
        body = codec.encode({"kubeletconfig": configuration(options)})
        return web.Response(body=body, content_type="application/json")

    return handler
