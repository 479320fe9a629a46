"""What the authorization server refuses: https://www.rfc-editor.org/rfc/rfc6749#section-5.2"""

from __future__ import annotations


class OAuthError(Exception):
    """A refusal in OAuth's terms: the error code, a sentence for the app's developer, and an HTTP status.

    The sentence never repeats tokens, codes, secrets or what a user typed.
    """

    def __init__(self, error: str, description: str = "", status: int = 400) -> None:
        super().__init__(description or error)
        self.error = error
        self.description = description
        self.status = status


class NoRedirect(Exception):
    """A request whose sender cannot be trusted with an answer: the user is shown the message on a page of ours."""


class Redirect(Exception):
    """A refusal that the app is told by sending the browser back to it, with its state exactly as it came.

    `self_registered`: nobody vouches for the app, so that it may hear this only once the user has signed in.
    """

    def __init__(
        self, error: str, description: str, redirect_uri: str, state: str | None, *, self_registered: bool = False
    ) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.redirect_uri = redirect_uri
        self.state = state
        self.self_registered = self_registered
