"""The table of roles in docs/access.md: `python -m tests.access.policy_table` prints it for the policy as it is."""

from __future__ import annotations

from collections.abc import Iterable

from fhir_server.access.policy import Line, Policy
from fhir_server.access.roles import policy


def table(found: Policy) -> str:
    """Markdown: the groups of types, for each role what is open and on which resources, and the operations."""
    parts = [_groups(found)]
    for role in found.roles.values():
        rows = [_row(key, lines) for key, lines in role.given.items()]
        parts.append("\n".join([f"#### {role.name}\n\n{role.about}\n", "| on | may |", "|---|---|", *rows]))
    operations = [f"| `${name}` | {', '.join(sorted(roles))} |" for name, roles in sorted(found.operations.items())]
    parts.append("\n".join(["#### Operations\n", "| operation | roles |", "|---|---|", *operations]))
    return "\n\n".join(parts)


def _groups(found: Policy) -> str:
    rows = [f"| {name} | {', '.join(sorted(types))} |" for name, types in found.groups.items()]
    return "\n".join(["#### Groups of types\n", "| group | types |", "|---|---|", *rows])


def _row(key: str, lines: Iterable[Line]) -> str:
    return f"| {'everything' if key == '*' else key} | {'<br>'.join(map(_line, lines))} |"


def _line(line: Line) -> str:
    which = " and ".join(f"`{one}`" if "=" in one else one for one in line.filters).replace("|", "\\|")
    return f"**{line.actions}** {which}"


if __name__ == "__main__":
    print(table(policy()))
