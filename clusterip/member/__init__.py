"""A machine's membership in a cluster of several: finding the servers, certificates, the way to the API.

A machine that joins gets its certificates through the API (``certificates.k8s.io``) and renews them in time.
Its parts reach the API servers through one local address, behind which is whichever server answers.
"""
