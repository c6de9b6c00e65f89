# %% [markdown]
# # 09 · Spatial attention
#
# **Can the network say where the rain is? Does the released code do what the paper says?**
#
# | | |
# |---|---|
# | **Goals** | say what a spatial attention map is and does; build SPANet's module piece by piece, direction weights included; judge a map by order, by threshold and as a probability; ask what a part of a network knows, and what it is worth; read in a checkpoint what was trained, and how; write the test that finds a part of a network that does nothing |
# | **Before you start** | lesson 07 |
# | **Time** | 110 minutes, 50 of them for the exercises; the cells take 30 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Wang et al., CVPR 2019 (SPANet, arXiv 1904.01538) |

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

import ast
import pickle
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from derain_edu.course import exercises
from derain_edu.course.views import attention as views, plots
from derain_edu.datasets.download import cached_files
from derain_edu.experiments import spanet_checkpoint
from derain_edu.experiments.results import load_results
from derain_edu.experiments.statistics import summarize
from derain_edu.map_scores import auc, calibration, calibration_gap, roc, score_at
from derain_edu.models import idle_parts
from derain_edu.models.irnn import DIRECTIONS
from derain_edu.models.spanet import SPANetConfig, SpatialAttention
from derain_edu.rain.streaks import Streaks, render_streaks
from derain_edu.text import compare_guess, say
from derain_edu.training.losses import rain_mask

de.choose_device("cpu", verbose=True)  # small pictures: a GPU would wait more than it works
torch.set_grad_enabled(False)  # until section 6.3
de.set_seed(0)

# %% [markdown]
# ## 1 · One number per pixel
#
# "Attention" sounds like psychology. In SPANet it is one number A per pixel, between 0 and 1, that
# scales what a residual block adds:
#
# $$\mathrm{out} = \mathrm{relu}(A \cdot \mathrm{branch}(x) + x)$$
#
# Where A = 0 the pixel passes as it is, where A = 1 the block works. Begin with this line: the whole
# lesson hangs on it.

# %% [markdown] tags=["exercise"]
# ### Exercise 09.1 · A map that scales
#
# | | |
# |---|---|
# | **Difficulty** | ●○○○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 5 minutes |
# | **Task** | write `gated_block(x, branch, A)`, the formula above. x and branch (what the branch gave) are (B, C, H, W), and A is (B, H, W): one number per pixel of each picture, for all of its channels |
#
# <details><summary>Hint</summary>
#
# Tensors are lined up from their *last* axis. With B = C, A would meet the channels, and nobody
# complains. `A.unsqueeze(1)` is (B, 1, H, W).
#
# </details>

# %% tags=["exercise"]
def gated_block(x, branch, A):
    """Return relu(A · branch + x): (B, C, H, W), with a map A (B, H, W)."""
    # BEGIN SOLUTION
    return torch.relu(A.unsqueeze(1) * branch + x)
    # END SOLUTION


exercises.check("09.1", gated_block)

# %% [markdown] tags=["solution"]
# The product is *used*: `branch.mul(A)` alone on a line would compute it and drop it. Section 6 tells
# what came of such a line.

# %% [markdown]
# Now by hand: a photo, one streak, and a branch that knows one thing only, "take .29 of light away",
# the brightness of the streak's middle. The map decides where.

# %%
photo = de.load_photo("rocket", long_side=320)[:, 100:180, 200:280]  # (3, 80, 80)
numbers = (40.0, 40.0, 40.0, 3.0, 15.0, 0.3, 0)  # x, y, length, width, angle, brightness, layer
R = render_streaks(Streaks(*(np.array([value]) for value in numbers)), 80, 80)  # (1, 80, 80)
x, branch = photo + R, -R.max()


def gated(A):
    """Return relu(A · branch + x) for a map A (1, 80, 80)."""
    return torch.relu(A * branch + x)


share = R / R.max()  # how much of the streak's full light each pixel got
maps = {"A = 0": torch.zeros_like(R), "A = 1": torch.ones_like(R), "A = share of light": share}
for name, A in maps.items():
    print(f"{name:18} {de.psnr(gated(A), photo):5.1f} dB")
assert torch.equal(gated(maps["A = 0"]), x), "A = 0 lets everything pass, to the last bit"

# %% [markdown]
# With the right map even this blunt branch is nearly perfect: it could not know where the streak is,
# the map can. But what is the right map? The mask of the rain is also one: 1 where a streak is
# visible, 0 elsewhere.
#
# **Predict:** A = the mask, yes or no. How many dB do we gain over doing nothing?

# %%
my_guess = None  # write a number; minus means worse

# %%
maps["A = yes or no"] = (R > 4 / 255).float()
maps["share, 2 px aside"] = share.roll(2, dims=2)
scores = {name: de.psnr(gated(A), photo) for name, A in maps.items()}
compare_guess(my_guess, scores["A = yes or no"] - scores["A = 0"], "dB")
shown = {f"{name}, {scores[name]:.1f} dB": gated(A) for name, A in maps.items()}
plots.show(
    plots.picture_row(shown, width=11),
    "One streak before a tower, and what is left with five maps: untouched; all dark; clean; "
    "the streak turned into a dark one; half of the streak beside a dark ghost.",
)
assert scores["A = share of light"] > scores["A = 0"] + 20 > scores["A = 1"]
assert scores["A = yes or no"] < scores["A = 0"]

# %% [markdown]
# The exact yes-or-no mask is *worse than doing nothing*: at the streak's faint ends it takes away
# light that never came. Keep this in mind. In SPANet the map has two jobs that don't agree: in
# training it is compared with a yes-or-no mask, and in each block it says *how much*.

# %% [markdown]
# ## 2 · The module, piece by piece
#
# Where does the map come from? From the module that lesson 07 built up to: two rounds of four
# sweeps, so every pixel can see the whole picture. We run its pieces on a tiny input, four channels
# of 6 × 5 pixels, and look at the shapes. (`alpha_init=1` starts all α of the sweeps at 1, the
# identity of lesson 05. `.flatten(1, 2)` makes one axis of the axes 1 and 2, direction and
# channel.)
#
# **Predict:** how many channels go into the convolution after the first round?

# %%
my_guess = None  # write a number

# %%
C = 4
tiny = SpatialAttention(SPANetConfig(channels=C, alpha_init=1))
pieces = {"features": torch.rand(1, C, 6, 5)}
pieces["conv 3×3"] = tiny.conv1(pieces["features"])  # (1, C, 6, 5)
pieces["round 1: four sweeps"] = tiny.irnn1(pieces["conv 3×3"])  # (1, 4, C, 6, 5)
pieces["side by side"] = pieces["round 1: four sweeps"].flatten(1, 2)  # (1, 4C, 6, 5)
pieces["conv 3×3, mixes"] = tiny.conv2(pieces["side by side"])  # (1, C, 6, 5)
pieces["round 2, side by side"] = tiny.irnn2(pieces["conv 3×3, mixes"]).flatten(1, 2)
pieces["conv 3×3, ReLU"] = torch.relu(tiny.conv3(pieces["round 2, side by side"]))  # (1, C, 6, 5)
pieces["conv 1×1: one number"] = tiny.conv4(pieces["conv 3×3, ReLU"])  # (1, 1, 6, 5)
pieces["sigmoid: the map"] = torch.sigmoid(pieces["conv 1×1: one number"])
for name, value in pieces.items():
    print(f"{name:22} {tuple(value.shape)}")
