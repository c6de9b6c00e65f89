# %% [markdown]
# # 01 · Paired data
#
# **What is rain to a network, and what does a score mean?**
#
# | | |
# |---|---|
# | **Goals** | make rain by hand and with the package; find a wrong pair before you train on it; say why one picture has many scores; draw batches that you can draw again |
# | **Before you start** | lesson 00 |
# | **Time** | 90 minutes, 50 of them for the exercises; the cells take 30 s on a CPU with two cores, and the same on a GPU |
# | **Papers** | Yang et al., CVPR 2017 (arXiv 1609.07769); Ren et al., CVPR 2019 (arXiv 1901.09221); Wang et al., IEEE TIP 2004 (SSIM) |

# %% tags=["bootstrap"]
# On Colab this cell installs the course package; everywhere else it only imports it.
import importlib.util
import subprocess
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("derain_edu") is None:
    source = "git+https://github.com/derain-edu/derain-edu"
    onnx = ["onnx", "onnx-ir", "onnxscript", "onnxruntime"]  # Colab has none of them
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", source, *onnx]
    subprocess.run(pip, check=True)

import derain_edu as de

# %%
print(f"derain_edu {de.__version__}")

import copy
import io
import math
import statistics

import numpy as np
import torch
from PIL import Image

from derain_edu import metrics
from derain_edu.course import exercises
from derain_edu.course.views import plots
from derain_edu.course.views.rain import (
    config_from_sliders, rain_controls, rain_sliders, rain_view,
)
from derain_edu.datasets.download import cached_set
from derain_edu.rain.presets import PRESETS
from derain_edu.rain.streaks import Streaks, render_streaks
from derain_edu.rain.synthesis import VISIBLE, blend
from derain_edu.text import compare_guess

clean = de.load_photo("china", long_side=320)  # (3, H, W), RGB in [0, 1]
height, width = clean.shape[-2:]
print(f"{tuple(clean.shape)}: {height} rows, {width} columns")

# %% [markdown]
# ## 1 · One streak by hand
#
# A raindrop is a small, bright spot. It falls while the shutter is open, so the camera adds up the
# spot at all the places where it was. That sum is a **streak**. We do the same: one soft spot,
# moved along a slanted line in small steps.

# %%
ys, xs = torch.arange(height), torch.arange(width)


def drop(x: float, y: float, sigma: float = 1.0) -> torch.Tensor:
    """Return a soft spot of light at (x, y), as a picture (1, H, W)."""
    column = torch.exp(-((ys - y) ** 2) / (2 * sigma**2))[:, None]  # (H, 1)
    return (column * torch.exp(-((xs - x) ** 2) / (2 * sigma**2)))[None]  # (1, H, W)


angle, length, brightness = math.radians(15), 40, 0.5  # 15° from the vertical, 40 px, half white
path = torch.linspace(-length / 2, length / 2, 161)
sweep = sum(drop(70 + s * math.sin(angle), 105 + s * math.cos(angle)) for s in path.tolist())
R = brightness * sweep / sweep.max()  # (1, H, W), the rain layer
rainy = clean + R  # (3, H, W): O = B + R
assert rainy.max() <= 1, "this streak should not reach white"

# %%
part = (slice(None), slice(75, 135), slice(40, 100))  # 60 × 60 pixels around the streak
half_way = drop(70 - 20 * math.sin(angle), 105 - 20 * math.cos(angle))
figure = plots.picture_row(
    {
        "the drop, as it enters": half_way[part].expand(3, -1, -1),  # (1, h, w) -> (3, h, w)
        "rain layer R: the swept drop": R[part].expand(3, -1, -1),
        "background B": clean[part],
        "rainy O = B + R": rainy[part],
    }
)
plots.show(figure, "One soft spot, the bright slanted line it sweeps, a piece of the temple, "
                   "and the same piece with the bright line over it.")

# %% [markdown]
# That is all that rain is in this course: a layer R of light that we add to the background B. Is
# our loop the right one? The package does not sweep anything: it has a formula for the streak. Six
# numbers go in (x and y of the middle, length, width, angle, brightness), and `taper` says how
# softly the two ends fade. The two should nearly agree. (The formula averages over each pixel, and
# fades the ends in its own way.)

# %%
sigma_to_width = 2 * math.sqrt(2 * math.log(2))  # the width of a Gaussian at half of its height
one = [np.array([value]) for value in (70.0, 105.0, 40.0, sigma_to_width, 15.0, brightness, 0)]
formula = render_streaks(Streaks(*one, taper=0.08), height, width)  # (1, H, W)
difference = float((formula - R).abs().max())
print(f"largest difference: {difference:.3f}, of a streak with brightness {brightness}")
assert difference < 0.1 * brightness

# %% [markdown]
# Now read the equation backwards. Given only O, can you find R? Per pixel there is **one equation
# and there are two unknowns**. Here are two answers, and both add up.

# %%
answers = {"what we did": (clean, R), "also possible": (rainy, torch.zeros_like(R))}
for name, (background, rain) in answers.items():
    print(f"{name}: B + R = O is {torch.equal(background + rain, rainy)}")
    assert torch.equal(background + rain, rainy)
assert torch.allclose(rainy - clean, R.expand(3, -1, -1), atol=1e-6)  # up to float rounding

# %% [markdown]
# The equation allows both. Nothing in it says "thin, bright, slanted things are rain": a network
# has to learn that from examples. An example is a **pair**: the rainy picture O and the clean
# picture B. With both, R = O − B is known exactly (here to the rounding of a 32-bit float).

# %% [markdown]
# ## 2 · Thousands of streaks
#
# `de.add_rain` draws many streaks and returns all that it drew. We open one result, and put it
# together again from its parts. Each seed is one rain: the same call gives the same picture.

