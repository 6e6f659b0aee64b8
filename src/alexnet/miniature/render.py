"""Draw an object as if photographed: a pure function of (seed, label, index).

Paints, light, position, size and clutter have the same distributions for all classes.
"""

import colorsys

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from alexnet.miniature.classes import SHAPES, UPRIGHT
from alexnet.miniature.geometry import Part, disc

Colour = tuple[float, float, float]  # RGB, 0–255
Size = tuple[int, int]  # width, height in pixels
Planes = npt.NDArray[np.float32]  # (3, H, W): numpy is faster on one colour at a time
Mask = npt.NDArray[np.float32]  # (H, W), 0–1

OUTLINE = 4  # pixels at twice the final size


def draw(seed: int, label: int, index: int) -> npt.NDArray[np.uint8]:
    """Return image `index` of class `label`: uint8 (H, W, 3) RGB, sides 300–500 pixels.

    All arguments are non-negative; the same arguments give the same pixels. Raises IndexError if
    there is no class `label`.
    """
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, label, index))))
    width, height = (int(n) for n in rng.integers(300, 501, 2))
    size = (width, height)
    paints, backdrop = choose_paints(rng)
    parts = place(rng, SHAPES[label](rng), size, upright=SHAPES[label] in UPRIGHT)
    picture = paint_parts(parts, paints, size)
    scene = cast_shadow(rng, draw_background(rng, backdrop, size), picture)
    return photograph(rng, composite(rng, scene, picture))


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return the RGB colour, 0–255; the hue, 0–1 for a full circle, wraps around."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return red * 255, green * 255, blue * 255


def choose_paints(rng: np.random.Generator) -> tuple[dict[str, Colour], Colour]:
    """Return an object's paints and a backdrop, of four the one with most contrast."""
    hue = rng.uniform()
    main = hsv(hue, rng.uniform(0.55, 0.95), rng.uniform(0.5, 0.95))
    second = hsv(hue + rng.uniform(0.2, 0.8), rng.uniform(0.45, 0.9), rng.uniform(0.45, 0.95))
    dark = hsv(rng.uniform(), rng.uniform(0.2, 0.6), rng.uniform(0.08, 0.22))
    pale = hsv(rng.uniform(), rng.uniform(0.03, 0.2), rng.uniform(0.86, 1))
    backdrops = [hsv(*rng.uniform((0, 0.05, 0.3), (1, 0.5, 0.95))) for _ in range(4)]
    paints = {"main": main, "second": second, "dark": dark, "pale": pale}
    return paints, max(backdrops, key=lambda b: min(contrast(b, main), contrast(b, second)))


def contrast(one: Colour, other: Colour) -> float:
    """Return the difference of two colours: mostly of brightness, partly of each channel."""
    difference = np.subtract(one, other)
    return float(abs(difference @ (0.3, 0.6, 0.1)) + np.abs(difference).mean() / 2)


def place(rng: np.random.Generator, parts: list[Part], size: Size, upright: bool) -> list[Part]:
    """Rotate, shear, scale and move the parts into the central square, which the crop keeps."""
    turn = rng.uniform(-0.6, 0.6) if upright else rng.uniform(0, 2 * np.pi)
    flip, aspect, shear = rng.choice([-1, 1]), rng.uniform(0.82, 1.22), rng.uniform(-0.2, 0.2)
    cos, sin = np.cos(turn), np.sin(turn)
    turned = []
    for points, paint in parts:
        x, y = flip * points[:, 0] * aspect + shear * points[:, 1], points[:, 1] / aspect
        turned.append((np.stack([x * cos - y * sin, x * sin + y * cos], -1), paint))
    corners = np.concatenate([points for points, _ in turned])
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = rng.uniform(0.55, 0.8) * min(size) / (high - low).max()
    slack = (min(size) - scale * (high - low)) / 2
    middle = np.array(size) / 2 + slack * rng.uniform(-0.8, 0.8, 2)
    return [((points - (low + high) / 2) * scale + middle, paint) for points, paint in turned]


def paint_parts(parts: list[Part], paints: dict[str, Colour], size: Size) -> Image.Image:
    """Return the object as RGBA on a transparent canvas, antialiased."""
    canvas = Image.new("RGBA", (2 * size[0], 2 * size[1]))
    pen = ImageDraw.Draw(canvas)
    fills = {paint: (*(int(c) for c in colour), 255) for paint, colour in paints.items()}
    for points, paint in parts:
        fill = fills.get(paint, (0, 0, 0, 0))  # a hole
        pen.polygon((points * 2).ravel().tolist(), fill, outline=fills["dark"], width=OUTLINE)
    return _halve(canvas)


