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

from derain_edu.language import local

Point = tuple[float, float]
ACCENT = "#D55E00"  # on white and on black: the one thing that the drawing is about
SECOND = "#2A8FD0"  # on white and on black: what is compared with it


@dataclass(frozen=True)
class Box:
    """A drawn box; its sides are the points where arrows begin and end.

    Attributes
    ----------
    x : float
        Its left side, in pixels.
    y : float
        Its top.
    width : float
        How wide it is.
    height : float
        How high it is.
    """

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
    width : float
        In pixels. A page is about 700 wide; on a narrower one the drawing shrinks.
    height : float
        In pixels.
    alt : str
        The drawing in words, for those who can't see it.
    _parts : list[str]
        The SVG of what is drawn so far.
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
            f'fill="{colour}">{escape(local(words))}</text>'
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
        alt = escape(local(self.alt))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{alt}" '
            f'viewBox="0 0 {self.width} {self.height}" font-family="sans-serif" '
            f'style="width: {self.width}px; max-width: 100%; height: auto; color: inherit">'
            f"{''.join(self._parts)}</svg>"
        )

    def __repr__(self) -> str:
        return local(self.alt)


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
        690, 200,
        "PRN as a loop. The rainy picture O and the picture so far, x of t−1, are put on top of "
        "each other: six channels (edit 3). One stage (head, residual blocks, tail) makes minus "
        "the rain layer from them, and it is added to O (edit 2): this is x of t. It goes back to "
        "the entrance (edit 1), T times, and then out as the derained picture. At the start x of "
        "0 is O itself. The weights of the stage are the same each time.",
    )
    rainy = drawing.box(0, 70, 80, 48, "rainy O")
    both = drawing.box(130, 70, 110, 48, "concatenate", "6 channels", accent=SECOND)
    stage = drawing.box(280, 70, 150, 48, "head, blocks, tail", "same weights", accent=True)
    plus = drawing.box(500, 79, 30, 30, "+", round=15)
    out = drawing.box(600, 70, 90, 48, "derained")
    drawing.arrow(rainy.right, both.left)
    drawing.arrow(both.right, stage.left)
    drawing.arrow(stage.right, plus.left, words="− rain")
    drawing.arrow(plus.right, out.left, words="after T")
    drawing.dot(102, 94)
    drawing.arrow((102, 94), (102, 30), (515, 30), plus.top)
    drawing.text(308, 16, "edit 2: added to O, not to the picture so far", size=12)
    drawing.dot(548, 94)
    drawing.arrow((548, 94), (548, 158), (185, 158), both.bottom)
    drawing.text(366, 173, "edit 1: xₜ goes back as xₜ₋₁, the picture so far (x₀ = O)", size=12)
    drawing.text(185, 56, "edit 3", size=12, colour=SECOND)
    drawing.text(355, 54, "× T", size=15, colour=ACCENT)
    return drawing


def residual_network() -> Diagram:
    """Return the baseline (head, blocks, tail) with its outer skip, and one block with its own."""
    drawing = Diagram(
        700, 265,
        "The baseline: the rainy picture O goes through a head, five residual blocks and a tail, "
        "which makes minus the rain. A long skip adds O itself to it: the sum is the derained "
        "picture. Below, one block in large: its input x goes through convolution, ReLU, "
        "convolution, ReLU, and a short skip adds x itself to it; a last ReLU follows. Both skips "
        "do the same: what comes in goes on unchanged, plus something small.",
    )
    rainy = drawing.box(0, 70, 76, 40, "rainy O")
    head = drawing.box(120, 70, 60, 40, "head")
    first = drawing.box(206, 70, 70, 40, "block 1", accent=SECOND)
    last = drawing.box(332, 70, 70, 40, "block 5")
    tail = drawing.box(428, 70, 60, 40, "tail")
    plus = drawing.box(556, 75, 30, 30, "+", round=15)
    out = drawing.box(616, 70, 84, 40, "derained")
    drawing.arrow(rainy.right, head.left)
    drawing.arrow(head.right, first.left)
    drawing.arrow(first.right, last.left)
    drawing.text(304, 76, "…", size=16)
    drawing.arrow(last.right, tail.left)
    drawing.arrow(tail.right, plus.left, words="− rain")
    drawing.arrow(plus.right, out.left)
    drawing.dot(96, 90, colour=ACCENT)
    drawing.arrow((96, 90), (96, 34), (571, 34), plus.top, accent=True)
    drawing.text(334, 20, "long skip: O itself", size=12, colour=ACCENT)
    drawing.arrow((first.x, 110), (110, 150), dashed=True, head=False, accent=SECOND)
    drawing.arrow((first.x + 70, 110), (640, 150), dashed=True, head=False, accent=SECOND)
    drawing.box(110, 150, 530, 108, accent=SECOND)
    places = ((168, "conv"), (246, "ReLU"), (324, "conv"), (402, "ReLU"))
    parts = [drawing.box(x, 166, 58, 36, word) for x, word in places]
    small = drawing.box(492, 169, 30, 30, "+", round=15)
    end = drawing.box(550, 166, 54, 36, "ReLU")
    drawing.text(124, 172, "x", size=14)
    drawing.arrow((114, 184), parts[0].left)
    for before, after in zip([*parts, small], [*parts[1:], small, end], strict=True):
        drawing.arrow(before.right, after.left)
    drawing.arrow(end.right, (636, 184))
    drawing.dot(142, 184, colour=ACCENT)
    drawing.arrow((142, 184), (142, 232), (507, 232), small.bottom, accent=True)
    drawing.text(324, 245, "short skip: x itself", size=12, colour=ACCENT)
    return drawing


