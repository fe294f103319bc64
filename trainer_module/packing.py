"""Small tensors as one: what is done to each element alike is then one kernel instead of many.

A kernel on a few hundred numbers costs as much as its launch, and a step of a small model is made
of hundreds. Tensors of many elements stay as they are: there a kernel of their own is faster than
the copies.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

LARGE = 16_384
"""Elements from which on a variable is updated by a kernel of its own (measured on CPUs)."""


class Packing:
    """How a list of tensors, shaped as some variables, is packed into fewer.

    The packed form is a list: the small ones' elements as one vector, if there are any, then the
    large ones.

    Attributes:
        small, large: indices of the variables.
        width: elements of the vector.
    """

    def __init__(self, variables: Sequence[tf.Variable]) -> None:
        sizes = [variable.shape.num_elements() for variable in variables]
        self.small = [index for index, size in enumerate(sizes) if size < LARGE]
        self.large = [index for index, size in enumerate(sizes) if size >= LARGE]
        self.width = sum(sizes[index] for index in self.small)
        self._sizes = [sizes[index] for index in self.small]
        self._shapes = [variable.shape for variable in variables]

    def pack(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Packs one tensor a variable, each of its shape."""
        large = [tensors[index] for index in self.large]
        return [self.vector(tensors), *large] if self.small else large

    def vector(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns the small ones' elements, [width]."""
        return tf.concat([tf.reshape(tensors[index], [-1]) for index in self.small], axis=0)

    def unpack(self, packed: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Returns one tensor a variable, each of its shape."""
        pieces: dict[int, tf.Tensor] = {}
        if self.small:
            pieces.update(zip(self.small, self.pieces(packed[0]), strict=True))
        pieces.update(zip(self.large, packed[bool(self.small) :], strict=True))
        return [pieces[index] for index in range(len(self._shapes))]

    def pieces(self, vector: tf.Tensor) -> list[tf.Tensor]:
        """Cuts a vector [width] into tensors of the small variables' shapes."""
        cut = tf.split(vector, self._sizes)
        return [
            tf.reshape(piece, self._shapes[index])
            for index, piece in zip(self.small, cut, strict=True)
        ]
