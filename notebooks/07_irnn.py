# %% [markdown]
# # 07 · IRNN
#
# **How does one pixel see the whole picture in two sweeps?**
#
# | | |
# |---|---|
# | **Goals** | say what a recurrence over pixels does with its α, and why it likes to start at the identity; predict, then prove by gradients, what a pixel sees after one round of sweeps and after two; tell seeing from hearing; find out which learned factors do the far hearing; write a loop that is cheap to train, and turn it into a tree; derive a backward pass, and check it so that a wrong one fails |
# | **Before you start** | lesson 05 |
# | **Time** | 105 minutes, 55 of them for the exercises; the cells take 20 s on a CPU with two cores, and the same with a GPU (they stay on the CPU). The very first run compiles some loops for about 20 s more |
# | **Papers** | Le, Jaitly & Hinton, 2015 (IRNN, arXiv 1504.00941); Bell et al., CVPR 2016 (sweeps over pictures, arXiv 1512.04143); Wang et al., CVPR 2019 (SPANet, arXiv 1904.01538) |

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

# %% [markdown]
# Is this bright line rain, or the edge of a roof? A pixel's neighbours often can't say; the rest of
# the picture may. SPANet, the network of the next lesson, lets each pixel see the whole picture by
# sweeping over it in two rounds of four sweeps, one in each direction. We build such a sweep from a
# row of numbers, measure how far a pixel sees, and make it fast.

# %%
print(f"derain_edu {de.__version__}")

import math

import numpy as np
import torch

from derain_edu.course import exercises
from derain_edu.course.views import plots, sweeps
from derain_edu.evaluation import bench_sweeps
from derain_edu.evaluation.timing import (
    interleave, machine_line, peak_bytes, speedup,
)
from derain_edu.experiments import spanet_alpha
from derain_edu.experiments.influence import influence, share_beyond
from derain_edu.models.irnn import irnn, irnn_stack
from derain_edu.models.irnn_scan import ClampedAffine, compose, prefix_maps
from derain_edu.rain.streaks import Streaks, render_streaks
from derain_edu.text import compare_guess, table as text_table

de.choose_device("cpu", verbose=True)  # short rows: a GPU would wait more than it works
de.set_seed(0)

# %% [markdown]
# ## 1 · A network that reads a row
#
# A 3×3 convolution carries news by one pixel, so across a row of 512 pixels it takes 511 layers. A
# recurrent network needs one: it reads the row pixel by pixel, and takes a memory h along.
#
# $$h_1 = \mathrm{relu}(x_1), \qquad h_t = \mathrm{relu}(\alpha\,h_{t-1} + \beta + x_t)$$
#
# **Predict:** the row is 0 2 0 0 0 0, α = .5 and β = 0. What is the last h?

# %%
my_guess = None  # write a number


# %%
def read_row(x, alpha, beta=0.0, bend=torch.relu):
    """Read the last axis of x (..., L) from left to right; return h (..., L)."""
    h = [bend(x[..., 0])]  # the first pixel: nothing came before, so no α and no β
    for t in range(1, x.shape[-1]):
        h.append(bend(alpha * h[-1] + beta + x[..., t]))
    return torch.stack(h, dim=-1)


row = torch.tensor([0.0, 2, 0, 0, 0, 0])
compare_guess(my_guess, read_row(row, 0.5)[-1].item(), decimals=3)
for alpha in (1.0, 0.5, 0.0, -0.5):
    h = read_row(row, alpha)
    package = irnn(row.view(1, 1, 1, -1), torch.full((4, 1), alpha), torch.zeros(4, 1), "loop")
    print(f"α = {alpha:4}: h =", " ".join(f"{v:5.3f}" for v in h.tolist()))
    assert torch.equal(package[1].flatten(), h)  # [1] is the sweep to the right

# %% [markdown]
# α says how much of the memory stays from one pixel to the next: 1 keeps all, .5 a half, 0 nothing.
# With a negative α the memory would turn below zero, and the ReLU cuts it off: a lone bright pixel
# leaves no trace. (Section 6 shows what a negative α does.)

# %% [markdown]
# ## 2 · Why start at the identity?
#
# Le, Jaitly and Hinton start the weight of the memory at the *identity*: α = 1, β = 0, with a
# ReLU. They call this an IRNN. The code of SPANet starts at α = .2. Does it matter? We ask
# autograd: how strongly does the last h depend on a pixel d steps earlier?
#
# **Predict** for α = .2 and d = 64: the derivative is 10 to the power of … (a pixel next to the
# last one has 10⁻⁰·⁷).

# %%
my_guess = None  # write an exponent, such as -3

# %%
rows = torch.rand(500, 65, dtype=torch.float64)  # 500 rows of 65 positive numbers
random_alpha = torch.rand(500, dtype=torch.float64) * 2 - 1  # one α per row, U(−1, 1)
starts = {
    "identity: α = 1": (1.0, torch.relu),
    "α = 1.1": (1.1, torch.relu),
    "random α in (−1, 1)": (random_alpha, torch.relu),
    "α = .2": (0.2, torch.relu),
    "tanh, α = 1": (1.0, torch.tanh),
}


def fade(x, alpha, bend):
    """Return the derivative of the last h by the pixel d steps earlier: (rows, L), d = 0, 1, …"""
    x = x.clone().requires_grad_()
    last = read_row(x, alpha, bend=bend)[..., -1]  # (rows,)
    return torch.autograd.grad(last.sum(), x)[0].flip(-1)  # (rows, L), d = 0 first


fades = {name: fade(rows, *start).square().mean(0).sqrt() for name, start in starts.items()}
compare_guess(my_guess, fades["α = .2"][64].log10().item(), "(exponent)")

# %%
figure, axes = plots.new_figure(width=9, height=3.6)
for name, values in fades.items():
    axes[0, 0].plot(range(65), values, label=name)
