"""Every setting of the server, each read from the environment as FHIR_<NAME>."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The server's configuration; safe by default: loopback only, a private database, bounded everything."""

    model_config = SettingsConfigDict(env_prefix="FHIR_", extra="ignore")

    # Where
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, description="TCP port to listen on; 0 takes a free one.")
    workers: int = Field(1, ge=1, description="Server processes.")
    data_dir: Path = Field(Path("data"), description="Private mongod, generated keys, load progress.")
    base_url: str | None = Field(None, description="Public base URL of the FHIR API, e.g. https://ehr.example/fhir.")
    trusted_proxies: str = Field("", description="Comma list of addresses whose X-Forwarded-* headers are believed.")
    open: bool = Field(False, description="No sign-in, for local trials; loopback only.")
    roles: Path | None = Field(None, description="A role policy of your own in place of access/roles.toml.")
    audit: bool = Field(True, description="Every interaction leaves an entry in the audit trail.")
    audit_wait: bool = Field(
        False,
        description="Answers of reads wait until the database, not only the data directory, has their audit entry.",
    )
    audit_key_file: Path | None = Field(
        None, description="What seals the audit trail, the same file for every host; else data_dir/audit.key is made."
    )

    # Database
    mongodb_uri: str | None = Field(
        None,
        validation_alias=AliasChoices("FHIR_MONGODB_URI", "MONGODB_URI", "mongodb_uri"),
        description="A replica set or sharded cluster; without it a private mongod is started in data_dir.",
    )
    database: str = Field("fhir", description="Prefix of the database names: <prefix>_fhir, <prefix>_system.")
    mongod_cache_gb: float = Field(0.5, description="WiredTiger cache of the private mongod, GB.")

    # Limits a caller can meet; each is named in docs/limits.md
    max_body_bytes: int = Field(16 * 1024 * 1024, description="Largest request body (413 beyond).")
    max_resource_bytes: int = Field(6 * 1024 * 1024, description="Largest stored resource, JSON text (413 beyond).")
    max_bundle_entries: int = Field(10_000, description="Entries of a batch or transaction (413 beyond).")
    default_count: int = Field(20, description="Page size when _count is absent.")
    max_count: int = Field(1000, description="Largest page; a larger _count is lowered to it.")
    max_include: int = Field(1000, description="Included resources per page.")
    query_seconds: float = Field(20.0, description="Time limit of one database query.")
    max_pending_writes: int = Field(4096, description="Writes waiting for a flush before 503 answers.")
    body_seconds: float = Field(30.0, description="Time a caller has to send a request body.")

    # Choices
    validation: Literal["structure", "invariants", "profiles"] = Field(
        "structure",
        description="What a write is checked against: R4's structure, also its invariants, also claimed profiles.",
    )
    strict_validation: bool = Field(
        False, description="Unknown extensions and wrong displays are errors, and vital signs meet R4's profiles."
    )
    enforced_profiles: dict[str, list[str]] = Field(
        {}, description="Profiles every resource of a type must meet at the level profiles, as JSON: type to URLs."
    )
    guide: bool = Field(True, description="The server's own implementation guide is loaded at the start.")
    packages: str = Field("", description="Comma list of FHIR packages (.tgz) that are installed at the start.")
    strict_search: bool = Field(True, description="Unknown search parameters are refused unless handling=lenient.")
    multiple_delete: bool = Field(False, description="A conditional delete may delete several matches.")
    log_level: str = Field("info", description="debug, info, warning or error.")

    # Master key, and what is encrypted under it at rest
    master_key: str = Field(
        "", repr=False, description="Master keys in place of a file: each 32 bytes as base64, the current one first."
    )
    master_key_service: str = Field(
        "", description="What makes the key service (KMS) that wraps patients' keys: package.module:function."
    )
    sensitive_labels: str = Field(
        "", description="Security labels, system|code by commas, that are as sensitive as our own label sensitive."
    )
    master_key_file: Path | None = Field(
        None, description="What seals secrets at rest, the same file for every host; else data_dir/master.key is made."
    )
    signing_key_days: int = Field(90, ge=1, description="At a start, an older key that signs id_tokens is replaced.")

    # Sign-in pages
    session_idle_minutes: int = Field(60, ge=1, description="A browser session ends when it is not used for so long.")
    session_hours: int = Field(12, ge=1, description="A browser session ends after so many hours in any case.")
    second_factor_roles: str = Field("", description="Comma list of roles that must have a second factor; * is all.")
    login_attempts: int = Field(10, ge=1, description="Failed sign-ins per account and address in 15 minutes.")
    login_attempts_per_address: int = Field(100, ge=1, description="The same per network address, over all accounts.")
    self_registration: bool = Field(False, description="Patients may register themselves; needs e-mail.")
    smtp_url: str = Field("", repr=False, description="smtp://user:password@host:587?starttls=true, or smtps://…")
    mail_from: str = Field("", description="Sender of e-mails: no-reply@hospital.example.")
    openid_providers: str = Field("", repr=False, description="OpenID Connect providers to sign in with, as JSON.")
    service_name: str = Field("FHIR server", description="What the sign-in pages and e-mails call this server.")

    # Endpoints of the authorization server
    allow_local_endpoints: bool = Field(
        False, description="A client's jwks_uri may be on this machine or a private network, also over http."
    )
    dynamic_registration: bool = Field(False, description="Apps may register themselves (RFC 7591).")
    offline_access_days: int = Field(90, ge=1, description="An unused refresh token of offline_access ends then.")

    # Subscriptions and real-time
    event_days: int = Field(30, ge=1, description="Events of subscriptions can be asked for again for so long.")
    max_subscriptions: int = Field(200, ge=1, description="Subscriptions of one user that are not off (422 beyond).")
    mails_per_hour: int = Field(
        20, ge=0, description="E-mails of subscriptions to one address in an hour, the rest waits; 0: any number."
    )
    allow_private_endpoints: bool = Field(
        False, description="Subscriptions may notify endpoints on this machine or a private network, also over http."
    )
    job_seconds: float = Field(
        30.0, ge=1, description="A repeated job whose process has died is another's after so long; it takes less."
    )
    redis_url: str | None = Field(
        None,
        validation_alias=AliasChoices("FHIR_REDIS_URL", "REDIS_URL", "redis_url"),
        description="Socket.IO's client manager over Redis instead of MongoDB: redis://host:6379/0.",
    )

    # Workflows
    emergency_minutes: str = Field(
        "2,5,15",
        pattern=r"^\d+(\.\d+)?(,\d+(\.\d+)?){2}$",
        description="An emergency that nobody answers is escalated so often: of high, medium and low priority.",
    )
    time_zone: ZoneInfo = Field(ZoneInfo("UTC"), description="Of the hospital's hours: Europe/Berlin.")

    # Tokens of an outside authorization server, beside our own
    external_issuer: str = Field("", description="Its issuer, the `iss` of its tokens; empty: there is none.")
    external_jwks_uri: str = Field("", description="Its keys, for access tokens that are JWTs.")
    external_audience: str = Field("", description="The `aud` of its tokens; the FHIR base URL unless given.")
    external_introspection_url: str = Field("", description="Where it is asked about tokens that are not JWTs.")
    external_client_id: str = Field("", description="Our client_id at its introspection endpoint.")
    external_client_secret: str = Field("", repr=False, description="Our secret at its introspection endpoint.")
    external_role: str = Field("", description="Role of its practitioners who have no account here; empty: none.")


@lru_cache(1)
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