compare_guess(my_guess, pieces["side by side"].shape[1], "channels", decimals=0)
assert torch.equal(pieces["sigmoid: the map"], tiny(pieces["features"])), "this is the module"

# %% [markdown]
# 4 directions × 4 channels = 16 (128 in the real network). The sigmoid squeezes any number into
# (0, 1). That makes it *look* like a probability; whether it is one, we will measure.
#
# Now the trained network of this course. It was shown patches of light rain with their true masks,
# and was trained on two losses: one compares the pictures, the other is the square error between
# its first map and the mask. We take the six test photos, which no training saw, and let it rain
# anew on each.

# %%
model = de.create_model("spanet", pretrained="open")
SIDE = 128


def test_pairs(rain="light", first_seed=0, **changes):
    """Return for each test photo its name, a middle piece of it, and rain on it."""
    found = []
    for seed, name in enumerate(de.photo_names("test"), first_seed):
        picture = de.load_photo(name, long_side=480)
        top, left = ((size - SIDE) // 2 for size in picture.shape[-2:])
        clean = picture[:, top : top + SIDE, left : left + SIDE]  # (3, SIDE, SIDE)
        found.append((name, clean, de.add_rain(clean, rain, seed=seed, **changes)))
    return found


pairs = test_pairs()
names, cleans, rains = zip(*pairs, strict=True)
rainy = torch.stack([rain.rainy for rain in rains])  # (6, 3, SIDE, SIDE)
clean = torch.stack(cleans)
mask = torch.stack([rain.mask for rain in rains])  # (6, 1, SIDE, SIDE) bool
derained, attention = model.attend(rainy)  # (6, 3, SIDE, SIDE), (6, 4, SIDE, SIDE)
print(f"{de.psnr(rainy, clean):.1f} dB rainy, {de.psnr(derained, clean):.1f} dB derained; "
      f"rain covers {mask.float().mean():.0%}")

# %%
k = names.index("picosdeeuropa")
figure, axes = plots.new_figure(1, 4, width=11, height=2.9)
plots.draw_picture(axes[0, 0], rainy[k], "rainy")
plots.draw_picture(axes[0, 1], derained[k], "derained")
plots.draw_picture(axes[0, 2], mask[k].float(), "true mask")
plots.draw_map(axes[0, 3], attention[k, 0], "map A of stage 1", 0, 1)
plots.show(figure, "A mountain in light rain, derained, the true mask, and the attention map, in "
           "which the streaks shine.")

# %% [markdown]
# It looks good. Looking is not measuring. Draw one rainy pixel and one dry pixel, blindly. How often
# is A larger at the rainy one? This share is the **AUC**: 50 % is a coin, 100 % is perfect.
#
# **Predict** it for six photos together, in percent.

# %%
my_guess = None  # write a number from 50 to 100

# %%
def by_photo(maps, mask):
    """Return the AUC of each photo's map: (6, SIDE, SIDE) and the masks (6, 1, SIDE, SIDE)."""
    return [auc(*pair) for pair in zip(maps, mask, strict=True)]


areas = {"this course's": by_photo(attention[:, 0], mask)}
pooled = auc(attention[:, :1], mask)
if "spanet_spa.pth" in cached_files("official-weights"):  # the authors': trained on real rain
    other = de.create_model("spanet", pretrained="official-spa").attend(rainy)[1]
    areas["the authors'"] = by_photo(other[:, 0], mask)
    print(f"mean of A: {attention[:, 0].mean():.2f}, of the authors' A {other[:, 0].mean():.2f}")
for who, values in areas.items():
    each = ", ".join(f"{name} {value:.2f}" for name, value in zip(names, values, strict=True))
    say(f"{who} map: {each}; mean {np.mean(values):.3f}")
print(f"all six photos in one pot: {pooled:.3f}")
compare_guess(my_guess, 100 * pooled, "%")
assert np.mean(areas["this course's"]) >= 0.9, "the supervised map finds light rain"

# %% [markdown]
# The map can say where the rain is, better on some photos than on others. The last number pools the
# pixels of all six photos. (With the authors' weights in the cache there is a second row. They
# learned from video of real rain and another mask, and never saw our streaks: a low number says
# that the two kinds of rain differ, not that one training was worse.)

# %% [markdown] tags=["exercise"]
# ### Exercise 09.2 · Count the pairs
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 10 minutes |
# | **Task** | write `in_order(values, mask)`: the AUC by its definition. Of all pairs of one rainy and one dry pixel, the share in which the value is larger at the rainy one. A tie counts a half. Both tensors have one shape, any; mask is bool, and both kinds occur |
#
# <details><summary>Hint</summary>
#
# `values[mask]` are the values of the rainy pixels, in one row. `wet[:, None] > dry` compares each of
# them with each dry one; two loops would do it, too. (For few pixels: the number of pairs grows fast.)
#
# </details>

# %% tags=["exercise"]
def in_order(values, mask):
    """Return the share of pairs (rainy, dry) in which the rainy pixel has the larger value."""
    # BEGIN SOLUTION
    wet, dry = values[mask][:, None], values[~mask]  # (rainy, 1), (dry,)
    return ((wet > dry).float() + 0.5 * (wet == dry).float()).mean().item()
    # END SOLUTION


if exercises.check("09.2", in_order):
    few = attention[:, 0, ::4, ::4], mask[:, 0, ::4, ::4]  # every fourth pixel: (6, 32, 32)
    for name, values, true in zip(names, *few, strict=True):
        count = int(true.sum()) * int((~true).sum())
        print(f"{name:14} {count:7,} pairs: yours {in_order(values, true):.4f}, "
              f"the package's {auc(values, true):.4f}")

# %% [markdown] tags=["solution"]
# The package counts the same pairs without making them: it sorts all values and adds up the ranks of
# the rainy ones. That takes n log n steps instead of n².

# %% [markdown]
# An order is not yet a decision. Someone has to say: from here on I call it rain. Move the threshold.

# %%
worst = int(np.argmin(areas["this course's"]))
views.threshold_slider(rainy[worst], attention[worst, 0], mask[worst, 0])

# %% [markdown]
# This is the photo with the lowest AUC. Green: found, yellow: missed, pink: called rain by mistake.
# Look at *what* is pink at a low threshold. Three of its stops:

# %%

scores = [score_at(attention[worst, 0], mask[worst, 0], t) for t in views.THRESHOLDS]
for position in (5, 15, 35):
    png = views.draw_threshold(rainy[worst], attention[worst, 0], mask[worst, 0], scores, position)
    alt = f"Found, missed and false pixels at the threshold {scores[position].threshold}."
    plots.show_png(png, alt)
recalls = [score.recall for score in scores]
assert scores[0].recall == 1 and recalls == sorted(recalls, reverse=True)

# %%
frames = [views.draw_threshold(rainy[worst], attention[worst, 0], mask[worst, 0], scores, p)
          for p in (0, 25, 50)]  # what the slider shows at its ends and in the middle
assert all(frame.startswith(b"\x89PNG") for frame in frames) and len(set(frames)) == 3

# %% [markdown]
# Each pixel is one of four kinds:
#
# | | called rain | not called rain |
# |---|---|---|
# | **rainy** | found | missed |
# | **dry** | false | left alone |
#
# *Recall* is found / (found + missed): how much of the rain is caught? *Precision* is found /
# (found + false): is what is caught really rain? With a higher threshold the recall falls, and the
# precision mostly rises. *IoU* is found / (found + missed + false): it counts both kinds of
# mistakes.
#
# The *ROC curve* below has a point for each threshold: across, the share of dry pixels that are
# called rain; up, the recall. The area under it is the AUC again: counting pairs and measuring an
# area give one number.

# %%
figure, axes = plots.new_figure(1, 2, width=10, height=3.8)
for name, values, true in zip(names, attention[:, 0], mask, strict=True):
    false_alarms, recall = roc(values, true)
    axes[0, 0].plot(false_alarms, recall, label=f"{name} {auc(values, true):.2f}")
    assert abs(torch.trapezoid(recall, false_alarms) - auc(values, true)) < 1e-6
axes[0, 0].plot([0, 1], [0, 1], ":", color="grey")
axes[0, 0].set(xlabel="false alarms: dry pixels called rain", ylabel="recall")
axes[0, 0].legend(fontsize=8, frameon=False, title="AUC", title_fontsize=8)
R_all = torch.stack([rain.streaks for rain in rains]).amax(dim=1, keepdim=True)  # (6, 1, H, W)
edges = [4, 8, 16, 24, 32, 48, 255]
heights = [attention[:, :1][(R_all > a / 255) & (R_all <= b / 255)].mean().item()
           for a, b in zip(edges, edges[1:], strict=False)]
labels = [f"to {b}" for b in edges[1:-1]] + ["more"]
plots.draw_bars(axes[0, 1], labels, heights, ylabel="mean A")
axes[0, 1].set_xlabel("brightness of the rain at a pixel, of 255")
plots.show(figure, "Left: six ROC curves, far above the diagonal. Right: the mean of A grows with "
           "the brightness of the rain.")
assert heights[0] < heights[-1]

# %% [markdown]
# The right picture explains a part of the misses: rain that is a few grey levels strong hardly
# moves the map. At the threshold .5, 38 % of the misses are rain of at most 8 grey levels, and 66 %
# of at most 16. The others are brighter. So an AUC is also a statement about the *mask*: how faint
# may rain be to count?

# %% [markdown]
# ## 3 · Is it a probability?
#
# It is tempting to read A as "the probability that this place belongs to a streak". That is more
# than the right order. Of all pixels with A = .7, seven in ten would have to be rainy. This is
# called *calibration*, and it can be checked by counting.
#
# **Predict:** collect all pixels whose A is between .6 and .7. How many percent of them are rainy?

# %%
my_guess = None  # write a number from 0 to 100

# %%
weather = {"light": (attention[:, :1], mask)}  # what it was trained on
for rain in ("drizzle", "heavy"):  # what it never saw
    some = test_pairs(rain, first_seed=20)
    outside = torch.stack([pair[2].rainy for pair in some])
    weather[rain] = (model.attend(outside)[1][:, :1], torch.stack([p[2].mask for p in some]))
bins = {rain: calibration(*found) for rain, found in weather.items()}
gaps = {rain: 100 * calibration_gap(found) for rain, found in bins.items()}
inside = (attention[:, :1] >= 0.6) & (attention[:, :1] < 0.7)
compare_guess(my_guess, 100 * mask[inside].float().mean().item(), "% are rainy", decimals=0)
assert gaps["light"] < 5 < gaps["heavy"]
for rain, (values, true) in weather.items():
    print(f"{rain:7}: A says {values.mean():.0%}, rainy are {true.float().mean():.0%}; "
          f"gap {gaps[rain]:.1f} points; AUC {auc(values, true):.2f}")

# %%
figure, axes = plots.new_figure(width=6.5, height=4)
for rain, found in bins.items():
    axes[0, 0].plot([b.value for b in found], [b.share for b in found], "o-", label=rain)
axes[0, 0].plot([0, 1], [0, 1], ":", color="grey")
axes[0, 0].set(xlabel="A: what the map says", ylabel="share of rainy pixels: what is true")
axes[0, 0].legend(fontsize=9, frameon=False, title="rain", title_fontsize=9)
plots.show(figure, "Calibration curves in three kinds of rain, beside the diagonal on which a "
           "probability would lie.")

# %% [markdown]
# Points above the line: it rains more than the map says; below: less. The **gap** is the distance to
# the line, averaged over all pixels. In the rain of its training the map stays near the line, a little
# too sure, and there is a reason to be near: the square error is smallest when A *is* the share of
# rainy pixels among all that look alike. Nothing keeps it there in other weather: in drizzle the map
# promises far too much rain, in heavy rain far too little.

# %% [markdown] tags=["exercise"]
# ### Exercise 09.3 · The gap
#
# | | |
# |---|---|
# | **Difficulty** | ●●●●○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 15 minutes |
# | **Task** | write `mean_gap(values, mask, bins)` without `calibration`. Cut the range from 0 to 1 into `bins` bins of equal width; a value of 1 belongs to the last. In each bin take the distance between the mean value and the share of rainy pixels; return its mean over all *pixels* |
#
# <details><summary>Hint</summary>
#
# `inside = (values >= low) & (values < high)` are the pixels of a bin; what about 1 in the last one?
# `values[inside].mean()` of an empty bin is not a number. Each bin counts as often as it has pixels.
#
# </details>

# %% tags=["exercise"]
def mean_gap(values, mask, bins):
    """Return how far map and truth lie apart, averaged over the pixels."""
    # BEGIN SOLUTION
    place = (values * bins).long().clamp(max=bins - 1)  # the number of each pixel's bin
    total = 0.0
    for k in range(bins):
        inside = place == k
        if inside.any():
            said, true = values[inside].mean(), mask[inside].float().mean()
            total += (said - true).abs().item() * inside.sum().item()
    return total / values.numel()
    # END SOLUTION


if exercises.check("09.3", mean_gap):
    for number in (1, 10, 100):
        each = [f"{rain} {100 * mean_gap(*seen, number):4.1f}" for rain, seen in weather.items()]
        print(f"{number:3} bins, gap in points:", ", ".join(each))

# %% [markdown] tags=["solution"]
# One bin compares two means over all pixels. To split a bin can only raise the gap: what is too much
# in one half and too little in the other no longer cancels. Where the printed gaps hardly grow with
# the bins, the map errs to one side at all its levels, as the curves above show.

# %% [markdown]
# And a probability of *what*? We told it that rain begins at 4 grey levels. Let us ask again, with
# other definitions of rain.

# %%
for level in (2, 4, 8, 16):
    wet = R_all > level / 255
    gap = calibration_gap(calibration(attention[:, :1], wet))
    print(f"rain begins at {level:2} of 255: {wet.float().mean():.0%} are rainy, "
          f"gap {100 * gap:4.1f} points, AUC {auc(attention[:, :1], wet):.3f}")

# %% [markdown]
# The definition moves both numbers. Fainter rain is harder to find; and a map that is a probability
# by one definition can't be one by all of them.
#
# The gap is smallest at level 2, not at level 4 that its training used: the map says 22 % on
# average, and 22 % is rainy at level 2. For its own definition it says a little too much. So the
# sentence "the map is the probability of rain" leaves out two things: *which* rain the network
# learned from, and *what* its mask called rain.

# %% [markdown]
# ## 4 · Four stages, one teacher
#
# The same module runs four times, each time on what the blocks before made of the features. Only the
# **first** map is compared with the mask; nobody tells the other three what to be.
#
# **Predict** the AUC of the second map, in percent.

# %%
my_guess = None  # write a number from 0 to 100

# %%
stages = range(1, 5)
by_stage = [auc(attention[:, s - 1 : s], mask) for s in stages]
level = attention.mean(dim=(0, 2, 3)).tolist()  # (6, 4, H, W) -> (4,)
compare_guess(my_guess, 100 * by_stage[1], "%", decimals=0)
figure, axes = plots.new_figure(1, 4, width=11, height=2.9)
for axis, s in zip(axes.flat, stages, strict=True):
    top = attention[k, s - 1].max().item()
    plots.draw_map(axis, attention[k, s - 1], f"stage {s}: AUC {by_stage[s - 1]:.2f}", 0, top)
plots.show(figure, "The four attention maps of one photo, each with its own colour scale.")
print("mean of A by stage:", " ".join(f"{value:.3f}" for value in level))

# %% [markdown]
# Each map has its own colour scale. The scales end at similar values, but the mean of A falls from
# 0.217 in stage 1 to 0.047 in stage 4. An AUC near 50 % says that a map knows nothing about rain,
# or something that has little to do with it.
#
# But does the network *need* it? We hold one map still: at each pixel its own mean, so the blocks
# behind it work as much as before, but everywhere the same. (In the cell below, `views.changed_map`
# does this: inside its `with`, the maps of the named stages pass through a function of ours before
# the blocks see them.)
#
# **Predict:** the first map held still. How many dB does the picture lose?

# %%
my_guess = None  # write a number

# %%
def scores_of(pictures):
    """Return the PSNR of each photo, (6, 3, SIDE, SIDE) -> (6,)."""
    return torch.tensor([de.psnr(*pair) for pair in zip(pictures, clean, strict=True)])


own, worth = scores_of(derained), {}
for s in stages:
    with views.changed_map(model, views.level_map, stages=[s]):
        worth[f"stage {s}"] = own - scores_of(model(rainy))
with views.changed_map(model, lambda A: mask.float(), stages=[1]):
    truth = scores_of(model(rainy)) - own
compare_guess(my_guess, worth["stage 1"].mean().item(), "dB")
for name, lost in worth.items():
    print(f"{name} held still: loses {lost.mean():.2f} dB")
print(f"stage 1 gets the true mask instead: {truth.mean():+.2f} dB")
assert worth["stage 1"].mean() > sum(worth[f"stage {s}"].mean() for s in (2, 3, 4))
assert truth.mean() > 0
assert torch.allclose(model(rainy[:1]), derained[:1], atol=1e-5), "outside `with`: as before"

# %%
figure, axes = plots.new_figure(1, 2, width=9, height=3.2)
labels = [f"stage {s}" for s in stages]
plots.draw_bars(axes[0, 0], labels, by_stage, ylabel="AUC of the map")
axes[0, 0].axhline(0.5, linestyle=":", color="grey")
plots.draw_bars(axes[0, 1], labels, [lost.mean().item() for lost in worth.values()],
                ylabel="dB lost if held still")
plots.show(figure, "By stage: how well its map finds rain, and what the picture loses without it.")
assert by_stage[0] == max(by_stage)

# %% [markdown]
# Two different questions, two different answers: what a map *knows* (AUC), and what it is *worth*
# (dB). The map that had a teacher does nearly all of it; the other three know a little about rain, and
# the picture hardly misses what they know. (In *these* weights: a longer training may find them work.)
# With the true mask instead of the first map the picture gets better: a part of the error that is left
# comes from not knowing *where*.

# %% [markdown]
# ## 5 · Four direction weights
#
# The paper has one more idea. A streak has a direction, so the four sweeps should not count the same
# everywhere. A small branch looks at the features and makes four maps of weights, one per direction;
# they multiply the four sweeps. On a vertical streak, so the hope, "up" and "down" count more.

# %% [markdown] tags=["exercise"]
# ### Exercise 09.4 · Let the directions act
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | write `weigh(swept, scores)`. `swept` (B, 4, C, H, W) holds the four sweeps, `scores` (B, 4, H, W) what the small branch gave, any numbers. A sigmoid makes a weight of each score; the weight scales all channels of its sweep at its pixel. Return the four side by side, (B, 4C, H, W), up first |
#
# <details><summary>Hint</summary>
#
# Which axis of `swept` do the weights not have? `unsqueeze` makes room for it. Section 2 puts sweeps
# side by side with `flatten`.
#
# </details>

# %% tags=["exercise"]
def weigh(swept, scores):
    """Scale the sweeps (B, 4, C, H, W) by the sigmoid of scores (B, 4, H, W): (B, 4C, H, W)."""
    # BEGIN SOLUTION
    weights = torch.sigmoid(scores).unsqueeze(2)  # (B, 4, 1, H, W)
    return (swept * weights).flatten(1, 2)  # (B, 4C, H, W)
    # END SOLUTION


if exercises.check("09.4", weigh):
    w = tiny.directions(pieces["features"])  # (1, 4, 6, 5), after the branch's own sigmoid
    module = tiny.sweep(tiny.irnn1, pieces["conv 3×3"], w.unsqueeze(2))  # (1, 4C, 6, 5)
    mine = weigh(pieces["round 1: four sweeps"], torch.logit(w))  # logit undoes the sigmoid
    print("as in the package's module:", torch.allclose(mine, module, atol=1e-5))

# %% [markdown] tags=["solution"]
# A sigmoid each, not a softmax: all four may count at one pixel, or none. Keep your line in mind until
# section 6.

# %% [markdown]
# This course trained a second SPANet in which they act, with the same recipe.

# %%
paper = de.create_model("spanet", pretrained="open-paper")
assert paper.config.direction_attention and not model.config.direction_attention
W = views.direction_weights(paper, rainy[k])  # (4 stages, 4 directions, H, W)
figure, axes = plots.new_figure(1, 5, width=11.5, height=2.5)
plots.draw_picture(axes[0, 0], rainy[k], "rainy")
for axis, name, values in zip(axes[0, 1:], DIRECTIONS, W[0], strict=True):
    plots.draw_map(axis, values, f"{name}, stage 1", W[0].min(), W[0].max())
plots.show(figure, "A rainy photo and four maps: the weights of the sweeps up, right, down, left.")
for s, values in enumerate(W.mean(dim=(2, 3)).tolist(), 1):  # (4, 4, H, W) -> (4, 4)
    words = ", ".join(f"{n} {v:.2f}" for n, v in zip(DIRECTIONS, values, strict=True))
    print(f"stage {s}, mean over the picture: {words}")

# %% [markdown]
# You can see streaks in some of them. (The four rows of numbers are nearly the same: one branch
# with one set of weights runs in all four stages.) Does that mean that the weights *follow*
# streaks?
#
# A test: turn the rain. For each direction we take the mean weight on streaks minus the mean
# elsewhere, its **response**. If the weights follow, up and down respond more than right and left
# in vertical rain, and less in level rain. The difference of the two pairs is the **leaning** of
# the curve below.
#
# **Predict:** the leaning at 0° minus the leaning at 90° (all weights lie between 0 and 1).

# %%
my_guess = None  # write a number

# %%
ANGLES = (-90, -60, -30, 0, 30, 60, 90)
looks = [views.angle_view(paper, cleans[k][:, :96, :96], angle, seed=5) for angle in ANGLES]
views.angle_slider(looks)

# %%
for position in (3, 6):
    alt = f"The four direction weights in rain at {ANGLES[position]} degrees."
    plots.show_png(views.draw_angle(looks, position), alt)
frames = [views.draw_angle(looks, p) for p in (0, 3, 6)]  # what the slider shows
assert all(frame.startswith(b"\x89PNG") for frame in frames) and len(set(frames)) == 3

# %% [markdown]
# One photo proves little. For all claims about direction weights we ask six photos, or three seeds,
# and let the mean with its 95 % interval decide, as in lesson 04: above zero, below zero, or
# neither.

# %%
from derain_edu.experiments.verdicts import Verdicts

verdicts = Verdicts()
TURNS = (0, 45, 90)
response = torch.empty(len(cleans), len(TURNS), 4)  # photo, angle, direction
for seed, picture in enumerate(cleans):
    for t, angle in enumerate(TURNS):
        look = views.angle_view(paper, picture[:, :96, :96], angle, seed)
        response[seed, t] = torch.tensor(look.on_streaks) - torch.tensor(look.elsewhere)
for t, angle in enumerate(TURNS):
    mean = response[:, t].mean(dim=0).tolist()  # (6, 4) -> (4,)
    print(f"rain at {angle:2}°, response of", ", ".join(
        f"{name} {value:+.3f}" for name, value in zip(DIRECTIONS, mean, strict=True)))

# %%
up, right, down, left = response.unbind(dim=2)  # (6, 3) each
lean = (up + down - right - left) / 2  # (6, 3)
compare_guess(my_guess, (lean[:, 0] - lean[:, 2]).mean().item(), decimals=3)
verdicts.judge("vertical streaks raise the weight of up", up[:, 0], "of weight", 3)
verdicts.judge("vertical streaks raise the weight of down", down[:, 0], "of weight", 3)
verdicts.judge("the weights turn with the streaks", lean[:, 0] - lean[:, 2],
               "of leaning, 0° − 90°", 3)
verdicts.latest()

# %% [markdown]
# A worked number: the leaning at 0° is (−0.028 − 0.083 − 0.022 + 0.020) / 2 = −0.056, at 90° it is
# +0.016, and the difference is −0.072. So the weights of this network do answer to streaks, and to
# their angle. But the other way round than one would hope: on vertical streaks "down" counts
# *less*. Nothing in the training asks for the hope. A weight scales all 32 channels of a sweep,
# whatever they carry, and the layer behind may add or subtract.
#
# Three warnings. The six photos are six tests of *one* network; another training may come out
# otherwise. It never saw rain beyond 20° from the vertical. And this lesson judges seven such
# questions, without a correction for their number; the curve above, with its notch at 0°, is a
# single photo.
#
# Following is one thing, *helping* another. We hold the weights still: each direction keeps its
# mean over the picture, but it is the same at every pixel.
#
# **Predict:** how many points of AUC does the first map lose?

# %%
my_guess = None  # write a number

# %%
turned = paper.attend(rainy)
with views.levelled_directions(paper):
    still = paper.attend(rainy)
lost = torch.tensor(by_photo(turned[1][:, 0], mask)) - torch.tensor(by_photo(still[1][:, 0], mask))
compare_guess(my_guess, 100 * lost.mean().item(), "points of AUC", decimals=2)
verdicts.judge("turning weights help the map find rain", 100 * lost, "points of AUC", 3)
verdicts.judge("turning weights help the picture", scores_of(turned[0]) - scores_of(still[0]),
               decimals=3)
verdicts.latest()

# %% [markdown]
# Careful, once more: this asks whether *this* network, trained with turning weights, misses them.
# Whether a network that never had them would be worse off is section 7. First, a surprise about the
# network that was published.

# %% [markdown]
# ## 6 · Forensics
#
# A released checkpoint often holds more than weights: the optimizer and its records, to go on from.
# So it can tell how it was trained, whatever the paper, the README or the script say. You only have
# to read it.
#
# ### 6.1 Open it without running it
#
# A `.pth` file is a *pickle*: a small program that builds objects again by calling functions. Which
# functions, the author of the file decides. A harmless example:

# %%
class Trap:
    def __reduce__(self):  # what pickle shall call to build this object again
        return print, ("— this line was printed by the FILE —",)


with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "weights.pth"
    torch.save({"net": Trap()}, file)
    print("names in it, read without loading:", spanet_checkpoint.imports_of(file))
    torch.load(file, weights_only=False)  # never do this with a file from a stranger
    try:
        torch.load(file, weights_only=True)
        refused = False
    except pickle.UnpicklingError:
        refused = True
print("with weights_only=True:", "refused" if refused else "LOADED")
assert refused

# %% [markdown]
# `print` could have been anything. So: first look at the names, then load with `weights_only=True`,
# which allows little more than tensors. Now the authors' file. If it is in your cache
# (`derain-edu download official-weights`), it is opened now; if not, you see what we measured in it:
# one row per tensor, and no weights.

# %%
evidence = spanet_checkpoint.released_checkpoint()
print(f"spanet_spa.pth: {evidence.source}")
say(f"names in it: {', '.join(evidence.imports)}")
print("entries:", ", ".join(evidence.entries))
say(f"optimizer: {evidence.settings}")
total = sum(trace.number for trace in evidence.traces)
print(f"{total:,} parameters; Adam made {max(t.steps for t in evidence.traces):,} steps")
assert total == sum(p.numel() for p in model.parameters())

# %% [markdown]
# ### 6.2 Which tensors never got a gradient?
#
# Adam keeps two running means for each weight: of its gradients, and of their squares. A tensor
# whose means are exactly 0.0 after 40,001 steps never got a gradient that counts.
#
# **Predict:** for how many of the 283,716 parameters is that so?

# %%
my_guess = None  # write a number

# %%
idle = evidence.idle
untrained = sum(trace.number for trace in idle)
compare_guess(my_guess, untrained, "parameters", decimals=0)
print(f"{'tensor':36} {'shape':>10} {'largest':>8} {'at start ≤':>10} {'moments':>8}")
for t in idle:
    print(f"{t.name:36} {t.shape:>10} {t.largest:8.4f} {t.start:10.4f} {t.moment:4} {t.square}")
assert untrained == 7012 and len(idle) == 6
assert {t.name.rpartition(".conv")[0] for t in idle} == {"attention.directions"}

# %% [markdown]
# All six tensors of the branch that makes the direction weights, and nothing else. And they still
# look new: PyTorch draws new weights between −b and b with b = 1/√n, where n is how many numbers go
# into one output (32 channels × 3 × 3 = 288 in the first row, so b = 0.0589), and no weight exceeds
# it. How do all other tensors look?

# %%
figure, axes = plots.new_figure(width=8, height=3.8)
floor = 1e-6  # zero has no place on a logarithmic axis: drawn at the bottom
for label, some in (("trained", [t for t in evidence.traces if not t.idle]), ("idle", idle)):
    ratio = [t.largest / t.start for t in some]
    size = [max(t.square**0.5, floor) for t in some]
    axes[0, 0].plot(ratio, size, "o", label=f"{len(some)} tensors, {label}", alpha=0.7)
axes[0, 0].axvline(1, linestyle=":", color="grey")
axes[0, 0].set(xscale="log", yscale="log", xlabel="largest weight / bound at the start",
               ylabel="largest gradient (RMS)")
axes[0, 0].set_yticks([1e-6, 1e-4, 1e-2, 1], ["exactly 0", "1e-4", "1e-2", "1"])
axes[0, 0].legend(fontsize=9, frameon=False, loc="lower right")
plots.show(figure, "Each tensor as a point. The trained ones lie high and mostly right of the "
           "start bound; six lie at gradient zero, left of the bound.")
small = [t for t in evidence.traces if t.largest <= t.start and not t.idle]
print("trained, and still inside their bound:", ", ".join(t.name for t in small))
oldest = spanet_checkpoint.oldest_visible_gradient(40_001)
print(f"a first gradient of {oldest:.0e} would still be seen")
assert min(t.square**0.5 for t in evidence.traces if not t.idle) > 1e-5

# %% [markdown]
# RMS is the root of the mean square: the figure shows the largest one that Adam has on record for
# each tensor. Two trained tensors lie left of the line, too: the β of the two rounds (they shrank).
# So the range alone would prove nothing. The moments are the proof. The mean of the squares forgets
# slowly; even a tiny gradient in the very first step would still show after 40,001.

# %% [markdown]
# ### 6.3 Which story fits?
#
# Why is the branch idle? Three stories: (a) it was frozen on purpose; (b) its result is not used,
# so no gradient comes back; (c) not used, and *something fills in zeros*. They leave different
# traces. One parameter that is used, one that is not, three steps of Adam each. (`Copies` is an
# `autograd.Function`: an operation whose way forward and whose way back we write ourselves.)

# %%
class Copies(torch.autograd.Function):
    """Hand out copies, as for several GPUs. On the way back no gradient becomes zeros."""

    @staticmethod
    def forward(ctx, *tensors):
        return tuple(tensor.clone() for tensor in tensors)

    @staticmethod
    def backward(ctx, *gradients):
        return gradients


def record_of(story):
    used, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    other.requires_grad_(story != "frozen")
    adam = torch.optim.Adam([used, other])
    with torch.enable_grad():
        for _ in range(3):
            adam.zero_grad()
            a, b = Copies.apply(used, other) if "zeros" in story else (used, other)
            b.mul(2)  # computed, and dropped
            a.square().sum().backward()
            adam.step()
    return adam.state.get(other, {})

# %%
stories = ("frozen", "not used", "not used, zeros filled in")
for story in stories:
    kept = {name: value.tolist() for name, value in record_of(story).items()}
    say(f"{story:26} Adam's record: {kept or 'none'}")
steps_of_idle = {t.steps for t in idle}
print(f"{'the checkpoint':26} {steps_of_idle} steps, largest moment {max(t.moment for t in idle)}")
assert [bool(record_of(story)) for story in stories] == [False, False, True]
assert steps_of_idle == {40_001}

# %% [markdown]
# Only the third story fits: there *is* a record, and it is zero. So the branch was given to Adam,
# not frozen, and zeros arrived 40,001 times. The released script wraps its network in
# `DataParallel`, which lets several GPUs share a batch. It hands out copies of the weights; that
# would do it. The file can't tell us that it did.

# %% [markdown] tags=["exercise"]
# ### Exercise 09.5 · Find the idle tensors
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 10 minutes |
# | **Task** | write `idle_tensors(names, optimizer)`, the list of the names whose record says: trained, and never a gradient. `optimizer` is Adam's part of a checkpoint: `optimizer["state"]` is a dict from a tensor's place in `names` to its record, a dict with the means `"exp_avg"` and `"exp_avg_sq"`, tensors. Some tensors have no record |
#
# <details><summary>Hint</summary>
#
# Go through `optimizer["state"].items()`. A record counts as idle if both means are exactly 0 in all
# places: `.any()` asks whether a tensor holds anything but zeros.
#
# </details>

# %% tags=["exercise"]
def idle_tensors(names, optimizer):
    """Return the names of the tensors that Adam has a record of, and it is all zeros."""
    # BEGIN SOLUTION
    found = []
    for place, record in optimizer["state"].items():
        if not record["exp_avg"].any() and not record["exp_avg_sq"].any():
            found.append(names[place])
    return found
    # END SOLUTION


if exercises.check("09.5", idle_tensors):
    state = {place: record_of(story) for place, story in enumerate(stories)}
    state = {place: record for place, record in state.items() if record}
    print("of the three stories:", idle_tensors(stories, {"state": state}))

# %% [markdown] tags=["solution"]
# The mean of the squares alone would do, as squares can't cancel. The mean of the gradients alone
# would not: it can be 0 by chance. And no record at all is story (a) or (b), not (c).

# %% [markdown]
# ### 6.4 The line, and the test that would have caught it
#
# Story (b) and (c) ask for a line that computes a result and drops it. The released code has such
# lines: `x.mul(w)` *returns* the product, and leaves x as it is. In a minimal network of our own:

# %%
class Weighted(nn.Module):
    def __init__(self, repaired):
        super().__init__()
        self.main, self.branch = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)
        self.repaired = repaired

    def forward(self, x):
        w = torch.sigmoid(self.branch(x))
        y = self.main(x)
        if self.repaired:
            y = y.mul(w)
        else:
            y.mul(w)  # computed, and dropped
        return y