axes[0, 0].set(yscale="log", ylim=(1e-20, 1e4), xlabel="distance d, px")
axes[0, 0].set_ylabel("size of the derivative (RMS)")
axes[0, 0].axhline(1.2e-7, linestyle=":", color="grey")
axes[0, 0].text(64, 2e-7, "rounding of float32", ha="right", fontsize=8, color="grey")
axes[0, 0].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plots.show(
    figure,
    "The derivative over the distance on a logarithmic scale. Identity: a level line at 1. α = 1.1 "
    "rises. Random α falls slowly. α = .2 and tanh fall steeply: at 30 and at 37 pixels they have "
    "left the scale, which ends at 1e-20.",
)
for name, values in fades.items():
    print(f"{name:20} d = 1: {values[1]:.2g}   d = 8: {values[8]:.2g}   d = 64: {values[64]:.2g}")

# %%
at_64 = {name: values[64].item() for name, values in fades.items()}
assert (fades["identity: α = 1"] == 1).all(), "the identity keeps every derivative, to the last bit"
assert at_64["α = 1.1"] > 1 > at_64["random α in (−1, 1)"] > 1e-10 > at_64["α = .2"]
assert at_64["tanh, α = 1"] < 1e-10 and fades["α = .2"][10] < torch.finfo(torch.float32).eps

# %% [markdown]
# This is the power of lesson 05 again: α^d. With α = .2 a pixel 10 steps away is below the rounding
# of float32; it may as well not be there. 1.1 explodes. tanh fades though its α is 1: its slope is
# below 1, and it flattens as h grows. Only α = 1 with a ReLU stands still. The random starts are
# carried by the few α near 1.

# %% [markdown] tags=["exercise"]
# ### Exercise 07.1 · How far does a memory reach?
#
# | | |
# |---|---|
# | **Difficulty** | ●○○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 5 minutes |
# | **Task** | write `reach(alpha, smallest)`: the largest whole distance d at which α^d is still at least `smallest`. α is from 0 to below 1, `smallest` above 0 and at most 1 |
#
# <details><summary>Hint</summary>
#
# Go one pixel further as long as the *next* power is large enough. A pixel always reaches itself: α^0
# is 1, and Python agrees even for `0 ** 0`.
#
# </details>

# %% tags=["exercise"]
def reach(alpha, smallest):
    """Return the largest whole d with alpha ** d >= smallest."""
    # BEGIN SOLUTION
    d = 0
    while alpha ** (d + 1) >= smallest:
        d += 1
    return d
    # END SOLUTION


if exercises.check("07.1", reach):
    for alpha in (0.2, 0.5, 0.9, 0.99):
        print(f"α = {alpha:4}: below the rounding of float32 after {reach(alpha, 1.2e-7):5,} px")

# %% [markdown] tags=["solution"]
# A photo is some 500 pixels wide: α = .9 does not reach across, .99 does. Each nine more gives ten
# times the reach, and α = 1 has no end.

# %% [markdown]
# One thing was too easy: all numbers were positive. Then a positive α never meets the cut of the
# ReLU. Features are not like that.
#
# **Predict:** α = 1 and rows of 257 inputs, positive or negative at random. In what percent of the
# rows does *any* derivative arrive from 64 pixels away?

# %%
my_guess = None  # write a number from 0 to 100

# %%
signed = torch.randn(500, 257, dtype=torch.float64)  # mean 0
cases = {
    "mean 0": signed,
    "mean 0, rows of 65": signed[:, :65],  # h has no run-up before the pixel that is 64 away
    "mean −.5": signed - 0.5,
}
shares = {}
print("a derivative arrives in … of the rows, by distance")
for name, x in cases.items():
    arrives = fade(x, 1.0, torch.relu)  # (500, L)
    assert ((arrives == 0) | (arrives == 1)).all(), "all or nothing"
    shares[name] = 100 * (arrives != 0).double().mean(dim=0)  # (L,), percent by distance
    text = ", ".join(f"d = {d}: {shares[name][d]:.0f} %" for d in (1, 4, 16, 64))
    print(f"  {name:18} {text}")
compare_guess(my_guess, shares["mean 0"][64].item(), "%", decimals=0)
assert shares["mean 0"][64] > 50 > 20 > shares["mean 0, rows of 65"][64]
assert shares["mean −.5"][16] < 5

# %% [markdown]
# The derivative is exactly 1 or exactly 0, never between. It does not fade; it is *cut* where h
# falls to zero on the way, and everything before is forgotten at once.
#
# How often that happens depends on the inputs. With mean 0, h grows on a long way, and a large h
# seldom falls back to zero. In rows of 65 the pixel 64 away is the first one, so h has not grown
# yet: from 16 pixels 66 % arrive, from 64 pixels 7 %. With inputs that are negative on average 1 %
# arrive from 16 pixels. So the claim "the identity start keeps information and gradients over long
# distances" holds **where h stays above zero**. Next we look at positive inputs, then at a real
# network.

# %% [markdown]
# ## 3 · From a row to a picture
#
# A picture is a bundle of rows, and a bundle of columns. One weight per channel and *direction*
# gives four sweeps: up, right, down, left, named after the way they move. We follow one bright
# pixel.
#
# **Predict:** 25 × 25 pixels, one of them is bright: row 10, column 8, counted from 0. α = 1. How
# many pixels are bright after the sweep to the right?

# %%
my_guess = None  # write a number

# %%
spot = torch.zeros(25, 25)
spot[10, 8] = 1
ones, zeros = torch.ones(4, 1), torch.zeros(4, 1)  # (direction, channel)
up, right, down, left = irnn(spot[None, None], ones, zeros, "loop")  # (1, 1, 25, 25) each
compare_guess(my_guess, (right > 0).sum().item(), "pixels", decimals=0)

# %%
sweeps.sweep_sliders(spot)

# %% [markdown]
# Move the position: grey is what a sweep has not reached yet, and orange is its front. Then change
# α, and watch the colour bar when α is above 1. Three of its stops:

# %%

stops = {
    (1.0, 14): "right and down have reached the bright pixel, drag a line to their front; up and "
    "left have not reached it yet.",
    (1.0, 25): "each sweep has drawn a line of even brightness from the pixel to the border.",
    (0.8, 25): "the same four lines, but each fades on its way.",
}
for (alpha, position), seen in stops.items():
    alt = f"Four sweeps, α = {alpha}, after {position} rows or columns: {seen}"
    plots.show_png(sweeps.draw_sweeps(spot, alpha, position), alt)

