# %% [markdown]
# # 09 · Spatial attention
#
# **Can the network say where the rain is?**
#
# | | |
# |---|---|
# | **Goals** | say what a spatial attention map is and does; follow SPANet's module piece by piece; judge a map by a decision, by order and as a probability; tell what a part of a network knows from what it is worth |
# | **Before you start** | lesson 07 |
# | **Time** | 57 minutes, 25 of them for the exercises; the cells take 40 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Wang et al., CVPR 2019 (SPANet, arXiv 1904.01538); Guo et al., ICML 2017 (calibration, arXiv 1706.04599) |

# %% tags=["bootstrap"]
import derain_edu as de

# %%
print(f"derain_edu {de.__version__}")

import numpy as np
import torch

from derain_edu.course import exercises
from derain_edu.course.views import attention as views, diagrams, plots
from derain_edu.experiments.results import load_results
from derain_edu.experiments.statistics import differences, summarize
from derain_edu.experiments.verdicts import Verdicts
from derain_edu.map_scores import auc, calibration, calibration_gap
from derain_edu.models.spanet import SPANetConfig, SpatialAttention
from derain_edu.rain.streaks import Streaks, render_streaks
from derain_edu.text import compare_guess, table as text_table

de.choose_device("cpu", verbose=True)  # small pictures: a GPU would not be faster
torch.set_grad_enabled(False)  # nothing is trained here
de.set_seed(0)

# %% [markdown]
# ## 1 · One number per pixel
#
# Attention in SPANet is one number A per pixel, between 0 and 1. It scales what a residual block adds
# to its input x:
#
# $$\mathrm{out} = \mathrm{relu}(A \cdot \mathrm{branch}(x) + x)$$
#
# Where A = 0 the pixel passes as it is. Where A = 1 the block acts fully.

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
# PyTorch lines tensors up from their *last* axis, so the first axis of A would meet the channels.
# `A.unsqueeze(1)` is (B, 1, H, W): the 1 serves every channel.
#
# </details>

# %% tags=["exercise"]
def gated_block(x, branch, A):
    """Return relu(A · branch + x): (B, C, H, W), with a map A (B, H, W)."""
    # BEGIN SOLUTION
    return torch.relu(A.unsqueeze(1) * branch + x)
    # END SOLUTION


exercises.check("09.1", gated_block)

# %% [markdown]
# Now by hand: a photo, one streak R, and a branch that knows one thing only: "take away as much light
# as the brightest pixel of the streak has". The map decides where. Three maps: 0 everywhere, 1
# everywhere, and at each pixel the share of that light which fell there.

# %%
photo = de.load_photo("rocket", long_side=320)[:, 100:180, 200:280]  # (3, 80, 80)
# one streak: x, y, length, width, angle, brightness, layer
numbers = (40.0, 40.0, 40.0, 3.0, 15.0, 0.3, 0)
streak = Streaks(*(np.array([value]) for value in numbers))
R = render_streaks(streak, 80, 80)  # (1, 80, 80)
x, branch = photo + R, -R.max()


def gated(A):
    """Return relu(A · branch + x) for a map A (1, 80, 80)."""
    return torch.relu(A * branch + x)


share = R / R.max()  # how much of the streak's full light each pixel got
zero, one = torch.zeros_like(R), torch.ones_like(R)
maps = {"A = 0": zero, "A = 1": one, "A = share": share}
for name, A in maps.items():
    print(f"{name:10} {de.psnr(gated(A), photo):5.1f} dB")
assert torch.equal(gated(zero), x), "A = 0 lets everything pass, to the last bit"

# %% [markdown]
# With the right map even this simple branch is nearly perfect. Another map seems right, too, the
# **mask**: 1 where the streak is visible (more than 4 grey levels of 255), 0 elsewhere.
#
# **Predict:** A = the mask. How many dB do we gain over doing nothing?

# %%
my_guess = None  # write a number; minus means worse