def idle_parameters(model, loss):
    """Return the parameters that want a gradient and get none, or zeros."""
    loss.backward()
    return [name for name, p in model.named_parameters()
            if p.requires_grad and (p.grad is None or not p.grad.any())]

# %% [markdown]
# Everything runs, the loss falls, no warning appears. `idle_parameters` is the test: one random
# input, one backward pass, and every parameter that wants a gradient must get one. (`None` or
# zeros: both count, see the stories. The gradients must be empty before, as in a new network: what
# an earlier backward left in `.grad` would hide an idle branch.)
#
# **Predict:** on the network with the dropped product, how many of its four parameters does it name?

# %%
my_guess = None  # write a number

# %%
torch.set_grad_enabled(True)
found = {}
for repaired in (False, True):
    network = Weighted(repaired)
    found[repaired] = idle_parameters(network, network(torch.rand(2, 1, 6, 6)).square().mean())
    print("repaired:" if repaired else "dropped: ", found[repaired] or "nothing is idle")
compare_guess(my_guess, len(found[False]), "parameters", decimals=0)
assert found[False] == ["branch.weight", "branch.bias"], "the test fails on the dropped product"
assert found[True] == [], "and passes on the repaired one"

# %% [markdown]
# Could a linter have found it, before anything runs? A linter reads the program as a tree.