# %%
frames = {p: sweeps.draw_sweeps(spot, 0.8, p) for p in (0, 12, 25)}  # what the slider shows
assert all(frame.startswith(b"\x89PNG") for frame in frames.values())
assert len(set(frames.values())) == 3

# %% [markdown]
# Four rays. Mind the names: after the sweep to the *right* a pixel knows what is to its *left*. Now
# write one of them yourself, for all channels at once.

# %% [markdown] tags=["exercise"]
# ### Exercise 07.2 · The sweep up
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | write `sweep_up(x, alpha, beta)` for x (C, H, W), with one α and one β per channel, (C,) each. It starts at the bottom row, moves up, and returns (C, H, W), each h at the place of its pixel |
#
# <details><summary>Hint</summary>
#
# `read_row` goes along the last axis; here a step takes a whole row of the picture, `x[:, t]` with
# the shape (C, W). `alpha[:, None]` is (C, 1): one number for all pixels of a channel. The first row
# that you visit has neither α nor β.
#
# </details>

# %% tags=["exercise"]
def sweep_up(x, alpha, beta):
    """Sweep x (C, H, W) from the bottom row to the top one; alpha and beta are (C,)."""
    # BEGIN SOLUTION
    alpha, beta = alpha[:, None], beta[:, None]  # (C, 1)
    h = torch.relu(x[:, -1])  # (C, W), the bottom row
    swept = [h]
    for t in range(x.shape[1] - 2, -1, -1):
        h = torch.relu(alpha * h + beta + x[:, t])
        swept.append(h)
    return torch.stack(swept[::-1], dim=1)  # (C, H, W), the bottom row last
    # END SOLUTION


if exercises.check("07.2", sweep_up):
    mine = sweep_up(spot[None], torch.ones(1), torch.zeros(1))  # (1, 25, 25)
    print(f"your sweep lights {int(mine.sum())} pixels: rows 0 to 10 of column 8;",
          "like the package's:", torch.equal(mine, up[0]))

# %% [markdown] tags=["solution"]
# The loop waits only along the axis of the sweep. All columns and all channels of a row are computed
# at once, so a picture of H × W takes H steps, not H · W.

# %% [markdown]
# ## 4 · One round is a cross
#
# Now turn the question round. Not: where does this pixel go? But: **what does the middle pixel
# see?** The gradient knows: the derivative of one output by an input is exactly zero where no way
# leads from one to the other. One round is four sweeps, added up (a network gives each a weight).
#
# **Predict:** in a picture of 21 × 31, how many pixels does the middle one see after one round?

# %%
my_guess = None  # write a number

# %%
H, W = 21, 31
x = torch.rand(1, 1, H, W, dtype=torch.float64) + 0.1  # positive: no ReLU cuts


def one_round(x):
    return irnn_stack(x, ones, zeros, "loop").sum(dim=1)  # (1, 4, 1, H, W) -> (1, 1, H, W)


