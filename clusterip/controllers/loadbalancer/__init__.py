"""Load balancers without a cloud: addresses out of pools, each announced by a node."""