# %%
for line in ("w", "y.mul(w)", "y.mul_(w)"):
    print(f"{line:10} on a line of its own is a {type(ast.parse(line).body[0].value).__name__}")
code = "y = self.main(x)\ny.mul(w)\ny.mul_(w)\nnames.add('rain')\n"
print("our search says:", idle_parts.dropped_results(code))
files = sorted(Path(de.__file__).parent.rglob("*.py"))
hits = [f"{file.name}, {hit}" for file in files
        for hit in idle_parts.dropped_results(file.read_text("utf-8"))]
print(f"and in the {len(files)} files of this package:", "" if hits else "nothing")
for hit in hits:
    say(f"    {hit}")

# %% [markdown]
# A bare `w` is useless for sure, and linters report it (ruff: rule B018). A *call* may do something,
# so they let it pass: in the tree `y.mul(w)` and the in-place `y.mul_(w)` are the same thing. (A
# test of this project runs ruff on both.)
#
# Our search knows the habit of PyTorch, an underscore for "in place", and finds the line. It also
# names lines that are right: a set that grows (`seen.add`), a drawing (`axis.scatter`), an entry in
# a file's description (`metadata_props.add`). Someone has to look at each hit. A search is a hint.
# **The test is the proof.** Now on the real network, in both modes, with the branch wanting
# gradients:

