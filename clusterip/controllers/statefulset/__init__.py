"""StatefulSets: numbered Pods that keep their names."""
