"""The Frechet distance between two sets of embeddings, each taken for a normal distribution.

Heusel et al., GANs Trained by a Two Time-Scale Update Rule, arXiv:1706.08500, equation 6:
d^2 = |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). As is usual, d^2 is what is called the distance.
"""

from __future__ import annotations

import numpy as np


def frechet_distance(
    mean1: np.ndarray, covariance1: np.ndarray, mean2: np.ndarray, covariance2: np.ndarray
) -> float:
    """Returns d^2 of two normal distributions, in squared units of the embedding; 0 if equal.

    Args:
        mean1, mean2: [d] float64.
        covariance1, covariance2: [d, d] float64, symmetric; they may be singular.
    """
    root = _square_root(covariance1)
    # C1 C2 is similar to this product, which is symmetric: real eigenvalues, and none below 0 but
    # for rounding.
    values = np.linalg.eigvalsh(root @ covariance2 @ root)
    overlap = np.sum(np.sqrt(np.maximum(values, 0.0)))
    spread = np.trace(covariance1) + np.trace(covariance2) - 2.0 * overlap
    return float(np.sum(np.square(mean1 - mean2)) + spread)


def _square_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
