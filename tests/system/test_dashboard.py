"""The dashboard on a cluster with traffic: the map, a trace, the kernel's rules; the docs' pictures.

``make pictures`` has them drawn into docs/pictures.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from clusterip.kernel import namespaces
from tests.support.browser import opened, running_browser, too_faint
from tests.support.cluster import PROGRAM, Machine, TestCluster
from tests.support.load import requests_from

SIZE = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def browser(machine: Machine) -> Iterator[Browser]:
    """On the cluster's machine."""
    assert namespaces.path_of(machine.name).exists()
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go."""
    return Path(os.environ.get("PICTURES") or tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def url(cluster: TestCluster, address: str) -> Iterator[str]:
    """Of `clusterip ui`, with its key, while connections are made to the example."""
    command = [str(PROGRAM), "ui", "--no-open"]
    with (
        requests_from(namespaces.path_of(cluster.config.namespace_of("node-1")), address),
        subprocess.Popen(command, env=cluster.environment, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def of_service(url: str) -> str:
    """The Service's view needs the key once, in the tab that is signed in."""
    return re.sub(r"#.*", "#/services/default/my-service", url)


@contextlib.contextmanager
def shown(browser: Browser, url: str, theme: str = "light") -> Iterator[Page]:
    with opened(browser, url, color_scheme=theme, viewport=SIZE) as page:
        expect(page.get_by_role("heading", name="Services", exact=True)).to_be_visible()
        yield page


def boxes(page: Page, kind: str) -> list[str]:
    texts = page.locator(f".map g.item.{kind} .strong").all_text_contents()
    return sorted(texts)


def test_the_map_changes_with_the_cluster(cluster: TestCluster, browser: Browser, url: str) -> None:
    with shown(browser, url) as page:
        page.goto(of_service(url))
        expect(page.locator(".map g.item.endpoint")).to_have_count(3)
        addresses = sorted(pod["status"]["podIP"] for pod in cluster.pods())
        assert boxes(page, "endpoint") == addresses
        assert boxes(page, "node") == sorted({pod["spec"]["nodeName"] for pod in cluster.pods()})
        expect(page.locator(".map .flowing").first).to_be_attached()
        page.get_by_label("Replicas of my-app").fill("5")
        page.get_by_role("button", name="Scale").click()
        expect(page.locator(".map g.item.endpoint")).to_have_count(5)
        assert len(cluster.pods()) == 5
        cluster.kubectl("scale", "deployment/my-app", "--replicas=3")
        expect(page.locator(".map g.item.endpoint")).to_have_count(3)
        page.get_by_role("link", name="Nodes").click()
        expect(page.get_by_text("in step")).to_have_count(3)
        page.get_by_role("link", name="DNS").click()
        expect(page.get_by_role("heading", name="DNS", exact=True)).to_be_visible()


def test_a_connection_is_traced_from_the_page(cluster: TestCluster, browser: Browser, url: str) -> None:
    pod = cluster.pods()[0]
    with shown(browser, url) as page:
        page.goto(of_service(url))
        page.get_by_label("From").select_option(f"pod/default/{pod['metadata']['name']}")
        page.get_by_role("button", name="Trace", exact=True).click()
        told = page.locator("#trace-told")
        expect(told.locator(".state.good").first).to_contain_text("reached 10.250.")
        expect(told.locator("svg.path g.item").first).to_contain_text(pod["metadata"]["name"][:20])
        assert told.locator("svg.path g.item").count() >= 2
        expect(told.locator(".step.observed").first).to_be_visible()
        expect(told.locator("pre", has_text="numgen random mod 3").first).to_be_visible()
        expect(told.get_by_text("map @services").first).to_be_visible()
        expect(told.locator(".hop.back").first).to_be_visible()
        assert too_faint(page) == []


def test_a_trace_says_what_is_wrong(cluster: TestCluster, browser: Browser, url: str) -> None:
    spec = '{"metadata":{"name":"empty"},"apiVersion":"v1","kind":"Service",'
    spec += '"spec":{"selector":{"app":"my-ap"},"ports":[{"port":80}]}}'
    cluster.kubectl("apply", "-f", "-", stdin=spec)
    with shown(browser, url) as page:
        page.goto(of_service(url).replace("my-service", "empty"))
        page.get_by_label("From").select_option("node/node-1")
        page.get_by_role("button", name="Trace", exact=True).click()
        told = page.locator("#trace-told")
        expect(told.get_by_role("alert")).to_contain_text("To do:")
        expect(told.get_by_role("alert")).to_contain_text("app=my-app")
    cluster.kubectl("delete", "service", "empty")


def test_what_a_nodes_kernel_has(cluster: TestCluster, browser: Browser, url: str, address: str) -> None:
    with shown(browser, url) as page:
        page.goto(of_service(url))
        page.get_by_role("button", name="Rules on node-2").click()
        dialog = page.get_by_role("dialog")
        rules = dialog.get_by_label("Rules", exact=True)
        expect(rules).to_contain_text(f"ip clusterip services {{ {address} . tcp . 80 :")
        assert rules.inner_text().count("ip clusterip endpoints {") == 3
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(page.get_by_role("button", name="Rules on node-2")).to_be_focused()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures(browser: Browser, url: str, pictures: Path, theme: str) -> None:
    pictures.mkdir(exist_ok=True)
    with shown(browser, url, theme) as page:
        expect(page.locator(".rows .busy .line[d^=M]").first).to_be_attached()
        assert too_faint(page) == []
        page.screenshot(path=pictures / f"services-{theme}.png")
        page.goto(of_service(url))
        expect(page.locator(".map .flowing").first).to_be_attached()
        history = 25 if "PICTURES" in os.environ else 2
        points = re.compile(f"M([^L]*L){{{history - 1},}}")
        expect(page.locator(".spark.large .line").first).to_have_attribute("d", points, timeout=100_000)
        assert too_faint(page) == []
        page.screenshot(path=pictures / f"service-{theme}.png")
        page.get_by_label("From").select_option("node/node-1")
        page.get_by_role("button", name="Trace", exact=True).click()
        expect(page.locator("#trace-told .hop").first).to_be_visible()
        page.locator("#trace-heading").evaluate("each => each.closest('section').scrollIntoView()")
        page.screenshot(path=pictures / f"trace-{theme}.png")
