"""A drawing, to the bytes of its file."""

import hashlib
import io
import zlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

figure, (left, right) = plt.subplots(1, 2, figsize=(6, 3), dpi=80)
x = np.linspace(0, 10, 200)
left.plot(x, np.sin(x), label="sin")
left.fill_between(x, np.cos(x), alpha=0.3)
left.legend()
left.set_title(r"$\int_0^x f(t)\,dt$")
right.imshow(np.outer(np.sin(x), np.cos(x)), cmap="viridis")
file = io.BytesIO()
figure.savefig(file, format="png", metadata={"Software": None})
pixels = np.asarray(figure.canvas.buffer_rgba())
data = file.getvalue()
print(data[:8], len(data), hashlib.sha256(data).hexdigest())
print(pixels.shape, zlib.crc32(pixels.tobytes()), pixels.mean(axis=(0, 1)))
file = io.BytesIO()
figure.savefig(file, format="svg", metadata={"Date": None})
print(file.getvalue().count(b"<path"))
