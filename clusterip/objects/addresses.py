"""IP addresses and CIDRs as Kubernetes reads, judges and warns of them.

Go's lenient parser takes leading zeros (``010.0.0.1``); since Kubernetes 1.36 new values must be strict
while old ones may stay (``k8s.io/apimachinery/pkg/util/validation/ip.go``).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Container
from functools import lru_cache

from clusterip.objects.errors import ErrorList, invalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_leading_zeros = re.compile(r"(?<![0-9a-fA-F:.])0+(?=[0-9])|(?<=\.)0+(?=[0-9])|(?<=:)0+(?=[0-9]+\.)")

# Most addresses by far; several times faster than `ipaddress` finds the same.
_plain_ipv4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}").fullmatch


@lru_cache(maxsize=4096)
def parse_ip(text: str) -> Address | None:
    """The address, or ``None`` if it is none. An IPv4-mapped IPv6 address is the IPv4 one, as in Go."""
    if _plain_ipv4(text):
        return ipaddress.IPv4Address(socket.inet_aton(text))
    if "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        try:
            address = ipaddress.ip_address(_leading_zeros.sub("", text) if "." in text else text)
        except ValueError:
            return None
    return getattr(address, "ipv4_mapped", None) or address


def is_ordinary_ipv4(text: str) -> bool:
    """Whether it is an IPv4 address, well-formed, of which nothing can be said against: most are."""
    return _plain_ipv4(text) is not None and not text.startswith(("0.", "127.", "169.", "224."))


def parse_cidr(text: str) -> tuple[Address, Network] | None:
    """The address before the slash and the network it is in, or ``None`` if the text is no CIDR."""
    host, slash, length = text.partition("/")
    address = parse_ip(host)
    if not slash or address is None or not length.isascii() or not length.isdecimal():
        return None
    prefix = int(length)
    if _is_mapped(host):
        prefix -= 96
    try:
        return address, ipaddress.ip_network((address, prefix), strict=False)
    except ValueError:
        return None


def is_ipv6(text: str) -> bool:
    address = parse_ip(text)
    return address is not None and address.version == 6


def family_of(text: str) -> str:
    """``IPv4`` or ``IPv6``, as ``ipFamilies`` and ``addressType`` write it."""
    return "IPv6" if is_ipv6(text) else "IPv4"


def is_dual_stack(addresses: list[str]) -> bool:
    """Whether both families are among the addresses."""
    return {is_ipv6(address) for address in addresses} == {True, False}


def validate_ip(field: str, value: str, keep: Container[str] = ()) -> ErrorList:
    """Errors of an address in a field older than strict validation; values in ``keep`` are let be."""
    return [] if value in keep else _strict_ip(field, value)


def validate_canonical_ip(field: str, value: str) -> ErrorList:
    """Errors of an address in a newer field, which must also be in canonical form."""
    errors = _strict_ip(field, value)
    canonical = str(parse_ip(value))
    if not errors and value != canonical:
        errors.append(invalid(field, value, f'must be in canonical form ("{canonical}")'))
    return errors


def validate_cidr(field: str, value: str, keep: Container[str] = ()) -> ErrorList:
    """Errors of a CIDR in a field older than strict validation; values in ``keep`` are let be."""
    return [] if value in keep else _strict_cidr(field, value)


def validate_canonical_cidr(field: str, value: str) -> ErrorList:
    """Errors of a CIDR in a newer field, which must also be in canonical form."""
    errors = _strict_cidr(field, value)
    parsed = parse_cidr(value)
    if not errors and parsed is not None and value != str(parsed[1]):
        errors.append(invalid(field, value, f'must be in canonical form ("{parsed[1]}")'))
    return errors


def validate_endpoint_ip(field: str, value: str) -> ErrorList:
    """Errors of an address that must not be a special one: endpoints and ``externalIPs``."""
    address = parse_ip(value)
    if address is None:
        return [invalid(field, value, "must be a valid IP address")]
    if is_ordinary_ipv4(value):
        return []
    errors = []
    if address.is_unspecified:
        errors.append(invalid(field, value, f"may not be unspecified ({value})"))
    if address.is_loopback:
        errors.append(invalid(field, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if address.is_link_local:
        errors.append(invalid(field, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    if _is_link_local_multicast(address):
        message = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        errors.append(invalid(field, value, message))
    return errors


def warn_ip(field: str, value: str) -> list[str]:
    """Warnings of an address that is valid but not in the preferred form."""
    if _plain_ipv4(value):
        return []
    address = parse_ip(value)
    if address is None:
        return []
    if not _is_strict(value) or _is_mapped(value):
        return [f'{field}: non-standard IP address "{value}" is invalid: use "{address}"']
    if address.version == 6 and str(address) != value:
        return [f'{field}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{address}")']
    return []


def warn_cidr(field: str, value: str) -> list[str]:
    """Warnings of a CIDR that is valid but ambiguous or not in the preferred form."""
    parsed = parse_cidr(value)
    if parsed is None:
        return []
    address, network = parsed
    warnings = []
    if address != network.network_address:
        single = f"{address}/{address.max_prefixlen}"
        warnings.append(
            f'{field}: CIDR value "{value}" is ambiguous in this context '
            f'(should be "{network}" or "{single}"?)'
        )
    host, _, length = value.partition("/")
    if not _is_strict(host) or _is_mapped(host) or _has_leading_zero(length):
        warnings.append(f'{field}: non-standard CIDR value "{value}" is invalid: use "{network}"')
    if not warnings and network.version == 6 and str(network) != value:
        warnings.append(
            f'{field}: IPv6 CIDR value "{value}" should be in RFC 5952 canonical format ("{network}")'
        )
    return warnings


def _strict_ip(field: str, value: str) -> ErrorList:
    if parse_ip(value) is None:
        message = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        return [invalid(field, value, message)]
    if not _is_strict(value):
        return [invalid(field, value, "must not have leading 0s")]
    if _is_mapped(value):
        return [invalid(field, value, "must not be an IPv4-mapped IPv6 address")]
    return []


def _strict_cidr(field: str, value: str) -> ErrorList:
    parsed = parse_cidr(value)
    if parsed is None:
        message = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
        return [invalid(field, value, message)]
    host, _, length = value.partition("/")
    if not _is_strict(host) or _has_leading_zero(length):
        return [invalid(field, value, "must not have leading 0s in IP or prefix length")]
    if _is_mapped(host):
        return [invalid(field, value, "must not have an IPv4-mapped IPv6 address")]
    if parsed[0] != parsed[1].network_address:
        return [invalid(field, value, "must not have bits set beyond the prefix length")]
    return []


def _is_strict(text: str) -> bool:
    if _plain_ipv4(text):
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_mapped(text: str) -> bool:
    return ":" in text and getattr(parse_ip(text), "version", 6) == 4


def _has_leading_zero(digits: str) -> bool:
    return len(digits) > 1 and digits.startswith("0")


def _is_link_local_multicast(address: Address) -> bool:
    packed = address.packed
    return packed[:3] == b"\xe0\0\0" if address.version == 4 else packed[0] == 0xFF and packed[1] & 0xF == 2
