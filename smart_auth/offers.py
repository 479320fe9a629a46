"""What an app asks for, as things that a user can say yes or no to; and the scopes that follow from the answers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fhir_server.access.scopes import Scope, parse_scope
from smart_auth import scope_words
from smart_auth.scopes import IDENTITY, LAUNCH

ABOUT_YOU = "You"
TIME = "How long"
_LETTERS = "cruds"
_V1 = {"read", "write", "*"}


@dataclass(frozen=True, slots=True)
class Offer:
    """One line of the consent page; `key` comes back when it is agreed to."""

    key: str
    title: str
    detail: str = ""
    changes: bool = False  # not only to see, but to add, change or delete
    categories: tuple[tuple[str, str], ...] = ()  # code and words of what it may be limited to
    field: str = ""  # in which the chosen categories come back


def offers(scopes: Sequence[str], *, is_own: bool, offline_days: int) -> list[tuple[str, list[Offer]]]:
    """The groups of the page, each with its lines, in a steady order."""
    groups: dict[str, list[Offer]] = {}
    if identity := [one for one in scopes if one in IDENTITY]:
        groups[ABOUT_YOU] = [Offer("identity", "Know who you are", _identity_words(identity))]
    for place, text in enumerate(scopes):
        if (scope := parse_scope(text)) is not None:
            groups.setdefault(scope_words.group_of(scope.type), []).extend(_of_scope(place, scope, is_own=is_own))
    if time := list(_of_time(scopes, offline_days)):
        groups[TIME] = time
    order = {name: place for place, name in enumerate((ABOUT_YOU, *scope_words.GROUPS, TIME))}
    return sorted(groups.items(), key=lambda item: order[item[0]])


def _identity_words(scopes: Collection[str]) -> str:
    return "Your name and your entry in this server." if set(scopes) & {"fhirUser", "profile"} else "That it is you."


def _of_scope(place: int, scope: Scope, *, is_own: bool) -> Iterator[Offer]:
    what = scope_words.things(scope.type, scope.level, is_own=is_own)
    limit = _limit_words(scope)
    choices = scope_words.CATEGORIES.get(scope.type, ()) if not scope.criterion else ()
    sees = set(scope.actions) & set("rs")
    if sees:
        yield Offer(f"{place}s", f"See {what}", limit, categories=choices, field=f"category-{place}" if choices else "")
    verbs = [_VERBS[letter] for letter in scope.actions if letter in _VERBS]
    if verbs:
        if choices and not sees:
            field, kinds = f"category-{place}", choices
        else:
            field, kinds = "", ()
        yield Offer(f"{place}c", f"{_listed(verbs)} {what}", limit, changes=True, categories=kinds, field=field)


_VERBS = {"c": "add", "u": "change", "d": "delete"}


def _listed(verbs: Sequence[str]) -> str:
    text = verbs[0] if len(verbs) == 1 else f"{', '.join(verbs[:-1])} and {verbs[-1]}"
    return text[0].upper() + text[1:]


def _limit_words(scope: Scope) -> str:
    if not scope.criterion:
        return ""
    words = scope_words.category_words(scope.criterion)
    return f"Only: {words}." if words else f"Only those with {scope.criterion}."


def _of_time(scopes: Sequence[str], offline_days: int) -> Iterator[Offer]:
    if "offline_access" in scopes:
        detail = f"Until you end it under “Your apps”, or it is not used for {offline_days} days."
        yield Offer("offline_access", "Keep access when you are not here", detail)
    if "online_access" in scopes:
        yield Offer("online_access", "Stay connected while you are signed in", "It ends when you sign out here.")


def granted(scopes: Sequence[str], agreed: Collection[str], categories: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The scopes that follow from the keys agreed to and the categories chosen (by field), in the app's order.

    What the app did not ask for cannot come out of it.
    """
    found: list[str] = []
    for place, text in enumerate(scopes):
        scope = parse_scope(text)
        if scope is not None:
            found += _of_answers(text, scope, place, agreed, categories)
        elif text in IDENTITY:
            found += [text] if "identity" in agreed else []
        elif text in LAUNCH or text in agreed:
            found.append(text)
    return tuple(dict.fromkeys(found))


def _of_answers(
    text: str, scope: Scope, place: int, agreed: Collection[str], categories: Mapping[str, Sequence[str]]
) -> list[str]:
    kept = {letter for letter in scope.actions if f"{place}{'s' if letter in 'rs' else 'c'}" in agreed}
    if not kept:
        return []
    letters = "".join(letter for letter in _LETTERS if letter in kept)
    known = [code for code, _ in scope_words.CATEGORIES.get(scope.type, ())] if not scope.criterion else []
    chosen = [code for code in known if code in categories.get(f"category-{place}", ())]
    if known and len(chosen) < len(known):
        return [str(Scope(scope.level, scope.type, letters, f"category={code}")) for code in chosen]
    if letters == scope.actions:
        return [text]
    is_v1 = text.partition(".")[2].partition("?")[0] in _V1
    suffix = {"rs": "read", "cud": "write"}.get(letters, letters) if is_v1 else letters
    rest = f"?{scope.criterion}" if scope.criterion else ""
    return [f"{scope.level}/{scope.type}.{suffix}{rest}"]
