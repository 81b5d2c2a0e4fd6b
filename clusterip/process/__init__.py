"""What every long-running part shares: logging, signals, health and metrics, listening sockets."""

from clusterip.process.run import Fatal, run

__all__ = ["Fatal", "run"]
