"""Running tests in a user-mode-linux kernel, for what this machine's kernel does not have."""
