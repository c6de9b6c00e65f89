"""What lesson 02 says of the two Rain100 sets: they show the same backgrounds."""

from pathlib import Path

from derain_edu.datasets.download import cached_set
from derain_edu.datasets.pairs import PairedFolder


def test_the_two_sets_show_the_same_backgrounds(filled_cache: Path):
    light, heavy = (
        [data[k]["clean"].numpy().tobytes() for k in range(len(data))]
        for data in (PairedFolder(cached_set(name), name) for name in ("rain100l", "rain100h"))
    )
    assert light == heavy
    assert len(light) < 100 or len(set(light)) == 91, "in the full sets some are there twice"