# %%
for acts in (False, True):
    network = de.create_model("spanet", direction_attention=acts).requires_grad_(True)
    picture, maps = network.attend(torch.rand(1, 3, 16, 16))
    loss = picture.square().mean() + maps[:, 0].mean()
    idle_now = idle_parts.idle_parameters(network, loss)
    count = sum(network.get_parameter(name).numel() for name in idle_now)
    print(f"{'as in the paper' if acts else 'as released':16}: {len(idle_now)} tensors with "
          f"{count:,} parameters are idle")
    assert (len(idle_now), count) == ((0, 0) if acts else (6, 7012))
    if not acts:
        assert set(idle_now) == {trace.name for trace in idle}

# %% [markdown]
# From the outside, by a checkpoint of 2019, and from the inside, by a test of five lines: the same
# six tensors. So does repairing the line repair the network? No: its branch was never trained.
#
# **Predict:** we take this course's network "as released" and let its untrained branch act. How many
# dB does it lose?

# %%
my_guess = None  # write a number

# %%
torch.set_grad_enabled(False)  # no more gradients in this lesson
switched = de.create_model("spanet", pretrained="open", direction_attention=True)
picture, maps = switched.attend(rainy)
drop = own - scores_of(picture)
compare_guess(my_guess, drop.mean().item(), "dB")
for when, found in {"before": attention[:, :1], "after": maps[:, :1]}.items():
    gap = 100 * calibration_gap(calibration(found, mask))
    print(f"map {when:6} the switch: AUC {auc(found, mask):.3f}, mean {found.mean():.3f}, "
          f"gap {gap:.1f} points")
