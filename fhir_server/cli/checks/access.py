"""What sign-in and the audit trail must find: keys that only their owner reads, and a public URL with TLS."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from fhir_server.cli.checks.finding import Finding, fail, ok, warn
from fhir_server.config import Settings


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding about sign-in; nothing is made here."""
    if settings.open:
        yield warn("Sign-in", "none: open mode", "For trial only: whoever reaches the address changes everything.")
        return
    if settings.master_key:
        yield ok("Master key", "in the environment")
    else:
        master = settings.master_key_file or settings.data_dir / "master.key"
        yield key_file("Master key", master, configured=settings.master_key_file is not None)
    if settings.audit:
        audit = settings.audit_key_file or settings.data_dir / "audit.key"
        yield key_file("Audit key", audit, configured=settings.audit_key_file is not None)
    else:
        yield warn("Audit trail", "off", "FHIR_AUDIT=true: without it nobody knows who saw what.")
    yield public_url(settings)


def key_file(subject: str, path: Path, *, configured: bool) -> Finding:
    """Whether a secret's file is there and its owner's alone."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if configured:
            return fail(subject, f"{path} is not there", "Every host needs the same file: bring it, or its backup.")
        return ok(subject, "none yet; the first start makes it")
    except OSError as error:
        return fail(subject, f"{path}: {error.strerror}", "Change its owner to the user that the server runs as.")
    if stat.S_IMODE(mode) & 0o077:
        return warn(subject, f"{path} can be read by others ({stat.S_IMODE(mode):04o})", f"chmod 600 {path}")
    return ok(subject, f"{path}, its owner's alone")


def public_url(settings: Settings) -> Finding:
    """Whether tokens and passwords come here under TLS, as far as the configuration tells."""
    subject = "Public URL"
    if settings.base_url is None:
        if _is_loopback(settings.host):
            return ok(subject, "this machine only")
        advice = "Set FHIR_BASE_URL to the https URL of your proxy: apps are sent to it, and tokens are for it."
        return warn(subject, f"none, and the server listens on {settings.host}", advice)
    parts = urlsplit(settings.base_url)
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        return warn(
            subject,
            f"{settings.base_url} has no TLS",
            "Passwords and tokens go over it: put a proxy with TLS before it: https://…",
        )
    return ok(subject, settings.base_url)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
