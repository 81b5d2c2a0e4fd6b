"""EndpointSlices for Services without a selector, from the Endpoints that somebody wrote."""
