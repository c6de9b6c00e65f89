"""The exercises of lesson 01: rain that meets white, a score by its protocol, a sample by its k."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from derain_edu.course.exercises.checking import Wrong, attempt, checker, expect, expect_close, show
from derain_edu.metrics import psnr

Place = tuple[int, int, bool]  # top row, left column, mirrored


def two_tensors(found: Any, words: str) -> tuple[Tensor, Tensor]:
    """Return the two tensors of an answer, or tell the reader to return two."""
    fits = isinstance(found, tuple | list) and len(found) == 2
    if not fits or not all(isinstance(part, Tensor) for part in found):
        kind = type(found).__name__
        raise Wrong(f"return two tensors, `return {words}`, and not a {kind}")
    return found[0], found[1]


# ------------------------------------------------------------------------------- 01.1, 01.2: rain


@checker("01.1")
def check_rain_on(answer: Callable[..., Any]) -> None:
    """Try ``rain_on(clean, streaks)`` in the dark, near white, and on three colours."""
    cases = [
        (torch.tensor([0.2, 0.5, 0.0]), torch.tensor([0.3, 0.0, 0.25])),  # nothing clips
        (torch.tensor([0.9, 1.0, 0.0, 0.6]), torch.tensor([0.3, 0.5, 1.25, 0.4])),
        (torch.linspace(0, 1, 12).view(3, 2, 2), torch.tensor([[[0.0, 0.5], [0.9, 0.2]]])),
    ]
    for clean, streaks in cases:
        rainy, layer = two_tensors(attempt(answer, clean, streaks), "rainy, layer")
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
    }


@checker("01.2")
def check_undo_screen(answer: Callable[..., Any]) -> None:
    """Try ``undo_screen(rainy, streaks)`` with faint and strong rain, and where R is 1."""
    streaks = torch.tensor([0.0, 0.5, 0.25, 0.75])
    cases = [
        (torch.tensor([0.5, 0.5, 0.75, 0.125]), streaks),
        (torch.tensor([0.25, 0.0, 0.5]), torch.tensor([0.5, 1.0, 1.0])),  # R = 1 leaves nothing
        (torch.linspace(0, 1, 24).view(2, 3, 2, 2), streaks.view(1, 2, 2)),
    ]
    for truth, rain in cases:
        gone = (rain == 1).expand_as(truth)
        rainy = 1 - (1 - truth) * (1 - rain)
        example = f"rainy = {show(rainy)}, streaks = {show(rain)}"
        found = attempt(answer, rainy, rain)
        if isinstance(found, Tensor) and found.shape == rainy.shape:
            finite = found.isfinite()
            expect(finite[~gone].all(), f"some values are infinite or not a number: you may divide "
                                        f"by 1 − R, but not by 1 − O (for {example})")
            expect(finite.all(), "where R = 1 you divide 0 by 0. The background is gone there: "
                                 f"return 0 (for {example})")
        expect_close(found, truth.masked_fill(gone, 0.0), "the background", example=example,
                     tolerance=1e-4, mistakes=screen_mistakes(rainy, rain, truth))


def screen_mistakes(rainy: Tensor, streaks: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Return what comes out of the ways to undo the wrong thing."""
    alone = streaks.expand_as(rainy) == 1
    padded = (rainy - streaks) / (1 - streaks + 1e-3)
    return {
        "O − R undoes an addition; the screen let only B·(1 − R) of the background through":
        rainy - streaks,
        "you divide by 1 − O; what dimmed the background was 1 − R": (
            (rainy - streaks) / (1 - rainy)
        ),
        "this puts the rain on a second time": rainy + streaks * (1 - rainy),
        "O / (1 − R) forgets the light that the rain itself added": (
            (rainy / (1 - streaks)).masked_fill(alone, 0.0)
        ),
        "the small number in your divisor changes every pixel: treat only R = 1 apart": padded,
        "where R = 1 no background is left: return 0 there": truth.masked_fill(alone, 1.0),
    }


# ----------------------------------------------------------------------------------- 01.3: a score


def decibels(error: Tensor) -> float:
    """Return −10·log10 of a mean squared error."""
    value = float(error)
    return math.inf if value == 0 else -10 * math.log10(value)


def weighted(picture: Tensor, weights: tuple[float, ...] = (65.481, 128.553, 24.966)) -> Tensor:
    """Return the sum of the three colours of (3, H, W), each times its weight, over 255."""
    return torch.einsum("chw,c->hw", picture, torch.tensor(weights, dtype=picture.dtype)) / 255


