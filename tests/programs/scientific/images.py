"""Pictures made and read by hand: PNG written and parsed, fractals, dithering, filters, a ray tracer."""

import hashlib
import io
import struct
import zlib

import numpy as np
from matplotlib import image as reader
from PIL import Image, ImageDraw, ImageFilter, ImageOps


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels, level=9):
    height, width, depth = pixels.shape
    lines, before = [], np.zeros(width * depth, np.uint8)
    for line in pixels.reshape(height, -1):
        left = np.concatenate([np.zeros(depth, np.uint8), line[:-depth]])
        choices = [line, line - left, line - before, line - ((left.astype(int) + before) // 2).astype(np.uint8)]
        best = min(range(4), key=lambda n: int(np.abs(choices[n].view(np.int8).astype(int)).sum()))
        lines.append(bytes([best]) + choices[best].tobytes())
        before = line
    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[depth], 0, 0, 0)
    body = zlib.compress(b"".join(lines), level)
    parts = [chunk(b"IDAT", body[at : at + 5000]) for at in range(0, len(body), 5000)]
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(parts) + chunk(b"IEND", b"")


def fractal(height, width, most=60):
    y, x = np.mgrid[-1.2 : 1.2 : height * 1j, -2.2 : 0.8 : width * 1j]
    c = x + 1j * y
    z, steps = np.zeros_like(c), np.zeros(c.shape, int)
    for _ in range(most):
        inside = np.abs(z) < 2
        z[inside] = z[inside] ** 2 + c[inside]
        steps += inside
    return steps


steps = fractal(120, 160)
picture = np.stack([steps * 4, steps**2 % 256, 255 - steps * 4], axis=2).astype(np.uint8)
print(steps.sum(), np.bincount(steps.ravel())[[1, 2, 3, 60]])
for name, pixels in {
    "rgb": picture,
    "grey": picture[:, :, :1],
    "rgba": np.dstack([picture, 255 - picture[:, :, 0]]),
}.items():
    data = png(pixels)
    again = (reader.imread(io.BytesIO(data), format="png") * 255).round().astype(np.uint8).reshape(pixels.shape)
    opened = np.asarray(Image.open(io.BytesIO(data))).reshape(pixels.shape)
    print(
        name,
        len(data),
        hashlib.sha256(data).hexdigest()[:24],
        bool((again == pixels).all()),
        bool((opened == pixels).all()),
    )
grey = picture.astype(float) @ [0.299, 0.587, 0.114]
dither = grey.copy()
for row in range(dither.shape[0]):
    for column in range(dither.shape[1]):
        old = dither[row, column]
        dither[row, column] = new = 255.0 * (old > 127)
        for down, right, weight in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
            if row + down < dither.shape[0] and 0 <= column + right < dither.shape[1]:
                dither[row + down, column + right] += (old - new) * weight / 16
print((dither > 0).mean(), zlib.crc32((dither > 0).tobytes()), abs(dither.mean() - grey.mean()) < 1)
kernel = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
padded = np.pad(grey, 1, "edge")
blurred = sum(kernel[a, b] * padded[a : a + 120, b : b + 160] for a in range(3) for b in range(3))
gy, gx = np.gradient(blurred)
print(blurred.std(), np.hypot(gx, gy).max(), np.histogram(np.arctan2(gy, gx), 6)[0])
values, counts = np.unique(grey.astype(np.uint8), return_counts=True)
levels = np.zeros(256)
levels[values] = counts
print(np.interp(grey, np.arange(256), levels.cumsum() / levels.sum() * 255).std())
spheres = np.array([[0, 0, 5, 1], [1.5, 0.5, 6, 1.2], [-1.5, -0.3, 4, 0.7], [0, -101.2, 5, 100]])
light = np.array([-0.5, 0.8, -0.4]) / np.linalg.norm([-0.5, 0.8, -0.4])


def trace(origin, ray):
    nearest, hit = np.full(len(ray), np.inf), np.full(len(ray), -1)
    for number, (*centre, radius) in enumerate(spheres):
        to = origin - centre
        half = (to * ray).sum(-1)
        inside = half**2 - (to**2).sum(-1) + radius**2
        far = -half - np.sqrt(np.maximum(inside, 0))
        closer = (inside > 0) & (far > 1e-4) & (far < nearest)
        nearest[closer], hit[closer] = far[closer], number
    return nearest, hit


rays = np.dstack([*np.meshgrid(np.linspace(-1, 1, 90), np.linspace(0.7, -0.7, 60)), np.full((60, 90), 1.6)]).reshape(
    -1, 3
)
rays /= np.linalg.norm(rays, axis=1)[:, None]
far, hit = trace(np.zeros(3), rays)
seen = hit >= 0
at = rays[seen] * far[seen, None]
normal = (at - spheres[hit[seen], :3]) / spheres[hit[seen], 3:]
shadow = trace(at + normal * 1e-3, np.broadcast_to(light, at.shape))[1] >= 0
shade = np.zeros(len(rays))
shade[seen] = 0.1 + 0.9 * np.maximum(normal @ light, 0) * ~shadow
print(
    np.bincount(hit + 1),
    shadow.sum(),
    shade.sum().round(8),
    hashlib.md5((shade * 255).astype(np.uint8).tobytes()).hexdigest(),
)
drawn = Image.new("RGB", (120, 80), "navy")
pen = ImageDraw.Draw(drawn)
pen.ellipse((10, 10, 60, 70), fill="#ffcc00", outline="white", width=3)
pen.polygon([(70, 10), (110, 40), (80, 70)], fill=(200, 30, 60))
pen.line([(0, 79), (119, 0)], fill="lime", width=2)
for name, made in {
    "drawn": drawn,
    "blur": drawn.filter(ImageFilter.GaussianBlur(2)),
    "edges": drawn.filter(ImageFilter.FIND_EDGES),
    "turned": drawn.rotate(30, Image.Resampling.BICUBIC, expand=True),
    "small": drawn.resize((31, 17), Image.Resampling.LANCZOS),
    "grey": ImageOps.equalize(drawn.convert("L")),
    "few": drawn.quantize(8),
}.items():
    print(name, made.size, made.mode, hashlib.sha1(made.tobytes()).hexdigest())
for kind in ("PNG", "BMP", "GIF", "PPM", "TIFF"):
    file = io.BytesIO()
    try:
        drawn.save(file, kind)
        print(
            kind,
            len(file.getvalue()),
            Image.open(io.BytesIO(file.getvalue())).convert("RGB").tobytes() == drawn.tobytes(),
        )
    except (OSError, KeyError, ValueError) as error:
        print(kind, type(error).__name__, error)
try:
    Image.open(io.BytesIO(png(picture)[:900])).load()
except OSError as error:
    print(error)
