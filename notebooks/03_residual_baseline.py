# %% [markdown]
# # 03 · The residual baseline
#
# **Why residual blocks, and why predict the rain instead of the picture?**
#
# | | |
# |---|---|
# | **Goals** | measure what a stack of convolutions can see; explain why a gradient survives many residual blocks; train a network and read its curve; judge a comparison by pairs of the same seed |
# | **Before you start** | lesson 01 (pairs, PSNR); what a convolution and a gradient are |
# | **Time** | 60 minutes, 30 of them for the exercises; the cells take 75 s on a CPU with two cores, 15 s on a GPU |
# | **Papers** | Ren et al., *Progressive Image Deraining Networks: A Better and Simpler Baseline*, CVPR 2019 (arXiv 1901.09221) |

# %% tags=["bootstrap"]
import derain_edu as de

# %%
import math
import statistics
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from derain_edu.course import exercises
from derain_edu.course.views import diagrams, plots, residual as views
from derain_edu.experiments.claims import CLAIMS
from derain_edu.experiments.results import load_results
from derain_edu.models.blocks import ResidualBlock, conv3x3
from derain_edu.rain.presets import PRESETS
from derain_edu.text import compare_guess, say

device = de.choose_device(verbose=True)
de.set_seed(0)

# %% [markdown]
# Lesson 01 gave us pairs. Now we need a function that turns the rainy picture into the clean one.
# This is the network that we build and train:

# %%
diagrams.residual_network()

# %% [markdown]
# A **head** turns 3 colours into 16 channels, five **blocks** work on them, a **tail** turns them
# back into 3 colours. Three questions: why so many layers (section 1)? Why a short skip around
# each block (2)? Why a long one around everything (3 to 5)?
#
# ## 1 · What can three layers see?
#
# The smallest part is a 3×3 convolution. We give one of them the simplest task: say where a thin
# bright line stands on a dark ground. Beside it stands a lamp post: the same, only longer.

# %%
streak, post = torch.zeros(2, 1, 1, 33, 33)  # two pictures (1, 1, 33, 33)
streak[..., 9:24, 16] = 1  # a streak, 15 px long
post[..., 1:-1, 16] = 1  # a lamp post, 31 px
kernel = torch.tensor([[-1.0, 2, -1]] * 3)[None, None] / 6  # "brighter than beside"
answers = [F.conv2d(picture, kernel, padding=1) for picture in (streak, post)]

shown = {"a streak": streak, "its answer": answers[0],
         "a lamp post": post, "its answer ": answers[1]}
shown = {name: picture[0].expand(3, -1, -1) for name, picture in shown.items()}
plots.show(plots.picture_row(shown, width=9),
           "A short and a long bright line, and the same bright answer to both.")
assert answers[0][0, 0, 16, 16] == answers[1][0, 0, 16, 16] == 1

# %% [markdown]
# The filter finds both lines, and in the middle both answers are exactly 1. It can't tell them
# apart: the only difference is where the line *ends*, and that is farther away than it looks. A
# network that should remove rain and keep lamp posts has to look farther.
#
# **Predict:** we put one 3×3 convolution behind another, three in all. How many pixels wide is the
# window that can change one output pixel?

# %%
my_guess = None  # write a number of pixels

# %% [markdown]
# The gradient knows: an input pixel that can't change an output pixel has a gradient of exactly
# zero.


