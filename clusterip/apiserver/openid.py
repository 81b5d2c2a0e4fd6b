"""What others need to check service account tokens: the issuer's OpenID configuration and its keys.

As ``pkg/serviceaccount/openidmetadata.go`` and ``pkg/routes/openidmetadata.go``.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from clusterip.apiserver.tokens import ServiceAccountTokens
from clusterip.objects.codec import encode
from clusterip.process import jwt

CONFIGURATION_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/openid/v1/jwks"
CACHE_CONTROL = "public, max-age=3600"

_KEYS_TYPE = "application/jwk-set+json"


class BadIssuer(ValueError):
    """An issuer, or an address of its keys, that OpenID Connect does not allow."""


class OpenId:
    """The two documents, which do not change while the server runs."""

    def __init__(self, tokens: ServiceAccountTokens, keys_uri: str, address: str) -> None:
        """``keys_uri`` is where others find the keys: by default at ``address`` (``HOST:PORT``).

        Raises:
            BadIssuer: there can be no such documents.
        """
        issuer = urlsplit(tokens.issuer)
        if issuer.scheme != "https":
            raise BadIssuer(f"issuer URL must use https scheme, got: {tokens.issuer}")
        if issuer.query or issuer.fragment:
            raise BadIssuer(f"issuer URL may not include a query or fragment, got: {tokens.issuer}")
        keys_uri = keys_uri or f"https://{address}{KEYS_PATH}"
        if urlsplit(keys_uri).scheme != "https":
            raise BadIssuer(f"jwksURI requires https scheme, parsed as: {keys_uri}")
        keys = [jwt.jwk(key) for key in tokens.keys]
        configuration = {
            "issuer": tokens.issuer,
            "jwks_uri": keys_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted({key["alg"] for key in keys}),
        }
        self._documents = {
            CONFIGURATION_PATH: (encode(configuration), "application/json"),
            KEYS_PATH: (encode({"keys": keys}), _KEYS_TYPE),
        }

    def document(self, path: str) -> tuple[bytes, str] | None:
        """The document at a path and its content type."""
        return self._documents.get(path)
