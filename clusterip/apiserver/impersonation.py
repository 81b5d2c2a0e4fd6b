"""Acting as somebody else: the ``Impersonate-...`` headers, as ``kubectl --as`` sends them.

As ``k8s.io/apiserver/pkg/endpoints/filters/impersonation``.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.authn import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User
from clusterip.apiserver.authz.decision import Authorizer, refusal
from clusterip.apiserver.router import RequestInfo

_USER, _UID, _GROUP, _EXTRA = "Impersonate-User", "Impersonate-Uid", "Impersonate-Group", "impersonate-extra-"
_ACCOUNT = "system:serviceaccount:"


def impersonated(request: web.BaseRequest, user: User, authorizer: Authorizer) -> User:
    """Whom the request is made for: the user, or the one whom the user wants to be.

    Raises:
        StatusError: 403 if the user may not be that one, 500 if no user is named beside other headers.
    """
    headers = request.headers
    name, uid = headers.get(_USER, ""), headers.get(_UID, "")
    groups = headers.getall(_GROUP, [])
    extra: dict[str, list[str]] = {}
    for key, value in headers.items():
        if key.lower().startswith(_EXTRA):
            extra.setdefault(unquote(key.lower()[len(_EXTRA) :]), []).append(value)
    if not name:
        if uid or groups or extra:
            raise status.internal("requested to impersonate something without impersonating a user")
        return user
    for wanted in _wanted(name, uid, groups, extra):
        decision = authorizer.decide(user, wanted)
        if not decision.allowed:
            why = refusal(user, wanted, decision.reason)
            raise status.forbidden_request(wanted.group, wanted.plural, wanted.name, why)
    return User(name, uid, (*groups, *_implied(name, groups)), extra)


def _wanted(name: str, uid: str, groups: list[str], extra: dict[str, list[str]]) -> Iterator[RequestInfo]:
    """What one must be allowed to do to be that user."""
    if name.startswith(_ACCOUNT) and name.count(":") == 3:
        _, _, namespace, account = name.split(":")
        yield _impersonate("", "serviceaccounts", account, namespace=namespace)
    else:
        yield _impersonate("", "users", name)
    for group in groups:
        yield _impersonate("", "groups", group)
    if uid:
        yield _impersonate("authentication.k8s.io", "uids", uid)
    for key, values in extra.items():
        for value in values:
            yield _impersonate("authentication.k8s.io", "userextras", value, subresource=key)


def _impersonate(
    group: str, plural: str, name: str, *, namespace: str = "", subresource: str = ""
) -> RequestInfo:
    info = RequestInfo("impersonate", "", {})
    info.group, info.version, info.plural, info.name = group, "v1", plural, name
    info.namespace, info.subresource = namespace, subresource
    return info


def _implied(name: str, groups: list[str]) -> list[str]:
    """The groups that a user is in without saying so."""
    implied = []
    if not groups and name.startswith(_ACCOUNT) and name.count(":") == 3:
        implied += ["system:serviceaccounts", f"system:serviceaccounts:{name.split(':')[2]}"]
    everybody = UNAUTHENTICATED if name == ANONYMOUS.name else AUTHENTICATED
    if not {AUTHENTICATED, UNAUTHENTICATED} & set(groups):
        implied.append(everybody)
    return implied
