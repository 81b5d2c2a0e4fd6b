"""Objects in protobuf: request bodies, which ``kubectl create`` and programs in Go send without asking, and
answers of servers that prefer it.

Only reading is needed: everybody also takes JSON.
"""

from clusterip.objects.protobuf import wire
from clusterip.objects.protobuf.envelope import MAGIC, Envelope, message_of, opened, to_json
from clusterip.objects.protobuf.messages import decode
from clusterip.objects.protobuf.wire import NotProtobuf

__all__ = ["MAGIC", "Envelope", "NotProtobuf", "decode", "message_of", "opened", "to_json", "wire"]
