"""An HL7 FHIR package, read from its .tgz or from a folder and never unpacked to disk.

https://hl7.org/fhir/packages.html · layout: package/package.json, package/*.json, package/example/*.json
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from fhir_server import json
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import Malformed, TooLarge, Unprocessable

Json = dict[str, Any]

MAX_FILES = 50_000  # of a package
MAX_FILE_BYTES = 64 * 1024 * 1024  # of one file, unpacked
MAX_BYTES = 1024 * 1024 * 1024  # of all files, unpacked

# The resource types that define something for others, in the order in which one may refer to the one before.
CONFORMANCE = (
    "CodeSystem",
    "NamingSystem",
    "ValueSet",
    "ConceptMap",
    "StructureDefinition",
    "SearchParameter",
    "CompartmentDefinition",
    "OperationDefinition",
    "GraphDefinition",
    "StructureMap",
    "EventDefinition",
    "MessageDefinition",
    "Library",
    "Questionnaire",
    "ActivityDefinition",
    "PlanDefinition",
    "Measure",
    "ChargeItemDefinition",
    "ExampleScenario",
    "TestScript",
    "TerminologyCapabilities",
    "CapabilityStatement",
    "ImplementationGuide",
)
_EXAMPLES = frozenset({"example", "examples"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Item:
    """One resource of a package, as its file has it; `url` and `version` are those of a canonical resource, or ""."""

    path: str  # within the package, without "package/"
    type: str
    id: str
    url: str
    version: str
    text: bytes
    role: str  # conformance | example | other: neither of the two

    def resource(self) -> Json:
        """The resource, decoded anew."""
        decoded: Json = json.decode(self.text)
        return decoded


@dataclass(frozen=True, slots=True)
class Package:
    """What a package says about itself, and its resources; `problems` are files that hold none: path, why."""

    name: str
    version: str
    digest: str  # SHA-256 of the .tgz, or of the names and contents of a folder, in hex
    title: str = ""
    canonical: str = ""
    dependencies: Mapping[str, str] = field(default_factory=dict)  # name → version
    items: tuple[Item, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_file(cls, path: Path) -> Package:
        """The package in a .tgz.

        Raises Malformed when it is no such file or not a FHIR package, Unprocessable for what no honest package
        has (links, absolute paths) and for another version of FHIR than 4.0, TooLarge; OSError.
        """
        with path.open("rb") as file:
            return cls._made(_members(file), digest(path))

    @classmethod
    def from_folder(cls, path: Path) -> Package:
        """The package in a folder of JSON files; without a package.json its ImplementationGuide says what it is.

        Raises as `from_file` does.
        """
        return cls._made(_files(path), digest(path))

    @classmethod
    def _made(cls, files: Iterable[tuple[str, bytes]], digest: str) -> Package:
        contents = {_inside(name): text for name, text in files}
        manifest = _object(contents.get("package.json"), "package.json")
        found, problems = _resources(contents)
        guides = [resource for _, resource in found if resource["resourceType"] == "ImplementationGuide"]
        if not manifest and len(guides) == 1:
            manifest = _manifest_of(guides[0])
        name, version = _text(manifest, "name"), _text(manifest, "version")
        if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
            raise Malformed("It is not a FHIR package: it has no package.json with a name and a version.")
        _check_fhir_version(manifest)
        listed = _listed(guides)
        items = tuple(_item(path, contents[path], resource, listed) for path, resource in found)
        return cls(
            name=name,
            version=version,
            digest=digest,
            title=_text(manifest, "title"),
            canonical=_text(manifest, "canonical"),
            dependencies=_dependencies(manifest),
            items=items,
            problems=tuple(problems),
        )


def digest(path: Path) -> str:
    """What tells one content of a package from another: SHA-256, in hex."""
    if path.is_dir():
        sums = (f"{name}\0{sha256(text).hexdigest()}\n" for name, text in _files(path))
        return sha256("".join(sums).encode()).hexdigest()
    with path.open("rb") as file:
        made = sha256()
        while block := file.read(1 << 20):
            made.update(block)
        return made.hexdigest()


# ---- the files -----------------------------------------------------------------------------------------


class _Bounded:
    """Unpacked bytes, until there are too many: what an archive says about its sizes is not believed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = MAX_BYTES

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(min(size, 1 << 20) if size >= 0 else 1 << 20)
        self._left -= len(block)
        if self._left < 0:
            raise TooLarge(f"The package has more than {MAX_BYTES} bytes.")
        return block


def _members(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """The JSON files of the archive; everything else is judged, too, and passed over."""
    try:
        with tarfile.open(
            fileobj=cast(BinaryIO, _Bounded(cast(BinaryIO, gzip.GzipFile(fileobj=file)))), mode="r|"
        ) as archive:
            for number, member in enumerate(archive):
                if number >= MAX_FILES:
                    raise TooLarge(f"The package has more than {MAX_FILES} files.")
                _check_member(member)
                if member.isreg() and member.name.endswith(".json"):
                    content = archive.extractfile(member)
                    assert content is not None
                    yield member.name, content.read()
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, UnicodeError, ValueError) as error:
        raise Malformed(f"It is not a whole .tgz ({type(error).__name__}).") from None


