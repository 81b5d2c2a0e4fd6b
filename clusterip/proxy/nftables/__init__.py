"""The nftables data plane: constant rules, and elements that follow the cluster. See docs/proxy.md."""
