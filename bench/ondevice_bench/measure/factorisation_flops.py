"""FLOPs of factorisations by the usual formulas. These are estimates, not exact counts."""


def qr(rows: int, columns: int, *, forms_q: bool = True) -> int:
    """`2nk² - (2/3)k³` with k the shorter side, twice where Q is formed."""
    n, k = max(rows, columns), min(rows, columns)
    return (2 * n * k * k - 2 * k**3 // 3) * (2 if forms_q else 1)


def eigh(size: int, *, vectors: bool = True) -> int:
    """`9n³` with vectors, `(4/3)n³` without."""
    return 9 * size**3 if vectors else 4 * size**3 // 3


def svd(rows: int, columns: int, *, vectors: bool = True) -> int:
    """`6mn² + 20n³` with vectors, `4mn² - (4/3)n³` without; n is the shorter side."""
    m, n = max(rows, columns), min(rows, columns)
    return 6 * m * n * n + 20 * n**3 if vectors else 4 * m * n * n - 4 * n**3 // 3


def triangular(size: int, sides: int) -> int:
    """`n²` for each right-hand side."""
    return size * size * sides


def cubes(size: int, numerator: int, denominator: int = 1) -> int:
    """A multiple of `n³`."""
    return numerator * size**3 // denominator