def _check_member(member: tarfile.TarInfo) -> None:
    name = member.name
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in PurePosixPath(name).parts:
        raise Unprocessable("The package has a path that leads out of it.")
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise Unprocessable("The package has a link or another entry that is no plain file.")
    if member.size > MAX_FILE_BYTES:
        raise TooLarge(f"The package has a file of more than {MAX_FILE_BYTES} bytes.")


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The JSON files below a folder, by name."""
    total = 0
    for number, path in enumerate(sorted(folder.rglob("*.json"))):
        if path.is_symlink() or not path.is_file():
            raise Unprocessable("The package has a link or another entry that is no plain file.")
        total += path.stat().st_size
        if number >= MAX_FILES or path.stat().st_size > MAX_FILE_BYTES or total > MAX_BYTES:
            raise TooLarge("The package has too many files, or too large ones.")
        yield path.relative_to(folder).as_posix(), path.read_bytes()


def _inside(name: str) -> str:
    """The path within the package: npm puts everything under package/."""
    return str(PurePosixPath(name)).removeprefix("package/")


# ---- what they say -------------------------------------------------------------------------------------


def _resources(contents: Mapping[str, bytes]) -> tuple[list[tuple[str, Json]], list[tuple[str, str]]]:
    """The resources by path, and what is wrong with the other files where a resource could be."""
    found: list[tuple[str, Json]] = []
    problems: list[tuple[str, str]] = []
    taken: set[tuple[str, str]] = set()
    for path, text in contents.items():
        *folders, name = path.split("/")
        if name in ("package.json", ".index.json") or (folders and (len(folders) > 1 or folders[0] not in _EXAMPLES)):
            continue
        try:
            resource = json.decode(text.removeprefix(b"\xef\xbb\xbf"))
        except json.InvalidJson as wrong:
            problems.append((path, str(wrong)))
            continue
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if kind is None:
            continue  # a list of files, or a page's data
        if not isinstance(kind, str) or kind not in RESOURCE_TYPES:
            problems.append((path, "It is not a resource of R4."))
        elif (id_ := _text(resource, "id")) and (kind, id_) in taken:
            problems.append((path, "Another file of the package has a resource of this type and id."))
        else:
            taken.add((kind, id_))
            found.append((path, resource))
    return found, problems


def _item(path: str, text: bytes, resource: Json, listed: Mapping[str, bool]) -> Item:
    kind, id_ = resource["resourceType"], _text(resource, "id")
    is_example = listed.get(f"{kind}/{id_}")
    if is_example or "/" in path:
        role = "example"
    elif kind in CONFORMANCE or is_example is False:
        role = "conformance"
    else:
        role = "other"
    is_canonical = kind in CONFORMANCE and kind != "NamingSystem"
    url, version = (_text(resource, "url"), _text(resource, "version")) if is_canonical else ("", "")
    return Item(path, kind, id_, url, version, text.removeprefix(b"\xef\xbb\xbf"), role)


def _listed(guides: Iterable[Json]) -> dict[str, bool]:
    """What the ImplementationGuides list: "Type/id" → whether it is an example."""
    found: dict[str, bool] = {}
    for guide in guides:
        definition = guide.get("definition")
        for one in _objects(definition.get("resource") if isinstance(definition, dict) else None):
            reference = one.get("reference")
            target = _text(reference, "reference") if isinstance(reference, dict) else ""
            if target and ("exampleBoolean" in one or "exampleCanonical" in one):
                found[target] = one.get("exampleBoolean") is True or "exampleCanonical" in one
    return found


def _manifest_of(guide: Json) -> Json:
    """What a package.json would say, from the ImplementationGuide that it is made from."""
    url = _text(guide, "url")
    depends = {_text(one, "packageId"): _text(one, "version") for one in _objects(guide.get("dependsOn"))}
    return {
        "name": _text(guide, "packageId"),
        "version": _text(guide, "version"),
        "title": _text(guide, "title"),
        "canonical": url.partition("/ImplementationGuide/")[0],
        "fhirVersions": guide.get("fhirVersion"),
        "dependencies": depends,
    }


def _check_fhir_version(manifest: Json) -> None:
    """Raise Unprocessable unless the package is for R4."""
    said = manifest.get("fhirVersions") or manifest.get("fhir-version-list") or manifest.get("fhirVersion")
    versions = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    if not versions:  # older packages tell by what they depend on
        versions = [version for name, version in _dependencies(manifest).items() if name == "hl7.fhir.r4.core"]
    if not any(isinstance(one, str) and re.fullmatch(r"4\.0(\.[0-9x]+)?", one) for one in versions):
        told = ", ".join(str(one)[:16] for one in versions[:5]) or "none that it names"
        raise Unprocessable(f"The package is for another version of FHIR than 4.0.1: {told}.", code="not-supported")


def _dependencies(manifest: Json) -> dict[str, str]:
    found = manifest.get("dependencies")
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: version for name, version in pairs if _NAME.fullmatch(name) and isinstance(version, str)}


def _object(text: bytes | None, name: str) -> Json:
    if text is None:
        return {}
    try:
        value = json.decode(text.removeprefix(b"\xef\xbb\xbf"))
    except json.InvalidJson as wrong:
        raise Malformed(f"{name}: {wrong}") from None
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Json, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
