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


def from_code_to_runtime() -> Diagram:
    """Return the way of a network out of Python, and that of a photo through the file."""
    drawing = Diagram(
        700, 232,
        "Two rows. Above, in Python: the code, which is eager, is exported to a graph, and saved "
        "as a file, network.onnx. Below, without Python: a photo in bytes passes the contract "
        "(RGB, divided by 255), the runtime, which reads the file, and the contract again (cut to "
        "0 to 1, times 255, rounded), and is a derained photo in bytes. A dashed orange arrow from "
        "the code to the runtime asks: the same, at every size?",
    )
    drawing.text(0, 12, "in Python", anchor="start", size=12)
    code = drawing.box(1, 26, 150, 50, "your code", "eager, line by line")
    graph = drawing.box(275, 26, 150, 50, "graph", "operations, weights")
    saved = drawing.box(549, 26, 150, 50, "network.onnx", "the file")
    drawing.arrow(code.right, graph.left, words="export")
    drawing.arrow(graph.right, saved.left, words="save")
    photo = drawing.box(1, 180, 80, 50, "photo", "bytes")
    entry = drawing.box(130, 180, 120, 50, "contract", "RGB, ÷ 255")
    runtime = drawing.box(300, 180, 110, 50, "runtime", "C++", accent=True)
    leave = drawing.box(460, 180, 120, 50, "contract", "cut, × 255, round")
    derained = drawing.box(619, 180, 80, 50, "derained", "bytes")
    for start, end in ((photo, entry), (entry, runtime), (runtime, leave), (leave, derained)):
        drawing.arrow(start.right, end.left)
    drawing.arrow((625, 76), (625, 118), (385, 118), (385, 180))
    drawing.arrow((75, 76), (75, 142), (325, 142), (325, 180), accent=True, dashed=True)
    drawing.text(90, 128, "the same, at every size?", anchor="start", size=12, colour=ACCENT)
    drawing.text(0, 168, "without Python", anchor="start", size=12)
    return drawing


def three_splits() -> Diagram:
    """Return the three splits of the photos, and who may look at which of them, and when."""
    drawing = Diagram(
        700, 200,
        "Three boxes side by side. The training photos go to the optimizer, at every step, which "
        "changes the weights. The validation pictures go to you, as often as you like: you choose, "
        "and an arrow goes from you back to the optimizer: change one thing, train again. The test "
        "pictures go to the report, once, and each look is counted. A dashed orange arrow from the "
        "report back to you is marked as forbidden: nothing is chosen by it.",
    )
    columns = (
        ("training", "changes the weights", "optimizer", "at every step", False),
        ("validation", "for choosing", "you", "as often as you like", False),
        ("test", "for the score", "report", "once, counted", True),
    )
    seen = []
    for k, (split, use, who, when, accent) in enumerate(columns):
        above = drawing.box(1 + 259 * k, 10, 180, 46, split, use, accent=accent)
        seen.append(drawing.box(26 + 259 * k, 110, 130, 40, who))
        drawing.arrow(above.bottom, seen[-1].top)
        drawing.text(99 + 259 * k, 84, when, anchor="start", size=12)
    optimizer, you, report = seen
    drawing.arrow(you.left, optimizer.right, words="one change")
    drawing.arrow(report.left, you.right, words="never", accent=True, dashed=True)
    drawing.text(350, 180, "no scene may be in two of the three", size=12)
    return drawing


def grafted_host() -> Diagram:
    """Return a host with a grafted attention module, and the gate that starts as nothing."""
    drawing = Diagram(
        700, 190,
        "The host as a row of boxes: rainy picture, head, blocks 1 and 2, blocks 3 to 5, tail, "
        "derained picture. The grafted module is a coloured box below: it reads the features after "
        "block 2 and makes the map A. A goes through the gate, 1 + γ·(2A − 1), into blocks 3 to 5, "
        "where it multiplies the branch. At γ = 0 the gate is 1: the network is its host.",
    )
    names = (("rainy",), ("head",), ("blocks", "1–2"), ("blocks", "3–5"), ("tail",), ("derained",))
    places = ((1, 70), (105, 70), (209, 80), (425, 90), (550, 50), (629, 70))
    boxes = [
        drawing.box(x, 20, width, 46, *lines)
        for (x, width), lines in zip(places, names, strict=True)
    ]
    for start, end in zip(boxes, boxes[1:], strict=False):
        drawing.arrow(start.right, end.left)
    drawing.dot(325, 43)
    module = drawing.box(260, 120, 130, 46, "the module (SAM)", "from SPANet", accent=True)
    gate = drawing.box(425, 120, 150, 46, "gate", "1 + γ·(2A − 1)", accent=True)
    drawing.arrow((325, 43), module.top, accent=True)
    drawing.arrow(module.right, gate.left, words="A", accent=True)
    drawing.arrow((470, 120), (470, 66), accent=True)
    drawing.text(480, 94, "× branch", anchor="start", size=12, colour=ACCENT)
    drawing.text(500, 181, "γ = 0: the host as it was", size=12, colour=ACCENT)
    return drawing
