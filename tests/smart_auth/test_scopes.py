"""Which scopes are within others, and which can be honoured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_auth.scopes import grantable, is_known, is_within, narrowed, words

WITHIN = [
    ("openid", "openid"),
    ("patient/Observation.rs", "patient/*.rs"),
    ("patient/Observation.r", "patient/Observation.cruds"),
    ("patient/Observation.read", "patient/*.rs"),
    ("patient/Observation.rs", "patient/*.read"),
    ("user/*.write", "user/*.cruds"),
    ("user/*.*", "user/*.cruds"),
    ("patient/Observation.r?category=laboratory", "patient/Observation.rs"),
    ("patient/Observation.r?category=laboratory", "patient/*.r"),
    ("patient/Observation.r?category=laboratory", "patient/Observation.rs?category=laboratory"),
]
BEYOND = [
    ("openid", "fhirUser"),
    ("patient/*.rs", "patient/Observation.rs"),
    ("patient/Observation.cr", "patient/Observation.r"),
    ("user/Observation.r", "patient/Observation.r"),
    ("system/*.r", "user/*.r"),
    ("patient/Observation.read", "patient/Observation.r"),
    ("patient/Observation.rs", "patient/Observation.rs?category=laboratory"),
    ("patient/Observation.rs?category=vital-signs", "patient/Observation.rs?category=laboratory"),
    ("launch/patient", "launch"),
    ("patient/Nothing.r", "patient/*.r"),
    ("patient/Observation.sr", "patient/Observation.cruds"),
]
ALL = [one for pair in WITHIN + BEYOND for one in pair] + ["offline_access", "online_access", "launch/encounter"]


@pytest.mark.parametrize(("asked", "allowed"), WITHIN)
def test_this_is_within(asked: str, allowed: str) -> None:
    assert is_within(asked, ["profile", allowed])


@pytest.mark.parametrize(("asked", "allowed"), BEYOND)
def test_this_is_beyond(asked: str, allowed: str) -> None:
    assert not is_within(asked, ["profile", allowed])


def test_point_14_letters_in_order_only_and_known_types_only() -> None:
    assert all(map(is_known, ("patient/Observation.cruds", "user/*.read", "openid", "launch/encounter")))
    unknown = (
        "patient/Observation.sr",
        "patient/X.r",
        "launch/location",
        "email",
        "",
        "patient/*.r?x=1",
        "PATIENT/*.r",
    )
    assert not any(map(is_known, unknown))


def test_narrowed_keeps_order_and_leaves_out_what_is_unknown_or_beyond() -> None:
    asked = words("openid  nonsense user/Patient.rs openid user/Patient.c")
    assert narrowed(asked, "") == ("openid", "user/Patient.rs", "user/Patient.c")
    assert narrowed(asked, "user/*.rs openid") == ("openid", "user/Patient.rs")


@given(st.lists(st.sampled_from(ALL)), st.booleans(), st.booleans())
def test_point_9_nothing_that_cannot_be_honoured_is_given(scopes: list[str], user: bool, patient: bool) -> None:
    given_ = grantable(scopes, {"patient": "1"} if patient else {}, user=user).split()
    assert set(given_) <= set(scopes)
    assert len(given_) == len(set(given_))
    assert patient or not any(one.startswith("patient/") or one == "launch/patient" for one in given_)
    assert not (user and any(one.startswith("system/") for one in given_))
    assert user or not any(one.startswith("user/") or one == "openid" for one in given_)
    assert "launch/encounter" not in given_
