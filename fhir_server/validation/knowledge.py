"""What a check cannot know by itself, asked as questions and answered between one pass and the next.

Checks are synchronous and pure: a check that needs a stored profile, another resource, or to know whether a code is in
a value set, asks here. What has no answer yet is noted as wanted, and the pass goes on as if it were well; its result
does not count, and the check is run again when the wanted answers are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server.terminology import Coding, Membership

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class IsMember:
    """Is this code in the value set (canonical URL, perhaps with a version)? `code_only`: no system is said."""

    value_set: str
    coding: Coding
    code_only: bool = False


@dataclass(frozen=True, slots=True)
class ProfileOf:
    """The profile at this canonical URL, perhaps with a version."""

    url: str


@dataclass(frozen=True, slots=True)
class GlobalProfiles:
    """The profiles that the implementation guides stored here ask of every resource of this type."""

    type: str


@dataclass(frozen=True, slots=True)
class ResourceAt:
    """The resource that this literal reference is to, outside of the one that is checked."""

    reference: str


@dataclass(frozen=True, slots=True)
class DisplayOf:
    """Is this display (with the code in `coding`) one that its code system gives? None: it is not known here."""

    coding: Coding


@dataclass(frozen=True, slots=True)
class Subsumes:
    """Does the first code subsume the second?"""

    outer: Coding
    inner: Coding


KNOWN = (Membership.YES, Membership.NO)
Question = DisplayOf | GlobalProfiles | IsMember | ProfileOf | ResourceAt | Subsumes


@dataclass(slots=True)
class Knowledge:
    """The answers so far, and what is wanted beside them."""

    answers: Mapping[Question, Any]
    wanted: set[Question] = field(default_factory=set)

    def ask(self, question: Question, meanwhile: Any) -> Any:
        """The answer; `meanwhile` when it is not there yet."""
        if question in self.answers:
            return self.answers[question]
        self.wanted.add(question)
        return meanwhile
