"""Deployments: ReplicaSets of one application, rolled from one version to the next."""