# %%
maps["A = mask"] = (R > 4 / 255).float()
scores = {name: de.psnr(gated(A), photo) for name, A in maps.items()}
compare_guess(my_guess, scores["A = mask"] - scores["A = 0"], "dB")
shown = {f"{name}, {scores[name]:.1f} dB": gated(A) for name, A in maps.items()}
plots.show(
    plots.picture_row(shown, width=11),
    "One streak before a tower, and what is left with four maps: the streak "
    "untouched; all dark; clean; the bright streak turned into a dark one.",
)
assert scores["A = share"] > scores["A = 0"] + 20 > scores["A = 1"]
assert scores["A = mask"] < scores["A = 0"]

# %% [markdown]
# The exact mask is *worse than doing nothing*. At the faint ends of the streak it takes away light
# that never came. Keep this in mind: in SPANet the map has two jobs. In training it is compared with
# a mask (*where?*), and in each block it is a factor (*how much?*).
#
# ## 2 · The module, piece by piece
#
# Where does the map come from? From the module that lesson 07 prepared: two rounds of four sweeps,
# so every pixel can see the whole picture.

# %%
diagrams.attention_module()

# %% [markdown]
# We run the pieces on a tiny input, four channels of 6 × 5 pixels, and look at the shapes.
# `alpha_init=1` starts the sweeps at the identity of lesson 07. `.flatten(1, 2)` makes one axis out of
# axes 1 and 2, here direction and channel.

# %%
C = 4
tiny = SpatialAttention(SPANetConfig(channels=C, alpha_init=1))
p = {"features": torch.rand(1, C, 6, 5)}
p["conv 3×3"] = tiny.conv1(p["features"])  # (1, C, 6, 5)
p["round 1: four sweeps"] = tiny.irnn1(p["conv 3×3"])  # (1, 4, C, 6, 5)
p["side by side"] = p["round 1: four sweeps"].flatten(1, 2)  # (1, 4C, 6, 5)
p["conv 3×3, mixes"] = tiny.conv2(p["side by side"])  # (1, C, 6, 5)
p["round 2, side by side"] = tiny.irnn2(p["conv 3×3, mixes"]).flatten(1, 2)
p["conv 3×3, ReLU"] = torch.relu(tiny.conv3(p["round 2, side by side"]))
p["conv 1×1"] = tiny.conv4(p["conv 3×3, ReLU"])  # (1, 1, 6, 5)
p["sigmoid: the map"] = torch.sigmoid(p["conv 1×1"])
for name, value in p.items():
    print(f"{name:22} {tuple(value.shape)}")
assert torch.equal(p["sigmoid: the map"], tiny(p["features"])), "the module itself"

# %% [markdown]
# (The real network has 32 channels.) The sigmoid squeezes any number into (0, 1). That makes the map
# *look* like a probability. Section 5 measures whether it is one.
#
# Now this course's network. It was trained on light rain, on two losses: one compares the pictures, the
# other is the square error between its map and the true mask. We take the six test photos, which no
# training saw, and put fresh rain on each.

# %%
model = de.create_model("spanet", pretrained="open")
SIDE = 128