# %%
result = de.add_rain(clean, "light", seed=1)
drawn = result.params.streaks  # the numbers of every streak, not a picture yet
print(f"{len(drawn)} streaks; the first three:")
for k in range(3):
    print(f"  centre ({drawn.x[k]:.0f}, {drawn.y[k]:.0f}), {drawn.length[k]:.0f} px long, "
          f"{drawn.width[k]:.1f} px wide, {drawn.angle[k]:+.0f}°, "
          f"brightness {drawn.brightness[k]:.2f}")
layer = render_streaks(drawn, height, width)  # numbers -> (1, H, W)
again = blend(clean, layer, "additive")  # O = B + R, clipped to [0, 1] -> (3, H, W)
assert torch.equal(again, result.rainy)
assert torch.equal(de.add_rain(clean, "light", seed=1).rainy, result.rainy)
assert torch.equal(de.add_rain(clean, "light", seed=1, amount=0).rainy, clean)  # identity

# %% [markdown]
# A picture can't be brighter than white. Where B + R passes 1, the camera (and `blend`) cuts it
# off. How much of this rain can you see in the two pictures, without the layer?

# %% [markdown] tags=["exercise"]
# ### Exercise 01.1 · Rain before a white sky
#
# | | |
# |---|---|
# | **Difficulty** | ●○○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 5 minutes |
# | **Task** | write `rain_on(clean, streaks)`: the pair `rainy, layer`. `rainy` is O = B + R, cut off at white. `layer` is the rain that the pair shows, O − B. The streaks may be (1, H, W) and the picture (3, H, W) |
#
# <details><summary>Hint</summary>
#
# `torch.clamp(x, 0, 1)`, or `x.clamp(0, 1)`, gives a new tensor with all values in [0, 1]. It does
# not change `x`.
#
# </details>

# %% tags=["exercise"]
def rain_on(clean, streaks):
    """Return the rainy picture and the layer O − B, both of the shape of ``clean``."""
    # BEGIN SOLUTION
    rainy = (clean + streaks).clamp(0, 1)
    return rainy, rainy - clean
    # END SOLUTION


if exercises.check("01.1", rain_on):
    _, visible = rain_on(clean, result.streaks)
    lost = 1 - visible.sum() / result.streaks.sum()
    print(f"{lost:.0%} of this rain's light is lost in white")

# %% [markdown] tags=["solution"]
# The layer never needs R: `rainy - clean` is all that a pair tells. It rains in front of a white
# wall, too, but the pair cannot show it.

# %% [markdown]
# Now let us count where O − B is not R, in this photo with a bright sky.

# %%
clipped = (clean + result.streaks) > 1  # (3, H, W)
wrong = (result.rainy - clean - result.streaks).abs() > 1e-6  # (3, H, W): O − B is not R
print(f"clipped values: {clipped.float().mean():.1%}")
print(f"values where O − B differs from R: {wrong.float().mean():.1%}")
assert not (wrong & ~clipped).any()
assert torch.equal(result.rainy[result.streaks == 0], clean[result.streaks == 0])

# %% [markdown]
# O − B = R holds everywhere else, and where no rain falls, not one bit of the background changed.
# So what a network learns to remove is only the rain.
#
# **A number for "how rainy".** PSNR compares two pictures: the mean squared error, on a
# logarithmic scale. With values in [0, 1]: PSNR = −10 · log₁₀(mean((O − B)²)), in decibels (dB).

# %%
by_hand = -10 * math.log10((result.rainy - clean).square().mean())
package = de.psnr(result.rainy, clean, protocol="rgb")  # rounds to 8 bits first
light = de.psnr(result.rainy, clean)
print(f"by hand {by_hand:.2f} dB, package {package:.2f} dB; its default protocol: {light:.2f} dB")
assert abs(by_hand - package) < 0.1 and light > package

# %% [markdown]
# One rainy picture, and already two scores. Section 5 takes them apart. Until then every number is
# the default, the protocol of PReNet's authors.
#
# **Predict.** `amount=2` keeps all streaks and adds as many again. By how many dB does the PSNR
# fall? And when each streak becomes twice as bright instead? Write your two numbers, and why.

# %%
my_guess_amount = None  # write a number, in dB
my_guess_brightness = None  # write a number, in dB

# %%
dim = {"density": 1.5, "brightness": 0.1}  # fixed values instead of ranges; dim, so little clips


def rainy_score(**changes: float) -> float:
    """Return the PSNR of light rain with some settings changed, averaged over eight rains."""
    settings = {**dim, **changes}
    rains = [de.add_rain(clean, "light", seed=k, **settings).rainy for k in range(8)]
    return sum(de.psnr(rainy, clean) for rainy in rains) / len(rains)


more = rainy_score() - rainy_score(amount=2)
brighter = rainy_score() - rainy_score(brightness=0.2)
compare_guess(my_guess_amount, more, "dB for twice the streaks")
compare_guess(my_guess_brightness, brighter, "dB for twice the brightness")
assert 2 < more < 4.5 and 4.5 < brighter < 6.1

# %% [markdown]
# Twice the brightness doubles R in every pixel, and a squared error grows four times: 10·log₁₀(4)
# = 6.02 dB, minus what clips in the sky. Twice the streaks lie mostly side by side: twice the
# squared error, 10·log₁₀(2) = 3.01 dB, and a little more where they overlap.
#
# **To PSNR, one streak counts as much as four of half its brightness.** Keep the two numbers: 6 dB
# more is half the error, 3 dB more is half the squared error.
#
# ### Three ways to meet the picture
#
# | blending | equation | what it says |
# |---|---|---|
# | additive | O = B + R | light adds up; bright places clip |
# | screen | O = 1 − (1 − B)(1 − R) | bright places hide rain; nothing clips |
# | with a veil | O = T·(B + R) + (1 − T)·A | far rain is a fog of brightness A |
#
# The first is the model of both papers of this course. Which of them can be undone?

