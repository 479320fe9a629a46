"""The part of Markdown that the guide's pages are written in, as escaped HTML: no raw HTML, no foreign resources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape

Link = Callable[[str], str | None]

_HEADING = re.compile(r"(#{1,4}) +(.*)")
_ITEM = re.compile(r"(?:[-*]|(\d+)\.) +(.*)")
_INLINE = re.compile(
    r"`(?P<code>[^`]+)`|\*\*(?P<strong>[^*]+)\*\*|\*(?P<em>[^*]+)\*|\[(?P<text>[^\]]+)\]\((?P<to>[^)\s]+)\)"
)


def html(text: str, link: Link) -> str:
    """The page; `link` maps a target as it is written to an href, or None when it is not to be a link."""
    lines = text.splitlines()
    return "\n".join(_blocks(lines, link))


def inline(text: str, link: Link) -> str:
    """One line: code, strong, emphasis and links."""
    done, position = "", 0
    for match in _INLINE.finditer(text):
        done += escape(text[position : match.start()], quote=False) + _span(match, link)
        position = match.end()
    return done + escape(text[position:], quote=False)


def _span(match: re.Match[str], link: Link) -> str:
    if match["code"]:
        return f"<code>{escape(match['code'], quote=False)}</code>"
    if match["strong"]:
        return f"<strong>{inline(match['strong'], link)}</strong>"
    if match["em"]:
        return f"<em>{inline(match['em'], link)}</em>"
    label, href = inline(match["text"], link), link(match["to"])
    return f'<a href="{escape(href)}" rel="noreferrer">{label}</a>' if href else label


def _blocks(lines: list[str], link: Link) -> Iterator[str]:
    position = 0
    while position < len(lines):
        line = lines[position]
        if line.startswith("```"):
            end = _until(lines, position + 1, lambda one: one.startswith("```"))
            code = escape("\n".join(lines[position + 1 : end]), quote=False)
            yield f'<pre tabindex="0"><code>{code}</code></pre>'
            position = end + 1
            continue
        end = _until(lines, position, lambda one: not one.strip()) if line.strip() else position + 1
        if match := _HEADING.fullmatch(line):
            level, end = len(match[1]), position + 1
            yield f"<h{level}>{inline(match[2], link)}</h{level}>"
        elif line.startswith("|"):
            yield _table(lines[position:end], link)
        elif match := _ITEM.match(line):
            yield _list(lines[position:end], "ol" if match[1] else "ul", link)
        elif line.strip():
            yield f"<p>{inline(' '.join(lines[position:end]), link)}</p>"
        position = end


def _until(lines: list[str], start: int, stops: Callable[[str], bool]) -> int:
    return next((index for index in range(start, len(lines)) if stops(lines[index])), len(lines))


def _list(lines: list[str], tag: str, link: Link) -> str:
    items: list[str] = []
    for line in lines:
        if match := _ITEM.match(line):
            items.append(match[2])
        else:
            items[-1] += f" {line.strip()}"
    return f"<{tag}>{''.join(f'<li>{inline(one, link)}</li>' for one in items)}</{tag}>"


def _table(lines: list[str], link: Link) -> str:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    head = "".join(f'<th scope="col">{inline(cell, link)}</th>' for cell in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{inline(cell, link)}</td>' for cell in row)}</tr>" for row in rows[2:])
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
