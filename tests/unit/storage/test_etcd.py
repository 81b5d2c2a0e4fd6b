"""What only an etcd store has to cope with: members that go away, TLS, addresses."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterip.storage.etcd.endpoints import Tls, parse
from clusterip.storage.etcd.failures import EtcdError
from clusterip.storage.etcd.gateway import Gateway
from clusterip.storage.etcd.login import User, read_user
from clusterip.storage.etcd.messages import bounds, watch_from
from clusterip.storage.etcd.stream import stream
from clusterip.storage.open import open_store
from clusterip.storage.store import (
    Closed,
    Compacted,
    Compare,
    Conflict,
    Event,
    Put,
    Store,
    StoreError,
    Unavailable,
)
from tests.support.etcd import Etcd, etcd_cluster, running_etcd
from tests.support.pki import Authority

WRITERS = 8


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Etcd]]:
    with etcd_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def url(members: list[Etcd]) -> str:
    return "etcd://" + ",".join(member.endpoint for member in members)


async def _follow(store: Store, after: int) -> list[Event]:
    """Every event up to the one of "/last"."""
    seen: list[Event] = []
    async for events in store.watch("/", after):
        seen += events
        if seen[-1].key == "/last":
            return seen
    raise AssertionError("a watch has no end")


async def test_members_may_be_killed_while_writes_and_watches_go_on(members: list[Etcd]) -> None:
    store = await open_store(url(members))
    start = await store.revision()
    following = asyncio.create_task(_follow(store, start))
    done, wrote = asyncio.Event(), asyncio.Event()
    acknowledged: dict[str, int] = {}

    async def write(writer: int) -> None:
        n = 0
        while not done.is_set():
            key = f"/{writer}/{n}"
            acknowledged[key] = await store.transact([Compare(key, 0)], [Put(key, key.encode())])
            wrote.set()
            n += 1

    async def progress() -> None:
        enough = len(acknowledged) + 200
        while len(acknowledged) < enough:
            await wrote.wait()
            wrote.clear()

    writers = [asyncio.create_task(write(n)) for n in range(WRITERS)]
    try:
        for member in members:  # one after the other, so the leader is among them
            await progress()
            member.kill()
            await progress()
            await asyncio.to_thread(member.start)
        done.set()
        await asyncio.gather(*writers)
        acknowledged["/last"] = await store.transact([], [Put("/last", b"")])
        seen = await asyncio.wait_for(following, 20)
        told = {event.key: event.revision for event in seen}
        assert len(told) == len(seen)  # nothing twice, as no key was put twice
        assert [e.revision for e in seen] == sorted(e.revision for e in seen)
        assert acknowledged.items() <= told.items()
        stored = {item.key: item.mod_revision for item in (await store.list("/")).items}
        assert stored == told
    finally:
        for writer in writers:
            writer.cancel()
        await store.close()


async def test_a_member_that_falls_silent_is_left(members: list[Etcd]) -> None:
    """It still has its connections, so nothing but its silence tells."""
    first = members[0]
    store = await open_store(url(members))
    other = await open_store(url(members[1:]))
    try:
        start = await store.revision()
        following = asyncio.create_task(_follow(store, start))
        await store.transact([], [Put("/before", b"")])
        first.freeze()
        # The watch and a call are both on the silent member now; neither may wait for it for ever.
        revision = await asyncio.wait_for(store.transact([], [Put("/during", b"")]), 25)
        assert (await other.get("/during")) is not None
        await other.transact([], [Put("/last", b"")])
        seen = await asyncio.wait_for(following, 25)
        assert [event.key for event in seen] == ["/before", "/during", "/last"]
        assert seen[1].revision == revision
        assert store.trouble == ""
    finally:
        first.thaw()
        await store.close()
        await other.close()
        await asyncio.to_thread(first.wait)


async def test_a_member_without_a_majority(members: list[Etcd]) -> None:
    """Its watches go on once there is one again."""
    store = await open_store(url(members[:1]))
    gateway = Gateway([f"http://{members[0].endpoint}"], None, User())
    try:
        revision = await store.revision()
        following = asyncio.create_task(_follow(store, revision))
        for member in members[1:]:
            member.kill()
        refused = ""
        while "no leader" not in refused:  # those before that began while it was not missed yet
            with pytest.raises(Unavailable) as ended:
                async for _answer in stream(gateway, watch_from("/", revision)):
                    pass
            refused = str(ended.value)
        for member in members[1:]:
            await asyncio.to_thread(member.start)
        await store.transact((), (Put("/last", b""),))
        assert [event.key for event in await asyncio.wait_for(following, 30)] == ["/last"]
    finally:
        await gateway.close()
        await store.close()


async def test_leadership_moves_while_writes_go_on(members: list[Etcd]) -> None:
    store = await open_store(url(members))
    try:
        done = asyncio.Event()

        async def write(writer: int) -> list[int]:
            revisions: list[int] = []
            while not done.is_set():
                key = f"/moving/{writer}/{len(revisions)}"
                revisions.append(await store.transact([Compare(key, 0)], [Put(key, b"")]))
            return revisions

        writers = [asyncio.create_task(write(n)) for n in range(WRITERS)]
        for _ in range(4):
            await asyncio.to_thread(_move_leadership, members)
        done.set()
        acknowledged = [revision for some in await asyncio.gather(*writers) for revision in some]
        stored = [item.mod_revision for item in (await store.list("/moving/")).items]
        assert sorted(acknowledged) == sorted(stored)
        assert len(set(stored)) == len(stored)
    finally:
        await store.close()


def _move_leadership(members: list[Etcd]) -> None:
    states = [member.ask("/v3/maintenance/status") for member in members]
    leader = states[0]["leader"]
    ids = [state["header"]["member_id"] for state in states]
    follower = next(each for each in ids if each != leader)
    members[ids.index(leader)].ask("/v3/maintenance/transfer-leadership", targetID=follower)


class TestUsers:
    """An etcd on which people have to log in, and ours may do no more than it needs to."""

    @pytest.fixture
    def etcd(self, tmp_path: Path) -> Iterator[Etcd]:
        with running_etcd(tmp_path) as etcd:
            etcd.ask("/v3/auth/user/add", name="root", password="for-people")
            etcd.ask("/v3/auth/user/grant", user="root", role="root")
            etcd.ask("/v3/auth/user/add", name="kube", password="secret")
            etcd.ask("/v3/auth/role/add", name="registry")
            everything = {"permType": "READWRITE", **_encoded("/registry/", "/registry0")}
            etcd.ask("/v3/auth/role/grant", name="registry", perm=everything)
            etcd.ask("/v3/auth/user/grant", user="kube", role="registry")
            etcd.ask("/v3/auth/enable")
            yield etcd

    async def test_what_needs_a_permission(self, etcd: Etcd, tmp_path: Path) -> None:
        password = tmp_path / "password"
        password.write_text("secret\n")
        store = await open_store(f"etcd://{etcd.endpoint}", user=read_user("kube", str(password)))
        try:
            first = await store.transact([], [Put("/registry/a", b"1")])
            watch = store.watch("/registry/", first)
            second = await store.transact([Compare("/registry/a", first)], [Put("/registry/a", b"2")])
            assert [e.revision for e in await asyncio.wait_for(anext(watch), 10)] == [second]
            with pytest.raises(EtcdError, match="permission denied"):
                await store.transact([], [Put("/elsewhere", b"")])

            # etcd forgets whom it let in; both the calls and the watch have to log in again.
            etcd.kill()
            await asyncio.to_thread(etcd.spawn)
            third = await store.transact([], [Put("/registry/b", b"3")])
            assert [e.revision for e in await asyncio.wait_for(anext(watch), 20)] == [third]
            # A change of users makes older logins void.
            await asyncio.to_thread(_change_users, etcd)
            fourth = await store.transact([], [Put("/registry/c", b"4")])
            assert [e.revision for e in await asyncio.wait_for(anext(watch), 20)] == [fourth]
            assert [item.value for item in (await store.list("/registry/")).items] == [b"2", b"3", b"4"]
            await store.compact(third)
        finally:
            await store.close()

    async def test_who_is_not_let_in(self, etcd: Etcd, tmp_path: Path) -> None:
        url = f"etcd://{etcd.endpoint}"
        with pytest.raises(EtcdError, match="invalid user ID or password"):
            await open_store(url, user=User("kube", "guess"))
        with pytest.raises(EtcdError, match="user name is empty"):
            await open_store(url)
        with pytest.raises(StoreError, match="needs a file with the password"):
            read_user("kube", "")
        with pytest.raises(StoreError, match="cannot read the password"):
            read_user("kube", str(tmp_path / "none"))
        assert "guess" not in repr(User("kube", "guess"))


async def test_a_user_is_no_harm_where_none_is_needed(members: list[Etcd]) -> None:
    store = await open_store(url(members), user=User("kube", "secret"))
    await store.transact([], [Put("/registry/x", b"")])
    await store.close()


def _encoded(key: str, end: str) -> dict[str, str]:
    return {
        name: base64.b64encode(value.encode()).decode() for name, value in (("key", key), ("range_end", end))
    }


def _change_users(etcd: Etcd) -> None:
    token = etcd.ask("/v3/auth/authenticate", name="root", password="for-people")["token"]
    body = json.dumps({"name": "another", "password": "x"}).encode()
    request = urllib.request.Request(
        f"http://{etcd.endpoint}/v3/auth/user/add", body, {"Authorization": token}
    )
    urllib.request.urlopen(request, timeout=10).close()


async def test_a_watch_that_missed_a_compaction_says_so(members: list[Etcd]) -> None:
    store = await open_store(url(members))
    try:
        first = await store.transact([], [Put("/c", b"1")])
        newest = await store.transact([], [Put("/c", b"2")])
        await store.compact(newest)
        with pytest.raises(Compacted) as error:
            await anext(store.watch("/", first))
        assert error.value.revision == newest
    finally:
        await store.close()


async def test_a_repeated_transaction_is_recognised(
    members: list[Etcd], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the connection breaks after etcd has done what was asked."""
    store = await open_store(url(members))
    call = Gateway._call
    lost = 0

    async def lose_first_answer(self: Gateway, endpoint: str, path: str, *rest: object) -> object:
        nonlocal lost
        answer: object = await call(self, endpoint, path, *rest)  # type: ignore[arg-type]
        if path.endswith("txn") and not lost:
            lost += 1
            raise Unavailable("the answer got lost")
        return answer

    monkeypatch.setattr(Gateway, "_call", lose_first_answer)
    try:
        revision = await store.transact([Compare("/r", 0)], [Put("/r", b"mine")])
        current = await store.get("/r")
        assert current is not None
        assert (current.mod_revision, current.value) == (revision, b"mine")
        lost = 0
        with pytest.raises(Conflict):
            await store.transact([Compare("/r", 0)], [Put("/r", b"another's")])
    finally:
        await store.close()