once = influence(one_round, x)  # (H, W): derivatives of the middle pixel
seen = once > 0
compare_guess(my_guess, seen.sum().item(), "pixels", decimals=0)
cross = torch.zeros(H, W, dtype=torch.bool)
cross[H // 2], cross[:, W // 2] = True, True
assert torch.equal(seen, cross), "one round is the cross of its row and its column"

# %% [markdown]
# 21 + 31 − 1 = 51: its row and its column, a cross. Now the same layer once more, on its own output.
#
# **Predict** two things: how many of the 651 pixels does the middle one see after two rounds? And
# on how many *ways* does a corner reach it? (With α = 1 the derivative counts the ways.)

# %%
my_guess = None  # write the number of pixels
my_guess_ways = None  # write the number of ways from a corner

# %%
twice = influence(lambda x: one_round(one_round(x)), x)  # (H, W)
compare_guess(my_guess, (twice > 0).sum().item(), "pixels", decimals=0)
compare_guess(my_guess_ways, twice[0, 0].item(), "ways", decimals=0)
assert (twice > 0).all(), "two rounds are everything"
assert torch.equal(twice[~cross], torch.full_like(twice[~cross], 2)), "off the cross: two ways"

# %% [markdown]
# Everything. The news of a corner first goes along its row to the middle column, and the second
# round carries it along that column. Or first along its column, then along the middle row. Exactly
# **two ways**, for every pixel that is not on the cross. Those on the cross have far more: they can
# stop over at any pixel of their line.

# %%
maps = [torch.zeros(H, W), once, twice]
maps[0][H // 2, W // 2] = 1  # no round: a pixel sees itself
maps.append(influence(lambda x: one_round(one_round(one_round(x))), x))
sweeps.round_slider(maps)

# %%
alts = {
    1: "After one round the middle pixel sees a cross, its row and its column: 51 of 651 pixels.",
    2: "After two rounds it sees all 651 pixels, those on the cross on many more ways.",
}
for k, alt in alts.items():
    plots.show_png(sweeps.draw_round(maps, k), alt)

frames = [sweeps.draw_round(maps, k) for k in (0, 1, 3)]  # what the slider shows
assert all(frame.startswith(b"\x89PNG") for frame in frames) and len(set(frames)) == 3

# %% [markdown] tags=["exercise"]
# ### Exercise 07.3 · Count the ways
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 15 minutes |
# | **Task** | write `ways(here, there, size)`: on how many ways does the pixel `here` hear of the pixel `there` in two rounds? Pixels are (row, column), `size` is (height, width). No tensors, no gradients: count |
#
# <details><summary>Hint</summary>
#
# Every way has one stopover: where the news is between the rounds. Any pixel of the picture can be
# it, also the two ends. So count one round first. Two pixels of a row are joined by one sweep of the
# four. And a pixel and itself? Look at `right > 0`, and at the other three sweeps, at the bright pixel.
#
# </details>

# %% tags=["exercise"]
def ways(here, there, size):
    """Return the number of ways between two pixels (row, column) in two rounds."""
    # BEGIN SOLUTION
    def once(a, b):
        if a == b:
            return 4  # each sweep holds the pixel itself
        return int(a[0] == b[0] or a[1] == b[1])  # one sweep along their row or column, or none

    height, width = size
    stops = [(row, column) for row in range(height) for column in range(width)]
    return sum(once(here, stop) * once(stop, there) for stop in stops)
    # END SOLUTION


if exercises.check("07.3", ways):
    middle = (H // 2, W // 2)
    for name, there in {"corner": (0, 0), "middle row": (middle[0], 0), "itself": middle}.items():
        print(f"{name:10} {ways(middle, there, (H, W))} ways, derivative {twice[there]:.0f}")

# %% [markdown] tags=["solution"]
# This is a product of matrices: entry (here, stop) of the first round times entry (stop, there) of
# the second, summed over the stops. The chain rule does the same with derivatives. In the same row
# it gives W + 6: W − 2 stops between or beyond the two, and 4 + 4 at the two ends.

# %% [markdown]
# ## 5 · Seen is not heard
#
# "Not zero" can be very little. SPANet's attention module puts 3×3 convolutions before, between and
# after its two rounds. We show three rainy photos to a fresh SPANet and ask the module: of all that
# moves the middle of its map, how much comes from **more than 8 pixels away**?
#
# **Predict** for the start that the released code uses, α = .2: how many percent?

# %%
my_guess = None  # write a number from 0 to 100

# %%
D = spanet_alpha.DISTANCES
heard = {}
for name, start in (("fresh, α = 1", 1.0), ("fresh, random α", "random"), ("fresh, α = .2", 0.2)):
    de.set_seed(0)
    network = de.create_model("spanet", alpha_init=start)
    felt = [spanet_alpha.heard(network, photo) for photo in spanet_alpha.PHOTOS]  # (65, 65) each
    heard[name] = 100 * np.mean([share_beyond(one, D) for one in felt], axis=0)
    sees = torch.stack(felt).gt(0).double().mean().item()
    print(f"{name:16} sees {sees:.0%} of all pixels; "
          f"from beyond 8 px comes {heard[name][D.index(8)]:.3g} %")
    assert sees == 1
compare_guess(my_guess, heard["fresh, α = .2"][D.index(8)], "%", decimals=4)
assert heard["fresh, α = 1"][D.index(8)] > 70 and heard["fresh, α = .2"][D.index(8)] < 0.01

# %% [markdown]
# All of them see 100 % of the pixels of a piece of 65 × 65. But of what moves the one that starts
# at α = .2, less than a ten-thousandth comes from beyond 8 pixels; with the identity it is about
# four fifths.
#
# (We looked at three photos, at one pixel in each, with one random start. Others were not tried.)
#
# Training can change α. What did it make of .2 in the released network, on the same photos?

# %%
learned = spanet_alpha.learned_factors()
print(f"the released SPANet: {learned.source}")
heard["released, trained"] = [100 * learned.summary["beyond"][str(d)] for d in D]
figure, axes = plots.new_figure(width=9, height=3.4)
plots.draw_curves(axes[0, 0], heard, D, xlabel="d, px", ylabel="% from beyond d")
axes[0, 0].set(yscale="log", ylim=(1e-4, 150))
axes[0, 0].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plots.show(
    figure,
    "Share of the influence from beyond d pixels, on a logarithmic scale: fresh with α = 1 and "
    "random α stay high, the released network a little lower, fresh with α = .2 falls steeply.",
)
print(f"released: {heard['released, trained'][D.index(8)]:.0f} % from beyond 8 px")
assert 30 < heard["released, trained"][D.index(8)] < 50

# %% [markdown]
# From almost nothing to about two fifths: after training far pixels count. So the start at .2 was
# not fatal here. Whether another start would have been faster or better, this does not say. How did
# α change?

# %% [markdown]
# ## 6 · What became of α
#
# SPANet has 256 α: two rounds, four directions, 32 channels. All started at .2. If far sight is
# what they are for, they should have grown towards 1.
#
# **Predict:** how many of the 256 are *negative* after training, in percent?

# %%
my_guess = None  # write a number from 0 to 100

# %%
alpha = learned.summary["alpha"]
bars = [row for row in learned.counts if row["factor"] == "alpha"]
compare_guess(my_guess, 100 * alpha["negative"] / alpha["number"], "%")
figure, axes = plots.new_figure(width=8, height=3.2)
middles = [(bar["low"] + bar["high"]) / 2 for bar in bars]
colours = [plots.COLOURS[1] if middle < 0 else plots.COLOURS[0] for middle in middles]
axes[0, 0].bar(middles, [bar["count"] for bar in bars], width=0.045, color=colours)
axes[0, 0].axvline(0.2, linestyle=":", color="black")
axes[0, 0].text(0.21, 25, "all started here", fontsize=9)
axes[0, 0].set(xlabel="α of the released SPANet (orange: negative)", ylabel="how many of 256")
plots.show(figure, "Histogram of the 256 learned α from −.47 to 1, with its peak just above 0.")
print(f"{alpha['smallest']} to {alpha['largest']}, median {alpha['quantiles']['50']}; "
      f"below .1: {alpha['below 0.1']}, above .9: {alpha['above 0.9']} of {alpha['number']}")
assert alpha["negative"] > 50 and alpha["above 0.9"] < 20

# %%
def reach(alpha):
    """Return the distance after which 1 % of a memory is left."""
    return math.log(0.01) / math.log(abs(alpha))


for q in ("5", "25", "50", "75", "95"):
    value = alpha["quantiles"][q]
    print(f"α at {q:>2} %: {value:6.3f}, remembers {reach(value):5.1f} px")
print(f"largest α: {alpha['largest']:6.3f}, remembers {reach(alpha['largest']):.0f} px")

# %% [markdown]
# Half of them ended below .1, nearly a third below zero; five of 256 are above .9. The middle half
# lies between −0.036 and 0.307. Some of these are near zero and forget at once; at 0.307 one
# percent is left after four pixels. So which α do the far hearing?
#
# (The `reach` of this cell replaces your function of exercise 07.1.)
#
# **Predict:** we hold the five largest α down to .9 and change nothing else. 42 % came from beyond
# 8 pixels; what is left of it?

# %%
my_guess = None  # write a number from 0 to 42

# %%
left = {top: 100 * shares["8"] for top, shares in learned.summary["capped"].items()}
compare_guess(my_guess, left["0.9"], "%", decimals=0)
print(f"from beyond 8 px: {heard['released, trained'][D.index(8)]:.0f} % as released, "
      f"{left['0.9']:.0f} % with α ≤ .9, {left['0.5']:.1f} % with α ≤ .5")
assert left["0.9"] < heard["released, trained"][D.index(8)] / 2 and left["0.5"] < 1

# %% [markdown]
# With five numbers of 256 held down, more than half of the far hearing is gone. In which channels
# they lie is not shown, and there is no control that holds five *other* α down.
#
# What does a *negative* memory do? Take a flat grey wall of .6 and read it with α = −.5.
#
# **Predict:** at which value does h come to rest?

# %%
my_guess = None  # write a number

# %%
profile = torch.full((40,), 0.6)
profile[18:22] += 0.3  # a streak, 4 px wide and brighter by a half
swept = {f"α = {a}": read_row(profile, a) for a in (0.5, -0.5)}
compare_guess(my_guess, swept["α = -0.5"][12].item(), decimals=2)

curves = {"x": profile, **swept}
relative = {name: (values / values[17]).tolist() for name, values in curves.items()}  # wall = 1
figure, axes = plots.new_figure(width=8, height=3.2)
plots.draw_curves(axes[0, 0], {k: v[10:32] for k, v in relative.items()}, range(10, 32),
                  xlabel="pixel (the streak: 18 to 21)", ylabel="h, relative to the wall")
plots.show(figure, "A streak on a wall. α = .5 rises late and drags a tail behind the streak. "
           "α = −.5 jumps above x at the first pixel, falls below the wall behind it, and rings.")
for name, values in relative.items():
    print(f"{name:9} first pixel of the streak {values[18]:.2f}, last {values[21]:.2f}, "
          f"the pixel after it {values[22]:.2f}")
first, after = ({name: values[k] for name, values in relative.items()} for k in (18, 22))
assert first["α = -0.5"] > first["x"] > first["α = 0.5"]
assert after["α = -0.5"] < 1 < after["α = 0.5"]

# %% [markdown]
# h = .6 − .5 · h rests at .4: the wall is *damped*. A new thing is not, because the memory it has
# to pay for is the wall's. So, relative to the wall, its first pixel stands out more than in x, and
# the first pixel after it is darker than the wall: a negative α **sharpens edges**, and h swings
# around its resting value for some pixels. A positive α is late, and leaves a bright tail behind
# the streak. Now a streak in a photo:

# %%
def trace(width, a):
    """Return a photo with a streak, and what the streak adds to the sweep to the right."""
    numbers = (14.0, 16.0, 22.0, width, 15.0, 0.3, 0)  # x, y, length, width, angle, light, layer
    R = render_streaks(Streaks(*(np.array([value]) for value in numbers)), 32, 32)  # (1, 32, 32)
    both = torch.stack((dry + R, dry))  # (2, 1, 32, 32)
    swept = irnn(both, torch.full((4, 1), a), zeros, "loop")[1]
    return dry + R, (swept[0] - swept[1])[0]


dry = de.load_photo("sunset", long_side=240)[:, 40:72, 20:52].mean(dim=0, keepdim=True)
figure, axes = plots.new_figure(1, 4, width=12, height=2.7)
plots.draw_picture(axes[0, 0], trace(1.0, 0.0)[0], "a streak, 1 px wide")
for axis, a in zip(axes[0, 1:], (0.0, 0.5, -0.5), strict=True):
    plots.draw_map(axis, trace(1.0, a)[1], f"its trace, α = {a}", -0.12, 0.12, "PuOr_r")
plots.show(figure, "A thin streak in the sky, and its trace in three sweeps to the right: as it is "
           "with α = 0, with a bright tail with α = .5, with a dark fringe with α = −.5.")
thin, wide = (trace(width, -0.5)[1].min().item() for width in (1.0, 3.0))
print(f"darkest pixel of the trace with α = −.5: {thin:.3f}, of a streak 3 px wide {wide:.3f}")
assert thin < -0.05 < wide

# %% [markdown]
# (A trace is the difference between the sweeps with and without the streak; α = 0 keeps the streak
# as it is.) The dark fringe needs an abrupt edge: the soft flanks of a wider streak leave nearly
# none.

# %% [markdown]
# ## 7 · How to write a loop
#
# h_t needs h_{t−1}: a sweep is a loop, and Python loops are slow. But *how* slow depends on how
# they are written. The obvious way is an index: `x[:, :, :, t]`. The package's plain loop cuts the
# picture into all its columns once: `x.unbind(3)`. Forward they do the same. Backward, each index
# makes a gradient of the size of the whole picture, all zeros but one line.
#
# **Predict:** double height and width. Four times as many pixels. By which factor do the bytes grow
# that forward and backward of the *indexing* loop write?

# %%
my_guess = None  # write a number

# %%
def bytes_written(way, size):
    """Return the bytes that four sweeps over (1, 4, size, size) and their backward pass write."""
    shapes = ((1, 4, size, size), (4, 4), (4, 4))
    x, a, b = (torch.rand(shape, requires_grad=True) for shape in shapes)
    with sweeps.BytesWritten() as written:
        way(x, a, b).sum().backward()
    return written.total


loops = {"indexing": bench_sweeps.indexed_sweeps, "unbind": lambda *args: irnn_stack(*args, "loop")}
counts = {name: [bytes_written(way, size) for size in (24, 48, 96)] for name, way in loops.items()}
print("MiB for    24,     48,     96 px; the last doubling")
for name, values in counts.items():
    print(f"{name:8}", ", ".join(f"{v / 2**20:6.1f}" for v in values), "   ;",
          f"× {values[2] / values[1]:.1f}")
compare_guess(my_guess, counts["indexing"][2] / counts["indexing"][1], "times")
assert counts["indexing"][2] > 6 * counts["indexing"][1]
assert counts["unbind"][2] < 5 * counts["unbind"][1]

# %% [markdown]
# Nearly eight instead of four: for each of the L lines one gradient of L × L pixels. It is the
# same formula, and autograd is not to blame: it does what the index says. The backward pass of
# `unbind` writes all lines into one picture, once.

# %% [markdown]
# ## 8 · From a loop to a tree
#
# Can we do without waiting at all? One step is a map: h ↦ relu(α·h + β + x) = clamp(a·h + b, lo,
# hi) with a = α, b = β + x, lo = 0 and hi = ∞. (`clamp` cuts off a number: what is below lo becomes
# lo, what is above hi becomes hi.) Two of these in a row are **one of the same kind**.
#
# **Predict** by hand: first relu(.5 h + 1), then relu(3 − h). What is the *largest* value that the
# two together can give, for any h?

# %%
my_guess = None  # write a number

# %%
big = torch.finfo(torch.float32).max  # stands for ∞: 0 · ∞ would not be a number
first = ClampedAffine(*torch.tensor([0.5, 1.0, 0.0, big]))
second = ClampedAffine(*torch.tensor([-1.0, 3.0, 0.0, big]))
both = compose(second, first)
print(f"one map: clamp({both.a:.1f} h + {both.b:.1f}, {both.lo:.0f}, {both.hi:.0f})")
h = torch.linspace(-6, 6, 241)
highest = second(first(h)).max().item()
compare_guess(my_guess, highest)
assert torch.allclose(second(first(h)), both(h)) and both.hi == highest

figure, axes = plots.new_figure(width=6, height=2.8)
for name, values in {"first": first(h), "second": second(h), "first, then second": both(h)}.items():
    axes[0, 0].plot(h, values, label=name, linewidth=3 if "then" in name else 1.2)
axes[0, 0].set(xlabel="h before", ylabel="h after", ylim=(-0.3, 6))
axes[0, 0].legend(fontsize=8, frameon=False)
plots.show(figure, "The first map rises from 0, the second falls to 0. Composed, they are flat "
           "at 3, fall, and are flat at 0.")

# %% [markdown]
# By hand: the slopes multiply, −1 · .5 = −.5. The constants: −1 · 1 + 3 = 2. The bounds go through
# the second map: 0 becomes 3, and ∞ becomes 0 after the ReLU. A negative slope has *swapped* them.

# %% [markdown] tags=["exercise"]
# ### Exercise 07.4 · Two steps as one
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 10 minutes |
# | **Task** | write `join(second, first)` without `compose`: the parts (a, b, lo, hi) of the one map that does what `first` and then `second` do. Both have the parts `.a`, `.b`, `.lo` and `.hi`, tensors of any one shape: many maps may be joined at once |
#
# <details><summary>Hint</summary>
#
# Write `first(h)` without its clamp into `second`: this gives a and b. What `first` can give lies
# between its lo and hi; where does `second` send these two ends, its own clamp included? And which of
# the two is then the lower one? (`x.clamp(lo, hi)`, `torch.minimum`, `torch.maximum`)
#
# </details>

# %% tags=["exercise"]
def join(second, first):
    """Return (a, b, lo, hi) of the map h ↦ second(first(h))."""
    # BEGIN SOLUTION
    a = second.a * first.a
    b = second.a * first.b + second.b
    ends = [second(end) for end in (first.lo, first.hi)]
    return a, b, torch.minimum(*ends), torch.maximum(*ends)
    # END SOLUTION


if exercises.check("07.4", join):
    a, b, lo, hi = join(first, second)  # the other way round; hi is beyond all that matters
    print(f"first relu(3 − h), then relu(.5 h + 1): max({a:.1f} h + {b:.1f}, {lo:.0f})")

# %% [markdown] tags=["solution"]
# A slope below zero turns the bounds round; minimum and maximum put them right for each of many maps.
# The order of two maps matters, but how you put brackets around three does not: this is all that a
# tree needs.

# %% [markdown]
# So two pixels can be joined before anyone knows the h that comes in; then pairs of pairs, and so
# on.
#
# **Predict:** how many rounds of joining does a row of 1,024 pixels take?

# %%
my_guess = None  # write a number

# %%
x8 = torch.tensor([1.0, 0.5, -1.5, 2.0, 0.0, -0.4, 1.0, 0.2])  # a row of eight
alpha8 = torch.tensor([0.0, -0.6, 0.9, 0.5, 0.8, 0.5, -0.5, 0.9])  # 0: the first has no memory
maps8 = ClampedAffine(alpha8, x8, torch.zeros(8), torch.full((8,), big))
joined, distance, rounds = maps8, 1, 0
while distance < 8:
    later = ClampedAffine(*(part[distance:] for part in joined))
    earlier = ClampedAffine(*(part[:-distance] for part in joined))
    new = zip(joined, compose(later, earlier), strict=True)  # all pairs at the same time
    joined = ClampedAffine(*(torch.cat((old[:distance], n)) for old, n in new))
    distance, rounds = 2 * distance, rounds + 1

h8, memory = [], torch.tensor(0.0)
for a, value in zip(alpha8, x8, strict=True):  # the loop, one after the other
    memory = torch.relu(a * memory + value)
    h8.append(memory)
assert torch.allclose(joined(torch.zeros(8)), torch.stack(h8)) and rounds == 3
assert all(torch.equal(*pair) for pair in zip(joined, prefix_maps(maps8), strict=True))
compare_guess(my_guess, math.log2(1024), "rounds", decimals=0)

# %%
plots.show(
    sweeps.draw_scan(x8.tolist(), joined(torch.zeros(8)).tolist()),
    "A tree: eight steps at the top, joined in three rounds; each box names the pixels it holds. "
    "All eight steps lead to the last box of the last round.",
)
print(f"a row of 8, instead of 7 steps: {rounds} rounds that wait for each other, "
      f"but {sum(8 - 2**k for k in range(rounds))} joins")

# %% [markdown]
# (The α of the eight steps differ here: nothing depends on them being equal.) The tree is
# **shallow, and does more work**: log₂ L rounds of up to L joins, and each join is several
# multiplications. That may pay where thousands of cores compute at once. This course has not
# measured it.

# %% [markdown]
# ## 9 · The race
#
# Five forms of the same numbers: the two loops; `rows`, a loop over whole blocks of memory (the
# axis of the sweep in front) with its own backward pass; `numba`, a loop compiled for your
# processor; `scan`, the tree. First: are they the same?
#
# **Predict:** forward and backward, how many times faster than the indexing loop is the compiled
# one?

# %%
my_guess = None  # write a number

# %%
forms = {"loop that indexes": bench_sweeps.indexed_sweeps}
for method in ("loop", "rows", "numba", "scan"):
    name = "loop over unbind" if method == "loop" else method
    forms[name] = lambda *args, method=method: irnn_stack(*args, method)

x, a, b = torch.randn(2, 8, 40, 33), torch.rand(4, 8) * 2 - 1, torch.randn(4, 8) / 2
plain = forms["loop over unbind"](x, a, b)  # (2, 4, 8, 40, 33)
for name, form in forms.items():
    error = (form(x, a, b) - plain).abs().max().item()
    print(f"{name:17} differs from the loop over unbind by {error:.1e}")
    assert error < 1e-5, name

# %%
SIZE, CHANNELS = 128, 16
x = torch.randn(1, CHANNELS, SIZE, SIZE, requires_grad=True)
a, b = (torch.rand(4, CHANNELS, requires_grad=True) for _ in range(2))
threads = torch.get_num_threads()
torch.set_num_threads(1)  # other programs disturb one thread less than two
both_ways = interleave({n: lambda f=f: f(x, a, b).sum().backward() for n, f in forms.items()}, 5)
with torch.no_grad():
    forward = interleave({n: lambda f=f: f(x, a, b) for n, f in forms.items()}, 5)
torch.set_num_threads(threads)

# %%
slowest, lines = both_ways["loop that indexes"], []
for name in forms:
    ms = [f"{1000 * np.median(runs[name]):.1f}" for runs in (forward, both_ways)]
    lines.append([name, *ms, f"{speedup(slowest, both_ways[name]):.1f}×"])
print(machine_line())
print(f"{CHANNELS} channels of {SIZE} × {SIZE}, one thread; medians, all forms in turn")
print(text_table(["form", "forward, ms", "with backward, ms", "times as fast"], lines))
compare_guess(my_guess, speedup(slowest, both_ways["numba"]), "times")

# %% [markdown]
# Read the last column; it counts forward and backward. From the first line to the second nothing
# changed but how a picture is taken apart. Whether `rows` beats the plain loop, and where the tree
# lands, depends on your processor. The numbers are medians of five runs each, without their spread,
# so don't trust a small difference. A promise about speed is worth nothing without such a table.
# (`derain-edu bench irnn` measures larger pictures.)

# %% [markdown]
# ## 10 · The way back, in three lines
#
# If you write the loop, you also have to write its gradient. Let G_t be what arrives at h_t from outside.
# h_t also goes into h_{t+1} with weight α, so what arrives in total, behind the ReLU, is
#
# $$g_t = [h_t > 0]\,(G_t + \alpha\,g_{t+1}), \qquad
# \frac{\partial L}{\partial x_t} = g_t, \qquad
# \frac{\partial L}{\partial\alpha} = \sum_{t>1} g_t\,h_{t-1}, \quad
# \frac{\partial L}{\partial\beta} = \sum_{t>1} g_t$$
#
# It is a recurrence again, read from the end. The sums run over all uses of α, as in lesson 05; the
# first pixel has none.
#
# **Predict** by hand: x = 1 1 1 1, α = 1, β = 0, L = h_4. What is ∂L/∂α?

# %%
my_guess = None  # write a number


# %%
class Sweep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha, beta):  # x (rows, L), alpha and beta one number each
        h = read_row(x, alpha, beta)
        ctx.save_for_backward(h, alpha)  # no x: the outputs are enough
        return h

    @staticmethod
    def backward(ctx, G):
        h, alpha = ctx.saved_tensors
        g = torch.zeros_like(h)
        after = 0
        for t in reversed(range(h.shape[-1])):  # from the end to the start
            g[..., t] = (h[..., t] > 0) * (G[..., t] + alpha * after)
            after = g[..., t]
        return g, (g[..., 1:] * h[..., :-1]).sum(), g[..., 1:].sum()


four = torch.ones(1, 4, dtype=torch.float64)
one, zero = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (1.0, 0.0))
Sweep.apply(four, one, zero)[0, -1].backward()
compare_guess(my_guess, one.grad.item(), decimals=0)
assert one.grad == 6 and zero.grad == 3

# %% [markdown]
# Here g = 1 1 1 1 and h = 1 2 3 4, so the sum is 1 + 2 + 3 = 6. And ∂L/∂β = 3: three pixels have
# a β. One example proves little. `gradcheck` moves each input a bit, and compares the change of
# each output with the formula. Would it notice a mistake? We make the most natural one.

# %%
class Wrong(Sweep):
    @staticmethod
    def backward(ctx, G):
        g, by_alpha, _ = Sweep.backward(ctx, G)
        return g, by_alpha, g.sum()  # β counted at the first pixel, too


x = torch.randn(3, 9, dtype=torch.float64, requires_grad=True)
a, b = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (-0.6, 0.3))
ways = {"autograd": read_row, "three lines": Sweep.apply, "wrong": Wrong.apply}
for name, way in ways.items():
    passed = torch.autograd.gradcheck(way, (x, a, b), raise_exception=False)
    print(f"{name:12} gradient check {'passed' if passed else 'FAILED'}")
    assert passed == (name != "wrong")

