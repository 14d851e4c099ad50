"""The products of an exact weight gradient with thin matrices, without the gradient as a whole."""

import torch
from torch import Tensor

from ondevice_bench.methods.subspace import ProductsGradient

_ROWS = 256  # rows of G that exist at the same time


def computes_blocks(positions: int, rows: int, columns: int) -> bool:
    """Whether it takes fewer FLOPs to compute blocks of `G`, and to multiply thin matrices by them.

    The other way multiplies thin matrices by X and dY. Its sum for the norm has all blocks, too.
    """
    return rows * columns < positions * (rows + columns)


def products(x: Tensor, dy: Tensor, left: Tensor, right: Tensor) -> ProductsGradient:
    """The five products of `G = dYᵀ X`, without `G` as a whole."""
    gt_l = x.T @ (dy @ left)
    if computes_blocks(len(x), dy.shape[1], x.shape[1]):
        return _products_by_blocks(x, dy, right, gt_l)
    g_rt = dy.T @ (x @ right.T)
    g_gtl = dy.T @ (x @ gt_l)
    squares = [torch.linalg.vector_norm(rows.T @ x) ** 2 for rows in dy.split(_ROWS, dim=1)]
    return ProductsGradient(
        gt_l=gt_l,
        g_rt=g_rt,
        g_gtl=g_gtl,
        gt_grt=x.T @ (dy @ g_rt),
        gt_ggtl=x.T @ (dy @ g_gtl),
        squared_norm=torch.stack(squares).sum(),
    )


def _products_by_blocks(x: Tensor, dy: Tensor, right: Tensor, gt_l: Tensor) -> ProductsGradient:
    """All products and the norm from each block of rows, which is dropped then."""
    both = torch.cat([right.T, gt_l], dim=1)  # (I, 2 K)
    times, squares = [], []
    back = torch.zeros_like(both)
    for columns in dy.split(_ROWS, dim=1):
        block = columns.T @ x
        squares.append(torch.linalg.vector_norm(block) ** 2)
        times.append(block @ both)
        back.addmm_(block.T, times[-1])
    g_rt, g_gtl = torch.cat(times).chunk(2, dim=1)
    gt_grt, gt_ggtl = back.chunk(2, dim=1)
    return ProductsGradient(gt_l, g_rt, g_gtl, gt_grt, gt_ggtl, torch.stack(squares).sum())
