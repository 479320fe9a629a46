"""`python -m benchmarks.fhirpath [REPEATS]`: microseconds for all constraints of R4 on a resource, by type, one core.

Every constraint of every type and element, ele-1 included, is evaluated by FHIRPath on each element that is there. The
resources are those of benchmarks.validation; each figure is the median over the repeats of the mean over them.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from benchmarks.validation import corpus, microseconds
from fhir_server.definitions import type_definition
from fhir_server.fhirpath import Environment, Expression, Node, Services, children, compile, root
from fhir_server.fhirpath.types import ancestors

Json = dict[str, Any]


class Trusting(Services):
    """Narratives are measured elsewhere."""

    def html_checks(self, node: Node) -> bool | None:
        return True


SERVICES = Trusting()


@cache
def constraints(type_: str, parent: str, name: str) -> tuple[Expression, ...]:
    """What holds for an element: the constraints of its type, of the types above, and its own."""
    found = [c for each in ancestors(type_) for c in type_definition(each).constraints]
    element = type_definition(parent).elements.get(name) if parent else None
    return tuple(compile(c.expression) for c in (*found, *(element.constraints if element else ())))


def evaluate(resource: Json) -> None:
    start = root(resource)
    visit(start, Environment(resource=start, root_resource=start, services=SERVICES))


def visit(node: Node, environment: Environment) -> None:
    for expression in constraints(node.type, node.parent.type if node.parent else "", node.name):
        expression.holds(node, environment)
    for child in children(node):
        visit(child, environment)


def count(resource: Json) -> tuple[int, int]:
    """Elements, and constraints evaluated on them."""
    elements = evaluated = 0
    waiting = [root(resource)]
    while waiting:
        node = waiting.pop()
        elements += 1
        evaluated += len(constraints(node.type, node.parent.type if node.parent else "", node.name))
        waiting.extend(children(node))
    return elements, evaluated


def main() -> None:
    repeats = int(sys.argv[1]) if sys.argv[1:] else 7
    print(f"{'type':24}{'resources':>10}{'elements':>10}{'constraints':>13}{'µs':>10}")
    for name, resources in sorted(corpus().items()):
        counts = [count(resource) for resource in resources]
        elements, evaluated = (sum(each) / len(resources) for each in zip(*counts, strict=True))
        taken = microseconds(evaluate, resources, repeats)
        print(f"{name:24}{len(resources):>10}{elements:>10.0f}{evaluated:>13.0f}{taken:>10.1f}")


if __name__ == "__main__":
    main()