# %%
def window(network, size=41):
    """Return how strongly each input pixel can change the middle output pixel."""
    x = torch.rand(4, 3, size, size, requires_grad=True)
    y = network(x)  # (4, 3, size, size) -> (4, C, size, size)
    y[:, :, size // 2, size // 2].sum().backward()
    return x.grad.abs().sum(dim=(0, 1))  # (4, 3, size, size) -> (size, size)


def width_of(gradients):
    """Return how many columns have a gradient that is not zero."""
    return int((gradients.sum(dim=0) > 0).sum())


one = conv3x3(3, 16)
three = nn.Sequential(
    conv3x3(3, 16), nn.ReLU(), conv3x3(16, 16), nn.ReLU(), conv3x3(16, 16)
)
baseline = de.create_model("residual", channels=16, blocks=5)  # 1 + 5·2 + 1 layers
windows = {"one layer": window(one), "three layers": window(three),
           "our twelve": window(baseline)}
compare_guess(my_guess, width_of(windows["three layers"]), "px", decimals=0)

# %%
titles = {f"{name}: {width_of(w)} px wide": w for name, w in windows.items()}
plots.show(views.draw_windows(titles),
           "Squares of 3, 7 and 25 pixels; the largest is strong in its middle and "
           "fades outwards.")
twelve = windows["our twelve"]
middle = twelve[17:24, 17:24].sum() / twelve.sum()  # 7 × 7 of 41 × 41
print(f"twelve layers: {middle:.0%} of the gradient is in the middle 7 × 7 px")
low, high = PRESETS["light"].length
print(f"a streak of light rain is {low:.0f} to {high:.0f} px long")
assert [width_of(w) for w in windows.values()] == [3, 7, 25] and middle > 0.5

# %% [markdown]
# Each 3×3 layer adds one pixel on every side. (The colours are powers of ten: −3 means a
# thousandth of the strongest.) Twelve layers see 25 × 25 pixels, and with fresh weights they look
# mostly at the middle. A long streak does not fit.
#
# Other ways to see farther are wider kernels and **dilation**: a 3×3 kernel with dilation d looks
# at pixels that are d apart.

# %% [markdown] tags=["exercise"]
# ### Exercise 03.1 · How wide is the window?
#
# | | |
# |---|---|
# | **Difficulty** | ●○○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 5 minutes |
# | **Task** | write `receptive_field(layers)`: the width of the window of a stack of convolutions, from its first to its last pixel. `layers` is a list of (kernel, dilation), such as `[(3, 1), (3, 1), (3, 1)]`, whose answer is 7. All kernels are odd |
#
# <details><summary>Hint</summary>
#
# No layer: one pixel sees itself. A kernel of k has k − 1 steps between its pixels, and each step
# is as long as the dilation. So how many pixels does one layer add to the width?
#
# </details>

# %% tags=["exercise"]
def receptive_field(layers):
    """Return from how many columns one output pixel may take something."""
    # BEGIN SOLUTION
    return 1 + sum((kernel - 1) * dilation for kernel, dilation in layers)
    # END SOLUTION


if exercises.check("03.1", receptive_field):
    print("12 layers 3×3:", receptive_field([(3, 1)] * 12), "px")
    print("12 layers 5×5:", receptive_field([(5, 1)] * 12), "px")
    doubled = [(3, 1), (3, 2), (3, 4), (3, 8), (3, 16)]
    print("5 layers 3×3, dilation 1, 2, 4, 8, 16:", receptive_field(doubled), "px")

# %% [markdown] tags=["solution"]
# The widths *add up*. The count says how far a layer may look, not how well: a single dilated
# kernel leaves pixels out, and the gradients above fade outwards.

# %% [markdown]
# The networks of this course take the simplest way: *many* layers. Can many layers be trained?
#
# ## 2 · A block that starts by doing almost nothing
#
# A residual block adds its input to what its two layers made of it:
# $y = \mathrm{relu}(x + f(x))$. We look at a fresh block, with random weights.

# %%
de.set_seed(0)
block, x = ResidualBlock(16), torch.rand(1, 16, 32, 32)
with torch.no_grad():
    inside = F.relu(block.conv1(x))  # (1, 16, 32, 32): padding 1 keeps the size
    branch = F.relu(block.conv2(inside))  # f(x), (1, 16, 32, 32)
    y = F.relu(x + branch)  # the sum needs equal shapes
for name, tensor in {"x": x, "inside": inside, "branch": branch, "y": y}.items():
    print(f"{name:<7} {tuple(tensor.shape)}  mean {tensor.mean():.3f}")
change = (y - x).norm() / x.norm()
print(f"the block changes its input by {change:.0%}")
assert torch.equal(y, block(x)) and 0 < change < 0.3

# %% [markdown]
# At the start the block is nearly the **identity**: it passes on what it got, with a small random
# change. So a network of such blocks starts almost as a network without blocks, and each block has
# to learn what it does to its input.
#
# Now the way back. In training, the gradient travels from the loss to the first layer through all
# blocks.
#
# **Predict:** we send a gradient backward through 16 blocks *without* the skip. It arrives
# smaller. Ten times (write −1), a thousand times (−3), a million times (−6)?

# %%
my_guess = None  # write a power of ten, such as -1


# %%
class NoSkip(ResidualBlock):
    """The same two layers without the addition."""

    def forward(self, x):
        return F.relu(self.conv2(F.relu(self.conv1(x))))


def gradient_through(kind, depth, larger_start=False):
    """Return the size of a gradient after fresh blocks, divided by that before."""
    de.set_seed(0)
    chain = nn.Sequential(*(kind(16) for _ in range(depth)))
    for layer in chain.modules():
        if larger_start and isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    x = torch.rand(2, 16, 24, 24, requires_grad=True)
    y = chain(x)
    sent = torch.randn_like(y)
    y.backward(sent)
    return (x.grad.norm() / sent.norm()).item()


# %%
depths = (1, 2, 4, 8, 16)
sizes = {}
for name, kind in {"with skips": ResidualBlock, "without skips": NoSkip}.items():
    sizes[name] = [gradient_through(kind, n) for n in depths]
    larger = [gradient_through(kind, n, larger_start=True) for n in depths]
    sizes[f"{name}, larger start"] = larger
compare_guess(my_guess, math.log10(sizes["without skips"][-1]), "(power of ten)")
plots.show(views.draw_gradients(sizes, depths),
           "With skips the gradient keeps its size, and without them it vanishes "
           "with depth. After a larger start it grows with skips, and shrinks a "
           "little without them.")
for name, values in sizes.items():
    print(f"{name:27} after 16 blocks: {values[-1]:.1e}")
assert 0.3 < sizes["with skips"][-1] < 3 and sizes["without skips"][-1] < 1e-6
assert sizes["with skips, larger start"][-1] > 100

# %% [markdown]
# <details><summary>Background: logarithmic axes, and numbers like 1.0e-09</summary>
#
# On a logarithmic axis every step of the same length *multiplies* by the same number: from 1 down
# to 0.1 is as far as from 0.1 to 0.01. A straight line that falls means "so many times smaller with
# every block". 2.5e-03 is $2.5 \cdot 10^{-3} = 0.0025$.
#
# </details>
#
# With skips the gradient arrives almost as it was sent: the sum has a path on which nothing is
# multiplied. Without them each block makes it smaller, and next to nothing reaches the first layer.
#
# Now the two other curves. They start with larger weights, drawn so that chains *without* skips
# work (He et al., 2015): those now keep about a third of their gradient through 16 blocks. But the
# blocks *with* skips let it grow two hundred times. So a skip alone is not enough. What works is
# **an identity plus something small**: the sum keeps the path open, and the small start of the
# branch keeps the gradient in size.
#
# Autograd went the way back for us. By hand it takes a few lines, and one of them shows the
# identity.

# %% [markdown] tags=["exercise"]
# ### Exercise 03.2 · The way back through one block
#
# | | |
# |---|---|
# | **Difficulty** | ●●●●○ |
# | **Importance** | ●●●●● |
# | **Spend** | 15 minutes |
# | **Task** | a block of one pixel: y = relu(x + relu(w2 · relu(w1 · x))), where w1 and w2 are matrices (1×1 convolutions without bias). Write `send_back(sent, x, w1, w2)`: `sent` is the gradient of a loss at y; return its gradient at x. Do it by hand, without `backward` |
#
# x, y and `sent` are of shape (C,), w1 is (K, C) and w2 is (C, K).
#
# <details><summary>Hint</summary>
#
# First go forward and keep what goes *into* each of the three ReLUs. Then go back, from the end:
#
# - relu(v) sends back `(v > 0) * gradient`;
# - v = w @ u sends back `w.T @ gradient`;
# - a sum sends the same gradient to both of its parts. And x was used twice: what comes back from
#   its two uses adds up.
#
# </details>

# %% tags=["exercise"]
def send_back(sent, x, w1, w2):
    """Return the gradient at x, (C,), when ``sent`` arrives at y."""
    # BEGIN SOLUTION
    into_1 = w1 @ x  # (K,)
    into_2 = w2 @ into_1.relu()  # (C,)
    into_3 = x + into_2.relu()  # (C,)
    at_sum = (into_3 > 0) * sent  # (C,)
    inside = (into_1 > 0) * (w2.T @ ((into_2 > 0) * at_sum))  # (K,)
    return at_sum + w1.T @ inside  # (C,): the skip, plus the branch
    # END SOLUTION


if exercises.check("03.2", send_back):
    sent, x = torch.ones(16), torch.rand(16)
    for scale in (0.0, 0.02, 0.1):
        w1, w2 = scale * torch.randn(2, 16, 16)
        size = send_back(sent, x, w1, w2).norm() / sent.norm()
        print(f"weights of the size {scale}: {size:.3f} of the gradient comes back")

# %% [markdown] tags=["solution"]
# `at_sum +` is the identity: it holds no weight, so no weight can make it small. All the weights
# are in the second term, where they are multiplied: small weights make it very small.

# %% [markdown]
# ## 3 · The baseline, trained while you watch
#
# Back to the first drawing. The tail's output is *added to the rainy picture* $O$, so it has to
# learn minus the rain: $\hat B = O + \mathrm{tail}(\cdot)$.

# %%
rainy = torch.rand(1, 3, 48, 48)
features = baseline.features(rainy)  # after the head, and after each block
print("rainy ", tuple(rainy.shape))
print("head  ", tuple(features[0].shape))
print("blocks", tuple(features[-1].shape))
print("tail  ", tuple(baseline.tail(features[-1]).shape))
print(f"{sum(p.numel() for p in baseline.parameters()):,} parameters")

# %% [markdown]
# - **The loss**: minus SSIM plus the mean absolute error. (PReNet's authors train with −SSIM alone,
#   for 100 epochs; we have a minute.)
# - **The data**: patches of the training photos, each time in new light rain.
# - **The test**: 24 patches of six photos that the network never sees. The learning rate and the
#   number of steps were chosen on four *validation* photos, not on these.
#
# **Predict:** the test patches have about 29 dB in rain. How many dB will 600 steps add?

# %%
my_guess = None  # write a number of dB

# %%
config = de.TrainConfig(
    model="residual",
    options={"channels": 16, "blocks": 5},
    data="light",
    patch_size=48,
    batch_size=4,
    loss="neg_ssim+l1",
    lr=2e-3,
    schedule="cosine",  # the learning rate falls to zero along a cosine
    steps=600,
    validate_every=60,
    validation_pairs=4,
    seed=0,
)
run = de.train(config, on_log=plots.live_curve(config.steps))
model = run.model.cpu()
print(f"{run.steps} steps in {60 * run.minutes:.0f} s")


# %% [markdown]
# The left curve jumps, because each step sees other patches, some with much rain and some with
# little. The right one is calmer: the same four pairs every time. If the left one falls and the
# right one does not rise, the network learns what helps on its own patches only.


# %%
def held_out(split, count=24, size=128):
    """Return rainy and clean patches (count, 3, size, size)."""
    stream = de.SyntheticRain(rain="light", patch_size=size, seed=2, split=split)
    pairs = [stream[k] for k in range(count)]
    rainy = torch.stack([pair["rainy"] for pair in pairs])
    return rainy, torch.stack([pair["clean"] for pair in pairs])


@torch.no_grad()
def gain(network):
    """Return how many dB the network adds to the rainy test patches, on average."""
    before, after = test_rainy, network(test_rainy)
    return de.psnr(after, test_clean) - de.psnr(before, test_clean)


test_rainy, test_clean = held_out("test")
gained = gain(model)
print(f"rainy test patches: {de.psnr(test_rainy, test_clean):.1f} dB")
compare_guess(my_guess, gained, "dB")
assert gained >= 3, "a minute of training must halve the error's energy"

# %%
clean = de.load_photo("china")[:, 60:300, 200:520]  # (3, 240, 320), a test photo
rain = de.add_rain(clean, "light", seed=1)
with torch.no_grad():
    derained = model(rain.rainy[None])[0]  # (1, 3, 240, 320) -> (3, 240, 320)
plots.show(plots.derained_row(rain.rainy, derained, clean),
           "A temple in light rain, derained by the one-minute network, clean, and "
           "the error.")
assert de.psnr(derained, clean) > de.psnr(rain.rainy, clean)

# %% [markdown]
# Three decibels are half of the error's energy. Look at what is left: faint long streaks. And in the
# error you can see the roofs: a little of their bright thin edges has gone with the rain. They are
# the lamp posts of section 1.
#
# ## 4 · Predict the rain, or the picture?
#
# Leave out the long skip, and the tail has to paint the clean picture itself. The information is
# the same: whoever knows $O$ and the rain knows the picture, too. Only the task differs.
#
# **Predict:** same network, same patches, same 120 steps. How many dB is "rain" ahead of "picture"
# (negative: behind)?

# %%
my_guess = None  # write a number of dB

# %%
before, after = {}, {}
for target in ("rain", "picture"):
    options = {**config.options, "predicts": target}
    de.set_seed(config.seed)
    before[target] = gain(de.create_model("residual", **options))
    short = replace(config, options=options, steps=120, validate_every=0)
    after[target] = gain(de.train(short).model.cpu())
    print(f"{target:<8} gain {before[target]:6.1f} dB before training, "
          f"{after[target]:6.1f} dB after")
compare_guess(my_guess, after["rain"] - after["picture"], "dB")
assert after["rain"] > after["picture"] and before["rain"] > before["picture"] + 10

# %% [markdown]
# Look at the column *before training*. With the long skip, the fresh network returns the rainy
# picture plus a random change, and loses a few decibels. Without it, it returns the random change
# alone, far below the rainy picture, and has to learn to copy before it can learn to clean. This is
# section 2 again, for the whole network: **an identity plus something small**. The rain is the
# small part.
#
# ## 5 · One seed is an anecdote
#
# We compared one training with one training. Another seed gives other first weights and other
# patches, and so another score. The recorded experiment trains both networks longer (600 steps, on
# smaller patches), with fifteen seeds each:

# %%
rows = load_results("rain_or_picture")
scores = {}  # {network: {seed: gain on the validation photos in dB}}
for row in rows:
    if "step" in row["variant"]:  # trained with another step size: for later
        continue
    of_network = scores.setdefault(row["variant"], {})
    of_network[row["seed"]] = row["psnr_validation"] - row["psnr_input"]
plots.show(views.draw_pairs(scores, "gain over the rainy input, dB"),
           "The gain of both targets, joined by a line for each of 15 seeds: "
           "all lines fall.")
for name, of_network in scores.items():
    gains = sorted(of_network.values())
    print(f"{name:20} {gains[0]:5.2f} to {gains[-1]:.2f} dB")

# %% [markdown]
# Runs of the same seed saw the same patches: if they were hard ones, they were hard for both. So we
# look at the *difference for each seed*, and ask whether it could be zero.
#
# <details><summary>Background: the 95 % interval of a mean</summary>
#
# With n values and their standard deviation s, the mean is known up to ± t · s / √n. It is surer
# than a single value, by √n. The factor t (Student's) makes the interval catch the true mean in 95
# of 100 experiments. For many values t is 1.96; for few it is larger, because s itself is uncertain.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 03.3 · Which network is ahead?
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | `first` and `second` are two networks' scores: {seed: dB}. Write `paired_interval(first, second)`: the pair `mean, half` of first − second, taken seed by seed, over the seeds that both have. The 95 % interval is `mean` ± `half`, with half = t · s / √n. The table `STUDENT` has t for each n |
#
# <details><summary>Hint</summary>
#
# Make a list of differences first; after that, forget the scores. `statistics.fmean` is the mean,
# `statistics.stdev` the standard deviation. Don't rely on the order of the seeds: `first[seed]`
# and `second[seed]` belong together.
#
# </details>

# %% tags=["exercise"]
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 15: 2.145}  # n: t


