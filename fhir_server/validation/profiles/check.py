"""A node against a profile: cardinality, types, slices, fixed values, bindings, invariants; nothing stops at the first.

https://hl7.org/fhir/R4/profiling.html · https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from fhir_server.definitions import Constraint
from fhir_server.fhirpath import Environment, FhirPathError, Node, child, compile
from fhir_server.validation.invariants import check_constraint, is_published
from fhir_server.validation.profiles.bindings import check_binding
from fhir_server.validation.profiles.profile import Element, Profile, TypeRef
from fhir_server.validation.profiles.slices import belongs, has_type, is_a, slicing_of, target_type
from fhir_server.validation.profiles.values import contains, equals
from fhir_server.validation.run import MAX_DEPTH, STEP, Run

_SYSTEM_TYPE = "http://hl7.org/fhirpath/System."
_ANY_RESOURCE = ("Resource", "DomainResource")


def check_profile(run: Run, node: Node, profile: Profile) -> None:
    """Add every way in which the node, a resource or an element, breaks the profile."""
    key = (id(node.value), profile.url)
    if key in run.active or len(run.active) > MAX_DEPTH:
        return
    if profile.type and not is_a(node.type, profile.type):
        run.add("invalid", f"{_name(profile)} is a profile of {profile.type}.", node)
        return
    run.active.add(key)
    try:
        _check_value(run, node, profile.root)
        if profile.root.binding is not None:
            check_binding(run, node, profile.root.binding)
        _check_constraints(run, node, profile.root.constraints, None)
        _check_below(run, node, profile.root)
    finally:
        run.active.discard(key)


def _name(profile: Profile) -> str:
    return profile.url[:200]


def check_element(run: Run, node: Node, element: Element) -> None:
    """Add every way in which the node breaks this element of a profile, or one below it."""
    run.spent(STEP)
    _check_type(run, node, element)
    _check_value(run, node, element)
    if element.binding is not None:
        check_binding(run, node, element.binding)
    _check_constraints(run, node, element.constraints, run.outside(node))
    _check_below(run, node, element)


def _check_below(run: Run, node: Node, element: Element) -> None:
    for name, below in element.children.items():
        _check_group(run, node, child(node, name), below)


# ---- how many, and which slice -----------------------------------------------------------------------------------


def _check_group(run: Run, parent: Node, items: list[Node], element: Element) -> None:
    """All items of one element: their number, their slices, and each by itself."""
    _count(run, parent, items, element)
    if element.max == 0:
        return
    for item in items:
        check_element(run, item, element)
    if element.slices:
        _check_slices(run, parent, items, element)


def _check_slices(run: Run, parent: Node, items: list[Node], group: Element) -> None:
    slicing = slicing_of(group)
    if slicing is None:
        return
    places: dict[str, list[Node]] = {name: [] for name in group.slices}
    order = list(group.slices)
    last, outside = 0, False
    for item in items:
        name = next((name for name, one in group.slices.items() if belongs(item, group, one, run)), None)
        if name is None:
            outside = True
            if slicing.rules == "closed":
                run.add("structure", f"This is none of the slices that {group.id} is closed to.", item)
            continue
        places[name].append(item)
        if slicing.rules == "openAtEnd" and outside:
            run.add("structure", f"Slice {name} of {group.id} must come before what is in no slice.", item)
        if slicing.ordered and order.index(name) < last:
            run.add("structure", f"The slices of {group.id} must be in order; {name} comes too late.", item)
        last = max(last, order.index(name))
    for name, found in places.items():
        _check_group(run, parent, found, group.slices[name])


def _count(run: Run, parent: Node, items: list[Node], element: Element) -> None:
    where = f"{parent.path}.{element.name}"
    what = f"{element.id} (slice {element.slice_name})" if element.slice_name else element.id
    if len(items) < element.min:
        wanted = "is required" if element.min == 1 else f"is needed at least {element.min} times"
        run.add("required", f"{what} {wanted}.", where)
    if element.max is not None and len(items) > element.max:
        allowed = "is not allowed" if element.max == 0 else f"is allowed at most {element.max} times"
        run.add("structure", f"{what} {allowed}.", where)


# ---- one value ---------------------------------------------------------------------------------------------------


def _check_type(run: Run, node: Node, element: Element) -> None:
    if not element.types or element.types[0].code.startswith(_SYSTEM_TYPE) or element.name == "id":
        return  # snapshots call an id System.String, string or id
    fitting = [ref for ref in element.types if ref.code in _ANY_RESOURCE or has_type(node.type, ref.code)]
    if not fitting:
        if not _is_nested(node, element):
            allowed = ", ".join(sorted(element.type_codes()))
            run.add("structure", f"{element.id} must be of type {allowed}.", node)
        return
    _check_profiles(run, node, fitting)
    if node.type == "Reference":
        _check_target(run, node, fitting)
        _check_aggregation(run, node, fitting)


def _is_nested(node: Node, element: Element) -> bool:
    """A nested type ("Patient.contact") is a BackboneElement or Element to the profile."""
    return "." in node.type and not element.type_codes().isdisjoint({"BackboneElement", "Element"})


def _check_profiles(run: Run, node: Node, refs: Iterable[TypeRef]) -> None:
    """One of the profiles of its type must be met; when there is but one, what it misses is told."""
    urls = list(dict.fromkeys(url for ref in refs for url in ref.profiles))
    if not urls or any(not ref.profiles for ref in refs):
        return
    known = [(url, run.profile(url)) for url in urls]
    profiles = [profile for _, profile in known if profile is not None]
    if len(profiles) < len(urls):
        if run.thorough and node.type != "Extension":  # those are looked at one by one: extensions.py
            for url, profile in known:
                if profile is None:
                    run.add("not-found", f"Profile {url[:200]} is not known here and was not checked.", node, "warning")
        return
    if len(profiles) == 1:
        check_profile(run, node, profiles[0])
    elif not any(run.conforms(node, profile) for profile in profiles):
        run.add("structure", f"This must conform to one of {', '.join(urls)[:500]}.", node)


def _check_target(run: Run, node: Node, refs: Iterable[TypeRef]) -> None:
    """What a reference is to: by its type, and by its profile where the target is at hand."""
    urls = list(dict.fromkeys(url for ref in refs for url in ref.targets))
    if not urls:
        return
    profiles = [profile for profile in map(run.profile, urls) if profile is not None]
    if len(profiles) < len(urls):
        return
    name = target_type(node, run)
    fitting = [profile for profile in profiles if profile.type in _ANY_RESOURCE or is_a(name, profile.type)]
    if name and not fitting:
        allowed = ", ".join(sorted({profile.type for profile in profiles}))
        place = next(iter(child(node, "reference")), node)  # its type alone may say what it is to
        run.add("value", f"This reference must be to one of: {allowed}.", place)
        return
    constrained = [profile for profile in fitting if profile.base and not _is_base(profile)]
    if not constrained or len(constrained) < len(fitting) or not _may_be_local(run, node):
        return
    for target in run.evaluate("resolve()", node):
        if _top(target) is run.root and not any(run.conforms(target, profile) for profile in constrained):
            names = ", ".join(profile.url for profile in constrained)
            run.add("value", f"The resource that this refers to must conform to one of {names[:500]}.", node)


def _check_aggregation(run: Run, node: Node, refs: Iterable[TypeRef]) -> None:
    """Whether the target may be contained here, or may be elsewhere."""
    modes = [ref.aggregation for ref in refs]
    literal = node.value.get("reference") if isinstance(node.value, dict) else None
    if not all(modes) or not isinstance(literal, str):
        return
    allowed = frozenset().union(*modes)
    if literal.startswith("#"):
        if "contained" not in allowed:
            run.add("structure", "The resource that this refers to may not be contained here.", node)
    elif allowed == {"contained"}:
        run.add("structure", "The resource that this refers to must be contained here.", node)


def _is_base(profile: Profile) -> bool:
    return profile.url == f"http://hl7.org/fhir/StructureDefinition/{profile.type}"


def _may_be_local(run: Run, node: Node) -> bool:
    """Whether the target may be in this very resource, contained or as an entry: others are not fetched for this."""
    literal = node.value.get("reference")
    return isinstance(literal, str) and (literal.startswith("#") or run.root.type in ("Bundle", "Parameters"))


def _top(node: Node) -> Node:
    while node.parent is not None:
        node = node.parent
    return node


def _check_value(run: Run, node: Node, element: Element) -> None:
    if element.fixed is not None and not equals(node.value, element.fixed[1]):
        run.add("value", f"{element.id} has a fixed value, which this is not.", node)
    if element.pattern is not None and not contains(node.value, element.pattern[1]):
        run.add("value", f"{element.id} has a pattern, which this does not contain.", node)
    if element.max_length is not None and isinstance(node.value, str) and len(node.value) > element.max_length:
        run.add("too-long", f"{element.id} has at most {element.max_length} characters.", node)
    for pair, operator, word in ((element.minimum, "<", "minimum"), (element.maximum, ">", "maximum")):
        if pair is not None and _breaks(node, operator, pair):
            run.add("value", f"{element.id} is beyond its {word}.", node)


def _breaks(node: Node, operator: str, limit: tuple[str, object]) -> bool:
    """Whether the value surely is beyond the limit: 2020 is neither before nor after 2020-03."""
    type_name, value = limit
    if isinstance(node.value, int | Decimal) and isinstance(value, int | float | Decimal):
        return node.value < Decimal(str(value)) if operator == "<" else node.value > Decimal(str(value))
    environment = Environment(variables={"limit": [Node(value, type_name)]})
    try:
        found = compile(f"$this {operator} %limit").evaluate(node, environment)
    except FhirPathError:
        return False
    return [one.value for one in found] == [True]


def _check_constraints(
    run: Run, node: Node, constraints: Iterable[Constraint], environment: Environment | None
) -> None:
    """Those of the profile itself: R4's own are checked with the types (fhir_server/validation/invariants.py)."""
    for one in constraints:
        if not is_published(one):
            check_constraint(run, node, one, environment)
