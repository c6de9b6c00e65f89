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

from collections.abc import Sequence
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


def four_sweeps() -> Diagram:
    """Return four sweeps of a bright pixel, and what one pixel sees after one round and two."""
    drawing = Diagram(
        680, 226,
        "Three small pictures. Left, four sweeps: from one bright pixel an arrow runs up, one to "
        "the right, one down and one to the left, each to the border. Middle, one round: the "
        "middle pixel sees its row and its column, a cross. Right, two rounds: it sees every "
        "pixel. A corner reaches it on two ways: along its row and then down the column, or down "
        "its column and then along the row.",
    )
    size, side, middle = 7, 24, 3
    cross = {(r, c) for r in range(size) for c in range(size) if middle in (r, c)}
    everything = {(r, c) for r in range(size) for c in range(size)}
    for x, seen, title in ((20, {(middle, middle)}, "four sweeps"),
                           (256, cross, "one round: a cross"),
                           (492, everything, "two rounds: everything")):
        drawing.text(x + size * side / 2, 12, title, size=14)
        for row, column in sorted(everything):
            left, top = x + column * side, 30 + row * side
            drawing._parts.append(
                f'<rect x="{left}" y="{top}" width="{side}" height="{side}" fill="{SECOND}" '
                f'fill-opacity="{0.5 if (row, column) in seen else 0.04}" stroke="#888888"/>'
            )
        drawing.dot(x + (middle + 0.5) * side, 30 + (middle + 0.5) * side, 6, colour=ACCENT)
    mid = 30 + (middle + 0.5) * side  # y of the middle row
    x = 20 + (middle + 0.5) * side
    far, near = 3.4 * side, 0.4 * side
    for (dx, dy), name, place in (
        ((0, -1), "up", (16, -66)), ((1, 0), "right", (58, -13)),
        ((0, 1), "down", (24, 66)), ((-1, 0), "left", (-58, -13)),
    ):
        drawing.arrow((x + near * dx, mid + near * dy), (x + far * dx, mid + far * dy), accent=True)
        drawing.text(x + place[0], mid + place[1], name, size=12)
    corner, centre = 492 + 0.5 * side, 492 + (middle + 0.5) * side
    top = 30 + 0.5 * side
    drawing.dot(corner, top, 5)
    drawing.arrow((corner, top), (centre, top), (centre, mid - near), accent=True)
    drawing.arrow((corner, top), (corner, mid), (centre - near, mid), accent=True, dashed=True)
    drawing.text(20 + size * side / 2, 214, "where one pixel goes", size=12)
    drawing.text(256 + size * side / 2, 214, "what one pixel sees", size=12)
    drawing.text(492 + size * side / 2, 214, "two ways from a corner", size=12)
    return drawing


def scan_tree(values: Sequence[float], results: Sequence[float]) -> Diagram:
    """Return the rounds of a scan over a row as a tree; what the last h is made of is marked.

    Parameters
    ----------
    values, results : sequence of float
        The row x before, and the row h after.
    """
    length = len(values)
    rounds = (length - 1).bit_length()
    drawing = Diagram(
        76 * length + 84, 74 * rounds + 100,
        f"A tree over {length} pixels. At the top one box per pixel, the map of its step. In each "
        "round a box is joined with the one 1, then 2, then 4 places to the left; each box names "
        f"the pixels whose steps it holds. After {rounds} rounds the last box holds 1 to {length}, "
        "and lines lead to it from all steps. Below each last box is its h.",
    )
    needed = {length - 1}
    marked = [needed]  # per round, from the last to the first: what the last h is made of
    for number in range(rounds, 0, -1):
        reach = 2 ** (number - 1)
        needed = needed | {t - reach for t in needed if t >= reach}
        marked.insert(0, needed)
    for number in range(rounds + 1):
        y, reach = 44 + 74 * number, 2**number // 2
        drawing.text(0, y + 14, f"round {number}" if number else "steps", anchor="start", size=12)
        for t in range(length):
            strong = t in marked[number]
            first = max(0, t - 2**number + 1)
            name = f"{first + 1}" if first == t else f"{first + 1}–{t + 1}"
            drawing.box(76 * t + 80, y, 56, 28, name, accent=strong or "#888888")
            for source in {t, t - reach} if number and t >= reach else {t} if number else ():
                drawing.arrow((76 * source + 108, y - 46), (76 * t + 108, y),
                              accent=strong or "#888888", head=strong)
    for t, (x, h) in enumerate(zip(values, results, strict=True)):
        drawing.text(76 * t + 108, 24, f"x = {x:.1f}".replace("-", "−"), size=12)
        drawing.text(76 * t + 108, 74 * rounds + 88, f"h = {h:.2f}", size=12)
    return drawing
