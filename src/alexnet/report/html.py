"""HTML from the template, with every picture, style and script inside it: it asks for nothing."""

import base64
import hashlib
import io
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from alexnet.figures.style import Pixels, png_bytes

QUALITY = 70  # of photographs, as JPEG: a page of ImageNet stays below 5 MB


def page(**content: object) -> str:
    """report.html.jinja filled with `content`, all words escaped. UndefinedError: one is missing.

    Its filters make data URIs of pixels: `photo(side)` a JPEG, `png` what must keep every value.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(photo=photo_uri, png=png_uri, sha256=sha256)
    return environment.get_template("report.html.jinja").render(**content)


def shrunk(pixels: Pixels, side: int) -> Pixels:
    """At most `side` high and wide, as (h, w, 3) uint8."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def photo_uri(pixels: Pixels, side: int = 256) -> str:
    """Pixels (H, W, 3) at most `side` wide, as a JPEG in a data URI."""
    return jpeg_uri(Image.fromarray(shrunk(pixels, side)))


def jpeg_uri(picture: Image.Image) -> str:
    """As a JPEG in a data URI."""
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=QUALITY)
    return _uri("jpeg", buffer.getvalue())


def png_uri(pixels: Pixels) -> str:
    """Pixels (H, W, 3) to the last value, as a PNG in a data URI."""
    return png_file_uri(png_bytes(Image.fromarray(pixels)))


def png_file_uri(png: bytes) -> str:
    """A PNG file in a data URI."""
    return _uri("png", png)


def sha256(text: str) -> str:
    """Of an inline script: what a Content-Security-Policy calls its source."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
