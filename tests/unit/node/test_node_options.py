"""What of the host's files no Pod is shown."""

from __future__ import annotations

from pathlib import Path

from clusterip.node.options import DEFAULT_STATE, Options


def test_the_clusters_whole_state_is_hidden_wherever_it_is() -> None:
    base = Path("/srv/cluster/lib")
    options = Options(
        kubeconfig=f"{base}/kubeconfigs/node-1.yaml",
        tls_private_key_file=f"{base}/pki/node-1.key",
        root_dir=base / "nodes" / "node-1",
        image_dir=base / "images",
    )
    assert {base, base / "pki", DEFAULT_STATE} <= set(options.hidden_dirs)


def test_common_directories_stay_visible() -> None:
    options = Options(kubeconfig="/etc/node.yaml", tls_private_key_file="/etc/kubernetes/pki/node.key")
    assert Path("/etc/kubernetes/pki") in options.hidden_dirs
    assert not {Path("/"), Path("/etc"), Path("/var/lib")} & set(options.hidden_dirs)
