"""DaemonSets: one Pod on every node that can run it."""
