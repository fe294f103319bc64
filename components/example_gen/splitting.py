"""Which split a row falls into, by what it is."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from components.example_gen.config import SPLITS, SplitsConfig


def digests(contents: Sequence[bytes], seed: int) -> list[bytes]:
    """Returns the SHA-256 of each content; seed 0 gives that of the content as it is."""
    salted = hashlib.sha256(f"{seed}:".encode() if seed else b"")
    found = []
    for content in contents:
        digest = salted.copy()
        digest.update(content)
        found.append(digest.digest())
    return found


def hashed(digests: Sequence[bytes], candidates: Sequence[str], shares: SplitsConfig) -> np.ndarray:
    """Returns the candidate that each row falls into, by the rule of TFX's ExampleGen.

    Returns:
        Places in SPLITS, [rows] int8.
    """
    ends = list(itertools.accumulate(getattr(shares, split) for split in candidates))
    buckets = [int.from_bytes(digest, "big") % ends[-1] for digest in digests]
    places = np.array([SPLITS.index(split) for split in candidates], np.int8)
    return places[np.searchsorted(ends, buckets, side="right")]


class TimeCounts(NamedTuple):
    """How often each time occurs; both sorted by time.

    Attributes:
        times: [n] float64.
        counts: [n] int64.
    """

    times: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, times: np.ndarray) -> TimeCounts:
        return cls(*np.unique(times, return_counts=True))

    @classmethod
    def merge(cls, parts: Sequence[TimeCounts]) -> TimeCounts:
        every = np.concatenate([part.times for part in parts])
        times, inverse = np.unique(every, return_inverse=True)
        counts = np.bincount(
            inverse, np.concatenate([part.counts for part in parts]), minlength=len(times)
        )
        return cls(times, counts.astype(np.int64))


def time_bounds(found: TimeCounts, shares: SplitsConfig) -> tuple[float, float]:
    """Returns the first times of eval and of test.

    Rows of one time are in one split, so that the shares are met as nearly as that allows.
    """
    total = shares.train + shares.eval + shares.test
    before = np.concatenate([[0], np.cumsum(found.counts)])
    rows = before[-1]

    def first(share: int) -> float:
        place = int(np.argmin(np.abs(before - rows * share / total)))
        return float(found.times[place]) if place < len(found.times) else np.inf

    return first(shares.train), first(shares.train + shares.eval)


def timed(times: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Returns the split of each time, places in SPLITS, [rows] int8."""
    return np.searchsorted(bounds, times, side="right").astype(np.int8)


def all_but(own: Sequence[str]) -> tuple[str, ...]:
    """Returns the splits that are taken from train, where the data bring others of their own."""
    return tuple(split for split in SPLITS if split not in own)
