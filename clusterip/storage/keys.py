"""The keys that this program knows by name, in any store."""

from __future__ import annotations

PREFIX = "/registry/"
"""Where everything is that this program keeps; its user of an etcd needs no permission for more."""

SERVERS = PREFIX + "masterleases/"
"""A key for each API server that runs, which it renews: see ``apiserver/peers.py``."""

STATE = PREFIX + "clusterip.store"
"""What is to be known of an etcd as a whole: see ``snapshot/etcd.py``."""

CLUSTER = PREFIX + "clusterip.cluster"
"""Whose a store is that several servers share: hash of their CA's key. See ``cluster/machines/server.py``."""