# %% [markdown] tags=["exercise"]
# ### Exercise 01.2 · Undo the screen
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●○○○ |
# | **Spend** | 10 minutes |
# | **Task** | you know O *and* R, and the rain was put on by screen blending. Write `undo_screen(rainy, streaks)`: the background B. Where R = 1 nothing is left of it: return 0 there |
#
# <details><summary>Hint</summary>
#
# O = 1 − (1 − B)(1 − R) is one equation with one unknown now. Solve it for B on paper first. For
# the places where R = 1: `torch.where(condition, this, otherwise)` chooses for each pixel.
#
# </details>

# %% tags=["exercise"]
def undo_screen(rainy, streaks):
    """Return the background B, of the shape of ``rainy``."""
    # BEGIN SOLUTION
    background = (rainy - streaks) / (1 - streaks)  # O − R = B·(1 − R)
    return torch.where(streaks < 1, background, torch.zeros_like(rainy))
    # END SOLUTION


if exercises.check("01.2", undo_screen):
    for blending, undo in (("screen", undo_screen), ("additive", lambda o, r: o - r)):
        known = de.add_rain(clean, "heavy", seed=3, blending=blending)
        error = (undo(known.rainy, known.streaks) - clean).abs()
        print(f"{blending}: {(error < 0.001).float().mean():.1%} of the values are found again, "
              f"mean error {error.mean():.4f}")

# %% [markdown] tags=["solution"]
# The screen hides the background, but leaves the share 1 − R of it. So if you know R, you get B
# back, up to rounding errors, which grow by the factor 1 / (1 − R). Addition needs no division, and
# yet it loses what it cut off at white, for ever.

# %% [markdown]
# No network is told R. But the exercise shows what is hard in each model. The screen leaves enough
# of the background: there it is hard to *find* the rain. The addition also loses what it cuts off,
# and that has to be filled in. Here are all three, on one photo.

# %%
ways = {
    "additive": {},
    "screen": {"blending": "screen"},
    "additive under a veil": {"veil": 0.5},
}
pictures = {"clean": clean}
for name, changes in ways.items():
    rainy = de.add_rain(clean, "heavy", seed=3, **changes).rainy
    pictures[f"{name}, {de.psnr(rainy, clean):.1f} dB"] = rainy
figure = plots.picture_row(pictures, width=12)
plots.show(figure, "A Chinese temple under a bright sky: clean, with additive rain, with screen "
                   "rain that is weaker in the sky, and with rain in a grey fog.")

# %% [markdown]
# ### Move it
#
# Find out: which slider lowers the PSNR fastest? Which rain do you hardly see, although the score
# is low? What happens to the histogram of R when a streak gets wider? A pixel can hold several
# streaks: where do you see that?

# %%
rain_sliders(clean, "light")

# %% [markdown]
# Without a running kernel the sliders stand still. The four presets show how far they reach. (The
# share of covered pixels is that of the mask, which the rain generator knows exactly.)

# %%
presets = {}
for name in PRESETS:
    rain = de.add_rain(clean, name, seed=1)
    covered = rain.mask.float().mean()
    presets[f"{name}: {de.psnr(rain.rainy, clean):.1f} dB, {covered:.0%} covered"] = rain.rainy
figure = plots.picture_row(presets, width=12)
plots.show(figure, "The temple in four rains: hardly visible drizzle, light rain, heavy rain in "
                   "several directions, and a storm with fog.")

