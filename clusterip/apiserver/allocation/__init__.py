"""ClusterIPs and node ports, taken in the same transaction that writes the Service."""
