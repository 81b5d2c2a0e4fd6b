"""Rewriting the links in HTML. The results are those of Go's tokenizer."""

from __future__ import annotations

import pytest

from clusterip.apiserver.subresources.proxy.html import rewrite_body, rewrite_html
from clusterip.apiserver.subresources.proxy.links import BadLink, Links
from clusterip.apiserver.subresources.proxy.paths import clean, escape, join

LINKS = Links("/proxy", "192.0.2.1:8080", "api.example:6443")


def rewritten(text: str) -> str:
    return "".join(rewrite_html(text, LINKS.rewrite))


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('<a href="/x">t</a>', '<a href="/proxy/x">t</a>'),
        ("<A HREF=/x>t</A>", '<a href="/proxy/x">t</A>'),
        ("<a href='/x'>", '<a href="/proxy/x">'),
        ('<a href = "/x" >', '<a href="/proxy/x">'),
        ('<a\n href="/x"\n>', '<a href="/proxy/x">'),
        ('<img src="/i.png"/>', '<img src="/proxy/i.png"/>'),
        ('<img src="/i.png" />', '<img src="/proxy/i.png"/>'),
        ('<a href="/x?a=1&amp;b=2&copy=3">', '<a href="/proxy/x?a=1&amp;b=2&amp;copy=3">'),
        ('<p title="/x">', '<p title="/x">'),
        ("<input disabled>", '<input disabled="">'),
        ('<a href="/x" href="/y">', '<a href="/proxy/x">'),
        ('<a href="http://[bad">', '<a href="http://[bad">'),
        ('<a href="#top">', '<a href="#top">'),
        ('<a href="">', '<a href="">'),
        ('<a href="mailto:a@b">', '<a href="mailto:a@b">'),
        ("<!-- <a href=/x> -->", "<!-- <a href=/x> -->"),
        ("<!DOCTYPE html>", "<!DOCTYPE html>"),
        ("a < b <3 </a>", "a < b <3 </a>"),
        ('<script>"<a href=/x>"</script>', '<script>"<a href=/x>"</script>'),
        (
            "<SCRIPT src=/s.js></SCRIPT ><a href=/x>",
            '<script src="/proxy/s.js"></SCRIPT ><a href="/proxy/x">',
        ),
        ("<textarea><a href=/x></textarea>", "<textarea><a href=/x></textarea>"),
        ("<title>never ended <a href=/x>", "<title>never ended <a href=/x>"),
        ('<form action="/f/">', '<form action="/proxy/f/">'),
        ("<body background=/b>", '<body background="/proxy/b">'),
        ("text only", "text only"),
        ("<a href=/x/>", '<a href="/proxy/x/">'),
        ("<br/><hr / >", "<br/><hr>"),
        ('<a href="/x\r\ny">', '<a href="/x\ny">'),
        ("<!--><a href=/x>-->", '<!--><a href="/proxy/x">-->'),
        ("<!---><a href=/x>", '<!---><a href="/proxy/x">'),
        ("<script/><a href=/x>", "<script/><a href=/x>"),
        ('<a href="/x%zz">', '<a href="/x%zz">'),
        ("<?php <a href=/x> ?>", "<?php <a href=/x> ?>"),
        ("<a href=/x", ""),
    ],
)
def test_links_are_rewritten_and_the_rest_stays(text: str, result: str) -> None:
    assert rewritten(text) == result


def test_bytes_that_are_no_text_pass() -> None:
    body = b"\xff<a href=/x>\xfe</a>"
    assert rewrite_body(body, "", LINKS.rewrite) == b'\xff<a href="/proxy/x">\xfe</a>'
    assert rewrite_body(body, "br", LINKS.rewrite) is None


@pytest.mark.parametrize(
    ("link", "result"),
    [
        ("/x", "/proxy/x"),
        ("/", "/proxy/"),
        ("/a/", "/proxy/a/"),
        ("/a/../b", "/proxy/b"),
        ("/a%20b?c=%20#d", "/proxy/a%20b?c=%20#d"),
        ("/proxy/x", "/proxy/x"),
        ("x/y", "x/y"),
        ("?q", "?q"),
        ("http://192.0.2.1:8080/x", "/proxy/x"),
        ("https://api.example:6443/x", "/proxy/x"),
        ("//192.0.2.1:8080/x", "/proxy/x"),
        ("http://192.0.2.1/x", "http://192.0.2.1/x"),
        ("http://elsewhere/x", "http://elsewhere/x"),
    ],
)
def test_links_to_the_server_lead_through_the_proxy(link: str, result: str) -> None:
    assert LINKS.rewrite(link) == result


@pytest.mark.parametrize("text", ["http://[bad", "/a\x01b"])
def test_what_is_no_link(text: str) -> None:
    with pytest.raises(BadLink):
        LINKS.rewrite(text)


def test_paths() -> None:
    assert [clean(each) for each in ("", "/", "//a//", "/a/./b/../c", "/../..")] == [
        "",
        "/",
        "/a/",
        "/a/c",
        "/",
    ]
    assert join("/a/", "/b/../c", "") == "/a/c"
    assert join("", "") == ""
    assert escape("/a b/é%;=@!") == "/a%20b/%C3%A9%25;=@%21"