def _halve(canvas: Image.Image) -> Image.Image:
    """Return canvas.reduce(2), but reduce only the part that is not empty."""
    left, top, right, bottom = canvas.getbbox() or (0, 0, 2, 2)
    left, top = left // 2, top // 2
    small = canvas.crop((2 * left, 2 * top, right + right % 2, bottom + bottom % 2)).reduce(2)
    half = Image.new("RGBA", (canvas.width // 2, canvas.height // 2))
    half.paste(small, (left, top))
    return half


def draw_background(rng: np.random.Generator, backdrop: Colour, size: Size) -> Planes:
    """Return four octaves of tinted noise around one colour, with blurred clutter."""
    small = size[0] // 4, size[1] // 4  # enough for what is out of focus, at 1/16 of the cost
    roughness, strength = rng.uniform(0.2, 0.5), rng.uniform(0.25, 0.55)
    clouds = noise_octave(rng, 3, small)
    for cells in (7, 20):
        clouds = Image.blend(clouds, noise_octave(rng, cells, small), roughness)
    scene = backdrop + (np.asarray(clouds, dtype=np.float64) - 128) * strength
    blurred = add_clutter(rng, Image.fromarray(scene.clip(0, 255).astype(np.uint8)), backdrop)
    fine = to_planes(noise_octave(rng, rng.integers(50, 110), size)) - 128
    fine *= np.float32(strength * roughness * 0.4)
    fine += to_planes(blurred.resize(size, Image.Resampling.BICUBIC))
    return fine


def to_planes(image: Image.Image) -> Planes:
    """Return an image's colours, 0–255, without alpha."""
    bands = [np.asarray(band, dtype=np.float32) for band in image.split()[:3]]
    return np.stack(bands)


def noise_octave(rng: np.random.Generator, cells: int | np.int64, size: Size) -> Image.Image:
    """Return noise of cells × cells values, partly tinted, enlarged to `size`."""
    grain = rng.integers(0, 256, (cells, cells, 4), dtype=np.uint8)
    tinted = grain[..., :3] // 3 + grain[..., 3:] // 3 * 2
    return Image.fromarray(tinted).resize(size, Image.Resampling.BICUBIC)


def add_clutter(rng: np.random.Generator, image: Image.Image, backdrop: Colour) -> Image.Image:
    """Return the image with 5 to 14 blurred polygons in similar colours."""
    layer = image.copy()
    pen = ImageDraw.Draw(layer)
    for _ in range(rng.integers(5, 15)):
        middle, radius = rng.uniform(0, 1, 2) * image.size, rng.uniform(3, 22)
        flatness, corners = rng.uniform(0.25, 1), rng.integers(3, 9)
        ellipse = disc(0, 0, radius, radius * flatness, rng.uniform(0, 6))
        blob = ellipse[:: 48 // corners] + middle
        colour = np.add(backdrop, rng.uniform(-50, 50, 3)).clip(0, 255).astype(int)
        pen.polygon(blob.ravel().tolist(), fill=tuple(colour.tolist()))
    soft = layer.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    return Image.blend(image, soft, rng.uniform(0.5, 0.9))


def cast_shadow(rng: np.random.Generator, scene: Planes, picture: Image.Image) -> Planes:
    """Return the scene with the object's soft shadow, shifted by up to 18 pixels."""
    offset = tuple(int(n) for n in rng.integers(-18, 19, 2))
    shadow = np.roll(blur(picture.getchannel("A"), rng.uniform(4, 12)), offset, axis=(0, 1))
    darkened: Planes = scene * (1 - shadow * np.float32(rng.uniform(0.3, 0.65)))
    return darkened


def blur(mask: Image.Image, radius: float) -> Mask:
    """Return the mask, 0–1, blurred at a quarter of its size for speed."""
    small = mask.reduce(4).filter(ImageFilter.GaussianBlur(radius / 4))
    soft: Mask = np.asarray(small.resize(mask.size, Image.Resampling.BICUBIC), dtype=np.float32)
    return soft / np.float32(255)


def composite(rng: np.random.Generator, scene: Planes, picture: Image.Image) -> Planes:
    """Return the object on its scene, shaded at the edges as if slightly round."""
    alpha = picture.getchannel("A")
    height = blur(alpha, 6)
    slope = height - np.roll(height, tuple(rng.integers(-5, 6, 2)), axis=(0, 1))
    shading = 0.72 + 0.3 * height + slope * np.float32(rng.uniform(0.3, 0.9))
    coverage = np.asarray(alpha, dtype=np.float32) / 255
    result = to_planes(picture)
    result *= shading * coverage
    result += scene * (1 - coverage)
    return result


def photograph(rng: np.random.Generator, scene: Planes) -> npt.NDArray[np.uint8]:
    """Return the scene as uint8 (H, W, 3), in coloured light that fades across it, with noise."""
    _, height, width = scene.shape
    near, far = rng.uniform(0.8, 1.15, 3), rng.uniform(0.6, 1.1) * rng.uniform(0.85, 1.1, 3)
    angle = rng.uniform(0, 2 * np.pi)
    across = np.cos(angle) * np.linspace(-0.5, 0.5, width)
    down = np.sin(angle) * np.linspace(-0.5, 0.5, height)
    ramp = (down[:, None] + across + 0.7071).astype(np.float32) / np.float32(1.4142)
    start, fall = (part.astype(np.float32)[:, None, None] for part in (near, far - near))
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8).transpose(2, 0, 1)
    grain = noise.astype(np.float32, order="C") - np.float32(127.5)
    grain *= np.float32(rng.uniform(0.02, 0.1))
    lit = start + ramp * fall
    lit *= scene
    lit += grain
    return np.stack(lit.clip(0, 255, out=lit).astype(np.uint8), axis=-1)
