"""NIQE of one image by the formulas of the paper, patch by patch and value by value."""

import math

import numpy as np
from scipy import ndimage, special

SHAPES = np.arange(0.2, 10.0005, 0.001)
RATIOS = special.gamma(2 / SHAPES) ** 2 / (special.gamma(1 / SHAPES) * special.gamma(3 / SHAPES))


def features(image, patch):
    """Rows of 36, and the sharpness of each, of an image (height, width) from 0 to 255."""
    height, width = (side // patch * patch for side in image.shape)
    image = image[:height, :width]
    columns, sharpness = [], None
    for size in (patch, patch // 2):
        mean = _smooth(image)
        deviation = np.sqrt(np.abs(_smooth(image**2) - mean**2))
        normalized = (image - mean) / (deviation + 1)
        columns.append([_features(each) for each in _cut(normalized, size)])
        if sharpness is None:
            sharpness = [each.mean() for each in _cut(deviation, size)]
        image = _half(image)
    return np.concatenate(columns, axis=1), np.array(sharpness)


def distance(rows, mean, covariance):
    offset = rows.mean(axis=0) - mean
    inverse = np.linalg.pinv((np.cov(rows.T) + covariance) / 2)
    return math.sqrt(offset @ inverse @ offset)


def _smooth(image):
    rows, columns = np.mgrid[-3:4, -3:4]
    window = np.exp(-(rows**2 + columns**2) / (2 * (7 / 6) ** 2))
    return ndimage.correlate(image, window / window.sum(), mode="nearest")


def _half(image):
    """Bicubic at half the size, the kernel at twice its width."""
    for _ in range(2):
        count = len(image)
        rows = []
        for target in range(count // 2):
            centre = 2 * target + 0.5
            places = range(2 * target - 3, 2 * target + 5)
            weights = [_cubic((place - centre) / 2) for place in places]
            inside = [place if place >= 0 else -1 - place for place in places]
            inside = [place if place < count else 2 * count - 1 - place for place in inside]
            rows.append(np.average(image[inside], axis=0, weights=weights))
        image = np.array(rows).T
    return image


def _cubic(x):
    x = abs(x)
    return 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2


def _cut(values, size):
    height, width = values.shape
    return [
        values[top : top + size, left : left + size]
        for top in range(0, height, size)
        for left in range(0, width, size)
    ]


def _features(patch):
    shape, left, right = _fit(patch)
    row = [shape, (left + right) / 2]
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = _fit(patch * np.roll(np.roll(patch, down, axis=0), across, axis=1))
        mean = (right - left) * special.gamma(2 / shape) / special.gamma(1 / shape)
        row += [shape, mean, left, right]
    return row


def _fit(values):
    values = values.ravel()
    left = np.sqrt((values[values < 0] ** 2).mean())
    right = np.sqrt((values[values > 0] ** 2).mean())
    ratio = left / right
    wanted = np.abs(values).mean() ** 2 / (values**2).mean()
    wanted *= (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = SHAPES[np.argmin((RATIOS - wanted) ** 2)]
    width = math.sqrt(special.gamma(1 / shape) / special.gamma(3 / shape))
    return shape, left * width, right * width
