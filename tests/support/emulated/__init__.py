"""Running commands in Debian's kernel, emulated: it has both IPVS and nftables."""
