"""Endpoints: the older form of EndpointSlices, one object a Service, for programs that still read it."""
