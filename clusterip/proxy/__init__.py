"""The proxy: on every node, makes connections to Services reach healthy endpoints.

Objects arrive from informers, cut down to the fields used (:mod:`.wire`). :mod:`.services` and
:mod:`.endpoints` read from them what a Service port is and who may serve it, :mod:`.choose` which of these
this node uses. :mod:`.sync` takes the ports that a change touched to a data plane (:mod:`.nftables`),
which turns them into kernel state. docs/proxy.md is the map.
"""
