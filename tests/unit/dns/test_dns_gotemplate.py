"""Go's template language, as its documentation has it (pkg.go.dev/text/template)."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterip.dns.gotemplate import BadTemplate, Template

VALUES: dict[str, Any] = {
    "Name": "ip-10-0-0-1.example.",
    "Type": "A",
    "Match": ["whole", "b", "10"],
    "Group": {"a": "10", "b": "0a"},
    "Deep": {"In": {"Side": 7}},
    "None": None,
    "Empty": [],
    "Meta": lambda label: "of:" + label,
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{ .Name }} 60 IN {{ .Type }} 10.{{.Group.a}}", "ip-10-0-0-1.example. 60 IN A 10.10"),
        ("{{ index .Match 1 }}{{ index .Group `b` }}", "b0a"),
        ("{{ parseInt .Group.b 16 8 }}", "10"),
        ("{{ .Deep.In.Side }}", "7"),
        ('{{ if eq .Type "AAAA" "A" }}yes{{ else }}no{{ end }}', "yes"),
        ('{{ if eq .Type "MX" }}a{{ else if ne .Type "A" }}b{{ else }}c{{ end }}', "c"),
        ("{{ if .Empty }}a{{ else }}b{{ end }}{{ if .Nothing }}c{{ end }}{{ if not .None }}d{{ end }}", "bd"),
        ("{{ range .Match }}[{{ . }}]{{ end }}", "[whole][b][10]"),
        ("{{ range $i, $m := .Match }}{{ if $i }},{{ end }}{{ $m }}{{ end }}", "whole,b,10"),
        ("{{ range $m := .Group }}{{ $m }} {{ end }}", "10 0a "),
        ("{{ range .Empty }}x{{ else }}none{{ end }}", "none"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        ('{{ range .Match }}{{ if eq . "b" }}{{ break }}{{ end }}{{ . }}{{ end }}', "whole"),
        ('{{ range .Match }}{{ if eq . "b" }}{{ continue }}{{ end }}{{ . }}{{ end }}', "whole10"),
        ("{{ with .Group }}{{ .a }}{{ $.Type }}{{ end }}", "10A"),
        ("{{ with .Empty }}x{{ else with .Type }}{{ . }}{{ end }}", "A"),
        ("{{ with $x := .Type }}{{ $x }}{{ end }}", "A"),
        ("{{ $t := 1 }}{{ range .Match }}{{ $t = len . }}{{ end }}{{ $t }}", "2"),
        ("{{ $t := 1 }}{{ if true }}{{ $t := 2 }}{{ end }}{{ $t }}", "1"),
        ("a {{- /* not seen */ -}} b", "ab"),
        ("a  {{- 1 -}}  b", "a1b"),
        ("a {{ -1 }}", "a -1"),
        ('{{ .Name | len | printf "%d" }}', "20"),
        ('{{ (index .Match 2) | printf "%s!" }}', "10!"),
        ('{{ printf "%03d|%-4s|%4s|%x|%X|%q" 7 "a" "b" 255 "ab" "s" }}', '007|a   |   b|ff|6162|"s"'),
        ('{{ printf "%v|%t|%%|%5.1f|%c|%s" 1.5 true 2.0 65 "z" }}', "1.5|true|%|  2.0|A|z"),
        ('{{ printf "%d" "x" }}{{ printf "%d" }}{{ printf "a" 1 }}', "%!d(x)%!d(MISSING)a%!(EXTRA 1)"),
        ("{{ print 1 2 `a` 3 }} {{ println `x` 1 }}", "1 2a3 x 1\n"),
        ("{{ slice .Name 3 5 }}{{ slice .Match 1 }}{{ len .Match }}", "10[b 10]3"),
        ("{{ and 1 0 }}{{ or 0 `x` }}{{ and 1 2 3 }}{{ or `` 0 }}", "0x30"),
        ("{{ or 1 (index .Match 9) }}", "1"),  # what is not needed is not looked at
        ("{{ lt 1 2 }}{{ le 2 2 }}{{ gt 1 2 }}{{ ge 1 2 }}", "truetruefalsefalse"),
        ("{{ html `<a&b>` }}{{ urlquery `a b&c` }}{{ js `\"` }}", '&lt;a&amp;b&gt;a+b%26c\\"'),
        ('{{ .Meta "kubernetes/namespace" }}', "of:kubernetes/namespace"),
        ('{{ define "r" }}<{{ . }}>{{ end }}{{ template "r" .Type }}', "<A>"),
        ('{{ block "q" .Group }}{{ .a }}{{ end }}', "10"),
        ("{{ .Nothing }}|{{ nil | print }}|{{ .Match }}", "<no value>|<nil>|[whole b 10]"),
        ("{{ .Group }}", "map[a:10 b:0a]"),
        ('{{ "a}}b" }}{{ `{{` }}{{ \'x\' }}', "a}}b{{120"),
        ("{{ 0x1F }} {{ 1.5 }} {{ 1e3 }} {{ 0b11 }} {{ 010 }}", "31 1.5 1000 3 8"),
    ],
)  # fmt: skip
def test_templates(template: str, text: str) -> None:
    assert Template(template).fill(VALUES) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{ .Name ",
        "{{ }}",
        "{{ if }}x{{ end }}",
        "{{ if .Name }}x",
        "{{ end }}",
        "{{ else }}",
        "{{ break }}",
        "{{ nosuch 1 }}",
        '{{ template "gone" }}',
        '{{ define "a" }}{{ end }}{{ template "a" nosuch }}',
        "{{ 'ab' }}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ template x }}",
        "{{ ( 1 }}",
        "{{ 1 ) }}",
        "{{ 1 | }}",
        "{{ $a, $b, $c := 1 }}",
        "{{ .Name := 1 }}",
        "{{ ~ }}",
        "{{ range .Match }}{{ else if true }}{{ end }}",
    ],
)
def test_what_is_no_template(template: str) -> None:
    with pytest.raises(BadTemplate):
        Template(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ index .Match 9 }}",
        "{{ index .Name `x` }}",
        "{{ .Name.x }}",
        "{{ $gone }}",
        "{{ $gone = 1 }}",
        "{{ .Name 1 }}",
        "{{ lt 1 `a` }}",
        "{{ eq 1 }}",
        "{{ parseInt `zz` 10 8 }}",
        "{{ parseInt `300` 10 8 }}",
        "{{ len 1 }}",
        "{{ slice .Name 9 3 }}",
        "{{ not }}",
        "{{ range .Name }}{{ end }}",
        '{{ define "r" }}{{ template "r" }}{{ end }}{{ template "r" }}',
        "{{ range 70000 }}xx{{ end }}",
        "{{ $a, $b := 1 }}",
        "{{ call 1 }}",
        "{{ .Meta }}",
        "{{ call .Meta 1 }}",
    ],
)
def test_what_fails_says_why(template: str) -> None:
    made = Template(template)
    with pytest.raises(BadTemplate, match=r"\w"):
        made.fill(VALUES)


@given(st.text(alphabet=" {}.$|()\"`'ab1-:=,/*", max_size=40))
def test_any_text_is_a_template_or_none(text: str) -> None:
    with contextlib.suppress(BadTemplate):
        Template(text).fill(VALUES)