weights = views.direction_weights(switched, rainy[k])
low, high = weights.min(), weights.max()
print(f"the untrained weights: {low:.2f} to {high:.2f}, mean {weights.mean():.2f}")
assert drop.mean() > 0

# %% [markdown]
# Untrained weights lie around .5 everywhere, so each round of sweeps now reaches the next layer at
# about half its size. The *order* of the pixels suffers little (AUC 0.937 → 0.928), the *level* of
# the map much (gap 3.1 → 16.7 points): what was nearly a probability no longer is one.
#
# A bug that has been trained over is part of the network. That is why this course has two modes,
# and two sets of weights.

# %% [markdown]
# ### 6.5 At which rate did it learn?
#
# The released script starts at a learning rate of 5e-3 and divides it by ten at step 30,000.
#
# **Predict:** which rate should a checkpoint of step 40,000 hold, if that script wrote it?

# %%
my_guess = None  # write a number, such as 1e-3

# %%
def rates_after_four(start):
    """Return the first and the last rate of four steps that stand for 10,000 each."""
    adam = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=start)
    schedule = torch.optim.lr_scheduler.MultiStepLR(adam, milestones=[3], gamma=0.1)
    for _ in range(4):
        adam.step()
        schedule.step()
    return [adam.param_groups[0][name] for name in ("initial_lr", "lr")]


