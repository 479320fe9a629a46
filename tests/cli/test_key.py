"""`fhir-server key`: the keys that sign id_tokens."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet

from smart_auth.service import SmartAuth
from tests.cli.accounts import Accounts


def test_what_the_old_key_signed_is_still_verified_by_what_is_published(accounts: Accounts) -> None:
    async def sign(auth: SmartAuth) -> str:
        return await auth.keys.sign({"sub": "ada"})

    async def published(auth: SmartAuth) -> Any:
        return await auth.keys.jwks()

    old = accounts.look(sign)
    before = accounts.done("key", "list")
    said = accounts.done("key", "rotate")
    made = said[0].removeprefix("New key: ")
    assert accounts.done("key", "list") == [made, *before]
    new = accounts.look(sign)
    keys = accounts.look(published)
    for token, kid in ((old, before[0]), (new, made)):
        decoded = jwt.decode(token, KeySet.import_key_set(keys), algorithms=["RS256"])
        assert (decoded.header["kid"], decoded.claims["sub"]) == (kid, "ada")
    assert all(not {"d", "p", "q"} & set(key) for key in keys["keys"])
    assert [entry.query for entry in accounts.trail() if entry.interaction == "key"] == [f"rotate {made}"]


def test_the_master_key_is_its_owners_alone(accounts: Accounts) -> None:
    accounts.done("key", "list")
    path = accounts.settings.data_dir / "master.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_wrong_master_key_is_said_in_words(accounts: Accounts, tmp_path: Path) -> None:
    accounts.done("key", "list")
    other = accounts.settings.model_copy(update={"data_dir": tmp_path})
    (tmp_path / "master.key").write_text(base64.b64encode(bytes(32)).decode())
    assert "not what sealed the signing keys" in Accounts(other).refused("key", "list")


def test_an_unknown_action_is_named(accounts: Accounts) -> None:
    ended = accounts("key", "burn")
    assert ended.code == 2
    assert "burn" in ended.error
