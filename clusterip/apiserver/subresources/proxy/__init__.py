"""``pods|services|nodes/NAME/proxy``: plain HTTP to what runs in the cluster, through the API server.

``target`` finds out whom a request is for, ``forward`` passes it on, ``headers``, ``paths``, ``links`` and
``html`` are what changes on the way. All as upstream's ``apimachinery/pkg/util/proxy`` has it, on which
dashboards and ``kubectl proxy`` rely.
"""