def picture_mistakes(x: Tensor, y: Tensor) -> dict[str, float]:
    """Return the scores of two pictures (3, H, W) that were prepared in another way."""

    def score(view: Callable[[Tensor], Tensor]) -> float:
        return decibels((view(x) - view(y)).square().mean())

    def cut(p: Tensor) -> Tensor:
        return (p.clamp(0, 1) * 255).floor() / 255

    unfit = "a value above 1 or below 0 does not fit into 8 bits: clamp the pictures first"
    wide = (0.299, 0.587, 0.114)
    return {
        "you compare red, green and blue; the protocol compares Y": score(cut),
        "you did not turn the pictures into 8 bits: cut off what is below 1/255": score(
            lambda p: weighted(p.clamp(0, 1))
        ),
        "you round to 8 bits; these authors cut off (floor)": score(
            lambda p: weighted((p.clamp(0, 1) * 255).round() / 255)
        ),
        unfit: score(lambda p: weighted((p * 255).floor() / 255)),
        unfit + ", or they wrap around": score(
            lambda p: weighted((p * 255).to(torch.uint8).double() / 255)
        ),
        "your Y reaches 1; here white is 235/255": score(lambda p: 255 * weighted(cut(p), wide)),
        "red and blue have changed places": score(lambda p: weighted(cut(p).flip(0))),
        "you weigh the three colours equally": score(lambda p: cut(p).mean(dim=0)),
        "you round Y to 8 bits, too. Another protocol does that, not this one": score(
            lambda p: (255 * weighted(cut(p)) + 16).round() / 255
        ),
    }


def number_mistakes(right: float, values: int) -> dict[str, float]:
    """Return what comes out of another formula for decibels; ``right`` is the score in dB."""
    peak = 20 * math.log10(255)
    return {
        "48.13 dB too much: your peak is 255, but your Y is at most 235/255": right + peak,
        "48.13 dB too little: your peak is 1, but your Y goes up to 235": right - peak,
        "the sign is wrong: a smaller error is a larger score": -right,
        "20·log₁₀ belongs to the root of the mean squared error, 10·log₁₀ to itself": 2 * right,
        "10·log₁₀ belongs to the mean squared error, 20·log₁₀ to its root": right / 2,
        "the logarithm is the one to base 10": right * math.log(10),
        "you add the squared errors up; PSNR takes their mean": right - 10 * math.log10(values),
    }


@checker("01.3")
def check_psnr_y(answer: Callable[..., Any]) -> None:
    """Try ``psnr_y(derained, clean)`` on plain pictures, outside of [0, 1], and on equal ones."""
    clean = (torch.randint(20, 235, (3, 5, 4)) + torch.rand(3, 5, 4) * 0.8 + 0.1) / 255
    noise = torch.randint(-15, 16, clean.shape) / 255 + torch.rand(clean.shape) * 0.8 / 255
    inside = clean + noise
    inside = ((inside * 255).floor() + torch.rand(clean.shape) * 0.8 + 0.1) / 255
    outside = inside.clone()
    outside[:, 0], outside[:, 1] = -0.1, 1.1
    cases = {
        "two pictures (3, 5, 4)": (inside, clean),
        "a wide picture (3, 2, 7)": (inside.view(-1)[:42].view(3, 2, 7),
                                     clean.view(-1)[:42].view(3, 2, 7)),
        "a network's output with values of −0.1 and 1.1": (outside, clean),
    }
    for words, (x, y) in cases.items():
        got = attempt(answer, x, y)
        x, y = x.double(), y.double()
        expect_close(got, psnr(x, y), "the PSNR", example=words,
                     mistakes=picture_mistakes(x, y) | number_mistakes(psnr(x, y), x[0].numel()))
    same = attempt(answer, clean, (clean * 255).floor().add(0.5) / 255)
    expect_close(same, math.inf, "the PSNR of pictures that are equal in 8 bits")


# -------------------------------------------------------------------------------- 01.4: sample k

_ROWS, _COLUMNS, _SIZE, _MANY = 6, 9, 4, 600


@checker("01.4")
def check_sample_pair(answer: Callable[..., Any]) -> None:
    """Try ``sample_pair(rainy, clean, size, seed, k)`` on a picture that holds its coordinates."""

    def place(seed: int, k: int, rows: int = _ROWS, columns: int = _COLUMNS) -> Place:
        clean = coordinates(rows, columns)
        rainy = clean + torch.tensor([0, 0, 0.25]).view(3, 1, 1)
        found = attempt(answer, rainy, clean, _SIZE, seed, k)
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
    expect(len(mirrored) == 2, f"in {len(places)} samples " + (
        "all patches are mirrored" if True in mirrored else "no patch is mirrored"))
    expect(0.35 < share < 0.65, f"{share:.0%} of the patches are mirrored: it should be half")
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
        expect(patch.shape == (3, _SIZE, _SIZE), f"for size = {_SIZE} a patch should be "
               f"{(3, _SIZE, _SIZE)}, and yours is {tuple(patch.shape)}")
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
