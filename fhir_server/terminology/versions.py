"""Which version of a code system is used: `system-version`, `check-system-version`, `force-system-version`.

https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

from __future__ import annotations

from fhir_server.outcomes import Invalid
from fhir_server.terminology.expansion import ExpandRequest
from fhir_server.terminology.resolve import Resolver
from fhir_server.terminology.system import System


class Versions:
    """Code systems of a resolver in the versions that the caller asks for."""

    def __init__(self, resolver: Resolver, request: ExpandRequest) -> None:
        self._resolver = resolver
        self._default = _by_system(request.system_version)
        self._checked = _by_system(request.check_system_version)
        self._forced = _by_system(request.force_system_version)

    async def known(self, url: str, version: str = "", as_of: str = "") -> System | None:
        """As `Resolver.known_code_system`; raises Invalid (400) for another version than the one to be checked."""
        asked = self._forced.get(url) or version or self._default.get(url) or self._checked.get(url, "")
        found = await self._resolver.known_code_system(url, asked, as_of)
        self._check(url, asked if found is None else found.version)
        return found

    async def listed(self, url: str, version: str = "", as_of: str = "") -> System:
        """As `Resolver.code_system`."""
        found = await self.known(url, version, as_of)
        if found is not None:
            found.check_listed()
            return found
        asked = self._forced.get(url) or version or self._default.get(url) or self._checked.get(url, "")
        return await self._resolver.code_system(url, asked, as_of)

    def _check(self, url: str, version: str) -> None:
        wanted = self._checked.get(url)
        if wanted and version != wanted:
            raise Invalid(f"Code system {url[:200]} is used in version '{version[:50]}', not in '{wanted[:50]}'.")


def _by_system(canonicals: tuple[str, ...]) -> dict[str, str]:
    return {url: version for url, _, version in (one.partition("|") for one in canonicals)}
