"""What workloads share: a selector, and a template that it must match."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.core.pod.template import validate_template
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.errors import ErrorList, FieldError, Path, forbidden, invalid, not_supported, required
from clusterip.objects.meta import LabelSelector, Object
from clusterip.objects.metadata import validate_label_selector
from clusterip.objects.selectors import Selector, SelectorError, from_label_selector


def validate_selector_and_template(
    selector: LabelSelector | None, template: PodTemplateSpec, path: Path
) -> ErrorList:
    """Errors of ``selector`` and ``template`` below ``path``, and of their disagreement."""
    errors: ErrorList = []
    where = path.child("selector")
    if selector is None:
        errors.append(required(where))
    else:
        errors += validate_label_selector(selector, where)
        if not selector.matchLabels and not selector.matchExpressions:
            errors.append(invalid(where, selector, "empty selector is invalid for deployment"))
    try:
        selected = from_label_selector(selector)
    except SelectorError:
        return [*errors, invalid(where, selector, "invalid label selector")]
    return errors + _validate_template(template, path.child("template"), selected)


def _validate_template(template: PodTemplateSpec, path: Path, selector: Selector) -> ErrorList:
    errors: ErrorList = []
    if not selector.empty:
        errors += must_match(selector, template, path)
    return errors + validate_template(template, path) + runs_forever(template, path, "ReplicaSet")


def must_match(selector: Selector, template: PodTemplateSpec, path: Path) -> ErrorList:
    """An error if a workload would not select the Pods of its own template."""
    labels = template.metadata.labels
    if selector.matches(labels):
        return []
    message = "`selector` does not match template `labels`"
    return [invalid(path.child("metadata", "labels"), labels or None, message)]


def runs_forever(template: PodTemplateSpec, path: Path, kind: str) -> ErrorList:
    """Errors of a template whose Pods would end by themselves."""
    spec, errors = template.spec, list[FieldError]()
    if spec.restartPolicy != "Always":
        errors.append(not_supported(path.child("spec", "restartPolicy"), spec.restartPolicy, ["Always"]))
    if spec.activeDeadlineSeconds is not None:
        message = f"activeDeadlineSeconds in {kind} is not Supported"
        errors.append(forbidden(path.child("spec", "activeDeadlineSeconds"), message))
    return errors


def name_warnings(obj: Object) -> list[str]:
    """A warning if Pods made from the object cannot have its name as their host name."""
    problems = names.dns_label(obj.metadata.name)
    if not problems:
        return []
    return [
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; "
        f"a DNS label is recommended: [{' '.join(problems)}]"
    ]


def selector_text(selector: LabelSelector | None) -> str:
    """The selector as a table and the scale subresource show it."""
    try:
        return str(from_label_selector(selector))
    except SelectorError:
        return "<invalid>"