# %%
shapes = ((1, 2, 5, 4), (4, 2), (4, 2))
inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
assert torch.autograd.gradcheck(lambda *args: irnn_stack(*args, "rows"), inputs)
print("the package's backward pass, all four directions: gradient check passed")

x, a, b = torch.randn(1, 16, 96, 96), torch.rand(4, 16), torch.zeros(4, 16)
x.requires_grad_()
mib = {
    m: peak_bytes(lambda m=m: irnn_stack(x, a, b, m).sum()) / 2**20
    for m in ("loop", "rows", "numba")
}
print("peak memory of forward and backward:", ", ".join(f"{m} {v:.1f} MiB" for m, v in mib.items()))
assert mib["rows"] < mib["loop"]

# %% [markdown]
# A formula of your own saves memory: it needs the outputs only. For the plain loop autograd keeps
# the h of each step, besides the stacked outputs. It need not save time: in our run of section 9,
# `rows` took 40.1 ms and the plain loop 42.2. Now derive a neighbour of this formula: the row of
# eight in section 8 had an α of its own at each pixel.

# %% [markdown] tags=["exercise"]
# ### Exercise 07.5 · The way back, with an α per pixel
#
# | | |
# |---|---|
# | **Difficulty** | ●●●●○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 20 minutes |
# | **Task** | the step is now h_t = relu(α_t · h_{t−1} + x_t). Write `sweep_gradients(h, alpha, G)` for one row, (L,) each: the derivative by x and the derivative by α, (L,) each. No autograd. The first α is never used: its derivative is 0 |
#
# <details><summary>Hint</summary>
#
# Ask of each number: where does it go? h_t goes out, where G_t comes back, and into h_{t+1}. With
# *which* α? And α_t is used once, at pixel t, where it multiplies … So no sum is left. With one α
# for all, you would add them up.
#
# </details>

