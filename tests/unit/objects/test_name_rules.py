"""The rules for names, with upstream's own good and bad examples."""

import pytest

from clusterip.objects import names

GOOD = {
    names.dns_label: ["a", "ab", "abc", "a1", "a-1", "a--1--2--b", "0", "01", "1a", "a" * 63],
    names.dns_subdomain: ["a", "a.b", "a.b.c.d", "0.a", "a-b.c-d", "a" * 253, "1.2.3.4"],
    names.dns1035_label: ["a", "a1", "a-1", "a--1--2--b", "a" * 63],
    names.label_key: ["simple", "now-with-dashes", "1-starts-with-num", "1234", "simple/simple",
                      "1.2.3.4/5678", "Uppercase_Is_OK_123", "example.com/Uppercase_Is_OK_123",
                      "requests.storage-foo", "a" * 63, f"{'a' * 253}/{'b' * 63}"],
    names.label_value: ["", "simple", "now-with-dashes", "1-starts", "UPPER_and.dots", "a" * 63],
    names.port_name: ["telnet", "re-mail-ck", "pop3", "a", "a-1", "1-a", "a-1-b-2-c", "1-a-2-b-3"],
    names.config_key: ["a", "good", "good-good", "still.good", "this.is.also.good", ".so.is.this", "_x"],
    names.environment_variable: ["a", "HOST", "my.env-name", "1", "with space", "a:b"],
    names.percent: ["0%", "1%", "150%"],
    names.http_header: ["X-Requested-With", "0"],
}  # fmt: skip

BAD = {
    names.dns_label: ["", "A", "ABC", "-", "a-", "-a", "_", "a_", "a b", " a", "1.0", "a.b", "a" * 64],
    names.dns_subdomain: ["", "A", "a..b", ".a", "a.", "a_b", "a@b", "a" * 254, "a\n"],
    names.dns1035_label: ["", "0", "01", "1a", "A", "-a", "a-", "a.b", "a" * 64],
    names.label_key: ["nospecialchars%^=@", "cantendwithadash-", "-cantstartwithadash-", "only/one/slash",
                      "Example.com/abc", "example_com/abc", "example.com/", "/simple", "", "a" * 64,
                      f"{'a' * 254}/abc"],
    names.label_value: ["nospecial%", "cantend-", "-cantstart", "a b", "a" * 65, "a\n"],
    names.port_name: ["longerthan15characters", "", "12345", "1-2-3-4", "-begin", "end-", "two--hyphens",
                      "1-UPPER"],
    names.config_key: [".", "..", "..bad", "b*d", "bad!&bad", "", "a" * 254],
    names.environment_variable: ["", "a=b", "ä", "tab\t"],
    names.percent: ["", "1", "-1%", "1.5%", "%"],
    names.http_header: ["", "a b", "X_Y"],
}  # fmt: skip


@pytest.mark.parametrize(("rule", "value"), [(r, v) for r, values in GOOD.items() for v in values])
def test_accepts(rule, value):
    assert rule(value) == []


@pytest.mark.parametrize(("rule", "value"), [(r, v) for r, values in BAD.items() for v in values])
def test_rejects(rule, value):
    assert rule(value)


def test_messages_are_upstreams():
    assert names.dns_label("My_Name") == [
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
        "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
        "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    ]
    assert names.dns_label("a.b") == ["must not contain dots"]
    assert names.dns_label("a" * 64) == ["must be no more than 63 characters"]
    assert names.label_value("a" * 64) == ["must be no more than 63 bytes"]
    assert names.label_key("/a") == ["prefix part must be non-empty"]
    assert names.port_number(0) == ["must be between 1 and 65535, inclusive"]
    assert names.path_segment("a/b%") == ["may not contain '/'", "may not contain '%'"]


@pytest.mark.parametrize("prefix", ["web-", "a", "x" * 70])
def test_generated_names_keep_their_prefix_and_fit(prefix):
    name = names.generate(prefix)
    assert len(name) == min(len(prefix), 58) + 5
    assert name.startswith(prefix[:58])
    assert names.dns_label(name) == []
    assert names.generate(prefix) != name
