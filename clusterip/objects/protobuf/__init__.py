"""Request bodies in protobuf: ``kubectl create`` and programs in Go send them without asking.

Only reading is needed: all of these clients also take JSON for an answer.
"""

from clusterip.objects.protobuf.envelope import to_json
from clusterip.objects.protobuf.wire import NotProtobuf

__all__ = ["NotProtobuf", "to_json"]
