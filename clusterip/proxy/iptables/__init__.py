"""The iptables data plane: the rules that kube-proxy writes, chain by chain."""
