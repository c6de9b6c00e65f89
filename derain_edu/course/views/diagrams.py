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


def pinn_terms() -> Diagram:
    """Return a physics-informed network: one function u(x, t), three losses, no solution shown."""
    drawing = Diagram(
        700, 230,
        "A physics-informed network. A place x and a time t go into a small network, which returns "
        "u. Three losses look at u. Equation: at 400 points inside, do u and its derivatives obey "
        "Burgers' equation? Initial: at t = 0, is u equal to minus sine of pi x? Boundary: at the "
        "two walls, is u zero? Each loss has a weight, and their sum trains the network. The true "
        "solution is shown to nobody: it is used at the end, to measure the error.",
    )
    place = drawing.box(0, 93, 60, 44, "x, t")
    network = drawing.box(105, 93, 100, 44, "network", "3 layers")
    u = drawing.box(250, 93, 50, 44, "u")
    names = (
        ("equation", "400 points: u, uₜ, uₓ, uₓₓ"),
        ("initial", "t = 0: u = −sin πx ?"),
        ("boundary", "x = ±1: u = 0 ?"),
    )
    total = drawing.box(610, 93, 90, 44, "Σ weight", "· loss")
    drawing.arrow(place.right, network.left)
    drawing.arrow(network.right, u.left)
    for k, (name, asks) in enumerate(names):
        term = drawing.box(350, 8 + 69 * k + 8, 210, 44, name, asks, accent=k == 0)
        drawing.arrow(u.right, term.left)
        drawing.arrow(term.right, total.left)
    drawing.arrow(total.bottom, (655, 222), (155, 222), network.bottom, dashed=True)
    drawing.text(250, 209, "gradient", size=12)
    return drawing


def same_budget() -> Diagram:
    """Return three timelines of equal length: a curriculum, fixed training, a shuffled twin."""
    sorted_levels = [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
    lines = {
        "curriculum": sorted_levels,
        "shuffled twin": [sorted_levels[k] for k in (7, 2, 10, 4, 0, 9, 5, 11, 1, 6, 3, 8)],
        "fixed training": [4] * 12,
    }
    drawing = Diagram(
        660, 190,
        "Three timelines of twelve steps. Curriculum: levels 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4. "
        "Shuffled twin: the same twelve steps in random order, 3, 1, 4, 2, 1, 4, 2, 4, 1, 3, 2, 3. "
        "It has the same steps, samples and compute, so only the order differs. Fixed training: "
        "twelve times level 4, as many steps, but more compute if a higher level costs more.",
    )
    notes = {
        "curriculum": "levels from easy to hard",
        "shuffled twin": "the same steps: only the order differs",
        "fixed training": "as many steps, all at the hardest level",
    }
    for row, (name, levels) in enumerate(lines.items()):
        y = 8 + 62 * row
        drawing.text(108, y + 15, name, anchor="end")
        for step, level in enumerate(levels):
            drawing.box(
                120 + 45 * step, y, 41, 30, str(level), accent=ACCENT if level == 4 else False
            )
        drawing.text(120, y + 43, notes[name], anchor="start", size=12)
    drawing.arrow((530, 51), (655, 51))
    drawing.text(520, 51, "steps of the training", anchor="end", size=12)
    return drawing
