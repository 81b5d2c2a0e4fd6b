"""The DNS server: Services and their endpoints by name, to the Kubernetes DNS specification 1.1."""
