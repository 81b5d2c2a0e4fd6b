"""ReplicaSets: as many Pods as wanted, no more and no fewer."""