async def test_an_etcd_that_lost_its_data_is_not_gone_on_with(tmp_path: Path) -> None:
    """Its revisions begin anew, so what was read before says nothing about what is there."""
    with running_etcd(tmp_path) as etcd:
        store = await open_store(f"etcd://{etcd.endpoint}")
        try:
            for n in range(10):
                revision = await store.transact([], [Put(f"/{n}", b"")])
            watching = asyncio.create_task(_follow(store, revision))
            etcd.lose_data()
            await asyncio.to_thread(etcd.start)
            with pytest.raises(Closed, match=f"at revision 1 after {revision}"):
                await store.revision()
            with pytest.raises(Closed, match="lost or replaced"):
                await asyncio.wait_for(watching, 20)
            with pytest.raises(Closed, match="lost or replaced"):
                await store.transact([], [Put("/x", b"")])
        finally:
            await store.close()


async def test_large_listings_come_in_parts(members: list[Etcd]) -> None:
    store = await open_store(url(members))
    try:
        for n in range(0, 1100, 100):
            await store.transact([], [Put(f"/large/{n + i:04}", b"x" * 20_000) for i in range(100)])
        page = await store.list("/large/")
        assert (len(page.items), page.more, page.remaining) == (1100, False, 0)
        assert [item.key for item in page.items] == [f"/large/{n:04}" for n in range(1100)]
        page = await store.list("/large/", limit=700)
        assert (len(page.items), page.more, page.remaining) == (700, True, 400)
    finally:
        await store.close()