in_file = [evidence.settings[name] for name in ("initial_lr", "lr")]
script, other = rates_after_four(5e-3), rates_after_four(5e-4)
compare_guess(my_guess, script[1], decimals=5)
for name, (first, last) in {"script": script, "file": in_file, "5e-4": other}.items():
    print(f"{name:7} first rate {first:.0e}, last rate {last:.0e}")
print(f"counter {evidence.counter:,}, Adam: {max(steps_of_idle):,} steps; counted from 0, they fit")
assert np.allclose(in_file, other) and not np.allclose(in_file, script)

# %% [markdown]
# The schedule fits (one division by ten), the start does not: this run began at 5e-4. Anyone who trains with
# the released script trains at ten times that rate. Whether that matters for the result, the file
# can't say; *that* the published weights are not what the published script makes, it can.

# %% [markdown]
# ### 6.6 What did its teacher call rain?
#
# The third finding needs no checkpoint, only arithmetic. The released code makes the mask from the
# two pictures as bytes: the sum over the channels of O − B, cut to 0 … 1. A byte has no minus: 3 − 5
# is 254. So "brighter" becomes "different". We take a pair in which we know the truth, add noise of
# at most one grey level, as any camera or file format would, and compare the package's two masks.
#
# **Predict:** how many percent of the pixels does the released mask call rain then?

# %%
my_guess = None  # write a number from 0 to 100

# %%
print("3 − 5 in bytes:", (np.array([3], np.uint8) - np.array([5], np.uint8))[0])
dry, wet = ((255 * p[k : k + 1]).round() / 255 for p in (clean, rainy))  # as a file holds them
noise = torch.randint(-1, 2, dry.shape) / 255  # −1, 0 or 1 grey level
bicubic = {"size": (160, 160), "mode": "bicubic", "antialias": True}
larger = [nn.functional.interpolate(picture, **bicubic).clamp(0, 1) for picture in (wet, dry)]
cases = {"exact pair": (wet, dry), "both enlarged a bit": larger, "noise of ±1": (wet + noise, dry)}
cases = {name: [p.clamp(0, 1) for p in pair] for name, pair in cases.items()}
masks = {name: [rain_mask(*pair, kind) for kind in ("paper", "released")]
         for name, pair in cases.items()}
compare_guess(my_guess, 100 * masks["noise of ±1"][1].mean().item(), "%", decimals=0)
print(f"true mask: {mask[k].float().mean():.0%}")
for name, (by_paper, by_code) in masks.items():
    print(f"{name:20} paper's idea {by_paper.mean():4.0%}, released code {by_code.mean():4.0%}")

# %%
panels = {"true mask": mask[k].float(), "paper's idea, with noise": masks["noise of ±1"][0][0],
          "released, exact pair": masks["exact pair"][1][0],
          "released, with noise": masks["noise of ±1"][1][0]}
