"""Time-based one-time passwords (RFC 6238) and recovery codes."""

from __future__ import annotations

import base64
import io
import secrets
import time
from collections.abc import Collection

import pyotp
import segno

from smart_auth.keys import Keys
from smart_auth.store import digest
from smart_auth.users import User, Users

RECOVERY_CODES = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look alike
_PERIOD = 30


def new_secret() -> str:
    """160 random bits, base32, as apps for one-time passwords take them."""
    return pyotp.random_base32()


def address(secret: str, user: str, issuer: str) -> str:
    """The otpauth: address that an app reads from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=user, issuer_name=issuer)


def picture(address: str) -> str:
    """The QR code as a data: address of an SVG image, dark on white in light and dark pages alike."""
    out = io.BytesIO()
    segno.make(address, error="m").save(out, kind="svg", scale=5, border=3, light="#fff", dark="#12252a", xmldecl=False)
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()


def step_of(secret: str, code: str, moment: float | None = None) -> int | None:
    """The time step (30 s) whose code this is: now, just before or just after; None when it is neither."""
    given = "".join(code.split())
    if len(given) != 6 or not (given.isascii() and given.isdigit()):
        return None
    now = int((time.time() if moment is None else moment) // _PERIOD)
    one_time = pyotp.TOTP(secret)
    for step in (now, now - 1, now + 1):
        if secrets.compare_digest(one_time.generate_otp(step), given):
            return step
    return None


async def check(users: Users, keys: Keys, user: User, code: str) -> bool:
    """Whether this is the user's code of now, or one of their recovery codes; either counts once."""
    if not user.totp:
        return False
    step = step_of(keys.open(user.totp).decode(), code)
    if step is not None:
        return await users.use_step(user.id, step)
    plain = _plain(code)
    return len(plain) == 12 and await users.use_recovery(user.id, recovery_digest(user.id, plain))


def new_recovery_codes() -> list[str]:
    """Ten codes of 59 random bits each, as "abcd-efgh-jkmn"."""
    return [
        "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3)) for _ in range(RECOVERY_CODES)
    ]


def recovery_digest(user: str, code: str) -> str:
    """How a recovery code is kept."""
    return digest(f"{user} {_plain(code)}").hex()


def _plain(code: str) -> str:
    return "".join(code.lower().split()).replace("-", "")


def is_required(roles: Collection[str], required_for: str) -> bool:
    """Whether one of these roles must have a second factor, by the setting (a comma list; "*" is everybody)."""
    wanted = {name.strip() for name in required_for.split(",") if name.strip()}
    return "*" in wanted or not wanted.isdisjoint(roles)
