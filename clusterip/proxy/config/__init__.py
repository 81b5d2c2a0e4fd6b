"""kube-proxy's configuration: its file, its flags, its defaults and what it refuses.

Upstream: ``cmd/kube-proxy/app/options.go`` and ``pkg/proxy/apis/config``.
"""

from clusterip.proxy.config.errors import ConfigurationError
from clusterip.proxy.config.types import KubeProxyConfiguration

__all__ = ["ConfigurationError", "KubeProxyConfiguration"]