# %% tags=["exercise"]
def sweep_gradients(h, alpha, G):
    """Return the derivatives by x and by alpha, (L,) each, for outputs h and their gradient G."""
    # BEGIN SOLUTION
    g = torch.zeros_like(h)
    for t in reversed(range(len(h))):
        back = alpha[t + 1] * g[t + 1] if t + 1 < len(h) else 0  # by the way h_t took: α_{t+1}
        g[t] = (h[t] > 0) * (G[t] + back)
    by_alpha = torch.zeros_like(h)
    by_alpha[1:] = g[1:] * h[:-1]
    return g, by_alpha
    # END SOLUTION


if exercises.check("07.5", sweep_gradients):
    last = torch.eye(8)[7]  # L = the last h of the row of eight
    by_x8, by_alpha8 = sweep_gradients(torch.stack(h8), alpha8, last)
    print("h      ", " ".join(f"{v:6.3f}" for v in h8))
    for name, values in {"by x": by_x8, "by α": by_alpha8}.items():
        print(f"{name:7}", " ".join(f"{v + 0:6.3f}" for v in values))  # + 0: no "−0.000"

# %% [markdown] tags=["solution"]
# Going back, the weight is the one of the step that is undone: h_t went into pixel t + 1, so α_{t+1}.
# Where h is zero the way is cut, and all pixels before it get nothing, as in section 2.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. After the sweep to the left, with α = 1, what does a pixel know?**
#
# <details><summary>Answer</summary>
#
# What is to its *right*. A sweep is named after the way it moves: it came from the right border and
# took along what it met. Section 3 shows the four rays of one bright pixel.
#
# </details>
#
# **2. You give the layer 100 channels instead of one, but keep a single round of sweeps. Does a pixel
# now see the whole picture?**
#
# <details><summary>Answer</summary>
#
# No. All channels sweep along the same rows and columns, so the picture of what is seen stays the
# cross: 51 of 651 pixels in section 4. More channels carry more *kinds* of news. Only a second round,
# from a line to all lines that cross it, reaches the rest.
#
# </details>
#
# **3. A fresh SPANet with α = .2 sees 100 % of the pixels. Why does far rain hardly move its map?**
#
# <details><summary>Answer</summary>
#
# Seeing means: the derivative is not exactly zero. But each step multiplies it by .2, and after 10
# steps it is below the rounding of float32. In section 5 less than .01 % of what moves the map
# comes from more than 8 pixels away.
#
# </details>
#
# **4. α = 1, and still hardly any derivative arrives from 16 pixels away in rows of mean −.5. How can
# that be, if α = 1 keeps everything?**
#
# <details><summary>Answer</summary>
#
# The identity neither fades nor grows, but the ReLU cuts. Where h falls to zero on the way, its
# slope is 0, and everything before is forgotten at once. With inputs below zero on average h falls
# back to zero again and again: in section 2 a derivative gets through in about 1 % of the rows.
#
# </details>
#
# **5. The tree needs 10 rounds for 1,024 pixels, the loop 1,023 steps. Why may the loop still win on
# your processor?**
#
# <details><summary>Answer</summary>
#
# A round is not a step: it joins up to 1,023 pairs, and a join is several multiplications. In all
# that is nine times as many joins as the loop has steps. Few cores have to do them one after the
# other. With thousands of cores it may be otherwise; this course has not measured that. The table
# of section 9 says what holds on your machine.
#
# </details>

