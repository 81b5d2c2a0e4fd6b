"""Clusters for tests: a pytest plugin (``plugin.py``) and what it is made of.

A cluster belongs to a *keeper* (``keeper.py``), a process that ends it as soon as the tests' process is
gone, however that ended.
"""
