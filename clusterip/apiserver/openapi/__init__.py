"""OpenAPI: the shape of every kind and request, made from the kinds' types.

kubectl reads it to explain fields, to see that the server validates fields, and to learn how the lists of
a kind merge. A document is made when it is first asked for; whoever serves them keeps them encoded.
"""

from clusterip.apiserver.openapi.documents import v2, v3, v3_index
from clusterip.apiserver.openapi.gnostic import encode as in_protobuf

__all__ = ["in_protobuf", "v2", "v3", "v3_index"]