def test_pairs(rain="light", first_seed=0):
    """Return names, rainy and clean pictures and masks of the six test photos."""
    names, rainy, clean, mask = de.photo_names("test"), [], [], []
    for seed, name in enumerate(names, first_seed):
        picture = de.load_photo(name, long_side=480)
        top, left = ((size - SIDE) // 2 for size in picture.shape[-2:])
        middle = picture[:, top : top + SIDE, left : left + SIDE]  # (3, SIDE, SIDE)
        pair = de.add_rain(middle, rain, seed=seed)
        clean.append(middle)
        rainy.append(pair.rainy)
        mask.append(pair.mask)  # (1, SIDE, SIDE) bool
    return names, torch.stack(rainy), torch.stack(clean), torch.stack(mask)


names, rainy, clean, mask = test_pairs()
derained, attention = model.attend(rainy)  # (6, 3, SIDE, SIDE), (6, 4, SIDE, SIDE)
A = attention[:, 0]  # (6, SIDE, SIDE): the first of four, the one with a teacher
before, after = de.psnr(rainy, clean), de.psnr(derained, clean)
print(f"rainy {before:.1f} dB, derained {after:.1f} dB; "
      f"rain covers {mask.float().mean():.0%}")

# %%
k = names.index("picosdeeuropa")
figure = views.map_figure(rainy[k], derained[k], mask[k], A[k])
plots.show(figure, "A mountain in light rain, derained, the true mask, and the "
           "attention map, in which the streaks shine.")

# %% [markdown]
# ## 3 · A decision
#
# The map looks good. Looking is not measuring. To compare it with the mask we choose a threshold: *from
# this value on I call it rain*. Then each pixel is one of four kinds. We count them on "flower".

# %%
f = names.index("flower")
wet, called = mask[f, 0], A[f] >= 0.5  # (SIDE, SIDE) bool, both
found, missed = int((called & wet).sum()), int((~called & wet).sum())
false, left_alone = int((called & ~wet).sum()), int((~called & ~wet).sum())
print(text_table(["", "called rain", "not called rain"],
                 [["rainy", f"found {found:,}", f"missed {missed:,}"],
                  ["dry", f"false {false:,}", f"left alone {left_alone:,}"]]))
print(f"\nrecall = found / rainy pixels        = {found / (found + missed):.2f}")
print(f"false alarms = false / dry pixels    = {false / (false + left_alone):.2f}")

# %% [markdown]
# *Recall*: how much of the rain is found? *False alarms*: how much of the dry area is called rain?
# Move the threshold. Green: found, yellow: missed, pink: called rain by mistake.

# %%
views.threshold_slider(rainy[f], A[f], mask[f, 0])

# %%
png = views.draw_threshold(rainy[f], A[f], mask[f, 0], 0.1)  # a stop of the slider
plots.show_png(png, "The flower in rain, its true mask and its map; below, what is "
               "found and missed at 0.1, and the ROC curve.")

# %% [markdown]
# ## 4 · An order
#
# Each threshold gives one point: false alarms across, recall up. All points together are the **ROC
# curve**, along which the slider runs. A map that knows nothing finds as large a share of the
# rainy pixels as of the dry ones: the dotted diagonal. The area under the curve, the **AUC**, is 1 for
# a perfect map and ½ for the diagonal.
#
# The same number has a second meaning. Draw one rainy and one dry pixel blindly: the AUC is the chance
# that A is larger at the rainy one. So the AUC needs no threshold. It asks only for the *order* of the
# pixels.

# %% [markdown] tags=["exercise"]
# ### Exercise 09.2 · Count the pairs
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 10 minutes |
# | **Task** | write `in_order(values, mask)`: of all pairs of one rainy and one dry pixel, the share in which the value is larger at the rainy one. A tie counts a half. Both tensors have one shape, any; mask is bool, and both kinds occur |
#
# <details><summary>Hint</summary>
#
# `values[mask]` are the values of the rainy pixels, in one row. `wet[:, None] > dry` compares each of
# them with each dry one; two loops would do it, too.
#
# </details>

# %% tags=["exercise"]
def in_order(values, mask):
    """Return the share of pairs with the larger value at the rainy pixel."""
    # BEGIN SOLUTION
    wet, dry = values[mask][:, None], values[~mask]  # (rainy, 1), (dry,)
    return ((wet > dry).float() + 0.5 * (wet == dry).float()).mean().item()
    # END SOLUTION


if exercises.check("09.2", in_order):
    few, true = A[f, ::4, ::4], mask[f, 0, ::4, ::4]  # every fourth pixel: (32, 32)
    count = int(true.sum()) * int((~true).sum())
    print(f"flower, {count:,} pairs: yours {in_order(few, true):.4f}, "
          f"the package's {auc(few, true):.4f}")

# %%
each = [auc(*pair) for pair in zip(A, mask, strict=True)]  # one number per photo
row = ["AUC", *(f"{value:.2f}" for value in each), f"{np.mean(each):.3f}"]
print(text_table(["photo", *names, "mean"], [row]))
assert np.mean(each) >= 0.9, "the supervised map finds light rain"

# %% [markdown]
# So the map can say where the rain is. On "flower" and "friends" it is right in 91 of 100 pairs, on
# "rocket" in 96.

# %% [markdown]
# ## 5 · A probability?
#
# It is tempting to read A as "the probability that this pixel is rain". That asks for more than the
# right order. Of all pixels with A = .7, seven in ten would have to be rainy. This is called
# **calibration**, and it can be checked by counting.
#
# We add two kinds of rain that the network never saw in training: drizzle and heavy rain.
#
# **Predict:** among the pixels with A between .6 and .7 in *heavy* rain, how many percent are rainy?

# %%
my_guess = None  # write a number from 0 to 100

# %%
weather = {"light": (A[:, None], mask)}  # what it was trained on
for rain in ("drizzle", "heavy"):
    _, outside, _, true = test_pairs(rain, first_seed=20)
    weather[rain] = (model.attend(outside)[1][:, :1], true)
bins = {rain: calibration(*seen, bins=10) for rain, seen in weather.items()}
# bin 6 holds A from .6 to .7
seventh = {rain: 100 * found[6].share for rain, found in bins.items()}
compare_guess(my_guess, seventh["heavy"], "% are rainy", decimals=0)
print(f"light rain {seventh['light']:.0f} %, drizzle {seventh['drizzle']:.0f} %")
gaps = {rain: 100 * calibration_gap(found) for rain, found in bins.items()}
for rain, (values, true) in weather.items():
    print(f"{rain:7}: A says {values.mean():.0%}, rainy {true.float().mean():.0%}; "
          f"gap {gaps[rain]:.1f} points; AUC {auc(values, true):.2f}")
figure = views.calibration_figure(bins)
plots.show(figure, "Calibration curves in three kinds of rain, beside the diagonal "
           "on which a probability would lie.")
assert gaps["light"] < 5 < gaps["drizzle"] < gaps["heavy"]

# %% [markdown]
# A point above the line: there is more rain than the map says; below: less. The **gap** is the distance
# to the line, averaged over all pixels. In the rain of its training the map says a little too much. In
# drizzle it promises more than twice the rain that falls, in heavy rain far too little.
#
# Why is it near the line at all? The square error is smallest when A *is* the share of rainy pixels
# among all pixels that look alike to the network. (If half of them are 1 and half are 0, the best single
# guess is ½.) In other weather that share is another one, and nothing tells the map.

# %% [markdown] tags=["exercise"]
# ### Exercise 09.3 · The gap
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 10 minutes |
# | **Task** | write `mean_gap(values, mask, bins)` without `calibration`. The first line is there: it cuts the range from 0 to 1 into `bins` bins of equal width, and gives the number of each pixel's bin. In each bin take the distance between the mean value and the share of rainy pixels; return its mean over all *pixels* |
#
# <details><summary>Hint</summary>
#
# `inside = place == k` are the pixels of bin k. Leave out an empty bin: it has no mean. A bin counts as
# often as it has pixels.
#
# </details>

# %% tags=["exercise"]
def mean_gap(values, mask, bins):
    """Return how far map and truth lie apart, averaged over the pixels."""
    place = (values * bins).long().clamp(max=bins - 1)  # 0 to bins - 1
    # BEGIN SOLUTION
    total = 0.0
    for k in range(bins):
        inside = place == k
        if inside.any():
            said, true = values[inside].mean(), mask[inside].float().mean()
            total += (said - true).abs().item() * inside.sum().item()
    return total / values.numel()
    # END SOLUTION


if exercises.check("09.3", mean_gap):
    for rain, seen in weather.items():
        print(f"{rain:7}: gap {100 * mean_gap(*seen, 10):.1f} points")

# %% [markdown]
# One run of rain proves little. Recorded: the same network, twenty draws of twelve patches of the
# test photos for each rain.

# %%
recorded = load_results("attention_probability")
gap, area = summarize(recorded, "gap"), summarize(recorded, "auc")
rainy_share, said = summarize(recorded, "rainy"), summarize(recorded, "said")
told = summarize(recorded, "gap_told")
rows = []
for rain in gap:
    rows.append([rain, f"{gap[rain][0]:.1f} ± {gap[rain][1]:.1f}",
                 f"{area[rain][0]:.2f}", f"{rainy_share[rain][0]:.0f} %",
                 f"{said[rain][0]:.0f} %",
                 f"{told[rain][0]:.1f} ± {told[rain][1]:.1f}"])
print(text_table(["rain", "gap, points", "AUC", "rainy", "mean A", "gap once told"],
                 rows))
assert gap["heavy"][0] > 30
assert all(middle + half < 5 for middle, half in told.values())

# %% [markdown]
# We call a gap below 5 points "near a probability" (± is the 95 % interval). In light rain the map is
# near one; in drizzle and in heavy rain it is not. In heavy rain it still *orders* the pixels, with an
# AUC of .86. **Order, decision and probability are three questions.** A map can be good at one and bad
# at another.
#
# Why is heavy rain so wrong? A probability depends on how common a thing is. In the light rain of its
# training one pixel in five is rainy; in heavy rain 95 of 100 are. By Bayes' rule, another share adds one
# constant to each $\log(A / (1 - A))$. The last column is the gap once the map is *told* the share, and
# nothing else: 2.4 points. It knew what rain looks like, but not the weather.
#
# ## 6 · One teacher, four maps
#
# The module runs four times, before each of four groups of blocks ("stages"). Only the **first** map is
# compared with the mask; nobody tells the other three what to be. What do they *know* about rain? That
# is their AUC. And what are they *worth* to the picture?
#
# To measure the worth, we hold a map still: at each pixel we put its own mean. The blocks behind it
# work as much as before, but everywhere the same. A *forward hook* does it: a function that is called
# after a module, and whose result replaces the module's.
#
# **Predict:** the first map held still. How many dB does the picture lose?

# %%
my_guess = None  # write a number

# %%
def scores_of(pictures):
    """Return the PSNR of each photo, (6, 3, SIDE, SIDE) -> (6,)."""
    each = [de.psnr(*pair) for pair in zip(pictures, clean, strict=True)]
    return torch.tensor(each)


def score_with(change, stage):
    """Return the PSNR (6,) when the map of one stage goes through `change`."""
    runs = []  # the module runs four times per picture: count

    def after_the_module(module, inputs, A):
        runs.append(A)
        return change(A) if len(runs) == stage else A

    hook = model.attention.register_forward_hook(after_the_module)
    pictures = model(rainy)
    hook.remove()
    return scores_of(pictures)


def hold_still(A):
    return A.mean(dim=(2, 3), keepdim=True).expand_as(A)  # one value per photo


own = scores_of(derained)  # nothing is changed
lost = [(own - score_with(hold_still, s)).mean().item() for s in (1, 2, 3, 4)]
with_truth = (score_with(lambda A: mask.float(), stage=1) - own).mean()
compare_guess(my_guess, lost[0], "dB")
print("lost by stage:", ", ".join(f"{value:.2f} dB" for value in lost))
print(f"stage 1 gets the true mask instead: {with_truth:+.2f} dB")

# %%
by_stage = [auc(attention[:, s : s + 1], mask) for s in range(4)]
figure = views.stages_figure(attention[k], by_stage, lost)
plots.show(figure, "Above, four maps of one photo, each with its own colour scale; "
           "below, by stage, the AUC and the dB lost when the map is held still.")
assert by_stage[0] == max(by_stage) and lost[0] > sum(lost[1:]) and with_truth > 0

# %% [markdown]
# The map that had a teacher knows most, and nearly all of the worth is its own. The other three know
# something (their AUC is above ½), but the picture hardly misses it: *knowing* and *being worth* are
# two questions. (This is one network; a longer training may use the other maps.)
#
# The true mask in place of the first map makes the picture *better*, although in section 1 it was worse
# than nothing. A trained branch can say itself how much to take away; ours could not.
#
# ## 7 · Four direction weights
#
# The paper has one more idea for the module. A streak has a direction, so the four sweeps should not
# count the same at every pixel. A small branch makes four more maps with values between 0 and 1, the
# **direction weights**; each multiplies one sweep. The hope: on a vertical streak "up" and "down" count
# more. But nothing in the training asks for that.
#
# Do the weights help? Recorded: three pairs of small trainings (1,600 steps), with and without direction
# weights, each pair with the same samples in the same order.
#
# **Predict:** how many points (hundredths) of AUC do the weights add to the first map?

# %%
my_guess = None  # write a number of points; minus means worse

# %%
verdicts = Verdicts()
results = load_results("direction_attention")
modes = ("without", "as released"), ("with weights", "as in the paper")
rows = []
for name, variant in modes:
    each = [row["auc_validation"] for row in results if row["variant"] == variant]
    rows.append([name, *(f"{value:.3f}" for value in each), f"{np.mean(each):.3f}"])
gain = differences(results, "as in the paper", "as released", "auc_validation")
rows.append(["gain", *(f"{value:+.3f}" for value in gain), f"{np.mean(gain):+.3f}"])
print(text_table(["AUC", "seed 0", "seed 1", "seed 2", "mean"], rows))
points = [100 * value for value in gain]
compare_guess(my_guess, float(np.mean(points)), "points")
claim = "direction weights help the map find the rain"
assert verdicts.judge(claim, points, "points of AUC").holds is None
verdicts.latest()

# %% [markdown]
# All three gains are positive, but they differ so much (from 0.2 to 2.8 points) that three pairs don't
# decide: a loss of 2 points would fit as well as a gain of 4. *Can't tell* is a result. It says what
# more is needed: more seeds, longer training, rain at all angles.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. The exact mask as map A made the picture worse than doing nothing. Why, if it knows exactly where
# the rain is?**
#
# <details><summary>Answer</summary>
#
# Because A says *how much*, too. At the faint ends of a streak the mask says 1, and the branch takes
# away light that never came. With the share of light the same branch was more than 20 dB better than
# doing nothing (section 1).
#
# </details>
#
# **2. All values of a map lie between 0 and .1. Can its AUC be 1? Can you use it at the threshold .5?
# Can it be a probability?**
#
# <details><summary>Answer</summary>
#
# The AUC can be 1: it asks for the order only. At the threshold .5 the map finds nothing. As a
# probability it could be right only if no group of pixels that look alike were rainy in more than one
# case of ten; with an AUC of 1 it is not, as its rainy pixels are rainy for sure.
#
# </details>
#
# **3. The map is near a probability in light rain. Why not in heavy rain?**
#
# <details><summary>Answer</summary>
#
# The square error made A the share of rainy pixels *among the pictures of its training*. In heavy rain
# that share is higher, and nothing tells the map. Section 5 prints, for the course's weights, a gap of
# 3.1 points in light rain and of 39.7 in heavy rain.
#
# </details>
#
# **4. A map has an AUC of .68, and held still it costs the picture .02 dB. Is that a contradiction?**
#
# <details><summary>Answer</summary>
#
# No. The AUC says what the map *knows* about rain. The loss in dB says what the blocks behind it do
# with that knowledge. The second map of this course's network is such a case (section 6).
#
# </details>

# %% [markdown]
# ## You can now …
#
# - say what an attention map is: one number per pixel that scales a residual; and that "where" and
#   "how much" are two jobs;
# - follow SPANet's module from features to map;
# - read recall and false alarms from one table of counts, and the AUC as the share of pairs in order;
# - tell order, decision and probability apart, and measure all three;
# - ask what a part of a network knows, and what it is worth, by holding it still.
#
# What we found: the first map of this course's network finds light rain (AUC .94). It is near a
# probability in the rain of its training, and not in heavy rain. Whether direction weights help, three
# pairs of trainings can't tell.
#
# On the page [Try it](https://github.com/derain-edu/derain-edu/blob/main/book/demo/page.md) you see all
# four maps on a photo of your own, in the browser.
#
# **Next: 10 · Forensics**. The network that the authors published has a branch for direction weights,
# too. Does it do anything?
