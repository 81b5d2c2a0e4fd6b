"""Services for the tests, as each stage of a request sees them."""

from clusterip.objects.codec import convert, copy
from clusterip.objects.core.service import SERVICES, Service

TCP_80 = {"port": 80}


def service(spec=None, /, *, allocated=True, **meta):
    """A Service as validation sees it: defaulted, prepared and with an address."""
    spec = {"ports": [TCP_80], **(spec or {})}
    metadata = {"name": "web", "namespace": "default", "resourceVersion": "1", **meta}
    result = convert({"metadata": metadata, "spec": spec}, Service)
    SERVICES.set_defaults(result)
    if allocated and result.spec.type != "ExternalName" and not result.spec.clusterIP:
        result.spec.clusterIP = "10.96.0.7"
    SERVICES.prepare_create(result)
    return result


def errors(result):
    return [str(error) for error in SERVICES.validate(result)]


def updated(old, **changes):
    """What an update that sets these fields of spec leads to."""
    new = copy(old)
    for name, value in changes.items():
        setattr(new.spec, name, value)
    SERVICES.set_defaults(new)
    SERVICES.prepare_update(new, old)
    return new


def update_errors(new, old):
    return [str(error) for error in SERVICES.validate_update(new, old)]
