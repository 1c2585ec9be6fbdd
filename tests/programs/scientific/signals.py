"""Signals: filters, windows, spectra, wavelets by hand, resampling, peaks, images and their parts."""

import zlib

import numpy as np
from scipy import fft, ndimage, signal

np.set_printoptions(precision=9, linewidth=110)
made = np.random.default_rng(77)


def digest(array):
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


rate = 500
t = np.arange(0, 4, 1 / rate)
clean = np.sin(2 * np.pi * 12 * t) + 0.5 * np.sin(2 * np.pi * 60 * t + 1)
noisy = clean + made.normal(0, 0.4, t.size)
for name, (b, a) in {
    "butter": signal.butter(4, 30, fs=rate),
    "cheby1": signal.cheby1(3, 1, 25, fs=rate),
    "ellip": signal.ellip(3, 1, 40, [8, 20], "bandpass", fs=rate),
    "notch": signal.iirnotch(60, 20, rate),
    "bessel": signal.bessel(3, 0.2),
}.items():
    filtered = signal.lfilter(b, a, noisy)
    print(name, b[:3], a[:3], filtered[-1], signal.filtfilt(b, a, noisy)[1000], digest(filtered))
sections = signal.butter(6, [5, 40], "bandpass", fs=rate, output="sos")
print(signal.sosfilt(sections, noisy)[-3:], np.abs(signal.sosfreqz(sections, 5, fs=rate)[1]))
taps = signal.firwin(51, 40, fs=rate, window="hamming")
print(
    taps[:4],
    signal.convolve(noisy, taps, "same", "fft")[700],
    signal.savgol_filter(noisy, 21, 3)[700],
    signal.medfilt(noisy, 9)[5],
)
f, power = signal.welch(noisy, rate, nperseg=512)
print(
    f[power.argsort()[-4:]],
    power.sum(),
    signal.periodogram(clean, rate)[1].argmax(),
    signal.coherence(clean, noisy, rate)[1][[6, 31]],
)
f, times, z = signal.stft(noisy, rate, nperseg=128)
print(z.shape, np.abs(z).max(axis=0)[::8], np.allclose(signal.istft(z, rate, nperseg=128)[1][: t.size], noisy))
print(
    [
        signal.get_window(name, 9)[2]
        for name in ("hann", "blackman", ("kaiser", 8.6), ("gaussian", 2), "flattop", "cosine")
    ]
)
peaks, about = signal.find_peaks(np.abs(fft.rfft(clean * signal.windows.hann(t.size))), height=100, prominence=10)
print(
    fft.rfftfreq(t.size, 1 / rate)[peaks],
    about["peak_heights"],
    signal.peak_widths(clean, signal.find_peaks(clean)[0][:3])[0],
)
print(fft.dct(np.arange(8.0), norm="ortho"), fft.idst(fft.dst(np.arange(5.0))), digest(fft.fft2(made.random((30, 42)))))
print(
    digest(fft.fft(made.random(1009))),
    fft.next_fast_len(1009),
    fft.fftshift(fft.fftfreq(6)),
    fft.hfft([1, 2 - 1j, 3])[:3],
)
print(
    signal.resample(clean, 300)[::60],
    signal.decimate(clean, 10)[:4],
    signal.resample_poly([1, 2, 4, 8.0], 3, 2),
    signal.hilbert(clean)[99],
)
system = signal.TransferFunction([1], [1, 0.4, 4])
print(
    signal.step(system, N=6)[1],
    signal.bode(system, n=4)[1],
    signal.cont2discrete(([1], [1, 1]), 0.1)[0],
    system.to_ss().A,
)
print(
    signal.correlate([1, 2, 3], [0, 1, 0.5]),
    signal.fftconvolve(np.eye(3), np.ones((2, 2))),
    signal.detrend([1, 2, 4, 7.0]),
)
print(
    signal.chirp(np.arange(3) / 9, 1, 1, 5),
    signal.sawtooth(np.arange(4.0)),
    signal.square(np.arange(4.0), 0.3),
    signal.unit_impulse(4, 2),
)


def haar(values):
    while values.size > 1:
        pairs = values.reshape(-1, 2)
        yield (pairs[:, 0] - pairs[:, 1]) / np.sqrt(2)
        values = (pairs[:, 0] + pairs[:, 1]) / np.sqrt(2)
    yield values


levels = [*haar(noisy[:1024])]
print(
    [round(float((level**2).sum()), 9) for level in levels],
    np.isclose(sum((level**2).sum() for level in levels), (noisy[:1024] ** 2).sum()),
)
yy, xx = np.mgrid[:96, :128]
image = np.zeros((96, 128))
for _ in range(14):
    cy, cx, size = made.integers(5, 90), made.integers(5, 120), made.integers(3, 12)
    image[(yy - cy) ** 2 + (xx - cx) ** 2 < size**2] += made.random() + 0.5
image += made.normal(0, 0.05, image.shape)
smooth = ndimage.gaussian_filter(image, 1.5)
mask = smooth > 0.4
labels, count = ndimage.label(mask)
sizes = ndimage.sum_labels(mask, labels, range(1, count + 1))
print(count, sizes, np.round(ndimage.center_of_mass(image, labels, [1, 2, 3]), 6), digest(labels))
print(
    ndimage.find_objects(labels)[:2],
    ndimage.maximum(smooth, labels, [1, 2]),
    ndimage.extrema(smooth)[2:],
)
for name, result in {
    "sobel": ndimage.sobel(image),
    "laplace": ndimage.gaussian_laplace(image, 2),
    "median": ndimage.median_filter(image, 5),
    "rotate": ndimage.rotate(image, 30, reshape=False, order=1),
    "zoom": ndimage.zoom(image, 0.5, order=3),
    "shift": ndimage.shift(image, (2.5, -3.25)),
    "opening": ndimage.binary_opening(mask, iterations=2),
    "distance": ndimage.distance_transform_edt(mask),
    "grey": ndimage.grey_closing(image, (3, 5)),
    "uniform": ndimage.uniform_filter(image, 7, mode="wrap"),
    "mapped": ndimage.map_coordinates(image, [yy / 2, xx / 3], order=2),
    "fourier": ndimage.fourier_gaussian(np.fft.fft2(image), 2).real,
}.items():
    print(name, result.shape, float(result.sum()), float(result.max()), digest(np.round(result * 1.0, 9)))
