"""Where this part's figures are registered: apart from those of the process, so that workers add theirs."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

DNS_REGISTRY = CollectorRegistry()