figure, axes = plots.new_figure(1, 4, width=11, height=3.1)
for axis, (name, picture) in zip(axes.flat, panels.items(), strict=True):
    plots.draw_picture(axis, picture, name)
plots.show(figure, "Four masks: the truth; the paper's idea, nearly the same despite noise; the "
           "released mask of the exact pair; and with noise, nearly all white.")
assert masks["noise of ±1"][1].mean() > 0.9 > 0.5 > masks["noise of ±1"][0].mean()

# %% [markdown]
# Synthetic pairs are exact, and both masks agree roughly; enlarging (the released code resizes every
# training picture) makes the released one grow. With noise of one grey level it calls nearly everything
# rain. How noisy the authors' pairs are, we don't know: their data are not here. This shows what the
# mask *is*; what it did to their training, only a training could show.

# %% [markdown]
# ## 7 · Does it matter?
#
# The direction weights never acted in the published network, and it still worked. What would they
# have been worth? The recorded experiment trains both modes with the same budget, on the same
# samples in the same order, three seeds each.
#
# **Predict:** the PSNR with acting weights minus the PSNR without, in dB.

# %%
my_guess = None  # write a number; minus means worse

# %%
rows = load_results("direction_attention")
figure, axes = plots.new_figure(1, 2, width=9, height=3.4)
for axis, column, label in ((axes[0, 0], "psnr_validation", "PSNR, dB"),
                            (axes[0, 1], "auc_validation", "AUC of the map")):
    middles = summarize(rows, column)
    for j, variant in enumerate(middles):
        dots = [row[column] for row in rows if row["variant"] == variant]
        axis.plot([j] * len(dots), dots, "o", color=plots.COLOURS[j])
        axis.plot([j - 0.15, j + 0.15], [middles[variant][0]] * 2, color=plots.COLOURS[j])
    axis.set_xticks(range(len(middles)), middles)
    axis.set(ylabel=label, xlim=(-0.5, len(middles) - 0.5))
plots.show(figure, "PSNR and AUC of both modes: one dot per seed, a line at the mean.")
print(f"{rows[0]['steps']} steps each; input {rows[0]['psnr_input']:.2f} dB")

# %%
from derain_edu.experiments.statistics import differences  # of two variants, seed by seed

pair = ("as in the paper", "as released")
gain = differences(rows, *pair)
compare_guess(my_guess, float(np.mean(gain)), "dB", decimals=2)
print("by seed:", ", ".join(f"{value:+.2f} dB" for value in gain))
verdicts.judge("trained with them, the picture is better", gain)
area = differences(rows, *pair, "auc_validation")
verdicts.judge("trained with them, the map is better", [100 * v for v in area], "points of AUC")
verdicts.latest()

# %% [markdown]
# Three pairs decide little. How many would it take to see a difference of a tenth of a decibel, if
# the seeds scatter as they do here? With n pairs the interval is about ± 1.96 · scatter / √n. Set
# this to 0.1 dB and solve for n: n = (1.96 · scatter / 0.1)². The scatter itself comes from three
# pairs, so this is a rough guess.

# %%
scatter = float(np.std(gain, ddof=1))
needed = int(np.ceil((1.96 * scatter / 0.1) ** 2))
found = verdicts["trained with them, the picture is better"]
assert abs(found.middle) + found.half < 1, "an effect of more than a decibel is excluded"
print(f"the gain scatters by {scatter:.2f} dB from seed to seed:")
print(f"about {max(needed, 3)} pairs for an interval of ± 0.1 dB")

# %% [markdown]
# And seeds are not all. To be *sure*, one would also need the full training (40,000 steps, not
# 1,600), more than one set of photos, rain at all angles, and real rain. What we have is small, open
# and paired. It excludes an effect of more than a decibel, and can't tell a small one from none.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. The exact yes-or-no mask as map A made the picture worse than doing nothing. Why, if it knows
# exactly where the rain is?**
#
# <details><summary>Answer</summary>
#
# Because A says *how much*, too. At the faint ends of a streak the mask says 1, and the branch takes
# away light that never came: a dark streak stays. The share of light was the right map for this
# branch, more than 20 dB better than doing nothing (section 1).
#
# </details>
#
# **2. All values of a map lie between 0 and .1. Can its AUC be 1? Can you use it at the threshold .5?
# Is it a probability?**
#
# <details><summary>Answer</summary>
#
# The AUC can be 1: it asks for the order only, and any rising change of scale leaves it as it is. At
# the threshold .5 the map finds nothing. And it is not a probability: where it rains for sure it says at
# most .1, so the gap is large. Three questions, three answers.
#
# </details>
#
# **3. The map was near a probability in light rain. Why not in heavy rain?**
#
# <details><summary>Answer</summary>
#
# The square error made A the share of rainy pixels *among the pictures of its training*. In heavy
# rain that share is another one, and nothing told the map. It still finds streaks, but its level is
# wrong: section 3 prints a gap of 3.1 points in light rain and of 39.7 in heavy rain.
#
# </details>
#
# **4. A tensor still looks as new after 40,001 steps. What else do you need to say that it never got a
# gradient? And how do you know that it was not frozen?**
#
# <details><summary>Answer</summary>
#
# Its record in Adam: both means exactly 0. The size of the weights proves nothing; the β of the sweeps
# were trained, and lie inside their start bound, too. A frozen tensor has no record at all, so a record
# of zeros says: it was trained, and zeros arrived.
#
# </details>
#
# **5. A friend changes `y.mul(w)` to `y = y.mul(w)` in the released code and loads the published
# weights. A repair?**
#
# <details><summary>Answer</summary>
#
# Of the code, yes; of the network, no. The branch was never trained, so its weights are near .5
# everywhere, and each round of sweeps reaches the next layer at about half its size. Section 6.4
# switches it on in this course's network: the picture loses 0.3 dB, and the map is no longer near a
# probability. The repaired network has to be trained.
#
# </details>

# %% [markdown]
# ## You can now …
#
# Two claims, with what you measured. Claim 8, direction weights help the map follow streaks:

# %%
verdicts.table()

# %%
print("claim 9, the attention map is the probability that a pixel is rain:")
for rain, gap in gaps.items():
    print(f"  {rain:7} rain: gap {gap:4.1f} points, AUC {auc(*weather[rain]):.2f}")
print("  near it in the rain of its training, not in other rain;")
print("  finding rain (AUC) needs less")

# %% [markdown]
# - say what an attention map is: one number per pixel that scales a residual; and that "where" and
#   "how much" are two jobs;
# - build SPANet's module piece by piece, and let its direction weights act;
# - tell order (AUC), decision (precision, recall, IoU) and probability (calibration) apart;
# - ask what a part of a network knows, and what it is worth, by holding it still;
# - open a stranger's checkpoint safely, and read in it what was trained, and how;
# - write the five-line test that finds what does nothing. Put it into your own projects.
#
# **Next:** lesson 11 asks when it helps to learn the easy things first. In lesson 13 this module moves
# out: it is taken from SPANet and built into the networks of lessons 03 and 04, and we will see why a
# good module can lose points in another network.
