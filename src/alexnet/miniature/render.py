"""A drawn thing → a photograph of it, a pure function of (seed, label, index).

Paints, light, place, size and clutter are drawn alike for all classes.
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
Mask = npt.NDArray[np.float32]  # (H, W)

OUTLINE = 4  # pixels at twice the size


def draw(seed: int, label: int, index: int) -> npt.NDArray[np.uint8]:
    """One image of class `label` of drawn_classes: uint8 (H, W, 3) RGB, H and W from 300 to 500.

    The same three non-negative numbers give the same pixels. IndexError for a label beyond them.
    """
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, label, index))))
    width, height = (int(n) for n in rng.integers(300, 501, 2))
    size = (width, height)
    paints, backdrop = palette(rng)
    parts = placed(rng, SHAPES[label](rng), size, upright=SHAPES[label] in UPRIGHT)
    thing = painted(parts, paints, size)
    scene = shadowed(rng, background(rng, backdrop, size), thing)
    return photographed(rng, laid_over(rng, scene, thing))


def hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return red * 255, green * 255, blue * 255


def palette(rng: np.random.Generator) -> tuple[dict[str, Colour], Colour]:
    """Paints of a thing, and of four backdrops the one that it stands out from best."""
    hue = rng.uniform()
    main = hsv(hue, rng.uniform(0.55, 0.95), rng.uniform(0.5, 0.95))
    second = hsv(hue + rng.uniform(0.2, 0.8), rng.uniform(0.45, 0.9), rng.uniform(0.45, 0.95))
    dark = hsv(rng.uniform(), rng.uniform(0.2, 0.6), rng.uniform(0.08, 0.22))
    pale = hsv(rng.uniform(), rng.uniform(0.03, 0.2), rng.uniform(0.86, 1))
    backdrops = [hsv(*rng.uniform((0, 0.05, 0.3), (1, 0.5, 0.95))) for _ in range(4)]
    paints = {"main": main, "second": second, "dark": dark, "pale": pale}
    return paints, max(backdrops, key=lambda b: min(distance(b, main), distance(b, second)))


def distance(one: Colour, other: Colour) -> float:
    apart = np.subtract(one, other)
    return float(abs(apart @ (0.3, 0.6, 0.1)) + np.abs(apart).mean() / 2)


def placed(rng: np.random.Generator, parts: list[Part], size: Size, upright: bool) -> list[Part]:
    """Turned, sheared and scaled into the central square, which is all that the crop keeps."""
    turn = rng.uniform(-0.6, 0.6) if upright else rng.uniform(0, 2 * np.pi)
    mirror, aspect, shear = rng.choice([-1, 1]), rng.uniform(0.82, 1.22), rng.uniform(-0.2, 0.2)
    cos, sin = np.cos(turn), np.sin(turn)
    moved = []
    for points, paint in parts:
        x, y = mirror * points[:, 0] * aspect + shear * points[:, 1], points[:, 1] / aspect
        moved.append((np.stack([x * cos - y * sin, x * sin + y * cos], -1), paint))
    corners = np.concatenate([points for points, _ in moved])
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = rng.uniform(0.55, 0.8) * min(size) / (high - low).max()
    slack = (min(size) - scale * (high - low)) / 2
    middle = np.array(size) / 2 + slack * rng.uniform(-0.8, 0.8, 2)
    return [((points - (low + high) / 2) * scale + middle, paint) for points, paint in moved]


def painted(parts: list[Part], paints: dict[str, Colour], size: Size) -> Image.Image:
    """RGBA, transparent where nothing is; drawn at twice the size for smooth edges."""
    canvas = Image.new("RGBA", (2 * size[0], 2 * size[1]))
    pen = ImageDraw.Draw(canvas)
    fills = {paint: (*(int(c) for c in colour), 255) for paint, colour in paints.items()}
    for points, paint in parts:
        fill = fills.get(paint, (0, 0, 0, 0))  # a hole
        pen.polygon((points * 2).ravel().tolist(), fill, outline=fills["dark"], width=OUTLINE)
    return _halved(canvas)


def _halved(canvas: Image.Image) -> Image.Image:
    """As canvas.reduce(2), of the part alone that is not empty."""
    left, top, right, bottom = canvas.getbbox() or (0, 0, 2, 2)
    left, top = left // 2, top // 2
    small = canvas.crop((2 * left, 2 * top, right + right % 2, bottom + bottom % 2)).reduce(2)
    half = Image.new("RGBA", (canvas.width // 2, canvas.height // 2))
    half.paste(small, (left, top))
    return half


def background(rng: np.random.Generator, backdrop: Colour, size: Size) -> Planes:
    """Four octaves of tinted noise round one colour, with clutter out of focus among them."""
    small = size[0] // 4, size[1] // 4  # what is out of focus needs no more, and costs a sixteenth
    rough, strong = rng.uniform(0.2, 0.5), rng.uniform(0.25, 0.55)
    clouds = octave(rng, 3, small)
    for cells in (7, 20):
        clouds = Image.blend(clouds, octave(rng, cells, small), rough)
    scene = backdrop + (np.asarray(clouds, dtype=np.float64) - 128) * strong
    far = littered(rng, Image.fromarray(scene.clip(0, 255).astype(np.uint8)), backdrop)
    fine = planes(octave(rng, rng.integers(50, 110), size)) - 128
    fine *= np.float32(strong * rough * 0.4)
    fine += planes(far.resize(size, Image.Resampling.BICUBIC))
    return fine


def planes(image: Image.Image) -> Planes:
    """The colours of an image, 0–255, without its transparency."""
    bands = [np.asarray(band, dtype=np.float32) for band in image.split()[:3]]
    return np.stack(bands)


def octave(rng: np.random.Generator, cells: int | np.int64, size: Size) -> Image.Image:
    grain = rng.integers(0, 256, (cells, cells, 4), dtype=np.uint8)
    tinted = grain[..., :3] // 3 + grain[..., 3:] // 3 * 2
    return Image.fromarray(tinted).resize(size, Image.Resampling.BICUBIC)


def littered(rng: np.random.Generator, image: Image.Image, backdrop: Colour) -> Image.Image:
    layer = image.copy()
    pen = ImageDraw.Draw(layer)
    for _ in range(rng.integers(5, 15)):
        middle, reach = rng.uniform(0, 1, 2) * image.size, rng.uniform(3, 22)
        flat, corners = rng.uniform(0.25, 1), rng.integers(3, 9)
        blob = disc(0, 0, reach, reach * flat, rng.uniform(0, 6))[:: 48 // corners] + middle
        colour = np.add(backdrop, rng.uniform(-50, 50, 3)).clip(0, 255).astype(int)
        pen.polygon(blob.ravel().tolist(), fill=tuple(colour.tolist()))
    soft = layer.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    return Image.blend(image, soft, rng.uniform(0.5, 0.9))


def shadowed(rng: np.random.Generator, scene: Planes, thing: Image.Image) -> Planes:
    shift = tuple(int(n) for n in rng.integers(-18, 19, 2))
    shade = np.roll(blurred(thing.getchannel("A"), rng.uniform(4, 12)), shift, axis=(0, 1))
    shaded: Planes = scene * (1 - shade * np.float32(rng.uniform(0.3, 0.65)))
    return shaded


def blurred(mask: Image.Image, radius: float) -> Mask:
    """The mask from 0 to 1, blurred at a quarter of its size."""
    small = mask.reduce(4).filter(ImageFilter.GaussianBlur(radius / 4))
    soft: Mask = np.asarray(small.resize(mask.size, Image.Resampling.BICUBIC), dtype=np.float32)
    return soft / np.float32(255)


def laid_over(rng: np.random.Generator, scene: Planes, thing: Image.Image) -> Planes:
    """The thing on its scene, its rim lit from one side as if it were a little round."""
    alpha = thing.getchannel("A")
    swell = blurred(alpha, 6)
    lean = swell - np.roll(swell, tuple(rng.integers(-5, 6, 2)), axis=(0, 1))
    relief = 0.72 + 0.3 * swell + lean * np.float32(rng.uniform(0.3, 0.9))
    cover = np.asarray(alpha, dtype=np.float32) / 255
    body = planes(thing)
    body *= relief * cover
    body += scene * (1 - cover)
    return body


def photographed(rng: np.random.Generator, scene: Planes) -> npt.NDArray[np.uint8]:
    """Under a coloured light that falls off to one side, with a sensor's noise."""
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
    light = start + ramp * fall
    light *= scene
    light += grain
    return np.stack(light.clip(0, 255, out=light).astype(np.uint8), axis=-1)
