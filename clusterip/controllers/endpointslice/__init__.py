"""EndpointSlices: which addresses stand behind each Service with a selector."""
