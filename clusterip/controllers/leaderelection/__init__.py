"""One of several processes is the leader and does the work; another takes over when it is gone.

As client-go's ``tools/leaderelection`` with a Lease as the lock, so that ours and others' programs can
compete for one and ``kubectl get leases`` shows who leads.
"""