def tripod() -> Diagram:
    """Return how a truth comes from a film: one pixel over time, and one value of it."""
    drawing = Diagram(
        640, 170,
        "Frames of a film lie one behind the other; the same pixel is marked in each. Its "
        "brightness over time is a low, level line with spikes upwards, one for each drop that "
        "passes. A dashed line marks one value of it, near the level part. The same for every "
        "pixel gives the scene without rain.",
    )
    for k in (3, 2, 1, 0):
        drawing.box(10 + 14 * k, 30 + 12 * k, 100, 66, round=0)
    for k in range(4):
        drawing.dot(40 + 14 * k, 60 + 12 * k, colour=ACCENT)
    drawing.text(82, 152, "N frames, one pixel", size=12)
    heights = (4, 2, 5, 52, 3, 1, 6, 2, 70, 38, 4, 2, 3, 5, 60, 2, 4, 1)
    curve = [(235 + 11 * k, 120 - height) for k, height in enumerate(heights)]
    drawing.arrow((165, 85), (215, 85))
    drawing.arrow((228, 124), (432, 124), head=False)
    drawing.arrow(*curve, accent=True, head=False)
    drawing.arrow((228, 115), (432, 115), accent=SECOND, dashed=True, head=False)
    drawing.text(330, 24, "its brightness over time", size=12)
    drawing.text(330, 142, "a low percentile", size=12, colour=SECOND)
    scene = drawing.box(520, 52, 110, 66, "the scene", "without rain", round=0)
    drawing.arrow((445, 85), scene.left, words="every pixel")
    return drawing


def pair_making() -> Diagram:
    """Return how a pair is made, and the way back that a network learns from it."""
    drawing = Diagram(
        690, 250,
        "How a pair is made, and what a network learns from it. Upper row: the clean photo B and "
        "the layer R of many streaks go into a box that adds them and cuts off at white, or blends "
        "them as a screen or under a veil; the rainy picture O comes out. Lower row: the network "
        "gets O alone and gives its answer. The answer is compared with B, and the error changes "
        "the network. B is known because the pair holds it.",
    )
    photo = drawing.box(2, 30, 110, 46, "clean photo B")
    streaks = drawing.box(160, 2, 150, 30, "many streaks: R")
    blend = drawing.box(160, 60, 150, 62, "add, cut off at white", "(or screen, or veil)",
                        accent=True)
    rainy = drawing.box(370, 68, 110, 46, "rainy O")
    drawing.arrow(photo.right, (135, 53), (135, 91), blend.left)
    drawing.arrow(streaks.bottom, blend.top)
    drawing.arrow(blend.right, rainy.left)
    network = drawing.box(370, 180, 110, 46, "network")
    answer = drawing.box(200, 180, 110, 46, "its answer")
    error = drawing.box(2, 180, 110, 46, "error")
    drawing.arrow(rainy.bottom, network.top)
    drawing.text(436, 147, "the network sees O alone", anchor="start", size=12)
    drawing.arrow(network.left, answer.right)
    drawing.arrow(answer.left, error.right)
    drawing.arrow(photo.bottom, error.top)
    drawing.text(68, 147, "B, the other half of the pair", anchor="start", size=12)
    drawing.arrow(error.bottom, (57, 243), (425, 243), network.bottom, accent=SECOND, dashed=True)
    drawing.text(436, 243, "the error changes the weights", anchor="start", size=12, colour=SECOND)
    return drawing


def score_path() -> Diagram:
    """Return the way from two pictures to one number, and where protocols part."""
    drawing = Diagram(
        690, 215,
        "From two pictures to one number. The output of the network and the clean picture go "
        "through the same steps, and at each of them papers differ. Step 1, the part: the whole "
        "picture or a crop. Step 2, 8 bits: none, rounded, or cut off. Step 3, the colours: red, "
        "green and blue, or luma Y from 16 to 235. Step 4, the comparison: PSNR, or SSIM with its "
        "window and range. Step 5, the mean over the pictures of a test set. Then one number.",
    )
    output = drawing.box(2, 22, 70, 36, "output")
    clean = drawing.box(2, 82, 70, 36, "clean")
    steps = (
        ("1 · part", "whole", "crop"),
        ("2 · 8 bits", "none", "rounded", "cut off"),
        ("3 · colours", "red, green, blue", "luma Y, 16–235"),
        ("4 · compare", "PSNR", "SSIM: window,", "range, shrinking"),
    )
    boxes = []
    for k, (title, *choices) in enumerate(steps):
        x = 100 + 152 * k
        boxes.append(drawing.box(x, 15, 128, 110, accent=SECOND))
        drawing.text(x + 64, 32, title, colour=SECOND)
        for row, choice in enumerate(choices):
            drawing.text(x + 64, 58 + 20 * row, choice)
    drawing.arrow(output.right, (98, 40))
    drawing.arrow(clean.right, (98, 100))
    for before, after in zip(boxes[:-1], boxes[1:], strict=True):
        drawing.arrow((before.right[0], 40), (after.left[0], 40))
        drawing.arrow((before.right[0], 100), (after.left[0], 100))
    mean = drawing.box(556, 160, 128, 50, "5 · mean over", "the test set", accent=SECOND)
    number = drawing.box(360, 160, 120, 50, "one number", accent=True)
    drawing.arrow(boxes[-1].bottom, mean.top)
    drawing.arrow(mean.left, number.right)
    drawing.text(340, 185, "blue: papers differ here", anchor="end", size=12, colour=SECOND)
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
    product = drawing.box(420, 124, 110, 56, "y.mul(w)", "is dropped", accent=True)
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
