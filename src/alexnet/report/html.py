"""HTML from the template: pictures, styles and script are inline, it makes no requests."""

import base64
import hashlib
import io
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from alexnet.figures.style import Pixels, encode_png

QUALITY = 70  # of photographs as JPEG: a page about ImageNet stays below 5 MB


def render_template(**content: object) -> str:
    """Render report.html.jinja, escaping all text. Raises UndefinedError if content is missing.

    Filters turn pixels into data URIs: `photo(side)` as JPEG, `png` without loss.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(photo=photo_uri, png=pixels_uri, sha256=sha256)
    return environment.get_template("report.html.jinja").render(**content)


def shrink(pixels: Pixels, side: int) -> Pixels:
    """Shrink pixels (H, W, 3) to fit `side` × `side`."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


def photo_uri(pixels: Pixels, side: int = 256) -> str:
    """Return pixels (H, W, 3), shrunk to `side`, as a JPEG URI."""
    return jpeg_uri(Image.fromarray(shrink(pixels, side)))


def jpeg_uri(image: Image.Image) -> str:
    """Return an image as a JPEG data URI."""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=QUALITY)
    return _data_uri("jpeg", buffer.getvalue())


def pixels_uri(pixels: Pixels) -> str:
    """Return pixels (H, W, 3) as a PNG data URI, without loss."""
    return png_uri(encode_png(Image.fromarray(pixels)))


def png_uri(png: bytes) -> str:
    """Return an encoded PNG file as a data URI."""
    return _data_uri("png", png)


def sha256(text: str) -> str:
    """Return the base64 SHA-256 that a Content-Security-Policy names."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
