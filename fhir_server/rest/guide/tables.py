"""What an artifact says, as tables: one function for each kind of resource."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from fhir_server.rest.guide.artifacts import TOPIC, Artifact, Guide
from fhir_server.rest.guide.elements import rows

Json = dict[str, Any]


_LEGEND = (
    '<p class="quiet">S: must be supported. ?!: changes the meaning of the rest. '
    "What is not listed is as in the base.</p>"
)


def body(guide: Guide, artifact: Artifact, root: str) -> str:
    """Cards for the artifact; empty for one that only its JSON shows."""
    write = _WRITERS.get(artifact.type)
    return write(artifact.resource, Canonicals(guide, root)) if write and not artifact.is_example else ""


class Canonicals:
    """Shows canonical URLs: those of the guide as links to their pages, the others as they are."""

    def __init__(self, guide: Guide, root: str) -> None:
        self._guide, self._root = guide, root

    def __call__(self, url: str) -> str:
        found = self._guide.by_url.get(url)
        if found is None:
            return f"<code>{escape(url)}</code>"
        return f'<a href="{escape(self._root)}/ig/{escape(found.path)}">{escape(found.title)}</a>'


def _card(title: str, inside: str) -> str:
    return f'<section class="card"><h2>{escape(title)}</h2>{inside}</section>' if inside else ""


def _table(titles: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML already; empty without lines."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    text = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
    if not text:
        return ""
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{text}</tbody></table></div>'


def _facts(*pairs: tuple[str, str]) -> str:
    """Names and values in two columns; those without a value are left out."""
    lines = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{value}</td></tr>' for name, value in pairs if value)
    return f"<table><tbody>{lines}</tbody></table>" if lines else ""


def _code(text: Any) -> str:
    return f"<code>{escape(str(text))}</code>" if text not in (None, "") else ""


def _codes(items: Iterable[Any]) -> str:
    return ", ".join(_code(one) for one in items)


def _profile(resource: Json, shown: Canonicals) -> str:
    elements = _table(
        ("Element", "Flags", "Card.", "Type", "Meaning and rules"),
        ((one.name, one.flags, one.cardinality, one.types, one.rules) for one in rows(resource, shown)),
    )
    constraints = _table(
        ("Key", "Severity", "Rule", "FHIRPath"),
        (
            (_code(rule["key"]), escape(rule["severity"]), escape(rule["human"]), _code(rule.get("expression", "")))
            for element in resource["differential"]["element"]
            for rule in element.get("constraint", ())
        ),
    )
    kind = "Extension of" if resource["type"] == "Extension" else "Profile of"
    facts = _facts((kind, _code(resource["type"])), ("Base", shown(resource["baseDefinition"])))
    return _card("Definition", facts) + _card("Elements", _LEGEND + elements) + _card("Constraints", constraints)


def _value_set(resource: Json, shown: Canonicals) -> str:
    compose, text = resource.get("compose", {}), ""
    for verb in ("include", "exclude"):
        for part in compose.get(verb, ()):
            about = [_code(part["system"])] if "system" in part else []
            about += [shown(one) for one in part.get("valueSet", ())]
            about += [_code(f"{one['property']} {one['op']} {one['value']}") for one in part.get("filter", ())]
            listed = _concepts(part.get("concept", ()))
            text += f"<h3>{verb.capitalize()}</h3><p>{' · '.join(about)}{'' if listed else ': all codes'}</p>{listed}"
    return _card("Definition", text) + _card("Copyright", escape(resource.get("copyright", "")))


def _code_system(resource: Json, shown: Canonicals) -> str:
    return _card("Concepts", _concepts(resource.get("concept", ())))


def _concepts(concepts: Iterable[Json]) -> str:
    lines = ((_code(c["code"]), escape(c.get("display", "")), escape(c.get("definition", ""))) for c in concepts)
    return _table(("Code", "Display", "Definition"), lines)


def _concept_map(resource: Json, shown: Canonicals) -> str:
    text = ""
    for group in resource.get("group", ()):
        lines = (
            (_code(element["code"]), escape(target.get("equivalence", "")), _code(target.get("code", "")))
            for element in group["element"]
            for target in element.get("target", ())
        )
        about = _facts(("From", shown(group.get("source", ""))), ("To", shown(group.get("target", ""))))
        text += about + _table(("Code", "Equivalence", "Code"), lines)
    return _card("Mapping", text)


def _search_parameter(resource: Json, shown: Canonicals) -> str:
    facts = _facts(
        ("Parameter", _code(resource["code"])),
        ("Of", _codes(resource["base"])),
        ("Type", escape(resource["type"])),
        ("Targets", _codes(resource.get("target", ()))),
        ("Expression", _code(resource.get("expression", ""))),
        ("Derived from", shown(resource["derivedFrom"]) if "derivedFrom" in resource else ""),
    )
    return _card("Definition", facts)


def _operation(resource: Json, shown: Canonicals) -> str:
    name, types = resource["code"], resource.get("resource", ())
    urls = [f"/${name}"] if resource["system"] else []
    urls += [f"/{one}/${name}" for one in types if resource["type"]]
    urls += [f"/{one}/{{id}}/${name}" for one in types if resource["instance"]]
    facts = _facts(
        ("URL", _codes(urls)),
        ("Method", "POST" if resource.get("affectsState") else "GET or POST"),
        ("Status", escape(resource["status"])),
    )
    parameters = _table(
        ("Use", "Name", "Card.", "Type", "Meaning"),
        (
            (
                escape(one["use"]),
                _code(one["name"]),
                f"{one['min']}..{escape(one['max'])}",
                _code(one.get("type", "")),
                escape(one.get("documentation", "")),
            )
            for one in resource.get("parameter", ())
        ),
    )
    return _card("Definition", facts) + _card("Parameters", parameters)


def _topic(resource: Json, shown: Canonicals) -> str:
    def parts(element: str) -> list[Json]:
        return [one for one in resource.get("extension", ()) if one["url"] == TOPIC + element]

    triggers = ((_code(_short(one)), _interactions(one), _criteria(one)) for one in parts("resourceTrigger"))
    filters = (
        (_code(_part(one, "resource")), _code(_part(one, "filterParameter")), escape(_part(one, "description")))
        for one in parts("canFilterBy")
    )
    shapes = (
        (_code(_part(one, "resource")), _codes(_value(x) for x in one["extension"] if x["url"] == "include"))
        for one in parts("notificationShape")
    )
    return (
        _card("Fires", _table(("Resource", "On", "When"), triggers))
        + _card("Filters", _table(("Resource", "Parameter", "Meaning"), filters))
        + _card("Notifications", _table(("Resource", "Includes"), shapes))
    )


def _value(extension: Json) -> str:
    return str(next((value for key, value in extension.items() if key.startswith("value")), ""))


def _part(extension: Json, url: str) -> str:
    return next((_value(one) for one in extension["extension"] if one["url"] == url), "")


def _short(extension: Json) -> str:
    return _part(extension, "resource").rpartition("/")[2]


def _interactions(extension: Json) -> str:
    return escape(", ".join(_value(one) for one in extension["extension"] if one["url"] == "supportedInteraction"))


def _criteria(extension: Json) -> str:
    queries = [one for one in extension["extension"] if one["url"] == "queryCriteria"]
    return "<br>".join(f"{escape(part['url'])} {_code(_value(part))}" for one in queries for part in one["extension"])


def _questionnaire(resource: Json, shown: Canonicals) -> str:
    lines = (
        (escape(one.get("text", "")), escape(one["type"]), "required" if one.get("required") else "")
        for one in resource.get("item", ())
    )
    return _card("Questions", _table(("Question", "Answer", ""), lines))


def _naming_system(resource: Json, shown: Canonicals) -> str:
    lines = ((escape(one["type"]), _code(one["value"])) for one in resource.get("uniqueId", ()))
    return _card("Identifiers", _table(("Type", "Value"), lines))


def _capability(resource: Json, shown: Canonicals) -> str:
    lines = (
        (
            _code(one["type"]),
            "<br>".join(shown(url) for url in one.get("supportedProfile", ())),
            "<br>".join(_code(parameter["name"]) for parameter in one.get("searchParam", ())),
            "<br>".join(_code(f"${operation['name']}") for operation in one.get("operation", ())),
        )
        for rest in resource.get("rest", ())
        for one in rest.get("resource", ())
    )
    return _card("Resources", _table(("Type", "Profiles", "Search parameters", "Operations"), lines))


_WRITERS: dict[str, Callable[[Json, Canonicals], str]] = {
    "StructureDefinition": _profile,
    "ValueSet": _value_set,
    "CodeSystem": _code_system,
    "ConceptMap": _concept_map,
    "SearchParameter": _search_parameter,
    "OperationDefinition": _operation,
    "Basic": _topic,
    "Questionnaire": _questionnaire,
    "NamingSystem": _naming_system,
    "CapabilityStatement": _capability,
}
