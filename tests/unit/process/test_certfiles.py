"""TLS goes on through the renewal of its certificate."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from cryptography import x509

from clusterip.process.certfiles import serve_with
from tests.support.pki import Authority


def _put(authority: Authority, target: Path, name: str) -> None:
    certificate, key = authority.issue(name, name)
    draft = target.with_name("draft")
    draft.write_bytes(key.read_bytes() + certificate.read_bytes())
    draft.replace(target)


async def test_what_is_in_the_file_is_served(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pem = tmp_path / "serving.pem"
    _put(authority, pem, "first")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serve_with(context, str(pem), str(pem))
    server = await asyncio.start_server(lambda _r, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async def served() -> str:
        client = ssl.create_default_context()
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return x509.load_der_x509_certificate(der).subject.rfc4514_string()

    async with server:
        assert [await served(), await served()] == ["CN=first"] * 2
        _put(authority, pem, "second")
        await served()
        assert await served() == "CN=second"
        pem.write_text("half a key")
        assert [await served(), await served()] == ["CN=second"] * 2
        _put(authority, pem, "third")
        await served()
        assert await served() == "CN=third"
