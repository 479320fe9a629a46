"""A small picture of a picture: what cannot be read, or is too large to be looked at, has none."""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

from PIL import Image, ImageOps

KINDS = ("image/png", "image/jpeg", "image/webp", "image/gif")
SIDE = 256  # pixels, of the longer side
MOST = 25_000_000  # pixels that are decoded: 100 MB
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
Image.MAX_IMAGE_PIXELS = 4 * MOST  # Pillow itself refuses what says it has twice as many


class Small(NamedTuple):
    """A preview's bytes and media type."""

    content: bytes
    kind: str


def small(content: bytes) -> Small | None:
    """The preview of an image, upright and without what the camera noted; None when there can be none.

    It takes a moment of CPU: not for the event loop.
    """
    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as image:
            image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG is decoded no larger than needed
            if image.width * image.height > MOST:
                return None
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):  # radiographs; converted as they are they would all be white
                upright = upright.convert("I").point(lambda grey: grey / 256).convert("L")
            opaque = not upright.has_transparency_data
            picture = upright.convert("RGB" if opaque else "RGBA")
            picture.thumbnail((SIDE, SIDE))
            out = BytesIO()
            picture.save(out, "JPEG" if opaque else "PNG", optimize=True)
            return Small(out.getvalue(), "image/jpeg" if opaque else "image/png")
    except Exception:  # decoders fail in many ways on what is broken; the document is none the worse
        return None
