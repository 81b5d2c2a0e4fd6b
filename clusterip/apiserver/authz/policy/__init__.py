"""The policy that every cluster begins with: upstream's default roles and their bindings.

As ``plugin/pkg/auth/authorizer/rbac/bootstrappolicy``, also for kinds and parts that there are not here.
"""
