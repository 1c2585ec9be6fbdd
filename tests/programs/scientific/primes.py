"""Numbers: primes, big integers, digits of pi and e, continued fractions, sums that are exact, lattices, bases."""

import cmath
import math
import random
import statistics
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import count, islice, pairwise

made = random.Random(99)


def sieve(most):
    flags = bytearray([1]) * (most + 1)
    flags[:2] = b"\0\0"
    for n in range(2, math.isqrt(most) + 1):
        if flags[n]:
            flags[n * n :: n] = bytes(len(range(n * n, most + 1, n)))
    return [n for n, flag in enumerate(flags) if flag]


primes = sieve(200_000)
print(len(primes), primes[-1], sum(primes), max(b - a for a, b in pairwise(primes)))


def is_prime(n):
    if n < 2 or any(n % p == 0 for p in primes[:12]):
        return n in primes[:12]
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for base in primes[:12]:
        x = pow(base, d, n)
        if x in (1, n - 1):
            continue
        if not any((x := x * x % n) == n - 1 for _ in range(s - 1)):
            return False
    return True


print([n for n in range(10**30, 10**30 + 400) if is_prime(n)], is_prime(2**521 - 1), is_prime(561 * 1105))


def lucas_lehmer(p):
    s, m = 4, (1 << p) - 1
    for _ in range(p - 2):
        s = (s * s - 2) % m
    return s == 0


print([p for p in primes[1:100] if lucas_lehmer(p)])


def factors(n):
    if n == 1:
        return []
    if is_prime(n):
        return [n]
    for c in count(1):
        x = y = 2
        d = 1
        while d == 1:
            x = (x * x + c) % n
            y = (y * y + c) % n
            y = (y * y + c) % n
            d = math.gcd(abs(x - y), n)
        if d != n:
            return sorted(factors(d) + factors(n // d))


print(factors(2**64 + 1), factors(math.factorial(14) + 1), factors(10**17 - 1))


def pi_digits():
    q, r, t, k, n, m = 1, 0, 1, 1, 3, 3
    while True:
        if 4 * q + r - t < n * t:
            yield n
            q, r, n = 10 * q, 10 * (r - n * t), 10 * (3 * q + r) // t - 10 * n
        else:
            q, r, t, k, n, m = q * k, (2 * q + r) * m, t * m, k + 1, (q * (7 * k + 2) + r * m) // (t * m), m + 2


print("".join(map(str, islice(pi_digits(), 300))))
with localcontext() as context:
    context.prec = 120
    print(Decimal(1).exp(), Decimal(2).ln(), Decimal(10) ** Decimal("0.3"))
print(sum(Fraction(1, n) for n in range(1, 40)), Fraction(math.pi).limit_denominator(1000), Fraction("3.14e-2"))
terms, x = [], Fraction(649, 200)
while x.denominator > 1:
    terms.append(x.numerator // x.denominator)
    x = 1 / (x - terms[-1])
print(terms, x, math.fsum([0.1] * 10), sum([0.1] * 10), math.sumprod([1e100, 1, -1e100], [1, 1, 1]))
a, b = made.getrandbits(4000), made.getrandbits(3001)
print(hash(a * b), a // b % 10**20, math.gcd(a, b), pow(a, -1, 2**127 - 1), (a ^ b).bit_count(), math.isqrt(a) % 10**20)
print(str(a)[:30], hex(b)[-30:], int(f"{a:o}", 8) == a, (-a >> 3000) % 10**15, a.to_bytes(501, "big")[:9].hex())
print(
    [math.comb(50, k) for k in range(0, 50, 9)], math.perm(20, 7), math.lcm(*range(1, 30)), math.cbrt(2), math.ulp(1e9)
)
print(cmath.sqrt(-2), cmath.exp(1j * cmath.pi), cmath.phase(-1 - 1j), (1 + 2j) ** (0.5 - 1j), cmath.polar(3 - 4j))
print([f"{value:.17g}" for value in (math.gamma(0.1), math.lgamma(1e5), math.erf(0.3), math.erfc(5), math.expm1(1e-9))])
print([math.nextafter(0, 1), math.remainder(17, 5), math.frexp(1e-300), math.modf(-2.75), math.fma(0.1, 10, -1)])
data = [made.lognormvariate(0, 1) for _ in range(500)]
print(statistics.fmean(data), statistics.stdev(data), statistics.median_grouped(data), statistics.geometric_mean(data))
print(statistics.NormalDist.from_samples(data).quantiles(5), statistics.linear_regression(range(500), data))
print([n for n in range(2, 1200) if sum(d for d in range(1, n) if n % d == 0) == n])
