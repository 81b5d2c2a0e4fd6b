"""``python -m clusterip``."""

from clusterip.cli.main import main

main(prog_name="clusterip")
