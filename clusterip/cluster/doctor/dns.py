"""Whether DNS answers, by its Service and on each node."""

from __future__ import annotations

import asyncio
import secrets
import struct

from clusterip.client.errors import ApiError, Unreachable
from clusterip.cluster.doctor.findings import Findings
from clusterip.cluster.doctor.patient import Patient
from clusterip.objects.core.service.types import Service

_SECONDS = 2.0
_TRIES = 2
_CODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


async def check(patient: Patient, found: Findings) -> None:
    servers, domain = await _servers(patient)
    if not servers:
        found.info("DNS", "no DNS server is known: no cluster on this machine, no Service kube-dns")
        return
    name = f"kubernetes.default.svc.{domain}"
    answers = await asyncio.gather(*(ask(address, name) for address in servers.values()))
    for (what, address), why in zip(servers.items(), answers, strict=True):
        if not why:
            found.ok(what, f"{address} answers for {name}")
        else:
            found.error(
                what,
                f"{address}: {why}, asked for {name}",
                "see the check `parts`, the DNS server's log, and `clusterip explain service kube-dns"
                " -n kube-system`",
            )


async def _servers(patient: Patient) -> tuple[dict[str, str], str]:
    """The addresses to ask, by what they are; and the cluster's domain."""
    config = patient.config
    if config is not None and patient.is_running:
        nodes = {f"DNS on {node}": str(config.address_of(node)) for node in config.node_names}
        return {"DNS by its Service": str(config.dns_address), **nodes}, config.domain
    if patient.client is not None:
        for name in ("kube-dns", "coredns"):
            try:
                service = await patient.client.get(Service, name, "kube-system")
            except (ApiError, Unreachable):
                continue
            return {"DNS by its Service": service.spec.clusterIP}, "cluster.local"
    return {}, ""


async def ask(address: str, name: str) -> str:
    """Ask for an A record by UDP; what is wrong with the answer, empty if it is one."""
    loop = asyncio.get_running_loop()
    why = ""
    for _ in range(_TRIES):
        number = secrets.randbits(16)
        question = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0)
        question += b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
        question += struct.pack("!BHH", 0, 1, 1)
        try:
            transport, client = await loop.create_datagram_endpoint(_Client, remote_addr=(address, 53))
        except OSError as error:
            return f"cannot be asked: {error.strerror or error}"
        try:
            transport.sendto(question)
            async with asyncio.timeout(_SECONDS):
                answer = await client.answer
        except TimeoutError:
            why = f"no answer within {_SECONDS:.0f} s"
            continue
        except OSError as error:
            return f"nobody listens: {error.strerror or error}"
        finally:
            transport.close()
        if len(answer) < 12 or answer[:2] != question[:2]:
            return "the answer is no DNS message"
        _, flags, _, count = struct.unpack_from("!4H", answer)
        if code := flags & 0xF:
            return f"answers {_CODES.get(code, str(code))}"
        return "" if count else "answers without an address"
    return why


class _Client(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)
