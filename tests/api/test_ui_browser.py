"""The dashboard in a real browser, on an API server with RBAC: who sees what, by keyboard, at any size."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from clusterip.client.config import load
from clusterip.client.rest import Client
from clusterip.objects import codec
from clusterip.objects.core.service import Service
from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.browser import opened, running_browser, too_faint

SERVICES = "/api/v1/namespaces/default/services"
MARKUP = "<img src=x onerror=window.hit=1>"
THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApiServer]:
    tokens = ["jane,jane,jane-uid", "kim,kim,kim-uid"]
    directory = tmp_path_factory.mktemp("ui")
    with running_apiserver(directory, "--authorization-mode=Node,RBAC", tokens=tokens) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


def create(server: RunningApiServer, path: str, body: Any) -> Any:
    code, answer = server.request("POST", path, body)
    assert code == 201, answer
    return answer


def service(name: str, **metadata: Any) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **metadata}, "spec": spec}


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Bearer token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def rows(page: Page) -> Any:
    return page.locator(".rows > .row:visible")


def containing(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text))


def row(page: Page, name: str) -> Any:
    return rows(page).filter(has=page.get_by_text(name, exact=True))


def test_a_token_is_asked_for_and_forgotten(apiserver: RunningApiServer, browser: Browser) -> None:
    with opened(browser, f"{apiserver.url}/ui/", refusals=True) as page:
        sign_in(page, "wrong")
        expect(page.get_by_role("alert")).to_contain_text("Could not sign in")
        sign_in(page, apiserver.token)
        expect(row(page, "kubernetes")).to_be_visible()
        assert apiserver.token not in page.url
        page.reload()
        expect(row(page, "kubernetes")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Bearer token")).to_be_visible()
        page.reload()
        expect(page.get_by_label("Bearer token")).to_be_visible()


def test_changes_show_without_being_asked_for(apiserver: RunningApiServer, browser: Browser) -> None:
    with opened(browser, f"{apiserver.url}/ui/", refusals=True) as page:
        sign_in(page, apiserver.token)
        expect(row(page, "kubernetes")).to_be_visible()
        made = create(apiserver, SERVICES, service("coming"))
        expect(row(page, "coming")).to_contain_text(made["spec"]["clusterIP"])
        expect(row(page, "coming")).to_contain_text("0")
        endpoints = [{"addresses": ["10.1.0.1"], "conditions": {"ready": True}}]
        slice_ = {
            "metadata": {"name": "coming-1", "labels": {"kubernetes.io/service-name": "coming"}},
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [{"port": 8080}],
        }
        create(apiserver, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice_)
        expect(row(page, "coming").locator("[data-column=endpoints]")).to_have_text("1")
        apiserver.request("DELETE", f"{SERVICES}/coming")
        expect(row(page, "coming")).to_have_count(0)


def test_a_viewer_of_one_namespace_sees_that_one_and_may_change_nothing(
    apiserver: RunningApiServer, browser: Browser
) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/team/"
    create(apiserver, "/api/v1/namespaces", {"metadata": {"name": "team"}})
    create(apiserver, "/api/v1/namespaces/team/services", service("ours"))
    create(
        apiserver,
        f"{rbac}rolebindings",
        {
            "metadata": {"name": "jane"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"}],
        },
    )
    with opened(browser, f"{apiserver.url}/ui/", refusals=True) as page:
        sign_in(page, "jane")
        expect(page.get_by_role("alert").first).to_contain_text("services is forbidden")
        page.get_by_label("Show one namespace").fill("team")
        page.get_by_role("button", name="Show", exact=True).click()
        expect(row(page, "ours")).to_be_visible()
        expect(row(page, "kubernetes")).to_have_count(0)
        expect(page.get_by_role("link", name="Create")).to_have_count(0)
        row(page, "ours").click()
        expect(page.get_by_role("heading", name="ours")).to_be_visible()
        expect(page.get_by_role("button", name="YAML")).to_be_visible()
        expect(page.get_by_role("button", name="Delete")).to_have_count(0)
        expect(page.get_by_role("button", name="Rules")).to_have_count(0)
        expect(page.get_by_text("A trace takes the right")).to_be_visible()
        page.get_by_role("button", name="YAML").click()
        expect(page.locator("#text")).to_have_attribute("readonly", "")
        expect(page.get_by_role("button", name="Save")).to_have_count(0)


def test_who_may_see_nothing_is_told_so(apiserver: RunningApiServer, browser: Browser) -> None:
    with opened(browser, f"{apiserver.url}/ui/", refusals=True) as page:
        sign_in(page, "kim")
        expect(page.get_by_role("alert").first).to_contain_text('User "kim" cannot list resource "services"')
        expect(rows(page)).to_have_count(0)
        page.get_by_role("link", name="Nodes").click()
        expect(page.get_by_role("alert").first).to_contain_text("nodes is forbidden")


def test_what_objects_say_stays_text(apiserver: RunningApiServer, browser: Browser) -> None:
    made = create(apiserver, SERVICES, service("marked", annotations={"note": MARKUP}))
    involved = {"kind": "Service", "namespace": "default", "name": "marked", "uid": made["metadata"]["uid"]}
    event = {
        "metadata": {"name": "marked.1"},
        "involvedObject": involved,
        "reason": "Marked",
        "message": MARKUP,
        "type": "Warning",
    }
    create(apiserver, "/api/v1/namespaces/default/events", event)
    slice_ = {
        "metadata": {"name": "marked-1", "labels": {"kubernetes.io/service-name": "marked"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.0.1"], "targetRef": {"kind": "Pod", "name": MARKUP}}],
        "ports": [{"port": 8080}],
    }
    create(apiserver, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice_)
    with opened(browser, f"{apiserver.url}/ui/#/services/default/marked", refusals=True) as page:
        sign_in(page, apiserver.token)
        expect(page.get_by_text(MARKUP).first).to_be_visible()
        page.get_by_role("button", name="Edit").click()
        expect(page.locator("#text")).to_have_value(containing(MARKUP))
        for place in (f"#/services/default/{MARKUP}", f"#/services/{MARKUP}/marked", "#/%zz/%3Cscript%3E"):
            page.goto(f"{apiserver.url}/ui/{place}")
            expect(page.get_by_role("heading").first).to_be_visible()
        assert page.locator("main img").count() == 0
        assert page.evaluate("window.hit") is None


def test_everything_by_keyboard_alone(apiserver: RunningApiServer, browser: Browser) -> None:
    create(apiserver, SERVICES, service("found"))
    create(apiserver, SERVICES, service("other"))
    with opened(browser, f"{apiserver.url}/ui/", refusals=True) as page:
        keys = page.keyboard
        expect(page.get_by_label("Bearer token")).to_be_visible()
        tab_to(page, "Bearer token")
        keys.type(apiserver.token)
        keys.press("Enter")
        expect(row(page, "found")).to_be_visible()
        keys.press("/")
        keys.type("found")
        expect(row(page, "other")).to_have_count(0)
        keys.press("ArrowDown")
        keys.press("Enter")
        expect(page.get_by_role("heading", name="found", exact=True)).to_be_focused()
        tab_to(page, "Edit")
        keys.press("Enter")
        expect(page.locator("#text")).to_be_focused()
        expect(page.locator("#text")).to_have_value(containing("port: 80"))
        text = page.locator("#text").input_value()
        keys.press("Control+A")
        keys.insert_text(text.replace("port: 80\n", "port: 81\n"))
        tab_to(page, "Save")
        keys.press("Enter")
        expect(page.get_by_text("81/TCP").first).to_be_visible()
        tab_to(page, "Delete")
        keys.press("Enter")
        expect(page.get_by_role("button", name="Keep it")).to_be_focused()
        keys.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("button", name="Delete")).to_be_focused()
        keys.press("Enter")
        keys.press("Tab")
        keys.press("Enter")
        expect(page.get_by_role("heading", name="Services", exact=True)).to_be_visible()
        assert apiserver.request("GET", f"{SERVICES}/found")[0] == 404
        keys.press("g")
        keys.press("n")
        expect(page.get_by_role("heading", name="Nodes", exact=True)).to_be_visible()
        keys.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("this list")
        keys.press("Escape")
        keys.press("g")
        keys.press("s")
        expect(page.get_by_role("heading", name="Services", exact=True)).to_be_visible()


def tab_to(page: Page, name: str) -> None:
    """Press Tab until something of that name has the focus; it must be seen that it has."""
    for _ in range(40):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """() => {
              const it = document.activeElement;
              const label = it.getAttribute("aria-label") || it.labels?.[0]?.firstChild.textContent;
              const name = label || it.textContent;
              const outline = getComputedStyle(it);
              return [name.trim(), outline.outlineStyle !== "none" && outline.outlineWidth !== "0px"];
            }"""
        )
        if found[0] == name:
            assert found[1], f"the focus on {name} is not seen"
            return
    raise AssertionError(f"{name} is not reached by Tab")


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_can_be_read(apiserver: RunningApiServer, browser: Browser, theme: str) -> None:
    with opened(browser, f"{apiserver.url}/ui/", refusals=True, color_scheme=theme) as page:
        expect(page.get_by_label("Bearer token")).to_be_visible()
        assert too_faint(page) == []
        sign_in(page, "wrong")
        expect(page.get_by_role("alert")).to_be_visible()
        assert too_faint(page) == []
        sign_in(page, apiserver.token)
        expect(row(page, "kubernetes")).to_be_visible()
        assert too_faint(page) == []
        page.keyboard.press("ArrowDown")
        row(page, "kubernetes").click()
        expect(page.get_by_role("heading", name="kubernetes", exact=True)).to_be_visible()
        assert too_faint(page) == []
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert too_faint(page) == []
        page.keyboard.press("Escape")
        page.goto(f"{apiserver.url}/ui/#/create")
        expect(page.get_by_role("button", name="Check")).to_be_visible()
        assert too_faint(page) == []


def test_the_theme_is_the_systems_until_another_is_chosen(
    apiserver: RunningApiServer, browser: Browser
) -> None:
    def ground() -> str:
        found: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return found

    with opened(browser, f"{apiserver.url}/ui/", refusals=True, color_scheme="dark") as page:
        dark = ground()
        button = page.locator("#theme")
        button.click()
        expect(button).to_have_text("Theme: light")
        light = ground()
        assert light != dark
        page.reload()
        assert ground() == light
        button.click()
        expect(button).to_have_text("Theme: dark")
        assert ground() == dark


def test_ten_thousand_services(apiserver: RunningApiServer, browser: Browser) -> None:
    async def fill() -> None:
        async with Client(load(str(apiserver.kubeconfig))) as client:

            async def some(numbers: range) -> None:
                for number in numbers:
                    tree = service(f"s{number:05}", namespace="default")
                    await client.create(codec.decode(json.dumps(tree).encode(), Service))

            await asyncio.gather(*(some(range(first, 10_000, 32)) for first in range(32)))

    with ThreadPoolExecutor(1) as thread:  # the browser's driver has this thread's event loop
        thread.submit(asyncio.run, fill()).result()
    with opened(browser, f"{apiserver.url}/ui/", refusals=True) as page:
        sign_in(page, apiserver.token)
        expect(page.locator("#total")).to_contain_text("10,00")
        expect(row(page, "s00000")).to_be_visible()
        assert page.locator(".rows > .row").count() < 100, "only those that are seen are there"
        page.keyboard.press("/")
        page.keyboard.type("s0777")
        expect(rows(page)).to_have_count(10)
        page.keyboard.press("Escape")
        page.locator(".grid").focus()
        page.keyboard.press("End")
        expect(row(page, "s09999")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="s09999")).to_be_visible()
        page.keyboard.press("Escape")
        expect(row(page, "s09999")).to_be_visible()
        assert page.locator(".grid").get_attribute("aria-rowcount") is not None
