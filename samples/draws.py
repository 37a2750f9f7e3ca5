"""Repeatable chance: every draw is a function of a seed, a purpose and a number, and of nothing else.

Making a `random.Random` for every item would cost more than writing the item. One keyed hash of the item's number gives
all the draws that an item needs. Nothing here calls a floating-point function: those may differ in the last bit from
one C library to the next.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from hashlib import blake2b
from struct import Struct
from typing import TypeVar

T = TypeVar("T")
Draw = Callable[[], int]
"""Each call gives the next number in 0..65535. A `Dice` is good for `Dice.DRAWS` calls."""

SPAN = 65536
MAX_SEED = 2**64 - 1


class Dice:
    """Draws for one seed and purpose. Different purposes of one seed do not influence each other."""

    DRAWS = 32
    _NUMBERS = Struct(f"<{DRAWS}H")

    def __init__(self, seed: int, purpose: str) -> None:
        self._hash = blake2b(key=seed.to_bytes(8, "little"), person=purpose.encode())

    def roll(self, number: int) -> tuple[int, ...]:
        """The `DRAWS` draws for one number, each in 0..65535."""
        state = self._hash.copy()
        state.update(number.to_bytes(8, "little"))
        return self._NUMBERS.unpack(state.digest())

    def at(self, number: int) -> Draw:
        """The same draws, one after another."""
        return iter(self.roll(number)).__next__


def pick(options: Sequence[T], draw: int) -> T:
    """The option that a draw falls on; all are equally likely."""
    return options[draw * len(options) // SPAN]


def pick_weighted(options: Sequence[T], cumulative: Sequence[int], draw: int) -> T:
    """The option that a draw falls on, where `cumulative` holds the running sum of the weights."""
    return options[bisect_right(cumulative, draw * cumulative[-1] // SPAN)]


def between(low: int, high: int, draw: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return low + draw * (high - low + 1) // SPAN


def percent(share: float, draw: int) -> bool:
    """True in `share` percent of all draws."""
    return draw * 100 < share * SPAN


class Shuffle:
    """Puts the numbers 0..size-1 into a random order, without ever holding the list.

    Multiplying by an odd number, adding, and folding the upper half onto the lower are each reversible within a
    power of two, so `place` never gives two numbers the same place. Results outside the range are sent round again.
    """

    def __init__(self, size: int, seed: int, purpose: str) -> None:
        bits = max(1, (size - 1).bit_length())
        draw = Dice(seed, purpose).at(size)
        self._size = size
        self._mask = (1 << bits) - 1
        self._fold = max(1, bits // 2)
        self._rounds = [(wide(draw) | 1, wide(draw)) for _ in range(3)]

    def place(self, number: int) -> int:
        """Where `number` stands in the new order. `number` must be in 0..size-1."""
        place = self._scramble(number)
        while place >= self._size:
            place = self._scramble(place)
        return place

    def _scramble(self, number: int) -> int:
        mask, fold = self._mask, self._fold
        for factor, offset in self._rounds:
            number = (number * factor + offset) & mask
            number ^= number >> fold
        return number


def wide(draw: Draw) -> int:
    """A number of 48 bits out of three draws."""
    return draw() << 32 | draw() << 16 | draw()