async def test_tls_with_a_client_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server_cert, server_key = authority.issue("etcd", "etcd", addresses=["127.0.0.1"])
    cert, key = authority.issue("apiserver", "apiserver")
    etcd = Etcd(
        tmp_path,
        arguments=[
            f"--cert-file={server_cert}",
            f"--key-file={server_key}",
            f"--trusted-ca-file={authority.certificate}",
            "--client-cert-auth",
        ],
    )
    etcd.scheme = "https"
    try:
        etcd.start()
        files = Tls(str(authority.certificate), str(cert), str(key))
        store = await open_store(f"etcds://{etcd.endpoint}", files)
        try:
            revision = await store.transact([], [Put("/tls", b"1")])
            events = await asyncio.wait_for(anext(store.watch("/", revision - 1)), 5)
            assert [event.key for event in events] == ["/tls"]
        finally:
            await store.close()
        # Waiting would not help, so it is said at once.
        (tmp_path / "another").mkdir()
        another = str(Authority(tmp_path / "another").certificate)
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable, match="certificate verify failed"):
                await open_store(f"etcds://{etcd.endpoint}", Tls(another, str(cert), str(key)))
            with pytest.raises(Unavailable, match=r"(?i)certificate"):
                await open_store(f"etcds://{etcd.endpoint}", Tls(str(authority.certificate)))
    finally:
        etcd.stop()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("etcd://", "does not name etcd's endpoints"),
        ("etcd://a:1/path", "does not name etcd's endpoints"),
        ("etcd://a", "is not HOST:PORT"),
        ("etcd://a:1,b:port", "is not HOST:PORT"),
    ],
)
async def test_addresses_that_cannot_be(text: str, why: str) -> None:
    with pytest.raises(StoreError, match=why):
        await open_store(text)


def test_addresses() -> None:
    assert parse("etcd://a:1,[::1]:2", Tls()) == ["http://a:1", "http://[::1]:2"]
    assert parse("etcds://a:1", Tls()) == ["https://a:1"]
    assert parse("etcd://a:1", Tls(ca_file="ca")) == ["https://a:1"]


async def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot use the TLS files .*none\.crt"):
        await open_store("etcds://127.0.0.1:1", Tls(str(tmp_path / "none.crt")))


def test_the_range_of_a_prefix() -> None:
    assert bounds("/a/") == {"key": b"/a/", "range_end": b"/a0"}
    assert bounds("/a/", "/a/b") == {"key": b"/a/b\0", "range_end": b"/a0"}
    assert bounds("") == {"key": b"\0", "range_end": b"\0"}
