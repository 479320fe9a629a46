"""Passwords: what is a good one, and argon2id for keeping and checking them off the event loop.

https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html · RFC 9106 ·
https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from fhir_server.outcomes import Unavailable, ValueWrong

MIN_LENGTH = 12
MAX_LENGTH = 256
AT_ONCE = 2  # each takes 64 MiB and a core for about a tenth of a second
MAX_WAITING = 64

_hasher = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)
_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="password")
_waiting = 0
T = TypeVar("T")

# What people take first when twelve characters are asked for: the words they are made of, and whole ones.
_WORDS = """
    password passwort motdepasse contrasena passw0rd p@ssword p@ssw0rd qwerty qwertyuiop qwertz qwertzuiop azerty
    asdfghjkl asdfgh zxcvbnm letmein welcome willkommen iloveyou changeme administrator admin adminadmin hospital
    krankenhaus hopital doctor patient nurse health medical clinic sunshine football baseball superman princess dragon
    monkey shadow master whatever trustno1 starwars abc abcd abcdef secret test testtest user login root default
"""
_WHOLE = """
    123456789012 1234567890123 12345678901234 123456789abc 1q2w3e4r5t6y 1qaz2wsx3edc qazwsxedcrfv qwertyuiop[]
    q1w2e3r4t5y6 123123123123 121212121212 111222333444 abcdefghijkl abc123abc123 passwordpassword qwertyqwerty
    asdfasdfasdf letmeinletmein iloveyouiloveyou correcthorsebatterystaple administrator1 zaq12wsxcde3 1qazxsw23edc
"""
_COMMON_WORDS = frozenset(_WORDS.split())
_COMMON = frozenset(_WHOLE.split())


def check_rules(password: str, login: str, email: str = "") -> None:
    """Raise ValueWrong, with what is to be done, for a password that is easily guessed."""
    text = normalized(password)
    if len(text) < MIN_LENGTH:
        raise ValueWrong(f"Use at least {MIN_LENGTH} characters; several words are easy to remember.")
    if len(text) > MAX_LENGTH:
        raise ValueWrong(f"Use at most {MAX_LENGTH} characters.")
    folded = text.casefold()
    for own in (login.casefold(), email.casefold(), email.casefold().partition("@")[0]):
        if len(own) >= 3 and (own in folded) and len(folded) - len(own) < MIN_LENGTH // 2:
            raise ValueWrong("Do not use your user name or e-mail address as the password.")
    core = folded.strip("0123456789!?.,-_*#$%&@+=/ ")
    if len(set(folded)) < 5 or not core or core in _COMMON_WORDS or folded in _COMMON:
        raise ValueWrong("This password is among the first that are guessed; choose another.")


async def hash_of(password: str) -> str:
    """The argon2id hash, with its parameters and salt."""
    text = normalized(password)
    return await _in_thread(lambda: _hasher.hash(text))


async def verify(hash_: str, password: str) -> bool:
    """Whether the password fits; without a hash it takes as long, and does not."""
    text = normalized(password[: MAX_LENGTH * 4])
    if not hash_:
        await _in_thread(lambda: _fits(_nobody(), text))
        return False
    return await _in_thread(lambda: _fits(hash_, text))


def is_outdated(hash_: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(hash_)


def normalized(password: str) -> str:
    """The same characters, however a keyboard composes them."""
    return unicodedata.normalize("NFKC", password)


def _fits(hash_: str, text: str) -> bool:
    try:
        return _hasher.verify(hash_, text)
    except (Argon2Error, InvalidHashError):
        return False


def _nobody() -> str:
    """A hash with today's parameters that no password fits."""

    def part(count: int) -> str:
        return base64.b64encode(secrets.token_bytes(count)).decode().rstrip("=")

    cost = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    return f"$argon2id$v=19${cost}${part(_hasher.salt_len)}${part(_hasher.hash_len)}"


async def _in_thread(work: Callable[[], T]) -> T:
    """Run it on one of the threads for passwords. Raises Unavailable (503) when too many wait already."""
    global _waiting
    if _waiting >= MAX_WAITING:
        raise Unavailable("Too many people sign in at this moment; try again.", headers={"Retry-After": "2"})
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, work)
    finally:
        _waiting -= 1
