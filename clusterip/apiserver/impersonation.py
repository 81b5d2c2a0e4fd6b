"""Acting as somebody else: the ``Impersonate-...`` headers, as ``kubectl --as`` sends them.

As ``k8s.io/apiserver/pkg/endpoints/filters/impersonation``. There are several ways to be allowed to
(https://kep.k8s.io/5284): constrained ones, where the requestor needs one right to be that user and
another to do just this while being so, and the old one, where being somebody means all that they may.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import web
from multidict import CIMultiDictProxy

from clusterip.apiserver import status
from clusterip.apiserver.authn import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User
from clusterip.apiserver.authz.decision import Authorizer, refusal
from clusterip.apiserver.authz.matching import object_name
from clusterip.apiserver.authz.node import NODE_PREFIX, NODES_GROUP
from clusterip.apiserver.authz.simple import MASTERS
from clusterip.apiserver.router import RequestInfo
from clusterip.objects import names

_USER, _UID, _GROUP, _EXTRA = "Impersonate-User", "Impersonate-Uid", "Impersonate-Group", "impersonate-extra-"
_ACCOUNT = "system:serviceaccount:"
_NODE_NAME = "authentication.kubernetes.io/node-name"
_AUTHENTICATION = "authentication.k8s.io"
_REMEMBERED = 1024

LEGACY = "impersonate"
ASSOCIATED_NODE, ARBITRARY_NODE = "associated-node", "arbitrary-node"
SERVICE_ACCOUNT, USER_INFO = "serviceaccount", "user-info"
_WAYS = (ASSOCIATED_NODE, ARBITRARY_NODE, SERVICE_ACCOUNT, USER_INFO, LEGACY)


@dataclass(frozen=True)
class Wanted:
    """Whom a request asks to be, as its headers say."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, list[str]] = field(default_factory=dict)

    @property
    def only_named(self) -> bool:
        return not (self.uid or self.groups or self.extra)


class Impersonation:
    """Decides who may be whom."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
        self._last: dict[tuple[str, tuple[str, ...]], str] = {}

    def user_of(self, request: web.BaseRequest, user: User, info: RequestInfo) -> User:
        """Whom the request is made for: the user, or the one whom the user wants to be.

        Raises:
            StatusError: 403 if the user may not be that one, 400 if no user is named beside other headers.
        """
        wanted = read_headers(request.headers)
        if wanted is None:
            return user
        key = user.name, user.groups
        last = self._last.get(key, "")
        refused: status.StatusError | None = None
        # The way that led to something the last time most likely does again.
        for way in sorted(_WAYS, key=lambda way: way != last):
            if not _fits(way, wanted, user):
                continue
            try:
                self._check(way, wanted, user, info)
            except status.StatusError as error:
                refused = refused or error
                continue
            if len(self._last) >= _REMEMBERED:
                self._last.clear()
            self._last[key] = way
            return _become(way, wanted)
        assert refused is not None  # the old way is always tried
        raise refused

    def _check(self, way: str, wanted: Wanted, user: User, info: RequestInfo) -> None:
        if way != LEGACY:
            acting = copy.copy(info)
            acting.verb = f"impersonate-on:{way}:{info.verb}"
            self._must(user, acting)
            _check_fields(way, wanted, user)
        for needed in _needed(way, wanted):
            self._must(user, needed)

    def _must(self, user: User, info: RequestInfo) -> None:
        decision = self._authorizer.decide(user, info)
        if not decision.allowed:
            raise _forbidden(user, info, decision.reason)


def read_headers(headers: CIMultiDictProxy[str]) -> Wanted | None:
    """Whom the headers of a request name; None if they name nobody.

    Raises:
        StatusError: 400, they say more of a user whom they do not name.
    """
    name, uid = headers.get(_USER, ""), headers.get(_UID, "")
    groups = tuple(headers.getall(_GROUP, []))
    extra: dict[str, list[str]] = {}
    for key, value in headers.items():
        if key.lower().startswith(_EXTRA):
            extra.setdefault(unquote(key.lower()[len(_EXTRA) :]), []).append(value)
    if name:
        return Wanted(name, uid, groups, extra)
    if uid or groups or extra:
        shown = _as_go(Wanted(name, uid, groups, extra))
        raise status.bad_request(f"requested {shown} without impersonating a user name")
    return None


def _fits(way: str, wanted: Wanted, user: User) -> bool:
    """Whether a way is for such a user at all."""
    node, account = _node(wanted.name), _account(wanted.name)
    match way:
        case "associated-node":
            own = user.extra.get(_NODE_NAME, [])
            return wanted.only_named and bool(node) and own == [node] and _account(user.name) is not None
        case "arbitrary-node":
            return wanted.only_named and bool(node)
        case "serviceaccount":
            return wanted.only_named and account is not None
        case "user-info":
            return not node and account is None
    return True


def _needed(way: str, wanted: Wanted) -> Iterator[RequestInfo]:
    """What one must be allowed to do to be that user."""
    verb = LEGACY if way == LEGACY else f"impersonate:{way}"
    group = "" if way == LEGACY else _AUTHENTICATION
    node, account = _node(wanted.name), _account(wanted.name)
    if way != LEGACY and node:
        yield _request(verb, group, "nodes", "*" if way == ASSOCIATED_NODE else node)
    elif account is not None:
        yield _request(verb, group, "serviceaccounts", account[1], namespace=account[0])
    else:
        yield _request(verb, group, "users", wanted.name)
    if wanted.uid:
        yield _request(verb, _AUTHENTICATION, "uids", wanted.uid)
    for each in wanted.groups:
        yield _request(verb, group, "groups", each)
    for key, values in wanted.extra.items():
        for value in values:
            yield _request(verb, _AUTHENTICATION, "userextras", value, subresource=key)


def _check_fields(way: str, wanted: Wanted, user: User) -> None:
    """Raises StatusError (403) for what can be nobody's, which the old way lets pass."""
    verb = f"impersonate:{way}"
    if "" in wanted.groups:
        info = _request(verb, _AUTHENTICATION, "groups", "")
        raise _forbidden(user, info, "impersonating the empty string group is not allowed")
    if MASTERS in wanted.groups:
        info = _request(verb, _AUTHENTICATION, "groups", MASTERS)
        raise _forbidden(user, info, "impersonating the system:masters group is not allowed")
    for key, values in wanted.extra.items():
        why = _wrong_extra(key, values)
        if why:
            raise _forbidden(user, _request(verb, _AUTHENTICATION, "userextras", ""), why)


