"""Requests for certificates: approved where it is safe to, signed with the cluster's CA, removed when old."""
