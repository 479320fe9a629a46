"""The frame of every HTML page: head, top line, footer. No script, no inline style, nothing from elsewhere."""

from __future__ import annotations

from html import escape

from fhir_server import __version__

CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_MARK = (
    '<svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="9"/>'
    '<path d="M5 17h6l3-8 5 15 3-7h5"/></svg>'
)


def root_of(base_url: str) -> str:
    """The server's root, above the base of the FHIR API: "http://127.0.0.1:8080"."""
    return base_url.rpartition("/")[0]


def document(title: str, content: str, base_url: str, *, here: str = "") -> str:
    """A whole page; `content` is HTML that is already escaped, `here` names the current page of the top line."""
    root = escape(root_of(base_url))
    links = [
        ("/", "Home"),
        ("/docs", "API"),
        ("/fhir/metadata", "Capabilities"),
        ("/ig", "Guide"),
        ("/health", "Health"),
    ]
    nav = "".join(_link(root, base_url, path, label, here == label) for path, label in links)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n"
        f'<link rel="stylesheet" href="{root}/static/fhir.css">\n'
        f'<link rel="icon" href="{root}/static/icon.svg" type="image/svg+xml">\n</head>\n<body>\n'
        '<a class="skip" href="#content">Skip to the content</a>\n'
        f'<header class="top"><div class="wide"><a class="brand" href="{root}/">{_MARK}<span>FHIR server</span></a>'
        f'<nav aria-label="Main">{nav}</nav></div></header>\n'
        f'<main id="content" class="wide">\n{content}\n</main>\n'
        f'<footer class="wide"><p>FHIR R4 (4.0.1) · version {escape(__version__)} · '
        f"<code>{escape(base_url)}</code></p></footer>\n</body>\n</html>\n"
    )


def _link(root: str, base_url: str, path: str, label: str, is_here: bool) -> str:
    href = f"{escape(base_url)}/metadata" if path == "/fhir/metadata" else f"{root}{path}"
    current = ' aria-current="page"' if is_here else ""
    return f'<a href="{href}"{current}>{label}</a>'
