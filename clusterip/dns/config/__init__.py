"""What the DNS server can be configured with: Corefiles and YAML, read into one typed model."""
