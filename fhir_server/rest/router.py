"""Routes that are declared where their handlers stand: `@router.get("/health")`. Starlette serves them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

Handler = TypeVar("Handler", bound=Callable[[Request], Awaitable[Response] | Response])


class Router:
    """Routes in the order of their declaration; a handler that is no coroutine runs in a thread."""

    def __init__(self) -> None:
        self.routes: list[BaseRoute] = []

    def get(self, path: str) -> Callable[[Handler], Handler]:
        """Serve GET at the path, and no HEAD."""
        return self.on(path, "GET")

    def post(self, path: str) -> Callable[[Handler], Handler]:
        """Serve POST at the path."""
        return self.on(path, "POST")

    def options(self, path: str) -> Callable[[Handler], Handler]:
        """Serve OPTIONS at the path."""
        return self.on(path, "OPTIONS")

    def delete(self, path: str) -> Callable[[Handler], Handler]:
        """Serve DELETE at the path."""
        return self.on(path, "DELETE")

    def on(self, path: str, *methods: str) -> Callable[[Handler], Handler]:
        """Serve these methods at the path."""

        def declare(handler: Handler) -> Handler:
            route = Route(path, handler)
            route.methods = set(methods)  # given to Route, GET would bring HEAD along
            self.routes.append(route)
            return handler

        return declare

    def include(self, other: Router) -> None:
        """Serve what another router has, too."""
        self.routes += other.routes