# %% [markdown]
# ## You can now …
#
# Two claims, with what you measured. Both hold as long as no ReLU cuts the way:

# %%
print("claim 6, two rounds let every pixel see the whole picture, one does not:")
print(f"    one round sees {(once > 0).sum()} of {H * W} pixels, two see {(twice > 0).sum()}.")
print("    It holds. It says nothing about how much: heard from beyond 8 px are")
print(f"    {heard['fresh, α = .2'][D.index(8)]:.4f} % with α = .2, "
      f"{heard['fresh, α = 1'][D.index(8)]:.0f} % with α = 1")
print("claim 7, the identity start keeps gradients over long distances:")
print(f"    after 64 px {at_64['identity: α = 1']:.0f} against {at_64['α = .2']:.0e}. "
      "It holds while h > 0;")
print(f"    with inputs of mean −.5 a gradient from 16 px away arrives in "
      f"{shares['mean −.5'][16]:.0f} %")

# %% [markdown]
# - say what α does to a memory (keep, fade, explode, or answer to edges), and why the start likes to
#   be the identity;
# - prove by gradients what a pixel sees: a cross after one round, everything after two;
# - tell seeing from hearing, and measure how much a pixel hears;
# - find out, by holding some learned factors down, which do the far hearing;
# - write a loop that is cheap to train, and turn it into a tree;
# - derive a backward pass, and check it so that a wrong one fails.
#
# **Next:** a module that sees the whole picture can ask: what is a streak here? Lesson 09 opens
# SPANet's attention map, and looks for a part of it that never worked.
