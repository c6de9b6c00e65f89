"""``derain-edu pairs``: rainy and clean pictures from a video of a camera that stands still."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from derain_edu.errors import DerainError
from derain_edu.files import at_home


def pairs(
    video: Annotated[
        str, typer.Argument(help="A video, or a folder of its frames.", show_default=False)
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="The folder that gets rainy/ and clean/.")
    ] = "pairs",
    every: Annotated[
        int, typer.Option(min=1, max=10**6, help="Take every so many-th frame.")
    ] = 10,
    percentile: Annotated[
        float,
        typer.Option(min=0, max=100, help="Which value over time is the scene: 50 is the median."),
    ] = 50,
    window: Annotated[
        int | None,
        typer.Option(min=2, max=10**6, help="Frames before and after that are used. [20]"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace pairs that exist. [they stay]")
    ] = False,
) -> None:
    """Make pairs from a video of a camera on a tripod.

    In most frames of some seconds a pixel shows the scene and no rain, so the median over time is
    the scene without rain. Only the rain may move: a drift of the camera by some pixels is taken
    back, a pan or a cut is refused.

    \b
    Examples:
      derain-edu pairs clip.mp4 -o mine/
      derain-edu pairs clip.mp4 -o mine/ --every 25 --percentile 40
      derain-edu train --data mine/ --minutes 10
    """
    from derain_edu.cli.video_jobs import write_pairs

    place = Path(at_home(output))
    try:
        write_pairs(
            Path(at_home(video)), place, every, percentile, window, overwrite, say=typer.echo
        )
    except KeyboardInterrupt as stop:
        typer.echo(f"{stop or 'stopped'}", err=True)
        raise typer.Exit(130) from None
    except NotADirectoryError as error:
        raise DerainError(f"{place} is a file: name a folder") from error
