"""Taking rules away: ours (``--cleanup``), and what a kube-proxy left behind (``--cleanup-kube-proxy``)."""

from clusterip.proxy.cleanup.kube_proxy import clean_up_kube_proxy
from clusterip.proxy.cleanup.own import clean_up

__all__ = ["clean_up", "clean_up_kube_proxy"]
