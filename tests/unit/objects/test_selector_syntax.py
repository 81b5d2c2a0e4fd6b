"""Label and field selectors: what their texts mean and which are refused."""

import pytest

from clusterip.objects.meta import LabelSelector, LabelSelectorRequirement
from clusterip.objects.selectors import (
    EVERYTHING,
    NOTHING,
    SelectorError,
    from_label_selector,
    from_map,
    parse_field_selector,
    parse_label_selector,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("x=a,y=b,z=c", "x=a,y=b,z=c"),
        ("z=c,x=a", "x=a,z=c"),
        ("x!=a,y=b", "x!=a,y=b"),
        ("x==a", "x==a"),
        ("x", "x"),
        ("!x", "!x"),
        ("x=", "x="),
        (" x = a , y ", "x=a,y"),
        ("x in (a,b)", "x in (a,b)"),
        ("x in (b,a,a)", "x in (a,b)"),
        ("x notin ( a )", "x notin (a)"),
        ("x in ()", "x in ()"),
        ("x in (,a)", "x in (,a)"),
        ("x in (a,,b)", "x in (,a,b)"),
        ("x in (a,)", "x in (,a)"),
        ("in in (in,notin)", "in in (in,notin)"),
        ("x=in", "x=in"),
        ("x>1,y<5", "x>1,y<5"),
        ("example.com/x=a", "example.com/x=a"),
    ],
)
def test_label_selector_texts(text, shown):
    selector = parse_label_selector(text)
    assert str(selector) == shown
    assert str(parse_label_selector(shown)) == shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x=a||y=b", "Invalid value"),
        ("x==a==b", "found '==', expected: ',' or 'end of string'"),
        ("!x=a", "found '=', expected: ',' or 'end of string'"),
        ("x<a", "the value must be an integer"),
        ("x,", "found '', expected: identifier after ','"),
        ("x,,y", "found ',', expected: identifier after ','"),
        (",x", "found ',', expected: !, identifier, or 'end of string'"),
        ("=", "found '=', expected: !, identifier, or 'end of string'"),
        ("x in a", "unable to parse requirement: found 'a' expected: '('"),
        ("x in (a", "unable to parse requirement: found ''"),
        ("x in (a b)", "unable to parse requirement: found 'b', expected: ',' or ')'"),
        ("x y", "found 'y', expected: in, notin, =, ==, !=, gt, lt"),
        ("x=(a)", "found '(', expected: identifier"),
        ("a$=b", '<nil>: Invalid value: "a$"'),
        ("a=b$", 'values[0][a]: Invalid value: "b$"'),
    ],
)
def test_label_selectors_refused(text, message):
    with pytest.raises(SelectorError) as refused:
        parse_label_selector(text)
    assert message in str(refused.value)


LABELS = {"app": "web", "tier": "front", "weight": "5", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app=db", False),
        ("app!=db,gone!=x", True),
        ("app!=web", False),
        ("app in (web,db)", True),
        ("gone in (web)", False),
        ("app notin (db),gone notin (x)", True),
        ("app notin (web)", False),
        ("app,empty", True),
        ("gone", False),
        ("!gone", True),
        ("!app", False),
        ("weight>4", True),
        ("weight>5", False),
        ("weight<6", True),
        ("app>1", False),
        ("gone<1", False),
        ("empty=", True),
    ],
)
def test_label_matching(text, matches):
    assert parse_label_selector(text).matches(LABELS) is matches


def test_selectors_of_objects():
    assert from_map(None) is EVERYTHING
    assert from_map({"b": "2", "a": "1"}) == parse_label_selector("a=1,b=2")
    assert from_label_selector(None) is NOTHING
    assert not NOTHING.matches({})
    assert not NOTHING.empty
    assert from_label_selector(LabelSelector()).empty
    selector = LabelSelector(
        matchLabels={"app": "web"},
        matchExpressions=[
            LabelSelectorRequirement(key="tier", operator="In", values=["front", "back"]),
            LabelSelectorRequirement(key="gone", operator="DoesNotExist"),
        ],
    )
    assert str(from_label_selector(selector)) == "app=web,!gone,tier in (back,front)"
    assert from_label_selector(selector).matches(LABELS)
    bad = LabelSelector(matchExpressions=[LabelSelectorRequirement(key="a", operator="Like")])
    with pytest.raises(SelectorError, match='"Like" is not a valid label selector operator'):
        from_label_selector(bad)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("a=b", [("a", True, "b")]),
        ("x==a,b!=c", [("b", False, "c"), ("x", True, "a")]),
        ("a=", [("a", True, "")]),
        ("a=b\\,c\\=d\\\\", [("a", True, "b,c=d\\")]),
        (",a=b,", [("a", True, "b")]),
    ],
)
def test_field_selector_texts(text, terms):
    selector = parse_field_selector(text)
    assert [(t.field, t.equal, t.value) for t in selector.terms] == terms
    assert parse_field_selector(str(selector)) == selector


@pytest.mark.parametrize("text", ["a", "a=b=c", "a=b\\x", "a=b\\"])
def test_field_selectors_refused(text):
    with pytest.raises(SelectorError):
        parse_field_selector(text)


def test_field_matching():
    fields = {"status.phase": "Running", "spec.nodeName": ""}
    get = fields.__getitem__
    assert parse_field_selector("status.phase=Running,spec.nodeName!=node-1").matches(get)
    assert not parse_field_selector("status.phase!=Running").matches(get)
    assert parse_field_selector("status.phase=Running").exact("status.phase") == "Running"
    assert parse_field_selector("status.phase!=Running").exact("status.phase") is None