def _wrong_extra(key: str, values: list[str]) -> str:
    if not key:
        return "impersonating the empty string key in extra is not allowed"
    domain, _, path = key.partition("/")
    invalid = "impersonating an invalid key in extra is not allowed: extra.key: Invalid value"
    if not domain or not path:
        return f'{invalid}: "{key}": must be a domain-prefixed path (such as "acme.io/foo")'
    problem = next(iter(names.dns_subdomain(domain)), "")
    if problem:
        return f'{invalid}: "{domain}": {problem}'
    if "" in values:
        return "impersonating the empty string value in extra is not allowed"
    return ""


def _become(way: str, wanted: Wanted) -> User:
    groups = wanted.groups
    account = _account(wanted.name)
    if way in (ASSOCIATED_NODE, ARBITRARY_NODE):
        groups = (NODES_GROUP,)
    elif account is not None and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{account[0]}")
    if wanted.name == ANONYMOUS.name:
        implied = UNAUTHENTICATED
    else:
        implied = "" if UNAUTHENTICATED in groups else AUTHENTICATED
    if implied and implied not in groups:
        groups = (*groups, implied)
    return User(wanted.name, wanted.uid, groups, wanted.extra)


def _request(
    verb: str, group: str, plural: str, name: str, *, namespace: str = "", subresource: str = ""
) -> RequestInfo:
    info = RequestInfo(verb, "", {})
    info.group, info.version, info.plural, info.name = group, "v1", plural, name
    info.namespace, info.subresource = namespace, subresource
    return info


def _forbidden(user: User, info: RequestInfo, reason: str) -> status.StatusError:
    why = refusal(user, info, reason)
    return status.forbidden_request(info.group, info.plural, object_name(info), why)


def _node(name: str) -> str:
    """The node whose user has this name; empty if there can be none."""
    node = name.removeprefix(NODE_PREFIX) if name.startswith(NODE_PREFIX) else ""
    return node if node and not names.dns_subdomain(node) else ""


def _account(name: str) -> tuple[str, str] | None:
    """Namespace and name of the service account whose user has this name."""
    parts = name.removeprefix(_ACCOUNT).split(":") if name.startswith(_ACCOUNT) else []
    if len(parts) != 2 or names.dns_label(parts[0]) or names.dns_subdomain(parts[1]):
        return None
    return parts[0], parts[1]


def _as_go(wanted: Wanted) -> str:
    """The user as Go's ``%#v`` shows one."""
    quoted = [json.dumps(group, ensure_ascii=False) for group in wanted.groups]
    groups = f"[]string{{{', '.join(quoted)}}}" if quoted else "[]string(nil)"
    extra = ", ".join(
        f"{json.dumps(key)}:[]string{{{', '.join(map(json.dumps, values))}}}"
        for key, values in sorted(wanted.extra.items())
    )
    shown = f"map[string][]string{{{extra}}}" if extra else "map[string][]string(nil)"
    return f'&user.DefaultInfo{{Name:"", UID:{json.dumps(wanted.uid)}, Groups:{groups}, Extra:{shown}}}'