# %%
# The sliders only call two functions; here they are at the ends and in the middle of their ranges.
for name, control in rain_controls(PRESETS["light"]).items():
    if name in ("blending", "seed"):
        continue
    for value in (control.min, (control.min + control.max) // 2, control.max):
        config = config_from_sliders(PRESETS["light"], **{name: value})
        assert rain_view(clean, config).startswith(b"\x89PNG")
nothing = config_from_sliders(PRESETS["light"], amount=0.0)
assert torch.equal(de.add_rain(clean, nothing, seed=0).rainy, clean)
print("every slider works at its minimum, middle and maximum")

# %% [markdown]
# ## 3 · A pair must fit to the pixel
#
# A network learns from the difference between the two pictures of a pair. So the difference
# should be rain and nothing else. Suppose that somebody cut one of the two a little differently:
# it is moved by **one pixel**, and there is no rain at all.
#
# **Predict.** You know the score of the light rain from section 2. What PSNR does the clean photo
# have against itself, one pixel to the side?

# %%
my_guess = None  # write a number, in dB

# %%
moved, still = clean[..., 1:], clean[..., :-1]  # (3, H, W) -> (3, H, W − 1)
one_pixel = de.psnr(moved, still)
compare_guess(my_guess, one_pixel, "dB")
print(f"light rain, well aligned: {light:.1f} dB")
assert one_pixel < light - 2

# %%
figure = plots.picture_row(
    {
        "|O − B| ×2: rain, aligned": (result.rainy - clean)[..., 1:].abs() * 2,
        "no rain, 1 px to the side": (moved - still).abs() * 2,
        "rain, 1 px to the side": (result.rainy[..., 1:] - still).abs() * 2,
    }
)
plots.show(figure, "Three differences, twice as bright as they are: clean streaks; the edges of "
                   "a roof; and streaks and edges together.")

# %% [markdown]
# One pixel costs more than the rain itself. The middle picture is what such a pair teaches: that
# every edge is "rain".
#
# How bad is that for training? Suppose that the pairs of a data set are off by −1, 0 or +1 pixel,
# at random. The network can't know which. The answer with the smallest mean squared error is the
# **mean** of the three: a blur. (Take the three targets 0, 3 and 6. The answer 3 has the squared
# errors 9, 0 and 9, and every other answer has a larger sum.) Even a perfect network would stop
# there, if it is trained on this error.

# %%
shifts = [clean[..., k : width - 2 + k] for k in range(3)]  # three × (3, H, W − 2)
best_answer = sum(shifts) / 3
truth = shifts[1]
errors = [sum((answer - s).square().mean() for s in shifts) for answer in (best_answer, truth)]
ceiling = de.psnr(best_answer, truth)
print(f"training error of the blur: {errors[0] / 3:.5f}, of the sharp truth: {errors[1] / 3:.5f}")
print(f"the perfect network's score against the sharp truth: {ceiling:.1f} dB")
assert errors[0] < errors[1] and ceiling < 35

# %% [markdown]
# The training loss prefers the blur to the truth. And the blur has only 28.9 dB, although there is
# no rain in it at all.
#
# So look at your pairs **before** you train. Rain only adds light (a veil is the
# exception), so a few lines can find the common faults. (They need edges: in a patch of plain sky
# every move fits.)

# %%
def examine(rainy: torch.Tensor, clean: torch.Tensor, reach: int = 2) -> str:
    """Say what is odd about a pair of pictures (3, H, W), or "fine"."""
    if rainy.shape != clean.shape:
        return f"sizes differ: {tuple(rainy.shape)} and {tuple(clean.shape)}"
    if torch.equal(rainy, clean):
        return "both sides are the same picture"
    moves = [(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)]
    inner = (slice(None), slice(reach, -reach), slice(reach, -reach))  # what no move touches
    error = {m: (rainy.roll(m, (1, 2)) - clean)[inner].square().mean() for m in moves}
    if min(error, key=error.get) != (0, 0):
        return f"moved by {min(error, key=error.get)} pixels (rows, columns)"
    return "swapped: the 'clean' side is brighter" if rainy.mean() < clean.mean() else "fine"


# %%
rainy = result.rainy
pairs = {
    "a good pair": (rainy, clean),
    "left and right confused": (clean, rainy),
    "one pixel to the side": (rainy[..., :-1], clean[..., 1:]),
    "cut to another size": (rainy[..., :-1], clean),
    "the same file twice": (clean, clean),
}
found = {name: examine(*pair) for name, pair in pairs.items()}
for name, fault in found.items():
    print(f"{'✅' if fault == 'fine' else '❌'} {name}: {fault}")
assert [fault == "fine" for fault in found.values()] == [True, False, False, False, False]

# %% [markdown]
# ## 4 · Benchmarks, and their traps
#
# A benchmark is a folder of pairs that many papers share. Each has its own way to name them;
# `de.PairedFolder(root, layout)` knows these, and names the file when one of a pair is missing:
#
# | layout | pairs look like |
# |---|---|
# | `rain100l`, `rain100h` | `rain-001.png` beside `norain-001.png`, or `rainy/` and `clean/` |
# | `rain12` | `001_in.png` beside `001_GT.png` |
# | `rain1400` | 14 rainy pictures for each clean one: `7_3.jpg` belongs to `7.jpg` |
# | `rain800` | **one** JPEG per pair: clean on the left, rainy on the right |
# | `spa` | a text file with two paths per line |
#
# Four traps, each found on the files themselves. The first one you can check below.
#
# - **Not 100.** Rain100L has 100 pairs, but only 91 different backgrounds. Rain100H has the *same*
#   backgrounds: if you train on one and test on the other, you test on pictures you have seen.
# - **Leaks.** 24 of the 68 pictures of CBSD68, a popular set of clean photos, are equal to Rain100
#   backgrounds. PReNet's authors left out 546 training pairs for such a reason.
# - **Left and right.** Rain800 keeps the clean side on the left. Swap the sides, and you train a
#   network that makes rain.
# - **Wrong files.** A public folder called RainTrainL holds other pictures; one of its pairs is
#   twice the same picture. The name of a folder proves nothing: `examine` it, and compare hashes.
#
# Benchmark images are for research only, so they don't come with this course. To get them:
# `derain-edu download rain100l` (and `rain100h`), then run this lesson again. Without them, the
# cells below go on with synthetic rain alone.

# %%
benchmarks = {}  # name -> the data set, for those that are in the cache
for name, layout in (("Rain100L", "rain100l"), ("Rain100H", "rain100h")):
    folder = cached_set(layout)
    if folder is None:
        print(f"{name} is not in the cache: `derain-edu download {layout}` gets it")
        continue
    data = de.PairedFolder(folder, layout)
    benchmarks[name] = [data[i] for i in range(len(data))]
    backgrounds = {pair["clean"].numpy().tobytes() for pair in benchmarks[name]}
    found = [examine(pair["rainy"], pair["clean"]) for pair in benchmarks[name]]
    print(f"{name}: {len(data)} pairs here, {len(backgrounds)} different backgrounds, "
          f"{found.count('fine')} fine, first picture {tuple(data[0]['clean'].shape)}")
    assert len(data) < 100 or len(backgrounds) == 91
if len(benchmarks) == 2:
    equal = [torch.equal(a["clean"], b["clean"]) for a, b in zip(*benchmarks.values(), strict=True)]
    print(f"the same background in Rain100L and Rain100H: {sum(equal)} of {len(equal)}")
    assert all(equal)

# %% [markdown]
# The rain of Rain100 was drawn by a program, too. Does ours look like it? We let our `light` and
# `heavy` rain fall on the test photos, and measure every rain layer in the same way: its share of
# pixels, its brightness where it rains, and the PSNR of the rainy picture.

# %%
groups = {}  # name -> pairs
photos = [de.load_photo(name, 480) for name in de.photo_names("test") * 2]  # each of them twice
for preset in ("light", "heavy"):
    groups[f"our {preset}"] = [
        {"rainy": de.add_rain(photo, preset, seed=seed).rainy, "clean": photo}
        for seed, photo in enumerate(photos)
    ]
groups |= benchmarks

# %%
measured = {}  # name -> (brightness values, covered shares, scores)
for name, pairs in groups.items():
    layers = [(p["rainy"] - p["clean"]).mean(dim=0) for p in pairs]  # each (3, H, W) -> (H, W)
    measured[name] = (
        torch.cat([layer[layer > VISIBLE] for layer in layers]),
        [float((layer > VISIBLE).float().mean()) for layer in layers],
        [de.psnr(p["rainy"], p["clean"]) for p in pairs],
    )
    values, shares, scores = measured[name]
    print(f"{name:>9}: {len(pairs):3d} pictures; median covers {statistics.median(shares):4.0%}, "
          f"brightness {float(values.median()):.2f}, {statistics.median(scores):.1f} dB")

# %%
figure, axes = plots.new_figure(1, 2, width=10, height=3.6)
looks = {"our light": ("#56B4E9", "o"), "Rain100L": ("#0072B2", "x"),
         "our heavy": ("#E69F00", "o"), "Rain100H": ("#D55E00", "x")}
for name, (values, shares, scores) in measured.items():
    colour, marker = looks[name]
    axes[0, 0].hist(values.numpy(), bins=50, range=(0, 1), density=True, histtype="step",
                    linewidth=1.8, color=colour, label=name)
    axes[0, 1].scatter([100 * s for s in shares], scores, color=colour, marker=marker, label=name)
axes[0, 0].set(xlabel="brightness of R where it rains", ylabel="density", yscale="log")
axes[0, 1].set(xlabel="pixels with rain, %", ylabel="PSNR of the rainy picture, dB")
axes[0, 1].legend(fontsize=8, frameon=False)
plots.show(figure, "Left: histograms of the brightness of rain for each set. Right: one point per "
                   "picture; heavy sets cover more pixels and have a lower PSNR.")
assert statistics.median(measured["our heavy"][2]) < statistics.median(measured["our light"][2])

# %% [markdown]
# Circles are our rain; the crosses of the benchmarks appear once those are in the cache. Compare
# circles and crosses of the same family.
#
# The left axis is logarithmic, so that rare bright values can be seen. *Density* means that the
# area under each line is 1: so sets of different sizes can be compared.
#
# Overlap does not mean that the rains are equal: what counts is whether a network that learned on
# one removes the other. The tests of this package (`tests/conformance`) measure that with the
# authors' networks, which never saw our rain.

# %%
figure, axes = plots.new_figure(1, 4, width=12, height=2.6)
others = [("our heavy", 1), ("our heavy", 5)]  # the same two photos
if "Rain100L" in benchmarks:
    others = [("Rain100L", 0), ("Rain100L", 5)]
sources = [("our light", 1), others[0], ("our light", 5), others[1]]
for axis, (name, index) in zip(axes.flat, sources, strict=True):
    plots.draw_picture(axis, groups[name][index]["rainy"], name)
plots.show(figure, "Rainy pictures: our own rain, beside pictures of the benchmark Rain100L if it "
                   "is in the cache.")

# %% [markdown]
# ## 5 · The metric lab: one picture, eight scores
#
# Two ways to restore a rainy photo, and you know the truth. **A** leaves 30 % of the rain's light.
# **B** removes all of it, but was sent to us as a JPEG of quality 90, as photos are.

# %%
photo = de.load_photo("china", 640)[:, 21:405, 128:512]  # (3, 384, 384)
rain = de.add_rain(photo, "light", seed=1)
A = photo + 0.3 * (rain.rainy - photo)
file = io.BytesIO()
de.to_pil(photo).save(file, "JPEG", quality=90)
B = de.to_tensor(Image.open(file))  # (3, 384, 384)
for name, picture in (("A", A), ("B", B)):
    figure = plots.derained_row(rain.rainy, picture, photo)
    plots.show(figure, f"Rainy, restored by {name}, clean, and the error five times as bright: "
                       + ("faint grey streaks." if name == "A" else "coloured edges, no streaks."))

# %% [markdown]
# Each title above gives a PSNR. But papers that write "PSNR" did not all compute the same thing.
# They differ in three points. *What is compared:* the three colours, or only the luma Y, which is
# the brightness, a weighted sum of the three. Y has the range of video: black is 16 and white is
# 235 (of 255). *8 bits:* a file holds only 256 levels, so an output is rounded to one of them, or
# cut off (rounded down). *SSIM:* its window, and what happens to large pictures. `de.psnr` and
# `de.ssim` know four protocols:
#
# | protocol | compares | 8 bits | SSIM |
# |---|---|---|---|
# | `prenet_matlab` | luma Y in 16–235 | cut off | 11×11 Gaussian window, large pictures averaged down |
# | `restormer_y` | luma Y in 16–235 | rounded, and Y as well | the same window, never averaged down |
# | `spanet_released` | red, green, blue | no | 7×7 flat window, takes 2 as the range (see below) |
# | `rgb` | red, green, blue | rounded | 11×11 Gaussian window |
#
# (Read in the released code of each paper; PReNet and SPANet are the papers of this course.)
#
# **Predict.** Picture B: how many dB lie between its highest and its lowest PSNR?

# %%
my_guess = None  # write a number, in dB

# %%
table = {
    name: {p: (de.psnr(x, photo, p), de.ssim(x, photo, p)) for p in metrics.PROTOCOLS}
    for name, x in (("A", A), ("B", B))
}
print("protocol          A: PSNR    SSIM   B: PSNR    SSIM   higher PSNR")
winner = {}
for p in metrics.PROTOCOLS:
    (a, a_ssim), (b, b_ssim) = table["A"][p], table["B"][p]
    winner[p] = "A" if a > b else "B"
    print(f"{p:<16}   {a:6.2f}  {a_ssim:.4f}    {b:6.2f}  {b_ssim:.4f}   {winner[p]}")
scores = [psnr for psnr, _ in table["B"].values()]
spread = max(scores) - min(scores)
compare_guess(my_guess, spread, "dB between the highest and the lowest PSNR of B")
assert spread > 3
assert winner["prenet_matlab"] == "B" and winner["rgb"] == "A"

# %% [markdown]
# Same files, same truth. The protocols do not even agree **which picture is better**. In the paper
# of PReNet, 0.49 dB lie between it and PRN (Rain100L); the scores of picture B lie many times
# farther apart. Where does that come from? Compute one of the four yourself.

# %% [markdown] tags=["exercise"]
# ### Exercise 01.3 · The PSNR of a paper
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 15 minutes |
# | **Task** | write `psnr_y(derained, clean)` for two pictures (3, H, W) by the protocol `prenet_matlab`: cut **both** to 8 bits, turn them into Y, and return the PSNR in dB (infinite if nothing differs). Don't call `metrics` |
#
# A network's output may leave [0, 1]; 8 bits can't. The luma Y of red r, green g and blue b in [0,
# 1] is Y = (16 + 65.481·r + 128.553·g + 24.966·b) / 255. The peak of this PSNR is 1.
#
# <details><summary>Hint</summary>
#
# Four lines: `clamp`, times 255, `floor`, divided by 255; the weighted sum over the three colours;
# the mean of the squared difference; −10·log₁₀ of it. `torch.log10(torch.tensor(0.0))` is minus
# infinity; `math.log10(0)` is an error.
#
# </details>

# %% tags=["exercise"]
def psnr_y(derained, clean):
    """Return the PSNR in dB as PReNet's authors compute it."""
    # BEGIN SOLUTION
    def to_y(picture):
        cut = (picture.clamp(0, 1) * 255).floor() / 255  # (3, H, W) in steps of 1/255
        weights = torch.tensor([65.481, 128.553, 24.966]).view(3, 1, 1)
        return (16 + (weights * cut).sum(dim=0)) / 255  # (3, H, W) -> (H, W)

    error = (to_y(derained) - to_y(clean)).square().mean()
    return -10 * torch.log10(error)
    # END SOLUTION


if exercises.check("01.3", psnr_y):
    for name, picture in (("A", A), ("B", B)):
        print(f"{name}: yours {psnr_y(picture, photo):.2f} dB, "
              f"the package {table[name]['prenet_matlab'][0]:.2f} dB")

# %% [markdown] tags=["solution"]
# The 16 drops out, because only a difference is squared. The weights don't: they add up to 219 and
# not to 255.

# %% [markdown]
# Now we walk from one PSNR to the other, one step at a time.

# %%
luma = metrics.luma  # (1, 3, H, W) -> (1, 1, H, W), black at 16/255 and white at 235/255
views = {
    "RGB": lambda x: x,
    "Y, black 0, white 1": lambda x: (luma(x) * 255 - 16) / 219,
    "Y, 16 to 235": luma,
    "… rounded to 8 bits": lambda x: luma(metrics.round_to_8_bits(x)),
    "… cut to 8 bits": lambda x: luma(metrics.truncate_to_8_bits(x)),
}
ladder = {}
for name, picture in (("A: rain left", A), ("B: JPEG", B)):
    x, y = picture[None].double(), photo[None].double()  # (3, H, W) -> (1, 3, H, W)
    errors = [(view(x) - view(y)).square().mean() for view in views.values()]
    ladder[name] = [-10 * math.log10(error) for error in errors]
for k, step in enumerate(views):
    print(f"{step:<22}" + "   ".join(f"{name} {s[k]:6.2f} dB" for name, s in ladder.items()))

# %%
figure, axes = plots.new_figure(1, 1, width=9, height=3.2)
plots.draw_curves(axes[0, 0], ladder, ylabel="PSNR in dB")
axes[0, 0].set_xticks(range(1, len(views) + 1), views, fontsize=8)
plots.show(figure, "PSNR of A and B over five steps from RGB to the protocol of PReNet: A rises "
                   "slowly, B jumps at the step from RGB to luma, and the two lines cross.")
for name, scores in ladder.items():
    assert abs(scores[2] - scores[1] - 20 * math.log10(255 / 219)) < 1e-6
    assert abs(scores[4] - table[name[0]]["prenet_matlab"][0]) < 1e-6  # we arrived

# %% [markdown]
# - **RGB → Y.** Rain is grey: the error of A is the same in red, green and blue (except where one
#   of them clips), so hardly anything changes. JPEG saves on colour, and Y hardly sees colour: B
#   jumps.
# - **0–1 → 16–235.** White is 235/255 instead of 1, so every error shrinks by 219/255. That alone
#   is worth exactly 20·log₁₀(255/219) = **1.32 dB**, for any picture.
# - **Rounded or cut.** The rain that is left makes A too bright. Cutting makes A a little darker,
#   so here it helps: 38.81 dB after 38.39. Where an output is too bright at some places and too
#   dark at others, cutting need not help. B came as 8 bits, so neither changes it. (`restormer_y`
#   rounds Y, too. So it gives B 39.84 dB, and not the 39.93 of this ladder.)
#
# Now SSIM, which compares small windows (mean, contrast, structure); 1 is perfect. One detail of
# `prenet_matlab`: it averages f × f pixels first, with f = round(short side / 256), at least 1.
#
# **Predict.** Picture B has 384 × 384 pixels. We cut off **one row and one column**. By how much
# does the SSIM change?

# %%
my_guess = None  # write a number, such as 0.0001

# %%
whole = de.ssim(B, photo)
cut = de.ssim(B[:, :383, :383], photo[:, :383, :383])  # (3, 384, 384) -> (3, 383, 383)
print(f"384 × 384: {whole:.4f}    383 × 383: {cut:.4f}")
compare_guess(my_guess, whole - cut, decimals=4)
print(f"the distance to 1 is {(1 - cut) / (1 - whole):.1f} times as large")
assert whole - cut > 0.005

# %% [markdown]
# At 384 the factor f becomes 2: fine errors are averaged away before anybody looks at them. The
# pictures of Rain100 are 481 × 321, below that limit, so f = 1 for all of them. On your own photos
# it is not. Two more steps, for SPANet's score:

# %%
x, y = B[None].double(), photo[None].double()  # (1, 3, H, W)
flat = {"window": "uniform", "size": 7, "sample_covariance": True}
range_2 = float(metrics.structural_similarity(x, y, peak=2.0, **flat))  # as SPANet's code does
range_1 = float(metrics.structural_similarity(x, y, peak=1.0, **flat))  # what it should be
gaussian = float(metrics.structural_similarity(x, y))
print(f"7×7, range 2: {range_2:.4f}   7×7, range 1: {range_1:.4f}   11×11 Gaussian: {gaussian:.4f}")
assert abs(range_2 - table["B"]["spanet_released"][1]) < 1e-6
assert range_2 > range_1

# %% [markdown]
# SPANet's evaluation forgot to say that the values end at 1. The library took 2, and the score
# rose. None of this is fraud; all of it is a trap.
#
# People who could not reproduce a number wrote
# at least six public threads (PReNet #5 and #7, MSPFN #17 and #21, MPRNet #125, Restormer #40),
# each time for one of these reasons.
#
# **What a score is.** A network, *its training data*, a test set, and a protocol. The training data
# matter as much as the rest: the same PReNet, PSNR on Y, the same Rain100L. (The protocols are
# close, but not the same: the first row cuts to 8 bits, the second rounds.)
#
# | trained on | PSNR on Rain100L | source |
# |---|---|---|
# | RainTrainL, for this rain only | 37.48 | Ren et al. 2019 |
# | 13,712 pairs of many sets, one network for all | 32.44 | tables of the Rain13K papers |
#
# Five dB lie between them, and the network is the same. To cut or to round moved picture A by less
# than half a dB, so the training data are the main suspect. Never compare two numbers unless all
# four agree.

# %% [markdown]
# ## 6 · Batches that you can draw again
#
# A network sees small patches, several at once: a **batch**. `de.SyntheticRain` cuts a random
# patch, mirrors half of them, and lets a new rain fall on each. It has no end. Mirroring comes
# *before* the rain: both pictures of a pair are always cut and turned together.

# %%
photos = [de.load_photo(name, 480) for name in de.photo_names("train")]
data = de.SyntheticRain(photos, "light", patch_size=64, seed=0)
samples = [data[k] for k in range(8)]
rainy = torch.stack([sample["rainy"] for sample in samples])  # 8 × (3, 64, 64) -> (8, 3, 64, 64)
clean_patches = torch.stack([sample["clean"] for sample in samples])  # (8, 3, 64, 64)
print(f"rainy {tuple(rainy.shape)}, clean {tuple(clean_patches.shape)}")
figure, axes = plots.new_figure(2, 8, width=12, height=3.3)
for k in range(8):
    plots.draw_picture(axes[0, k], rainy[k], f"{de.psnr(rainy[k], clean_patches[k]):.1f} dB")
    plots.draw_picture(axes[1, k], clean_patches[k])
plots.show(figure, "Eight small patches of photos with light rain, and the same eight without.")
assert (rainy >= clean_patches).all()  # cut and mirrored together: rain only adds light

# %% [markdown]
# The score differs from patch to patch: a batch mixes easy and hard examples.
#
# Drawing patches takes time, so several **workers** (copies of the program) do it side by side.
# Suppose that a data set keeps one random generator inside, seeded with 0. Four workers start as
# four copies of it, and each draws two patches. **Predict.** Of these 8, how many are different?

# %%
my_guess = None  # write a number from 1 to 8

# %%
class OneGenerator:
    """A data set as one would write it first: each call draws the next random numbers."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)

    def __getitem__(self, index: int) -> float:
        return self.rng.random()  # stands for the random patch; the index is not used


workers = [copy.deepcopy(OneGenerator(seed=0)) for _ in range(4)]  # what starting a worker does
drawn_by_workers = [worker[2 * k + i] for k, worker in enumerate(workers) for i in range(2)]
compare_guess(my_guess, len(set(drawn_by_workers)), "different patches", decimals=0)
assert len(set(drawn_by_workers)) == 2

# %% [markdown]
# Four workers, and all four draw the same. Nothing fails, the loss falls, and three quarters of
# the work is wasted. Here is the cure: sample k depends on the seed and on k, and on nothing else.
# Then it does not matter who draws it, when, or in which order. And a pair has to stay a pair.

# %% [markdown] tags=["exercise"]
# ### Exercise 01.4 · Sample number k
#
# | | |
# |---|---|
# | **Difficulty** | ●●●●○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 20 minutes |
# | **Task** | write `sample_pair(rainy, clean, size, seed, k)`: the pair `rainy_patch, clean_patch`, each (3, size, size), cut at a random place (every possible place can come) and mirrored from left to right in half of the cases |
#
# - The two patches stay a pair, to the pixel.
# - The place and the mirroring are drawn anew for each k, and depend on `seed` and `k` alone.
# - Two seeds are two streams: seed 1 must not draw what seed 0 draws one sample later.
# - Leave the random numbers of the rest of the program alone.
#
# <details><summary>Hint</summary>
#
# `np.random.default_rng((seed, k))` is a generator of your own that starts at a place which only
# the two numbers decide. `rng.integers(n)` draws from 0 to n − 1: how many rows can be the first
# one of a patch? `x.flip(-1)` mirrors a picture.
#
# </details>

# %% tags=["exercise"]
def sample_pair(rainy, clean, size, seed, k):
    """Return a random patch of each picture, (3, size, size): sample k of this seed."""
    # BEGIN SOLUTION
    rng = np.random.default_rng((seed, k))
    top = rng.integers(rainy.shape[-2] - size + 1)
    left = rng.integers(rainy.shape[-1] - size + 1)
    mirrored = rng.random() < 0.5
    patches = []
    for picture in (rainy, clean):  # what was drawn once holds for both
        patch = picture[:, top : top + size, left : left + size]
        patches.append(patch.flip(-1) if mirrored else patch)
    return tuple(patches)
    # END SOLUTION


if exercises.check("01.4", sample_pair):
    patches = {}
    for k in range(3):
        patches[f"k = {k}, rainy"], patches[f"k = {k}, clean"] = sample_pair(
            result.rainy, clean, size=96, seed=0, k=k
        )
    plots.show(plots.picture_row(patches, width=12), "Three patches with rain, and without.")

# %% [markdown] tags=["solution"]
# The order matters: draw first, then cut both. And the generator is made new in each call, so
# nothing can have used it before.

# %% [markdown]
# `de.SyntheticRain` does the same, and draws the rain of sample k from its own k, too. (The next
# cell compares with the batch at the start of this section. If you ran an earlier section again
# since then, run this section from its start: both use the name `rainy`.)

# %%
workers = [copy.deepcopy(data) for _ in range(4)]
shared = {}
for k in (7, 2, 5, 0, 3, 6, 1, 4):  # any order, any worker
    shared[k] = workers[k % 4][k]["rainy"]
assert all(torch.equal(shared[k], rainy[k]) for k in range(8))
assert not torch.equal(de.SyntheticRain(photos, "light", seed=1)[0]["rainy"], rainy[0])
different = len({patch.numpy().tobytes() for patch in shared.values()})
print(f"{different} different patches from 4 workers, equal to the batch above to the last bit")
assert different == 8

# %% [markdown]
# A training run that was interrupted at step 500 goes on with sample 500 × 8, and sees what it
# would have seen. The trainer of this course relies on it.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. Network 1 takes half of the brightness of every streak. Network 2 takes every second streak
# away completely. The same rain, and it never clips: which one gains more PSNR?**
#
# <details><summary>Answer</summary>
#
# Network 1. Half the brightness is half the error in every pixel: 10·log₁₀(4) = 6 dB. Half of the
# streaks is about half of the squared error: 3 dB. It is the measurement of section 2, backwards
# (twice the brightness, twice the streaks), and it is why PSNR forgives faint rain everywhere.
#
# </details>
#
# **2. Your camera moved a little between the two pictures of each pair. The training loss falls as
# it should, and the derained pictures are soft. Does a larger network help?**
#
# <details><summary>Answer</summary>
#
# No. If the network can't know the shift, the best answer to the loss is the mean of all shifted
# pictures: a blur. In section 3 the blur had a *smaller* training error than the sharp truth, and
# its score printed there is what the best network for the mean squared error reaches. Align the
# pairs, or leave them out.
#
# </details>
#
# **3. One paper gives 33.0 dB on a test set, another one 34.3 dB on the same. What do you ask
# before you believe in a better network?**
#
# <details><summary>Answer</summary>
#
# What each score is made of: the training data, and the protocol. A range of Y from 16 to 235
# instead of 0 to 255 alone is worth 1.32 dB, for any picture. And with other training data the same
# PReNet has five dB less (37.48 and 32.44 in the table of section 5, where the protocols are nearly
# the same).
#
# </details>
#
# **4. Where can a pair of pictures *not* tell how bright the rain was, even if it fits to the
# pixel?**
#
# <details><summary>Answer</summary>
#
# Where B + R is more than 1. There O is white, and O − B says only how much light was missing to
# white. Section 2 counts these values in a photo with a bright sky; in the dark there are none.
#
# </details>
#
# **5. A colleague trains with eight workers and says: "The loss falls, so my batches are fine."
# Which check would you ask for?**
#
# <details><summary>Answer</summary>
#
# Count the *different* patches of the first batches. In section 6, four workers with copies of one
# generator drew 2 different patches out of 8, and nothing failed. When sample k is a function of
# the seed and of k alone, it was 8 of 8, in any order.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - **make rain** by hand and with the package: a swept drop is a streak, a sum of streaks is R, and
#   O = B + R until it clips;
# - **find a wrong pair** before you train on it: one pixel of shift costs more than light rain, and
#   teaches a blur;
# - **say why one picture has many scores**: network, training data, test set, protocol; 1.32 dB for
#   a range, and a winner that changes with the colour space;
# - **draw batches** that you can draw again: sample k is a function of the seed and of k.
#
# One equation with two unknowns was the start. In **lesson 03** a network learns to solve it: a
# stack of residual blocks, trained in about a minute, on batches like these.
