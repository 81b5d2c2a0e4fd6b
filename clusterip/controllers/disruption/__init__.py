"""PodDisruptionBudgets: how many Pods may be evicted now."""
