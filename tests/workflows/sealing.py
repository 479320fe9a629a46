"""What browsers do, in Python and by another library: keys of people, and content sealed to them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwe
from joserfc.jwk import ECKey

from tests.workflows.clinic import Actor

Json = dict[str, Any]
KEY = "http://fhir-server.example/ig/StructureDefinition/encryption-key"
LABEL = {"system": "http://fhir-server.example/ig/CodeSystem/record-label", "code": "end-to-end"}
JOSE = "application/jose+json"
ALGORITHMS = ["ECDH-ES+A256KW", "A256GCM"]


@dataclass
class Key:
    """Somebody's key pair."""

    pair: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))

    @property
    def kid(self) -> str:
        return str(self.pair.thumbprint())

    @property
    def jwk(self) -> Json:
        return {name: self.pair.as_dict(private=False)[name] for name in ("kty", "crv", "x", "y")}

    def extension(self, **parts: str | None) -> Json:
        """As it is published; `parts` replace what it says, None leaves one out."""
        said = {"kid": self.kid, "jwk": json.dumps(self.jwk), "created": "2026-01-01T08:00:00Z", **parts}
        return {"url": KEY, "extension": [part(name, value) for name, value in said.items() if value is not None]}

    def open(self, sealed: Json) -> str:
        """The text of an attachment that is sealed to this key."""
        content = json.loads(b64decode(sealed["data"]))
        content["recipients"] = [one for one in content["recipients"] if one["header"]["kid"] == self.kid]
        text = jwe.decrypt_json(content, self.pair, algorithms=ALGORITHMS).plaintext
        assert text is not None
        return text.decode()


def part(name: str, value: str) -> Json:
    return {"url": name, ("valueString" if name in ("kid", "jwk") else "valueDateTime"): value}


def sealed(text: str, *keys: Key) -> Json:
    """The JWE of a text for these keys."""
    content = jwe.GeneralJSONEncryption({"enc": "A256GCM"}, text.encode())
    for one in keys:
        content.add_recipient({"alg": "ECDH-ES+A256KW", "kid": one.kid}, ECKey.import_key(one.jwk))
    return dict(jwe.encrypt_json(content, None, algorithms=ALGORITHMS))


def attachment(content: Any, **more: Any) -> Json:
    """An attachment of JWE, or of whatever stands there in its stead."""
    text = content if isinstance(content, str) else json.dumps(content)
    return {"contentType": JOSE, "data": b64encode(text.encode()).decode(), **more}


def message(patient: str, sender: str, *attachments: Json, **more: Any) -> Json:
    """A Communication with the label."""
    return {
        "resourceType": "Communication",
        "meta": {"security": [LABEL]},
        "status": "completed",
        "subject": {"reference": patient},
        "sender": {"reference": sender},
        "payload": [{"contentAttachment": one} for one in attachments],
        **more,
    }


def document(patient: str, author: str, *attachments: Json, **more: Any) -> Json:
    """A DocumentReference with the label."""
    return {
        "resourceType": "DocumentReference",
        "meta": {"security": [LABEL]},
        "status": "current",
        "subject": {"reference": patient},
        "author": [{"reference": author}],
        "content": [{"attachment": one} for one in attachments],
        **more,
    }


async def publish(actor: Actor, *keys: Json, person: str = "", expect: int = 200) -> Json:
    """Add keys (as extensions) to a person, the actor unless another is named; the answer."""
    person = person or actor.user
    found = (await actor.get(person)).get("extension", [])
    change = {"op": "add", "path": "/extension", "value": [*found, *keys]}
    return await actor.patch(person, change, expect=expect)
