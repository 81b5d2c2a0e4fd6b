"""Nodes that fall silent: noticed, tainted, their Pods taken out of Services and in the end evicted."""
