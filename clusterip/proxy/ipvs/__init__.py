"""The IPVS data plane: virtual servers in the kernel's load balancer, and nftables for what it cannot do."""
