"""Follows one real connection to a Service: what was observed on its way, and what should have been."""