def paired_interval(first, second):
    """Return the mean of first − second, and the half-width of its interval."""
    # BEGIN SOLUTION
    differences = [first[seed] - second[seed] for seed in first if seed in second]
    n = len(differences)
    half = STUDENT[n] * statistics.stdev(differences) / math.sqrt(n)
    return statistics.fmean(differences), half
    # END SOLUTION


if exercises.check("03.3", paired_interval):
    mean, half = paired_interval(*scores.values())
    print(f"rain − picture: {mean:+.2f} ± {half:.2f} dB")
    made_up = {0: 29.1, 1: 31.4, 2: 30.2}  # the seeds differ by two dB …
    better = {0: 29.4, 1: 31.8, 2: 30.5}  # … and this is a little better each time
    mean, half = paired_interval(better, made_up)
    print(f"two made-up networks: {mean:+.2f} ± {half:.2f} dB")

# %% [markdown] tags=["solution"]
# In the made-up case the seeds' ups and downs are much larger than the difference, but both
# networks go up and down together. Pairing takes that out. Two separate intervals would overlap
# here, and tell you nothing.

# %% [markdown]
# If the interval leaves out zero, one network is ahead. If not, the answer is **can't tell**, which
# is not "they are equal". The course keeps twelve claims with such verdicts in
# `data/results/CLAIMS.md`. Two of them are about this network:

