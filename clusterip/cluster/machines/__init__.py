"""A cluster of several machines: ``clusterip server`` and ``clusterip agent``.

Each machine keeps its parts running by itself (``foreground.py``), below systemd or anything else that starts
a program again when it ends.
"""
