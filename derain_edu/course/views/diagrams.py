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


def sum_over_uses() -> Diagram:
    """Return an unrolled loop: one weight at three uses, and the gradients that come back."""
    drawing = Diagram(
        660, 230,
        "A loop unrolled into three stages. The draft goes from left to right: x of 0, stage 1, "
        "stage 2, stage 3, loss. Each stage uses the same weight w, which stands below. The error "
        "goes back from right to left. At each stage it leaves a share of the gradient, and the "
        "three shares meet below at w, where they are added: the sum is the gradient of w.",
    )
    start = drawing.box(0, 20, 70, 46, "x₀ = O")
    stages = [drawing.box(130 + 160 * k, 20, 90, 46, f"stage {k + 1}") for k in range(3)]
    loss = drawing.box(600, 20, 60, 46, "loss")
    row = [start, *stages, loss]
    for k, (before, after) in enumerate(zip(row[:-1], row[1:], strict=True)):
        (x0, y), (x1, _) = before.right, after.left
        name = f"x{'₁₂₃'[k - 1]}" if k else ""
        drawing.arrow((x0, y - 10), (x1, y - 10), words=name)
        if k:
            drawing.arrow((x1, y + 10), (x0, y + 10), accent=True, dashed=True)
    drawing.box(235, 172, 200, 46, "one weight w", ".grad = sum of the shares")
    ends = (275, 335, 395)
    for k, (stage, end) in enumerate(zip(stages, ends, strict=True)):
        x, y = stage.bottom
        drawing.arrow((x, y), (x, 125), (end, 172), accent=True, dashed=True)
        drawing.text(x + 10, 98, f"share {k + 1}", anchor="start", size=12, colour=ACCENT)
    drawing.text(0, 190, "black: forward", anchor="start", size=12)
    drawing.text(0, 210, "orange: the error, back", anchor="start", size=12, colour=ACCENT)
    return drawing


def memory_pipe() -> Diagram:
    """Return a ConvLSTM as a pipe, c, with three taps: forget, write and output."""
    drawing = Diagram(
        660, 250,
        "The memory of PReNet as a pipe with three taps. The pipe leads from left to right, from c "
        "of t−1 to c of t. The first tap, f, lets the old content pass. Then new content g is "
        "added from above, through the second tap, i. Below the pipe, a third tap, o, lets tanh of "
        "c of t out as h of t, which goes to the blocks and, at the next stage, to the gates. "
        "All three taps and g are set by z, the features of this stage, and by h of t−1.",
    )
    line = 120
    forget = drawing.box(150, line - 22, 100, 44, "× f", "forget gate", accent=True)
    plus = drawing.box(330, line - 18, 36, 36, "+", round=18)
    write = drawing.box(298, 34, 100, 44, "× i", "write gate", accent=True)
    shown = drawing.box(430, 196, 100, 44, "× o", "output gate", accent=True)
    drawing.arrow((70, line), forget.left)
    drawing.text(40, line, "cₜ₋₁")
    drawing.arrow(forget.right, plus.left)
    drawing.arrow(plus.right, (600, line))
    drawing.text(624, line, "cₜ")
    drawing.arrow((348, 4), write.top)
    drawing.text(356, 12, "g, new content (tanh)", anchor="start", size=12)
    drawing.arrow(write.bottom, plus.top)
    drawing.dot(480, line)
    drawing.arrow((480, line), shown.top)
    drawing.text(488, 160, "tanh", anchor="start", size=12)
    drawing.arrow(shown.right, (600, 218))
    drawing.text(610, 218, "hₜ", anchor="start")
    drawing.text(0, 200, "z and hₜ₋₁ go through one convolution;", anchor="start", size=12)
    drawing.text(0, 218, "it makes f, i, o and g, for each pixel", anchor="start", size=12)
    drawing.text(0, 236, "and channel", anchor="start", size=12)
    return drawing
