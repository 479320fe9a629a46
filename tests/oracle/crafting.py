"""Writes the search values that find, or nearly find, a value of a resource."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from fhir_server.definitions import SearchParameter
from tests.oracle import links, numbers, text, tokens, uris
from tests.oracle.dates import PREFIXES
from tests.oracle.expressions import Json, Node, children, evaluate, is_a, parse, root
from tests.oracle.oracle import Oracle
from tests.oracle.parameters import components, targets
from tests.oracle.positions import KILOMETRES, kilometres, positions
from tests.oracle.query import escape
from tests.oracle.units import is_plain

Crafted = tuple[str, str] | None  # a modifier ("" for none) and a value
LONGEST = 60
DIGITS = 12  # more are only asked for as they stand: a server may keep numbers as doubles
CODED = ("Coding", "CodeableConcept", "Identifier")


class Crafter:
    """Writes values with one generator of random numbers, for the resources of an oracle."""

    def __init__(self, rng: Random, oracle: Oracle) -> None:
        self.rng, self.oracle = rng, oracle
        self._writers: dict[str, Callable[[SearchParameter, Node, Json], Crafted]] = {
            "string": self.string,
            "token": self.token,
            "reference": self.reference,
            "date": self.date,
            "number": self.number,
            "quantity": self.quantity,
            "uri": self.uri,
            "composite": self.composite,
            "special": self.near,
        }

    def write(self, parameter: SearchParameter, node: Node, resource: Json, plain: bool = False) -> Crafted:
        """A modifier and a value for what a parameter selects; `plain`: without modifier. None when nothing fits."""
        for _ in range(6):
            crafted = self._writers[parameter.type](parameter, node, resource)
            if crafted and not (plain and crafted[0]):
                return crafted
        return None

    def string(self, parameter: SearchParameter, node: Node, resource: Json) -> Crafted:
        read = text.spoken if parameter.code == "phonetic" else text.strings
        found = [each for each in read(node) if each.folded]
        if not found:
            return None
        raw = self.rng.choice(found).raw
        if parameter.code == "phonetic":
            words = [word for word in text.fold(raw).split() if text.soundex(word)]
            return ("", self.rng.choice(words)) if words else None
        match self.rng.choice(("start", "start", "altered", "exact", "exact altered", "contains", "word")):
            case "start":
                return self.worded("", raw[: self.rng.randint(1, len(raw))])
            case "altered":
                return self.worded("", self.altered(raw[: self.rng.randint(1, len(raw))]))
            case "exact":
                return ("exact", escape(raw)) if len(raw) <= LONGEST and raw == raw.strip() else None
            case "exact altered":
                return self.worded("exact", self.altered(raw))
            case "contains":
                start = self.rng.randrange(len(raw))
                return self.worded("contains", raw[start : start + self.rng.randint(1, 12)])
        return self.worded("", self.rng.choice(raw.split()))

    def worded(self, modifier: str, raw: str) -> Crafted:
        """The text cut to what begins and ends with a letter or digit; None when nothing is left."""
        kept = raw[:LONGEST]
        while kept and not kept[-1].isalnum():
            kept = kept[:-1]
        while kept and not kept[0].isalnum():
            kept = kept[1:]
        return (modifier, escape(kept)) if text.fold(kept) else None

    def altered(self, raw: str) -> str:
        """The text in other case, without accents, without punctuation, or with another letter."""
        match self.rng.choice(("upper", "lower", "bare", "letter")):
            case "upper":
                return raw.upper()
            case "lower":
                return raw.lower()
            case "bare":
                return "".join(each for each in unicodedata.normalize("NFD", raw) if not unicodedata.combining(each))
        position = self.rng.randrange(len(raw)) if raw else 0
        return f"{raw[:position]}q{raw[position + 1 :]}"

    def token(self, parameter: SearchParameter, node: Node, resource: Json) -> Crafted:
        found = [each for each in tokens.tokens(node) if each.code]
        kind = self.rng.choice(("code", "code", "system", "case", "no system", "any code", "not", "text", "of-type"))
        if kind == "text":
            shown = [each.raw for each in tokens.texts(node) if each.folded]
            return self.worded("text", self.altered(self.start(self.rng.choice(shown)))) if shown else None
        if kind == "of-type":
            typed = [each for each in tokens.typed_identifiers(node) if all(each)]
            return ("of-type", "|".join(map(escape, self.rng.choice(typed)))) if typed else None
        if not found:
            return None
        token = self.rng.choice(found)
        code, system = escape(token.code), escape(self.rng.choice(token.systems)) if token.systems else ""
        if kind == "system" and system and node.type != "boolean":
            return "", f"{system}|{code}"
        if kind == "no system" and not system and node.type in CODED:
            return "", f"|{code}"
        if kind == "any code" and system and node.type in CODED:
            return "", f"{system}|"
        if kind == "case" and node.type not in ("id", "uri", "boolean"):
            return "", self.rng.choice((code.upper(), code.lower(), f"{code}x"))
        return "not" if kind == "not" else "", code

    def start(self, raw: str) -> str:
        return raw[: self.rng.randint(1, len(raw))]

    def reference(self, parameter: SearchParameter, node: Node, resource: Json) -> Crafted:
        kind = self.rng.choice(("id", "key", "absolute", "type", "version", "identifier"))
        if kind == "identifier":
            held = [each for each in links.identifiers(node) if each.code]
            token = self.rng.choice(held) if held else None
            system = f"{escape(token.systems[0])}|" if token and token.systems and self.rng.random() < 0.6 else ""
            return ("identifier", system + escape(token.code)) if token else None
        found = next(links.links(node, "", self.oracle.bases), None)
        if found is None or "#" in found.local:
            return None
        if not found.local:
            version = f"|{escape(found.version)}" if found.version and kind == "version" else ""
            return "", escape(found.url) + version
        type_name, _, identity = found.local.partition("/")
        match kind:
            case "id" if self.is_unambiguous(parameter, identity):
                return "", identity
            case "absolute":
                return "", f"{self.oracle.bases[0]}/{found.local}"
            case "type" if type_name in targets(parameter):
                return type_name, identity
            case "version" if found.version:
                return "", f"{found.local}/_history/{self.rng.choice((found.version, '77'))}"
        return "", found.local

    def is_unambiguous(self, parameter: SearchParameter, identity: str) -> bool:
        """Whether one resource at most can be meant by a mere id: servers should reject what two can be."""
        allowed = targets(parameter)
        known = [each for each in allowed if f"{each}/{identity}" in self.oracle.by_type.get(each, ())]
        return len(allowed) == 1 or len(known) == 1

    def date(self, parameter: SearchParameter, node: Node, resource: Json) -> Crafted:
        written = self.rng.choice(self.dates(node) or [""])
        if not written:
            return None
        prefix = self.rng.choice(("", *PREFIXES))
        day, _, clock = written.partition("T")
        if self.rng.random() < 0.25:
            day = f"{int(day[:4]) + self.rng.choice((-1, 1)):04}{day[4:]}".replace("-02-29", "-02-28")
        if not clock or self.rng.random() < 0.5:
            return "", prefix + day[: self.rng.choice((4, 7, 10))]
        zone = clock[-1] if clock[-1] == "Z" else clock[-6:]
        clock = clock.removesuffix(zone)
        clock = self.rng.choice((clock[:5], clock[:8], clock[:12]))
        return "", f"{prefix}{day}T{clock}{self.rng.choice((zone, zone, 'Z', '+03:00', ''))}"

    def dates(self, node: Node) -> list[str]:
        match node.type:
            case "date" | "dateTime" | "instant":
                return [node.value]
            case "Period":
                return [node.value[each] for each in ("start", "end") if each in node.value]
            case "Timing":
                bounds = [Node("Period", node.value.get("repeat", {}).get("boundsPeriod", {}))]
                return [each for part in (*children(node, "event"), *bounds) for each in self.dates(part)]
        return []

    def number(self, parameter: SearchParameter, node: Node, resource: Json) -> Crafted:
        found = [each["value"] for each in self.amounts(node) if "value" in each]
        return ("", self.rng.choice(("", *PREFIXES)) + self.figure(self.rng.choice(found))) if found else None

    def amounts(self, node: Node) -> list[Json]:
        if node.type == "Range":
            return [node.value[each] for each in ("low", "high") if each in node.value]
        if node.type == "Money" or is_a(node.type, "Quantity"):
            return [node.value]
        return [{"value": node.value}] if node.type in ("decimal", "integer", "positiveInt", "unsignedInt") else []

    def figure(self, value: Any) -> str:
        """The number itself, a neighbour, or with fewer or more digits; never with a positive exponent."""
        number = Decimal(str(value))
        exponent = number.as_tuple().exponent
        places = -exponent if isinstance(exponent, int) and exponent < 0 else 0
        if len(number.as_tuple().digits) > DIGITS:
            if self.rng.random() < 0.5:
                return f"{number:f}"
            number, places = round(number, 3), 3
        match self.rng.choice(("same", "same", "fewer", "more", "above", "below", "exponent")):
            case "fewer":
                number = round(number, self.rng.randint(0, places))
            case "more":
                return f"{number:.{places + 1}f}"
            case "above":
                number += Decimal(self.rng.randint(1, 9)).scaleb(-places)
            case "below":
                number -= Decimal(self.rng.randint(1, 9)).scaleb(-places - 1)
            case "exponent" if places > 1:  # 1e2 is [95, 105) in the text and 5.40e-3 is not like it: with a point
                return f"{number.scaleb(1):f}e-1"
        return f"{number:f}"

    def quantity(self, parameter: SearchParameter, node: Node, resource: Json) -> Crafted:
        found = [each for each in self.amounts(node) if "value" in each]
        if not found:
            return None
        amount = self.rng.choice(found)
        system, code = amount.get("system", ""), amount.get("code", amount.get("currency", ""))
        if node.type == "Money" and code:
            system = numbers.CURRENCY
        written = self.rng.choice(("", *PREFIXES)) + self.figure(amount["value"])
        match self.rng.choice(("number", "unit", "system", "system", "converted")):
            case "unit":
                units = [each for each in (code, amount.get("unit", "")) if each]
                return ("", f"{written}||{escape(self.rng.choice(units))}") if units else None
            case "system" if system and code and self.is_comparable(parameter, resource, system, code):
                return "", f"{written}|{escape(system)}|{escape(code)}"
            case "converted":
                return self.converted(parameter, resource, amount)
        return "", written

    def converted(self, parameter: SearchParameter, resource: Json, amount: Json) -> Crafted:
        """The same amount in another unit of the oracle's table."""
        code = amount.get("code", "")
        for table in (numbers.MASS, numbers.LENGTH):
            if code in table and amount.get("system") == numbers.UCUM:
                other = self.rng.choice(
                    [each for each in table if self.is_comparable(parameter, resource, "", each)] or [""]
                )
                if other:
                    value = numbers.exact(amount["value"]) * table[code] / table[other]
                    return "", f"{self.rng.choice(('', *PREFIXES))}{_decimal(value):f}|{numbers.UCUM}|{other}"
        return None

    def is_comparable(self, parameter: SearchParameter, resource: Json, system: str, code: str) -> bool:
        """Whether no unit among the parameter's values is left to the server to convert."""
        if system not in ("", numbers.UCUM):
            return True
        held: Any = self.oracle.index(resource["resourceType"], parameter).values
        if parameter.type == "composite":
            held = [part for value in held for component in value for part in component]
        return is_plain(
            code, {each.code for each in held if isinstance(each, numbers.Amount) and each.system == numbers.UCUM}
        )

    def uri(self, parameter: SearchParameter, node: Node, resource: Json) -> Crafted:
        found = next(uris.uris(node, resource), None)
        if found is None:
            return None
        is_url = found.value.startswith("http") and found.value.count("/") > 3
        match self.rng.choice(("same", "same", "version", "below", "above", "altered")):
            case "version" if found.version and parameter.code == "url":
                return "", f"{escape(found.value)}|{escape(self.rng.choice((found.version, '0.0.7')))}"
            case "below" if is_url:
                below = found.value.rpartition("/")[0] + self.rng.choice(("", "/"))
                return ("below", escape(below)) if self.is_segmented(parameter, resource, below) else None
            case "above" if is_url:
                above = f"{found.value}/_history/5"
                return ("above", escape(above)) if self.is_segmented(parameter, resource, above) else None
            case "altered":
                return "", escape(f"{found.value}-x")
        return "", escape(found.value)

    def is_segmented(self, parameter: SearchParameter, resource: Json, wanted: str) -> bool:
        """Whether no value begins like this, or begins this, amid a segment: whether those are found is open."""
        held: Any = self.oracle.index(resource["resourceType"], parameter).values
        pairs = (sorted((each.value, wanted), key=len) for each in held)
        return not any(
            longer.startswith(shorter)
            and longer != shorter
            and not shorter.endswith("/")
            and longer[len(shorter)] != "/"
            for shorter, longer in pairs
        )

    def composite(self, parameter: SearchParameter, node: Node, resource: Json) -> Crafted:
        written = []
        for part, expression in components(parameter):
            nodes = evaluate(parse(expression), [node], root(resource))
            crafted = self.write(part, self.rng.choice(nodes), resource, plain=True) if nodes else None
            if crafted is None or (part.type == "quantity" and "|" in crafted[1].replace("||", "")):
                return None  # a composite's units: only as they stand, so that nothing is converted
            written.append(crafted[1])
        return "", "$".join(written)

    def near(self, parameter: SearchParameter, node: Node, resource: Json) -> Crafted:
        centre = next(positions(node), None)
        if centre is None:
            return None
        limit, unit = self.rng.choice((1, 11, 120, 1500, 7000)), self.rng.choice(("km", "", "[mi_us]"))
        known: Any = self.oracle.index("Location", parameter).values
        distances = [kilometres(centre, each) for each in known]
        if any(abs(each - limit * KILOMETRES[unit]) < 0.02 * limit for each in distances):
            return None  # too near the edge for two formulas to agree
        return "", f"{centre.latitude}|{centre.longitude}|{limit}|{unit}"


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)
