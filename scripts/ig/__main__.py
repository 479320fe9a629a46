"""`make ig`: compile the guide, arrange it as an HL7 package, and pack it; `--check` only compares."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ig import archive, package_name
from scripts.ig.cache import prepare
from scripts.ig.layout import arrange, differences
from scripts.ig.sushi import Unavailable, compile_guide

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "ig"
GUIDE = ROOT / "ig"
DEFINITIONS = ROOT.parent / "shared" / "fhir-r4"


def main() -> int:
    """0 when the package is what the sources produce; 1 when `--check` finds a difference or SUSHI an error."""
    parser = argparse.ArgumentParser(prog="make ig", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; list the files that differ")
    parser.add_argument("--definitions", type=Path, default=DEFINITIONS, help="folder of the published R4 bundles")
    options = parser.parse_args()
    try:
        prepare(WORK / "home", options.definitions)
        compiled = compile_guide(GUIDE, WORK)
    except Unavailable as error:
        print(f"make ig: {error}", file=sys.stderr)
        return 1
    if options.check:
        found = differences(compiled, GUIDE / "package")
        print("\n".join(found) or "ig/package is what ig/input produces.")
        return 1 if found else 0
    count = arrange(compiled, GUIDE / "package")
    tgz = WORK / f"{package_name()}.tgz"
    tgz.write_bytes(archive())
    print(f"{count} resources in ig/package; installable: {tgz.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
