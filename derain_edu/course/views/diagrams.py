"""The drawings of the lessons: boxes and arrows that show how a network is wired.

Each function returns a :class:`Diagram`. As the last value of a cell it shows itself as SVG inside
the page: lines and words take the colour of the page's own text, so it can be read in a dark theme,
and a screen reader reads ``alt``, the same drawing in words.

>>> drawing = Diagram(300, 60, "The rainy picture goes through a network.")
>>> first = drawing.box(0, 10, 90, 40, "rainy")
>>> second = drawing.box(180, 10, 90, 40, "network", accent=True)
>>> drawing.arrow(first.right, second.left)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

Point = tuple[float, float]
ACCENT = "#D55E00"  # on white and on black: the one thing that the drawing is about
SECOND = "#2A8FD0"  # on white and on black: what is compared with it


@dataclass(frozen=True)
class Box:
    """A drawn box; its sides are the points where arrows begin and end."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> Point:
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> Point:
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> Point:
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> Point:
        return self.x + self.width / 2, self.y + self.height


@dataclass
class Diagram:
    """A drawing of ``width`` × ``height`` pixels, (0, 0) at the top left.

    Attributes
    ----------
    width, height : float
        Size in pixels. A page is about 700 wide; on a narrower one the drawing shrinks.
    alt : str
        The drawing in words, for who can't see it.
    """

    width: float
    height: float
    alt: str
    _parts: list[str] = field(default_factory=list, repr=False)

    def box(
        self, x: float, y: float, width: float, height: float, *lines: str,
        accent: bool | str = False, round: float = 4,
    ) -> Box:
        """Draw a box with lines of text in its middle; ``accent`` is True or a colour."""
        colour = ACCENT if accent is True else accent or "currentColor"
        self._parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{round}" '
            f'fill="{colour}" fill-opacity=".08" stroke="{colour}" stroke-width="1.5"/>'
        )
        for k, line in enumerate(lines):
            self.text(x + width / 2, y + height / 2 + 17 * (k - (len(lines) - 1) / 2), line)
        return Box(x, y, width, height)

    def text(
        self, x: float, y: float, words: str, *, anchor: str = "middle", size: float = 13,
        colour: str = "currentColor",
    ) -> None:
        """Write words whose middle (or ``start``, ``end``) is at x, centred on y."""
        self._parts.append(
            f'<text x="{x}" y="{y + 0.35 * size}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{colour}">{escape(words)}</text>'
        )

    def arrow(
        self, *points: Point, words: str = "", accent: bool | str = False, dashed: bool = False,
        head: bool = True,
    ) -> None:
        """Draw a line through the points with a head at the last, and words above its middle."""
        colour = ACCENT if accent is True else accent or "currentColor"
        path = " ".join(f"{x},{y}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>'
        )
        if head:
            self._parts.append(_head(points[-2], points[-1], colour))
        if words:
            k = (len(points) - 1) // 2
            (x0, y0), (x1, y1) = points[k], points[k + 1]
            self.text((x0 + x1) / 2, (y0 + y1) / 2 - 10, words, size=12, colour=colour)

    def dot(self, x: float, y: float, radius: float = 3, colour: str = "currentColor") -> None:
        """Draw a dot, where one line becomes two."""
        self._parts.append(f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{colour}"/>')

    def _repr_html_(self) -> str:
        """Show the drawing in a notebook."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(self.alt)}" '
            f'viewBox="0 0 {self.width} {self.height}" font-family="sans-serif" '
            f'style="width: {self.width}px; max-width: 100%; height: auto; color: inherit">'
            f"{''.join(self._parts)}</svg>"
        )

    def __repr__(self) -> str:
        return self.alt


def _head(before: Point, tip: Point, colour: str) -> str:
    """Return the head of an arrow that comes from ``before``."""
    (x0, y0), (x, y) = before, tip
    length = ((x - x0) ** 2 + (y - y0) ** 2) ** 0.5 or 1
    ux, uy = (x - x0) / length, (y - y0) / length
    corners = ((x, y), (x - 9 * ux - 4 * uy, y - 9 * uy + 4 * ux),
               (x - 9 * ux + 4 * uy, y - 9 * uy - 4 * ux))
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    return f'<polygon points="{points}" fill="{colour}"/>'


def prn_loop() -> Diagram:
    """Return PRN's loop: one stage, used T times, that sees the rainy picture each time."""
    drawing = Diagram(
        640, 170,
        "PRN as a loop. The rainy picture O and the picture so far, x of t−1, are put on top of "
        "each other: six channels. One stage (head, residual blocks, tail) makes x of t from them. "
        "x of t goes back to the entrance, T times, and then out as the derained picture. At the "
        "start x of 0 is O itself. The weights of the stage are the same each time.",
    )
    rainy = drawing.box(0, 60, 90, 44, "rainy O")
    both = drawing.box(150, 60, 110, 44, "concatenate", "6 channels")
    stage = drawing.box(320, 60, 150, 44, "one stage", "same weights", accent=True)
    out = drawing.box(550, 60, 90, 44, "derained")
    drawing.arrow(rainy.right, both.left)
    drawing.arrow(both.right, stage.left)
    drawing.arrow(stage.right, out.left, words="after T")
    drawing.dot(510, 82)
    drawing.arrow((510, 82), (510, 140), (205, 140), both.bottom)
    drawing.text(357, 153, "xₜ goes back as xₜ₋₁: the picture so far (x₀ = O)", size=12)
    drawing.text(395, 40, "× T", size=15, colour=ACCENT)
    return drawing


def attention_module() -> Diagram:
    """Return SPANet's attention: two rounds of four sweeps make a map, which scales a residual."""
    drawing = Diagram(
        700, 250,
        "The attention module of SPANet and a block that it serves. Upper row, the module: "
        "features x of C channels go through a 3 by 3 convolution, a first round of four sweeps "
        "that gives 4C channels, a 3 by 3 convolution back to C, a second round of four sweeps, a "
        "3 by 3 and a 1 by 1 convolution and a sigmoid. Out comes the map A, one number between 0 "
        "and 1 per pixel. Lower row, the block: the result of its branch is multiplied by A, then "
        "x is added, then comes a ReLU.",
    )
    features = drawing.box(2, 20, 78, 48, "features", "x: C")
    first = drawing.box(130, 20, 120, 48, "round 1", "4 sweeps: 4C")
    second = drawing.box(310, 20, 120, 48, "round 2", "4 sweeps: 4C")
    squeeze = drawing.box(490, 20, 96, 48, "conv 1×1", "sigmoid")
    the_map = drawing.box(628, 20, 70, 48, "map A", "1", accent=True)
    drawing.arrow(features.right, first.left, words="conv")
    drawing.arrow(first.right, second.left, words="conv: C")
    drawing.arrow(second.right, squeeze.left, words="conv: C")
    drawing.arrow(squeeze.right, the_map.left)
    branch = drawing.box(130, 150, 120, 44, "branch", "3 convolutions")
    times = drawing.box(366, 156, 32, 32, "×", round=16, accent=True)
    plus = drawing.box(466, 156, 32, 32, "+", round=16)
    relu = drawing.box(546, 150, 60, 44, "ReLU")
    drawing.arrow(features.bottom, (40, 172), branch.left)
    drawing.arrow(branch.right, times.left)
    drawing.arrow(times.right, plus.left)
    drawing.arrow(plus.right, relu.left)
    drawing.arrow(relu.right, (690, 172))
    drawing.dot(40, 172)
    drawing.arrow((40, 172), (40, 228), (482, 228), plus.bottom)
    drawing.arrow(the_map.bottom, (663, 112), (382, 112), times.top, accent=True)
    drawing.text(520, 100, "one number per pixel, for all C channels", size=12)
    drawing.text(250, 240, "x passes", size=12)
    return drawing


def dropped_product() -> Diagram:
    """Return a network whose product is computed and dropped, and the way of its gradients."""
    drawing = Diagram(
        700, 200,
        "A network with a dropped product. The input x goes through main and becomes y, and "
        "through the branch and a sigmoid it becomes the weights w. y and w meet in y.mul(w), but "
        "from there no arrow goes on: the loss is computed from y alone. A dashed arrow, the "
        "gradient, runs from the loss back to main. None runs to the branch.",
    )
    x = drawing.box(2, 60, 48, 44, "x")
    main = drawing.box(110, 20, 90, 44, "main")
    branch = drawing.box(110, 130, 90, 44, "branch")
    sigmoid = drawing.box(260, 130, 90, 44, "sigmoid")
    product = drawing.box(420, 124, 110, 56, "y.mul(w)", "dropped", accent=True)
    loss = drawing.box(600, 20, 90, 44, "loss of y")
    drawing.arrow(x.right, (80, 82), (80, 42), main.left)
    drawing.arrow((80, 82), (80, 152), branch.left)
    drawing.dot(80, 82)
    drawing.arrow(branch.right, sigmoid.left)
    drawing.arrow(sigmoid.right, product.left, words="w")
    drawing.arrow(main.right, loss.left)
    drawing.text(300, 32, "y", size=12)
    drawing.dot(475, 42)
    drawing.arrow((475, 42), product.top)
    drawing.text(600, 152, "no way on", colour=ACCENT)
    drawing.arrow((645, 64), (645, 88), (155, 88), (155, 66), dashed=True, accent=SECOND)
    drawing.text(300, 102, "gradient: back to main only", size=12, colour=SECOND)
    return drawing
