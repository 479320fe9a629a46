"""One pass of checks over one resource: what it found, what it may ask, and where it is.

A trial (does this match a slice? does it conform to this profile?) is a run of its own whose issues are thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fhir_server.fhirpath import MAX_STEPS, Environment, FhirPathError, Node, Services, compile
from fhir_server.outcomes import Issue
from fhir_server.terminology import Coding, Membership
from fhir_server.terminology.effort import Effort
from fhir_server.validation.knowledge import (
    KNOWN,
    DisplayOf,
    GlobalProfiles,
    IsMember,
    Knowledge,
    ProfileOf,
    ResourceAt,
    Subsumes,
)
from fhir_server.validation.narrative import is_narrative

if TYPE_CHECKING:
    from fhir_server.validation.profiles.profile import Profile

MAX_ISSUES = 1000
MAX_DEPTH = 60  # of profiles within profiles
MAX_EFFORT = 20_000_000  # of one check, all its passes: steps of expressions, and STEP for what else is done
STEP = 20  # an element looked at, or tried for a slice, takes as long as so many steps of an expression


class Run(Services):
    """A pass; `thorough` also looks for what deserves a warning, and `strict` takes what is doubtful for wrong."""

    def __init__(
        self,
        knowledge: Knowledge,
        root: Node,
        check_profile: Callable[[Run, Node, Profile], None],
        *,
        thorough: bool = False,
        strict: bool = False,
        effort: Effort | None = None,
    ) -> None:
        self.effort = effort or Effort(MAX_EFFORT)  # shared by its trials
        self.knowledge = knowledge
        self.root = root
        self.check_profile = check_profile  # for trials: profiles and expressions ask one another
        self.thorough = thorough
        self.strict = strict
        self.issues: list[Issue] = []
        self.active: set[tuple[int, str]] = set()  # (value, profile) that are being checked further up
        self.trials: dict[tuple[int, str], bool] = {}
        self.environment = Environment(services=self, limit=min(MAX_STEPS, self.effort.left))

    def add(self, code: str, diagnostics: str, node: Node | str, severity: str = "error") -> None:
        """Note an issue, at this node or expression."""
        if len(self.issues) < MAX_ISSUES:
            where = node if isinstance(node, str) else node.path
            self.issues.append(Issue(code, diagnostics, (where,), severity))
        elif len(self.issues) == MAX_ISSUES:
            self.issues.append(Issue("informational", f"Only {MAX_ISSUES} issues are listed.", severity="information"))

    def trial(self) -> Run:
        """A run beside this one, with the same knowledge."""
        other = Run(self.knowledge, self.root, self.check_profile, strict=self.strict, effort=self.effort)
        other.active, other.trials, other.environment = self.active, self.trials, self.environment
        return other

    @property
    def failed(self) -> bool:
        """Whether there is an error among the issues."""
        return any(issue.severity in ("error", "fatal") for issue in self.issues)

    def spent(self, steps: int) -> None:
        """Count what was done against what the check may cost; raises TooCostly (400) when that is spent."""
        self.effort.spend(steps + 1)

    # ---- expressions ---------------------------------------------------------------------------------

    def evaluate(self, expression: str, node: Node) -> list[Node]:
        """The nodes of an expression; [] when it cannot be evaluated."""
        try:
            return compile(expression).evaluate(node, self.environment)
        except FhirPathError:
            return []

    def outside(self, node: Node) -> Environment:
        """What an element's constraint sees: where the element is a resource, %resource is the one that it is in."""
        if node.resource is not node or node.parent is None:
            return self.environment
        around = node.parent
        limit = self.environment.limit
        return Environment(resource=around.resource, root_resource=around.container, services=self, limit=limit)

    # ---- what expressions ask (fhirpath.Services) ----------------------------------------------------

    def resolve(self, reference: str, node: Node) -> Node | None:
        """The resource outside of this one that a reference is to."""
        found: Node | None = self.knowledge.ask(ResourceAt(reference), None)
        return found

    def member_of(self, node: Node, value_set: str) -> bool | None:
        """Whether one of the node's codes is in the value set; None when that cannot be told."""
        answers = self.members(value_set, node)
        if Membership.YES in answers:
            return True
        return None if any(one not in KNOWN for one in answers) else False

    def conforms_to(self, node: Node, profile: str) -> bool | None:
        """Whether the node conforms to the profile; None when that is not known here."""
        known = self.profile(profile)
        return None if known is None else self.conforms(node, known)

    def html_checks(self, node: Node) -> bool:
        """Whether this is the XHTML that a narrative may have."""
        return is_narrative(node.value)

    def subsumes(self, outer: Node, inner: Node) -> bool | None:
        """Whether the first code subsumes the second."""
        pairs = [(one, other) for one in codes_of(outer) for other in codes_of(inner)]
        if len(pairs) != 1:
            return None
        found: bool | None = self.knowledge.ask(Subsumes(*pairs[0]), None)
        return found

    # ---- questions -----------------------------------------------------------------------------------

    def knows_display(self, coding: Coding) -> bool | None:
        """Whether the display is one of its code; None when the code is not known here."""
        found: bool | None = self.knowledge.ask(DisplayOf(coding), None)
        return found

    def global_profiles(self, type_: str) -> Sequence[str]:
        """The canonical URLs of the profiles that guides ask of every resource of the type."""
        found: Sequence[str] = self.knowledge.ask(GlobalProfiles(type_), ())
        return found

    def profile(self, url: str) -> Profile | None:
        """The profile at this canonical URL, or its element (url#id); None when it is not known (or not yet)."""
        url, _, part = url.partition("#")
        found: Profile | None = self.knowledge.ask(ProfileOf(url), None)
        return found.part(part) if found is not None and part else found

    def members(self, value_set: str, node: Node) -> list[Membership]:
        """For each code of a coded element, whether it is in the value set."""
        self.spent(STEP)
        code_only = isinstance(node.value, str)
        return [self.knowledge.ask(IsMember(value_set, coding, code_only), Membership.YES) for coding in codes_of(node)]

    def conforms(self, node: Node, profile: Profile) -> bool:
        """Whether the node conforms to the profile, without a word about why not."""
        self.spent(STEP)
        key = (id(node.value), profile.url)
        if key not in self.trials:
            other = self.trial()
            self.check_profile(other, node, profile)
            self.trials[key] = not other.failed  # also while answers are wanted, as this pass does not count then
        return self.trials[key]


def codes_of(node: Node) -> list[Coding]:
    """The codes that an element of a coded type has; empty when it has none."""
    value = node.value
    if isinstance(value, str):
        return [Coding(code=value)]
    if not isinstance(value, dict):
        return []
    if node.type == "CodeableConcept":
        listed = value.get("coding")
        return [_coding(one) for one in listed if _is_coded(one)] if isinstance(listed, list) else []
    return [_coding(value)] if _is_coded(value) else []


def _is_coded(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("code"), str)


def _coding(value: dict[str, object]) -> Coding:
    """Without the display, which is not what a value set is of."""
    system, version = value.get("system"), value.get("version")
    return Coding(
        system if isinstance(system, str) else "", str(value["code"]), version if isinstance(version, str) else ""
    )
