"""Go's template language (pkg.go.dev/text/template), as far as a template plugin's records can need it.

All actions and all built-in functions; of Go's values the strings, numbers, truth values, lists and maps.
"""

from clusterip.dns.gotemplate.errors import BadTemplate
from clusterip.dns.gotemplate.run import Template

__all__ = ["BadTemplate", "Template"]
