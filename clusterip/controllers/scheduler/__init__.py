"""The scheduler: which node each new Pod runs on."""
