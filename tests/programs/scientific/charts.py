"""Charts as PNG files: lines, bars, pies, histograms, contours, polar and three axes and what the files hold."""

import hashlib
import io
import struct
import zlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.dates as dates
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import cm, colors, patches, path, ticker, transforms
from matplotlib.gridspec import GridSpec

made = np.random.default_rng(55)


def kept(name, figure, **options):
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None, "Title": name}, **options)
    data, at, chunks = file.getvalue(), 8, []
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0]
        chunks.append((kind.decode(), size))
        at += 12 + size
    pixels = np.asarray(figure.canvas.buffer_rgba())
    print(name, len(data), hashlib.sha256(data).hexdigest(), pixels.shape, pixels.mean(axis=(0, 1)).round(6), chunks)
    plt.close(figure)


figure, axes = plt.subplots(2, 3, figsize=(9, 5), dpi=60, layout="constrained")
x = np.linspace(0.1, 10, 80)
axes[0, 0].loglog(x, x**2.5, "o-", ms=3, label="$x^{2.5}$")
axes[0, 0].errorbar(x[::9], x[::9] ** 2, yerr=x[::9], fmt="s", capsize=3, label="errors")
axes[0, 0].legend(loc="upper left", fontsize="small")
axes[0, 1].bar(["a", "b", "c"], [3, 7, 5], yerr=[0.3, 0.5, 0.2], color=["C0", "tab:red", (0.2, 0.6, 0.3)])
axes[0, 1].barh([1, 4], [2, 1.5], left=0.5, alpha=0.4, hatch="//")
axes[0, 2].hist([made.normal(0, 1, 300), made.normal(2, 0.5, 200)], 20, stacked=True, density=True)
axes[1, 0].pie([35, 25, 40], labels=["one", "two", "three"], explode=[0, 0.1, 0], autopct="%1.1f%%", shadow=True)
axes[1, 1].boxplot([made.normal(n, 1, 60) for n in range(4)], notch=True)
axes[1, 1].violinplot([made.normal(n, 1, 60) for n in range(4)], showmedians=True)
axes[1, 2].stackplot(range(10), *made.random((3, 10)), baseline="wiggle")
figure.suptitle("Six charts — αβγ é")
kept("six", figure)
figure = plt.figure(figsize=(8, 4), dpi=72)
grid = GridSpec(2, 3, figure, width_ratios=[2, 1, 1], hspace=0.4)
yy, xx = np.mgrid[-2:2:50j, -2:2:60j]
field = np.exp(-(xx**2) - yy**2) * np.sin(3 * xx)
left = figure.add_subplot(grid[:, 0])
shown = left.contourf(xx, yy, field, 12, cmap="RdBu_r")
left.clabel(left.contour(xx, yy, field, 6, colors="k", linewidths=0.5), fmt="%.2f", fontsize=6)
figure.colorbar(shown, ax=left, orientation="horizontal")
left.streamplot(xx[0], yy[:, 0], -yy, xx, density=0.4, linewidth=0.6)
polar = figure.add_subplot(grid[0, 1], projection="polar")
polar.plot(np.linspace(0, 6 * np.pi, 200), np.linspace(0, 1, 200), lw=1)
polar.fill(np.linspace(0, 2 * np.pi, 7), [0.5, 1] * 3 + [0.5], alpha=0.3)
solid = figure.add_subplot(grid[0, 2], projection="3d")
solid.plot_surface(xx[::5, ::5], yy[::5, ::5], field[::5, ::5], cmap=cm.viridis)
solid.scatter(*made.uniform(-2, 2, (2, 9)), made.random(9), c="r", s=8)
below = figure.add_subplot(grid[1, 1:])
below.imshow(made.random((6, 20)), aspect="auto", interpolation="bicubic", norm=colors.LogNorm(0.01, 1))
below.annotate(
    "here",
    (5, 2),
    (12, 4),
    arrowprops={"arrowstyle": "->", "connectionstyle": "arc3,rad=.3"},
    bbox={"boxstyle": "round", "fc": "w"},
)
kept("grid", figure, transparent=True)
figure, axis = plt.subplots(figsize=(5, 3), dpi=100)
days = np.datetime64("2024-01-01") + np.arange(120)
axis.plot(days, made.normal(0, 1, 120).cumsum(), drawstyle="steps-mid")
axis.xaxis.set_major_formatter(dates.ConciseDateFormatter(dates.AutoDateLocator()))
axis.yaxis.set_major_formatter(ticker.EngFormatter("V"))
axis.axhspan(-2, 2, color="0.9", zorder=-1)
axis.axvline(np.datetime64("2024-02-29"), ls="--")
twin = axis.twinx()
twin.scatter(days[::7], made.random(18), c=made.random(18), s=made.random(18) * 90, marker="^", cmap="plasma")
twin.set_ylabel("rotated", rotation=270, labelpad=12)
axis.grid(True, which="both", lw=0.3)
star = path.Path(
    [(np.sin(t) * r, np.cos(t) * r) for t, r in zip(np.arange(11) * np.pi / 5, [1, 0.4] * 5 + [1], strict=True)]
)
axis.add_patch(patches.PathPatch(star, transform=transforms.Affine2D().scale(20).translate(400, 60), fc="gold"))
axis.add_patch(patches.FancyBboxPatch((0.1, 0.75), 0.2, 0.1, transform=axis.transAxes, boxstyle="sawtooth"))
kept("dates", figure, bbox_inches="tight", pad_inches=0.1)
with plt.style.context(["ggplot", {"axes.linewidth": 2, "font.family": "monospace"}]):
    figure, axis = plt.subplots(figsize=(4, 2.5), dpi=90)
    axis.hexbin(*made.normal(0, 1, (2, 800)), gridsize=14)
    axis.quiver([0, 1], [0, 1], [1, -0.5], [0.5, 1], color="w")
    axis.set(title=r"$\sum_{i=1}^n \frac{x_i}{\sqrt{n}}$", xlabel="x", ylim=(-3, 3))
    axis.table([["1", "2"], ["3", "4"]], loc="lower right", colWidths=[0.1, 0.1])
    kept("styled", figure)
figure, axis = plt.subplots(figsize=(3, 2))
axis.plot([0, 1], [1, 0])
for kind in ("svg", "pdf", "eps"):
    file = io.BytesIO()
    figure.savefig(
        file, format=kind, metadata={"CreationDate" if kind == "pdf" else "Date": None} if kind != "eps" else None
    )
    print(kind, file.getvalue()[:8])
print(
    colors.to_hex("rebeccapurple"),
    cm.viridis(0.3),
    ticker.MaxNLocator(5).tick_values(0, 23).tolist(),
    plt.get_fignums(),
)
try:
    plt.plot([1, 2], [1, 2, 3])
except ValueError as error:
    print(error)
plt.close("all")
