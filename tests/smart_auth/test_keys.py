"""Signing keys that rotate, and secrets sealed under a master key."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey

from fhir_server.config import Settings
from fhir_server.encryption.sealing import Sealer, make_file, rotate_file
from fhir_server.storage.database import Database
from smart_auth.keys import Keys
from smart_auth.store import now

PRIVATE = {"d", "p", "q", "dp", "dq", "qi"}


@pytest.fixture
async def opened(mongo_uri: str, database: str) -> AsyncIterator[Database]:
    made = Database(mongo_uri, database)
    await made.system["auth_keys"].drop()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"data_dir": tmp_path / "data"})


@pytest.fixture
async def keys(own: Settings, opened: Database) -> Keys:
    made = Keys(own, opened)
    await made.prepare()
    return made


def read(token: str, jwks: Any) -> Any:
    """As a relying party does."""
    return jwt.decode(token, KeySet.import_key_set(jwks), algorithms=["RS256"])


async def test_point_2_the_jwks_verifies_and_has_no_private_member(keys: Keys) -> None:
    token = await keys.sign({"sub": "nora"})
    (key,) = (await keys.jwks())["keys"]
    assert not PRIVATE & set(key)
    assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
    decoded = read(token, {"keys": [key]})
    assert decoded.claims == {"sub": "nora"}
    assert decoded.header["kid"] == key["kid"]
    assert decoded.header["alg"] == "RS256"


async def test_point_2_keys_rotate_and_old_ones_stay_until_their_tokens_are_over(
    keys: Keys, own: Settings, opened: Database
) -> None:
    other = Keys(own, opened)
    await other.prepare()
    old = await other.sign({"sub": "nora"})
    kid = await keys.rotate()
    new = await other.sign({"sub": "nora"})  # the other process signs with it at once
    jwks = await other.jwks()
    assert [key["kid"] for key in jwks["keys"]] == [kid, read(old, jwks).header["kid"]]
    assert read(new, jwks).header["kid"] == kid
    former = await opened.system["auth_keys"].find_one({"_id": {"$ne": kid}})
    assert former is not None
    assert timedelta(hours=1) < former["expires"] - now() <= timedelta(hours=2)
    current = await opened.system["auth_keys"].find_one({"_id": kid})
    assert current is not None
    assert "expires" not in current
    indexes = await opened.system["auth_keys"].index_information()
    assert indexes["expires"]["expireAfterSeconds"] == 0


async def test_processes_that_start_together_make_one_key(own: Settings, opened: Database) -> None:
    several = [Keys(own, opened) for _ in range(3)]
    await asyncio.gather(*(one.prepare() for one in several))
    (key,) = (await several[0].jwks())["keys"]
    for one in several:
        assert read(await one.sign({}), {"keys": [key]})


async def test_a_key_that_is_too_old_is_replaced_at_the_start(own: Settings, opened: Database) -> None:
    first = Keys(own, opened)
    await first.prepare()
    await first.prepare()
    assert len((await first.jwks())["keys"]) == 1
    await opened.system["auth_keys"].update_many({}, {"$set": {"made": now() - timedelta(days=91)}})
    await first.prepare()
    assert len((await first.jwks())["keys"]) == 2


async def test_only_our_own_tokens_are_verified(keys: Keys) -> None:
    token = await keys.sign({"sub": "nora", "exp": 1})
    assert await keys.verify(token) == {"sub": "nora", "exp": 1}
    head, claims, signature = token.split(".")
    for wrong in ("", "x", "a.b.c", f"{head}.{claims}.", f"{head}.{claims}.{signature[::-1]}", "\ud800.a.b", "é.é.é"):
        assert await keys.verify(wrong) is None
    none = jwt.encode({"alg": "HS256", "kid": "x"}, {"sub": "nora"}, OctKey.generate_key())
    assert await keys.verify(none) is None


async def test_private_keys_are_sealed_in_the_database(keys: Keys, opened: Database) -> None:
    row = await opened.system["auth_keys"].find_one({})
    assert row is not None
    assert not PRIVATE & set(row["public"])
    assert b'"d"' not in row["sealed"]
    assert b'"d"' in keys.open(row["sealed"])


# ---- the master key ----------------------------------------------------------------------------------


async def test_the_master_key_is_made_at_the_first_start_for_its_owner_only(keys: Keys, own: Settings) -> None:
    path = own.data_dir / "master.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in own.data_dir.iterdir()] == ["master.key"]
    before = path.read_text()
    make_file(path)
    assert path.read_text() == before


async def test_another_master_key_is_told_at_the_start(keys: Keys, own: Settings, opened: Database) -> None:
    (own.data_dir / "master.key").unlink()
    with pytest.raises(RuntimeError, match=r"master\.key"):
        await Keys(own, opened).prepare()
    assert not (own.data_dir / "master.key").exists()  # a new one would hide what is wrong
    make_file(own.data_dir / "master.key")
    with pytest.raises(RuntimeError, match="FHIR_MASTER_KEY_FILE"):
        await Keys(own, opened).prepare()


async def test_a_host_with_another_master_key_does_not_start(own: Settings, opened: Database, tmp_path: Path) -> None:
    elsewhere = own.model_copy(update={"data_dir": tmp_path / "elsewhere"})
    started = await asyncio.gather(
        Keys(own, opened).prepare(), Keys(elsewhere, opened).prepare(), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in started) == ["NoneType", "RuntimeError"]


async def test_a_configured_master_key_is_never_made(own: Settings, opened: Database, tmp_path: Path) -> None:
    configured = own.model_copy(update={"master_key_file": tmp_path / "there.key"})
    with pytest.raises(RuntimeError, match=r"there\.key"):
        await Keys(configured, opened).prepare()
    make_file(tmp_path / "there.key")
    await Keys(configured, opened).prepare()
    assert not own.data_dir.exists()


@pytest.mark.parametrize("content", ["", "short", "AAAA", "é", "\0"])
def test_a_master_key_file_that_holds_none_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "master.key"
    path.write_text(content)
    with pytest.raises(RuntimeError, match=r"master\.key"):
        Sealer.of_file(path)


async def test_the_master_key_rotates(keys: Keys, own: Settings, opened: Database) -> None:
    sealed = keys.seal(b"secret")
    rotate_file(own.data_dir / "master.key")
    again = Keys(own, opened)
    await again.prepare()
    assert again.open(sealed) == b"secret"
    assert again.seal(b"secret")[1:5] != sealed[1:5]
    row = await opened.system["auth_keys"].find_one({})
    assert row is not None
    assert row["sealed"][1:5] == again.seal(b"")[1:5]
    assert await again.verify(await keys.sign({})) == {}


SEALER = Sealer([b"k" * 32])


@given(st.binary(max_size=200))
def test_what_is_sealed_is_opened(data: bytes) -> None:
    sealed = SEALER.seal(data)
    assert SEALER.open(sealed) == data
    assert SEALER.seal(data) != sealed
    with pytest.raises(ValueError, match="another master key"):
        Sealer([b"x" * 32]).open(sealed)


@given(st.binary(max_size=60), st.integers(0, 10**6), st.integers(1, 255))
def test_what_is_altered_is_not_opened(data: bytes, place: int, by: int) -> None:
    sealed = bytearray(SEALER.seal(data))
    sealed[place % len(sealed)] ^= by
    with pytest.raises(ValueError, match=r"altered|another"):
        SEALER.open(bytes(sealed))


@given(st.binary(max_size=60))
def test_nothing_else_is_opened(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"altered|another"):
        SEALER.open(data)
