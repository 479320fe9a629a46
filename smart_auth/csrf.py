"""Cross-site request forgery: a form comes back with a token that follows from the browser's own secret cookie.

https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from fhir_server.outcomes import Forbidden

FIELD = "csrf"


def token_for(secret: str) -> str:
    """The token of the forms shown to the browser whose cookie holds this secret."""
    digest = hmac.digest(secret.encode(), b"form", hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def check(secret: str, given: str) -> None:
    """Raise Forbidden (403) unless the form was shown to this browser."""
    if not secret or not hmac.compare_digest(token_for(secret).encode(), given.encode()):
        raise Forbidden("This form is no longer valid. Go back, reload the page and try again.")
