"""The exercises of lesson 01: rain that meets white, a pair that is moved, a sample by its k."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from derain_edu.course.exercises.checking import (
    Wrong,
    checker,
    expect,
    expect_close,
    hinted,
    show,
)
from derain_edu.language import local

Place = tuple[int, int, bool]  # top row, left column, mirrored

# What PyTorch and NumPy say, and what it means in these exercises.
ERRORS = {
    "At least one of 'min' or 'max'": "clamp needs its limits: x.clamp(0, 1)",
    "shifts and dimensions": "`roll` with two moves needs two dimensions: clean.roll((rows, "
    "columns), dims=(1, 2))",
    "must match the size": "you cut the border off one picture alone: take the difference of the "
    "whole pictures first, and cut that",
    "at most 1 positional argument": "give both numbers as one pair, with brackets of its own: "
    "default_rng((seed, k))",
    "no attribute 'randint'": "a generator of default_rng has `integers(n)`, and no `randint`",
    "no attribute 'integers'": "RandomState is the old kind of generator; this one has "
    "`integers(n)`: np.random.default_rng((seed, k))",
    "step must be greater than zero": "a tensor cannot be read backwards with ::-1; use x.flip(-1)",
    "high <= 0": "rng.integers(n) needs an n of at least 1: of (3, H, W) the rows are shape[-2], "
    "and the columns shape[-1]",
}


def two_tensors(found: Any, words: str) -> tuple[Tensor, Tensor]:
    """Return the two tensors of an answer, or tell the reader to return two."""
    fits = isinstance(found, tuple | list) and len(found) == 2
    if not fits or not all(isinstance(part, Tensor) for part in found):
        kind = type(found).__name__
        raise Wrong(f"return two tensors, `return {words}`, and not a {kind}")
    return found[0], found[1]


# ------------------------------------------------------------------------------------- 01.1: rain


@checker("01.1")
def check_rain_on(answer: Callable[..., Any]) -> None:
    """Try ``rain_on(clean, streaks)`` in the dark, near white, and on three colours."""
    cases = [
        (torch.tensor([0.2, 0.5, 0.0]), torch.tensor([0.3, 0.0, 0.25])),  # nothing clips
        (torch.tensor([0.9, 1.0, 0.0, 0.6]), torch.tensor([0.3, 0.5, 1.25, 0.4])),
        (torch.linspace(0, 1, 12).view(3, 2, 2), torch.tensor([[[0.0, 0.5], [0.9, 0.2]]])),
    ]
    hints = ERRORS | {
        "Boolean value of Tensor": "min and max compare two numbers, not two pictures: use "
        "x.clamp(0, 1)",
    }
    for clean, streaks in cases:
        rainy, layer = two_tensors(hinted(answer, hints, clean, streaks), "rainy, layer")
        limited = (clean + streaks).clamp(max=1)
        example = f"clean = {show(clean)}, streaks = {show(streaks)}"
        expect_close(rainy, limited, "the rainy picture", example=example,
                     mistakes=rainy_mistakes(clean, streaks))
        expect_close(layer, limited - clean, "the layer", example=example,
                     mistakes=layer_mistakes(clean, streaks))


def rainy_mistakes(clean: Tensor, streaks: Tensor) -> dict[str, Tensor]:
    """Return what comes out of the ways to meet white otherwise."""
    total = clean + streaks
    return {
        "nothing is brighter than white: clip the sum at 1": total,
        "you cut the streaks alone; cut the sum, (clean + streaks).clamp(0, 1)": (
            clean + streaks.clamp(0, 1)
        ),
        "you made the whole picture darker until it fitted. A camera does not: it cuts off what "
        "is above 1, and leaves the other pixels alone": total / total.max(),
        "this is screen blending; here the light adds up": clean + streaks * (1 - clean),
        "you took the rain away from the picture": (clean - streaks).clamp(0, 1),
        "your first tensor is the layer: return `rainy, layer`": total.clamp(max=1) - clean,
    }


def layer_mistakes(clean: Tensor, streaks: Tensor) -> dict[str, Tensor]:
    """Return what comes out of the ways to take another layer for O − B."""
    limited = (clean + streaks).clamp(max=1)
    return {
        "this is what fell, not what the pair shows: where the sum reached white, O − B is "
        "smaller than R": streaks.expand_as(clean),
        "the layer is measured in the clipped picture: O − B, with the O that you return": (
            clean + streaks - clean
        ),
        "this is B − O: the layer has the wrong sign": clean - limited,
        "this is the light that was lost, R − (O − B); the layer is what is left": (
            clean + streaks - limited
        ),
        "to cut the streaks is not enough: how much of them shows depends on the picture below, so "
        "take O − B": streaks.clamp(0, 1).expand_as(clean),
        "you took the streaks away; take the clean picture away, O − B": limited - streaks,
    }


# -------------------------------------------------------------------------------- 01.2: the shift

Move = tuple[int, int]  # rows down, columns to the right
Sides = tuple[int, int, int, int]  # pixels left out at the top, bottom, left, right


@checker("01.2")
def check_find_shift(answer: Callable[..., Any]) -> None:
    """Try ``find_shift(rainy, clean, reach)`` on moved pictures, with rain and at each border."""
    cases = [
        (moved_pair((1, 2)), (1, 2), 2, "one that must move 1 row down and 2 columns right"),
        (moved_pair((-2, 1)), (-2, 1), 2, "one that must move 2 rows up and 1 column right"),
        (moved_pair((3, 3)), (3, 3), 3, "one that must move 3 rows down and 3 columns right"),
        (moved_pair((0, 0)), (0, 0), 2, "a good pair"),
        (ramp_pair((0, 2)), (0, 2), 2, "a picture that is dark on the left and bright on the "
                                       "right"),
        (ramp_pair((0, -2)), (0, -2), 2, "a picture that is bright on the left and dark on the "
                                         "right"),
        (ramp_pair((2, 0)), (2, 0), 2, "a picture that is dark at the top and bright at the "
                                       "bottom"),
        (ramp_pair((-2, 0)), (-2, 0), 2, "a picture that is bright at the top and dark at the "
                                         "bottom"),
        (*noise_pair(), 2, "two pictures of noise, which fit nowhere well"),
    ]  # fmt: skip
    hints = ERRORS | {
        "Boolean value of Tensor": "an error is one number for each move: take the mean of the "
        "squared difference, and compare that",
    }
    found = [a_move(hinted(answer, hints, *pair, reach)) for pair, _, reach, _ in cases]
    wrong = next((k for k, case in enumerate(cases) if found[k] != case[1]), None)
    if wrong is None:
        return
    # A move is right or wrong by chance now and then: a mistake has to explain all of them.
    known = [move_mistakes(*pair, reach, truth) for pair, truth, reach, _ in cases]
    fitting = [case[0][0] for case in zip(*known, strict=True) if [m for _, m in case] == found]
    reason = [*fitting, "this move is wrong"][0]
    _, truth, reach, words = cases[wrong]
    case = local(f"(for {words}, reach = {reach})")
    raise Wrong(f"{local(reason)}. Yours is {found[wrong]}, expected {truth} {case}")


def a_move(found: Any) -> Move:
    """Return the two whole numbers of an answer, or tell the reader to return two."""
    if isinstance(found, Tensor) and found.numel() == 1 or isinstance(found, float):
        raise Wrong("you return one number, perhaps the error: return the move that has it, "
                    "`return rows, columns`")
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise Wrong(f"return two whole numbers, `return rows, columns`, and not a "
                    f"{type(found).__name__}")
    if any(isinstance(part, tuple | list) for part in found):
        raise Wrong("return the two numbers of the move alone, `return rows, columns`, without "
                    "the error")
    return int(found[0]), int(found[1])


def moved_pair(move: Move) -> tuple[Tensor, Tensor]:
    """Return a rainy and a clean cut of one noisy picture; ``move`` brings the clean one back."""
    scene = torch.rand(3, 22, 23) * 0.5
    rows, columns = move
    clean = scene[:, 3:-3, 3:-3]
    rainy = scene[:, 3 - rows : 19 - rows, 3 - columns : 20 - columns].clone()
    rainy[:, 2:9, 6] += 0.4  # a streak
    return rainy, clean


def ramp_pair(move: Move) -> tuple[Tensor, Tensor]:
    """Return a pair whose opposite sides differ so much that no wrong border can win.

    Only the side where ``move`` brings pixels in again tells whether it was left out, so each side
    needs a pair of its own.
    """
    ramp = torch.linspace(0, 1, 20) + 0.1 * torch.rand(3, 12, 1)  # each row a little different
    clean, rainy = ramp[..., 2:].clone(), ramp[..., :-2].clone()  # (3, 12, 18): 2 columns apart
    rows, columns = move
    if rows + columns < 0:
        clean, rainy = clean.flip(-1), rainy.flip(-1)
    return (rainy.mT, clean.mT) if rows else (rainy, clean)


def noise_pair() -> tuple[tuple[Tensor, Tensor], Move]:
    """Return two pictures of noise for which squares and absolute values choose different moves."""
    border = (2, 2, 2, 2)
    while True:
        pair = torch.rand(3, 9, 10), torch.rand(3, 9, 10)
        tried = all_differences(*pair, 2)
        best = best_move(tried, border)
        if best != best_move(tried, border, miss=absolute):
            return pair, best


def absolute(difference: Tensor) -> Tensor:
    """Return the mean of the absolute values of a difference."""
    return difference.abs().mean()


def mean_of_squares(difference: Tensor) -> Tensor:
    """Return the mean squared error of a difference."""
    return difference.square().mean()


def all_differences(
    rainy: Tensor, clean: Tensor, reach: int, dims: Move = (1, 2)
) -> dict[Move, Tensor]:
    """Return the difference that each move of ``clean`` leaves."""
    moves = itertools.product(range(-reach, reach + 1), repeat=2)
    return {move: rainy - clean.roll(move, dims) for move in moves}


def best_move(
    differences: dict[Move, Tensor], sides: Sides, rows: range | None = None,
    columns: range | None = None, miss: Callable[[Tensor], Tensor] = mean_of_squares,
    choose: Callable[..., Move] = min,
) -> Move:
    """Return the move with the smallest error (``choose``, ``miss``) inside of a border.

    ``rows`` and ``columns`` are the moves that are tried, all of them by default.
    """
    top, bottom, left, right = sides
    errors = {
        (y, x): float(miss(one[:, top : one.shape[1] - bottom, left : one.shape[2] - right]))
        for (y, x), one in differences.items()
        if (rows is None or y in rows) and (columns is None or x in columns)
    }
    return choose(errors, key=errors.__getitem__)


def best_of_moves_upon_moves(rainy: Tensor, clean: Tensor, reach: int) -> Move:
    """Return the best move of a loop that rolls a picture which was rolled before."""
    differences = {}
    for move in itertools.product(range(-reach, reach + 1), repeat=2):
        clean = clean.roll(move, (1, 2))
        differences[move] = rainy - clean
    return best_move(differences, (reach,) * 4)


def move_mistakes(
    rainy: Tensor, clean: Tensor, reach: int, truth: Move
) -> list[tuple[str, Move]]:
    """Return reasons, and the move that comes out of each way to search wrongly."""
    tried, border, one_pixel = all_differences(rainy, clean, reach), (reach,) * 4, (1,) * 4

    def tries(moves: range, sides: Sides = border) -> Move:
        return best_move(tried, sides, moves, moves)

    some_sides = [sides for sides in itertools.product((0, reach), repeat=4) if 0 in sides]
    way_back = "this is the way back, the move of `rainy`: move `clean`"
    square = "square the difference before you take the mean: else bright and dark misses cancel"
    no_way_up = "you try no move up or to the left: begin at −reach"
    one_step = "you try moves of at most 1 pixel: try all from −reach to +reach"
    return [
        ("this is the first move that is tried: keep the one with the smallest error",
         (-reach, -reach)),
        ("this is the last move that is tried: keep the one with the smallest error",
         (reach, reach)),
        ("you always return (0, 0): begin with an error that is larger than all, float('inf'), and "
         "see whether your errors are nan, the mean of an empty piece", (0, 0)),
        (way_back, (-truth[0], -truth[1])),
        (way_back, best_move(all_differences(clean, rainy, reach), border)),
        ("columns and rows have changed places: return (rows, columns)", truth[::-1]),
        *(("you count pixels that came in again on the other side: leave out `reach` pixels on all "
           "four sides", best_move(tried, sides)) for sides in some_sides),
        ("you leave out one pixel on each side, and a move of `reach` brings in more: leave out "
         "`reach` pixels", best_move(tried, one_pixel)),
        ("you never try a move of +reach: `range(-reach, reach)` ends before it",
         tries(range(-reach, reach))),
        (no_way_up, tries(range(reach + 1))),
        (no_way_up, tries(range(reach))),
        (one_step, tries(range(-1, 2))),
        (one_step, tries(range(-1, 2), one_pixel)),
        ("you moved the colours: of (3, H, W) rows and columns are the dims (1, 2)",
         best_move(all_differences(rainy, clean, reach, (0, 1)), border)),
        ("this move has the largest error: return the one with the smallest",
         best_move(tried, border, choose=max)),
        (square, best_move(tried, border, miss=Tensor.mean)),
        (square, best_move(tried, border, miss=lambda part: part.mean().abs())),
        ("you take the mean of the absolute difference; here its square counts",
         best_move(tried, border, miss=absolute)),
        ("you move a picture that was moved before: roll the `clean` that you were given each time",
         best_of_moves_upon_moves(rainy, clean, reach)),
        ("you return inside the loop, before all rows were tried: `return` stands after both loops",
         best_move(tried, border, rows=range(-reach, 1 - reach))),
    ]  # fmt: skip


# -------------------------------------------------------------------------------- 01.3: sample k

_ROWS, _COLUMNS, _SIZE, _MANY = 6, 9, 4, 600


@checker("01.3")
def check_sample_pair(answer: Callable[..., Any]) -> None:
    """Try ``sample_pair(rainy, clean, size, seed, k)`` on a picture that holds its coordinates."""

    def place(seed: int, k: int, rows: int = _ROWS, columns: int = _COLUMNS) -> Place:
        clean = coordinates(rows, columns)
        rainy = clean + torch.tensor([0, 0, 0.25]).view(3, 1, 1)
        found = hinted(answer, ERRORS, rainy, clean, _SIZE, seed, k)
        return one_place(two_tensors(found, "rainy_patch, clean_patch"), rainy, clean)

    with shared_numbers() as changed:
        first = [place(0, k) for k in range(12)]
        again = [place(0, k) for k in reversed(range(12))][::-1]
        expect(first == again, "sample 5 was another patch when it was drawn a second time: only "
                               "seed and k may decide")
        expect(not changed(), "you draw from the random numbers that the whole program shares, or "
                              "seed them anew: make a generator of your own, "
                              "np.random.default_rng(…)")
    expect_a_stream(place, first)
    expect_all_places([place(0, k) for k in range(_MANY)])
    expect(place(0, 0, _SIZE, _SIZE)[:2] == (0, 0), "a picture of the patch's size is one patch")


def expect_a_stream(place: Callable[..., Place], first: list[Place]) -> None:
    """Complain unless k and the seed both count, and two seeds are two streams."""
    length = len(first)
    expect(len(set(first)) > 1, "samples 0 to 11 of seed 0 are all the same: k must count, too")
    second = [place(1, k) for k in range(length)]
    expect(second != first, "seed 0 and seed 1 draw the same samples: the seed must count, too")
    for start in (1, 10, 100, 1000, 10**4, 10**5, 10**6):
        later = [place(0, start + k) for k in range(length)]
        expect(later != second, f"seed 1 draws what seed 0 draws from sample {start} on: do not "
                                "add seed and k, give the generator both: default_rng((seed, k))")
    swapped = [place(k, 0) for k in range(length)]
    expect(swapped != first, "seed 0, k = 5 draws the same as seed 5, k = 0: seed and k must not "
                             "be able to change places")


def expect_all_places(places: list[Place]) -> None:
    """Complain unless every place is drawn, mirrored and not."""
    tops, lefts, mirrored = ({place[k] for place in places} for k in range(3))
    share = sum(place[2] for place in places) / len(places)
    which = "all patches are mirrored" if True in mirrored else "no patch is mirrored"
    expect(len(mirrored) == 2, f"in {len(places)} samples {local(which)}")
    expect(0.35 < share < 0.65, f"{share:.0%} of the patches are mirrored: it should be half")
    expect(any(top != left for top, left, _ in places), "your patches start at the same row and "
           "column each time: draw the row and the column apart")
    for axis, seen, last in (("row", tops, _ROWS - _SIZE), ("column", lefts, _COLUMNS - _SIZE)):
        missed = sorted(set(range(last + 1)) - seen)
        expect(not missed, f"a {_SIZE} × {_SIZE} patch can start at {axis} 0 to {last} of a "
                           f"picture {_ROWS} × {_COLUMNS}, and in {len(places)} samples yours "
                           f"never started at {axis} {missed}. Mind the end of the range")
    total = 2 * len(tops) * len(lefts)
    expect(len(set(places)) == total, f"row, column and mirroring give {total} different patches, "
                                      f"and only {len(set(places))} came: draw all three apart")


def coordinates(rows: int, columns: int) -> Tensor:
    """Return a picture whose red is the row and whose green is the column, both / 16."""
    red = torch.arange(rows).view(-1, 1).expand(rows, columns) / 16
    green = torch.arange(columns).view(1, -1).expand(rows, columns) / 16
    return torch.stack([red, green, torch.full_like(red, 0.5)])  # (3, rows, columns)


def one_place(patches: tuple[Tensor, Tensor], rainy: Tensor, clean: Tensor) -> Place:
    """Return where both patches are from; complain if they are not a pair."""
    for patch in patches:
        expect_a_patch(patch)
    swapped = where_from(patches[0], clean) and where_from(patches[1], rainy)
    expect(not swapped, "your first patch is clean and your second is rainy: return rainy first")
    places = []
    for name, patch, picture in (("rainy", patches[0], rainy), ("clean", patches[1], clean)):
        place = where_from(patch, picture)
        if place is None:
            raise Wrong(f"your {name} patch is not a {_SIZE} × {_SIZE} piece of the {name} "
                        "picture, as it is or mirrored from left to right (only so: rain falls "
                        "down)")
        places.append(place)
    (top, left, mirrored), (top_2, left_2, mirrored_2) = places
    expect((top, left) == (top_2, left_2), "the two patches are not a pair: the rainy one starts "
           f"at row {top}, column {left}, and the clean one at row {top_2}, column {left_2}")
    expect(mirrored == mirrored_2, "only one of the two patches is mirrored: toss the coin once")
    return places[0]


def expect_a_patch(patch: Tensor) -> None:
    """Complain about a patch of another shape, and say how it comes to it."""
    shape = tuple(patch.shape)
    if shape == (3, _SIZE, _SIZE):
        return
    words = f"for size = {_SIZE} a patch should be {(3, _SIZE, _SIZE)}, and yours is {shape}"
    if len(shape) != 3 or shape[0] != 3:
        raise Wrong(f"{local(words)}: the first index of a picture is the colour, "
                    "picture[:, rows, columns]")
    if max(shape[1:]) <= _SIZE:
        raise Wrong(f"{local(words)}: it ends outside of the picture, or too early. The last start "
                    "is H − size for rows and W − size for columns, and a patch ends at start + "
                    "size")
    raise Wrong(words)


def where_from(patch: Tensor, picture: Tensor) -> Place | None:
    """Return the place of a patch in a picture of coordinates, or None."""
    for mirrored in (False, True):
        piece = patch.flip(-1) if mirrored else patch
        top, left = (round(float(piece[channel, 0, 0]) * 16) for channel in (0, 1))
        if torch.equal(piece, picture[:, top : top + _SIZE, left : left + _SIZE]):
            return top, left, mirrored
    return None


@contextmanager
def shared_numbers() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether the program's shared generators were used since."""

    def states() -> list[str]:
        numpy_state = np.random.get_state(legacy=False)["state"]
        return [repr(random.getstate()), repr(numpy_state), repr(torch.get_rng_state().tolist())]

    before, kept = states(), (random.getstate(), np.random.get_state())
    try:
        yield lambda: states() != before
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