# %%
for claim in (CLAIMS[4], CLAIMS[0]):
    print(f"Claim {claim.number}: {claim.text}")
    for finding in claim.findings():
        say(f"  - {finding.text}: {finding.answer.upper()}")
assert all(found.answer == "holds" for found in CLAIMS[4].findings())
assert all(found.answer == "can't tell" for found in CLAIMS[0].findings()[1:])

# %% [markdown]
# <details><summary>Background: many questions at once (Holm)</summary>
#
# One interval in twenty misses the truth by chance. Anyone who asks twenty questions "finds" one
# difference that is not there. Holm's correction asks for more certainty, the more comparisons
# stand under one claim. So a single interval that leaves out zero may not be enough for *holds*.
#
# </details>
#
# **Claim 5**: predicting the rain is ahead, at this budget. The step size 2e-3 was chosen with the
# network that predicts the rain, so another one may suit the picture better: half of it and twice of
# it give the same answer. Why fifteen seeds? One of the first five trainings of the picture never got
# going, 8 dB behind, and with it the interval held zero. So ten more were run, in one go. A caution:
# the score is taken on the photos on which the budget was chosen.
#
# **Claim 1** is about the network of lesson 04, PRN. Part (a) waits until then. In (b) and (c),
# small networks were trained on only 64 fixed patches, so that they could learn them by heart. The
# *gap* is the score on these patches minus the score on other photos. Does the baseline have a
# larger gap than PRN? Both intervals reach about a decibel or more to both sides of zero: it is
# neither shown nor refuted.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. A streak of light rain is up to 50 px long. How many 3×3 layers does a network need until one
# pixel can see a whole one, and is that enough to tell it from a lamp post?**
#
# <details><summary>Answer</summary>
#
# n layers see 1 + 2·n columns: 25 layers see 51. It is the least that is needed, for a pixel in the
# middle of the streak. It may not be enough: with fresh weights most of the gradient was in the 7 ×
# 7 pixels in the middle (section 1), and training has to make use of the rest.
#
# </details>
#
# **2. You start the blocks with larger weights. Why does that help a chain without skips, and harm
# one with skips?**
#
# <details><summary>Answer</summary>
#
# Without skips a gradient is multiplied in each block, and a larger start brings that factor near
# one. With skips the factor is one *plus* the branch: a branch that is not small makes it grow at every
# block, and section 2 measured more than a hundred times after 16. Identity plus something *small*.
#
# </details>
#
# **3. All weights and biases of two fresh networks are set to zero. One predicts the rain, the
# other the picture. What is each one's gain in dB?**
#
# <details><summary>Answer</summary>
#
# The first one returns the rainy picture: a gain of 0 dB, exactly. The second one returns black,
# far below any rain. Section 4 prints both gains with small random weights: both are negative, and
# the one that predicts the picture by far.
#
# </details>
#
# **4. Three seeds each: network A has 30.2 ± 2.9 dB, network B has 29.9 ± 2.8 dB. "The intervals
# overlap, so B is as good as A." What do you answer?**
#
# <details><summary>Answer</summary>
#
# Two things. Overlap does not prove equality: "can't tell" is not "the same". And these intervals
# are full of what seeds do to *both* networks. If the runs of a seed saw the same patches, look at
# the differences seed by seed: they may be 0.3 dB each time.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - measure by gradients what a stack of convolutions sees, and say why a long streak does not fit;
# - explain why a gradient survives many residual blocks: an identity plus something small;
# - train a network, and read the loss and the validation curve side by side;
# - say why predicting the rain is easier: the long skip makes the whole network an identity plus
#   something small;
# - judge a comparison by pairs of the same seed, and say "can't tell" when it is so.
#
# Next: **04 · Progressive PRN**. Three edits turn this baseline into a network that uses its
# blocks again and again.
