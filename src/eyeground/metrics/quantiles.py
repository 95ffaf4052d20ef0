"""Quantiles of the beta and Student's t distribution, for intervals; the standard library has only the normal one.

DLMF 8.17 (the incomplete beta function and its continued fraction), https://dlmf.nist.gov/8.17.
"""

from __future__ import annotations

import math
from statistics import NormalDist

STEPS = 20_000
"""Terms of the continued fraction at most; it needs about the square root of the larger shape."""

LARGE = 1e5
"""Degrees of freedom from which on Student's t is taken from the normal distribution."""


def beta_cdf(x: float, a: float, b: float) -> float:
    """The chance that a beta(a, b) variable is at most `x`: the regularised incomplete beta function.

    Raises:
        ValueError: a shape is not above 0.
    """
    if not (a > 0 and b > 0):
        raise ValueError(f"a beta distribution has shapes above 0, not {a} and {b}")
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side
        return 1 - beta_cdf(1 - x, b, a)
    front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(front) / (a * _fraction(x, a, b))


def beta_quantile(p: float, a: float, b: float, start: float | None = None) -> float:
    """The `x` in [0, 1] below which a beta(a, b) variable lies with chance `p`; a good `start` in (0, 1) is faster.

    Raises:
        ValueError: `p` is outside [0, 1] or a shape is not above 0.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"a chance lies in [0, 1], not at {p}")
    if p in (0, 1):
        return float(p)
    low, high, x = 0.0, 1.0, a / (a + b) if start is None else start
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    for _ in range(STEPS):  # Newton's steps, halving where they leave the bracket; ends when x no longer moves
        miss = beta_cdf(x, a, b) - p
        low, high = (x, high) if miss < 0 else (low, x)
        slope = math.exp(min((a - 1) * math.log(x) + (b - 1) * math.log1p(-x) + scale, 700.0))
        after = x - miss / slope if slope > 0 else low
        if not low < after < high:
            after = (low + high) / 2
        if abs(after - x) <= 1e-15 * x or after in (0.0, 1.0):
            return after
        x = after
    raise ValueError(f"no beta quantile found at {p} with shapes {a} and {b}")


def student_quantile(p: float, degrees: float) -> float:
    """The quantile of Student's t with any degrees of freedom above 0.

    Raises:
        ValueError: `p` is outside (0, 1) or the degrees are not above 0.
    """
    if not (0 < p < 1 and degrees > 0):
        raise ValueError(f"Student's t has no quantile at {p} with {degrees} degrees of freedom")
    if degrees > LARGE:  # Cornish and Fisher's first term; the next is of order 1 / degrees squared
        normal = NormalDist().inv_cdf(p)
        return normal + (normal**3 + normal) / (4 * degrees)
    tail = min(p, 1 - p)
    # t squared over (degrees + t squared) is beta(1/2, degrees/2); its complement keeps thin tails exact
    z = NormalDist().inv_cdf(1 - tail)
    near = z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)  # Cornish and Fisher's
    rest = beta_quantile(2 * tail, degrees / 2, 0.5, degrees / (degrees + near**2))
    size = math.sqrt(degrees * (1 - rest) / rest)
    return size if p >= 0.5 else -size


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction 1 + d1/(1 + d2/(1 + ...)) of DLMF 8.17.22, by Lentz's method."""
    value, up, down = 1.0, 1.0, 0.0
    for step in range(1, STEPS):
        m = step // 2
        if step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        down = 1 / (1 + term * down)
        up = 1 + term / up
        change = up * down
        value *= change
        if abs(change - 1) < 1e-15:
            return value
    raise ValueError(f"the incomplete beta function did not converge at {x} with shapes {a} and {b}")
