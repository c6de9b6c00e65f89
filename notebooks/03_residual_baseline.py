# %% [markdown]
# # 03 · The residual baseline
#
# **Why residual blocks, and why predict the rain instead of the picture?**
#
# | | |
# |---|---|
# | **Goals** | measure what a stack of convolutions can see; explain why a gradient survives many residual blocks; train a network and read its curve; ask a layer what it knows; judge a recorded comparison |
# | **Before you start** | lesson 01 (pairs, PSNR); what a convolution and a gradient are |
# | **Time** | 95 minutes, 50 of them for the exercises; the cells take 75 s on a CPU with two cores, 15 s on a GPU |
# | **Papers** | Ren et al., *Progressive Image Deraining Networks: A Better and Simpler Baseline*, CVPR 2019 (arXiv 1901.09221) |

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
import math
import statistics
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from derain_edu.course import exercises
from derain_edu.course.views import plots
from derain_edu.course.views.depth import depth_slider, depth_views, draw_depth
from derain_edu.models.blocks import ResidualBlock, conv3x3
from derain_edu.text import compare_guess

device = de.choose_device(verbose=True)
de.set_seed(0)

# %% [markdown]
# ## 1. What can three layers see?
#
# Lesson 01 gave us pairs. Now we need a function that turns the rainy picture into the clean one.
# Its smallest part is a 3×3 convolution. We give one of them the simplest task: answer where a
# thin bright line stands on a dark ground. To its right we put a lamp post that looks just the
# same, only longer.

# %%
streak, post = torch.zeros(2, 1, 1, 33, 33)  # two pictures (1, 1, 33, 33)
streak[..., 9:24, 16] = 1  # a streak, 15 px long
post[..., 1:-1, 16] = 1  # a lamp post, 31 px
kernel = torch.tensor([[-1.0, 2, -1]] * 3)[None, None] / 6  # (1, 1, 3, 3): "brighter than beside"
answers = [F.conv2d(picture, kernel, padding=1) for picture in (streak, post)]

figure, axes = plots.new_figure(1, 4, width=11, height=3.1)
for axis, (title, picture) in zip(
    axes.flat,
    {
        "a streak": streak,
        "answer": answers[0],
        "a lamp post": post,
        "answer ": answers[1],
    }.items(),
    strict=True,
):
    plots.draw_picture(axis, picture[0, 0], title)
plots.show(figure, "A short and a long bright line, and the same bright answer to both.")
assert answers[0][0, 0, 16, 16] == answers[1][0, 0, 16, 16] == 1

# %% [markdown]
# The filter finds both, and in the middle both answers are exactly 1. It cannot tell them apart:
# the only difference is where the line *ends*, and that is farther away than the filter looks. A
# network that should remove rain and keep lamp posts has to look farther.
#
# **Think first.** We put one 3×3 convolution behind another, three in all. How many pixels wide
# is the window that can change one output pixel?

# %%
my_guess = None  # write a number of pixels

# %% [markdown]
# We do not have to count: the gradient knows. An input pixel that cannot change an output pixel
# has a gradient of exactly zero.


# %%
def window(network, size=41):
    """Return how strongly each input pixel can change the middle output pixel."""
    x = torch.rand(4, 3, size, size, requires_grad=True)
    y = network(x)  # (4, 3, size, size) -> (4, C, size, size)
    y[:, :, size // 2, size // 2].sum().backward()
    return x.grad.abs().sum(dim=(0, 1))  # (4, 3, size, size) -> (size, size)


def side(gradients):
    """Return how many columns have a gradient that is not zero."""
    return int((gradients.sum(dim=0) > 0).sum())


# %%
one = conv3x3(3, 16)
three = nn.Sequential(conv3x3(3, 16), nn.ReLU(), conv3x3(16, 16), nn.ReLU(), conv3x3(16, 16))
baseline = de.create_model("residual", channels=16, blocks=5)  # twelve convolutions: see below
windows = {"one layer": window(one), "three layers": window(three), "twelve": window(baseline)}
compare_guess(my_guess, side(windows["three layers"]), "px", decimals=0)

figure, axes = plots.new_figure(1, 3, width=10.5, height=3.2)
for axis, (name, gradients) in zip(axes.flat, windows.items(), strict=True):
    shown = (gradients / gradients.max()).clamp_min(1e-7).log10()
    title = f"{name}: {side(gradients)} × {side(gradients)} px"
    plots.draw_map(axis, shown, title, vmin=-6, vmax=0)
alt = "Squares of 3, 7 and 25 pixels; the largest is strong in its middle and fades outwards."
plots.show(figure, alt)
assert [side(gradients) for gradients in windows.values()] == [3, 7, 2 * baseline.halo + 1]

# %%
from derain_edu.rain.presets import PRESETS

middle = windows["twelve"][17:24, 17:24].sum() / windows["twelve"].sum()  # 7 × 7 of 41 × 41
print(f"{middle:.0%} of the baseline's gradient is in the 7 × 7 pixels in the middle")
low, high = PRESETS["light"].length
print(f"a streak of light rain is {low:.0f} to {high:.0f} px long")
assert middle > 0.5

# %% [markdown]
# Each 3×3 layer adds one pixel on every side. (The colours are powers of ten: −3 means a
# thousandth of the strongest.) Twelve layers see 25 × 25 pixels, but with fresh weights almost all
# of what they look at is in the middle. A long streak does not fit.
#
# More layers are one way out. Wider kernels are another, and **dilation** is a third: a 3×3 kernel
# with dilation d looks at pixels that are d apart.

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
    ways = {
        "12 layers 3×3": [(3, 1)] * 12,
        "12 layers 5×5": [(5, 1)] * 12,
        "5 layers 3×3, dilation 1, 2, 4, 8, 16": [(3, 2**k) for k in range(5)],
    }
    for name, layers in ways.items():
        print(f"{name}: {receptive_field(layers)} px")

# %% [markdown] tags=["solution"]
# The widths *add up*. Only strides multiply. The count says how far a layer may look, not how well:
# a single dilated kernel leaves pixels out, and the gradients above fade outwards.

# %% [markdown]
# The networks of this course take the first way: *many* layers. Can we have them?

# %% [markdown]
# ## 2. A block that starts by doing almost nothing
#
# A residual block adds its input to what its two layers made of it:
# $x \mapsto \mathrm{relu}(x + f(x))$, where $f$ is convolution, ReLU, convolution, ReLU. We try
# it on something tiny and look at each shape.

# %%
de.set_seed(0)
block = ResidualBlock(4)
x = torch.rand(1, 4, 6, 8)  # 4 channels, 6 × 8 pixels
inside = F.relu(block.conv1(x))  # (1, 4, 6, 8): padding 1 keeps the size
branch = F.relu(block.conv2(inside))  # (1, 4, 6, 8)
y = F.relu(branch + x)  # (1, 4, 6, 8): the sum needs equal shapes
for name, tensor in {"x": x, "inside": inside, "branch": branch, "y": y}.items():
    print(f"{name:<7} {tuple(tensor.shape)}  mean {tensor.mean():.3f}  min {tensor.min():.3f}")
assert torch.equal(y, block(x))
assert (y >= x).all(), "the branch ends in a ReLU: it can only add"

# %% [markdown]
# Nothing changes shape, so blocks can be put one behind the other. And the branch of this block can
# only *add*: it is the block of the released PReNet code, with a ReLU at the end of the branch.
#
# **Think first.** A fresh block of 16 channels has random weights. By how many percent does it
# change its input?

# %%
my_guess = None  # write a number of percent

# %%
de.set_seed(0)
block, x = ResidualBlock(16), torch.rand(1, 16, 32, 32)
with torch.no_grad():
    change = (block(x) - x).norm() / x.norm()
compare_guess(my_guess, 100 * change.item(), "%", decimals=0)
assert 0 < change < 0.3

# %% [markdown]
# So at the start, the block is nearly the identity: it passes on what it got, with a small random
# change. A network of such blocks starts out almost as a network without blocks. What a block does
# to its input it has to learn.
#
# The other half of the story is the way back. In training, the gradient travels from the loss to
# the first layer through all blocks.
#
# **Think first.** We send a gradient backward through 16 blocks *without* the addition. It
# arrives smaller. Ten times (write −1), a thousand times (−3), a million times (−6)?

# %%
my_guess = None  # write a power of ten, such as -1


# %%
class NoSkip(ResidualBlock):
    """The same two layers without the addition."""

    def forward(self, x):
        return F.relu(self.conv2(F.relu(self.conv1(x))))


def gradient_through(kind, depth, he_start=False):
    """Return how much larger a gradient leaves a chain of fresh blocks than it came in."""
    de.set_seed(0)
    chain = nn.Sequential(*(kind(16) for _ in range(depth)))
    for conv in chain.modules():
        if he_start and isinstance(conv, nn.Conv2d):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    x = torch.rand(2, 16, 24, 24, requires_grad=True)
    y = chain(x)
    sent = torch.randn_like(y)
    y.backward(sent)
    return (x.grad.norm() / sent.norm()).item()


# %%
depths = (1, 2, 4, 8, 16)
cases = {
    "with skips": (ResidualBlock, False),
    "without skips": (NoSkip, False),
    "with skips, larger start": (ResidualBlock, True),
    "without skips, larger start": (NoSkip, True),
}
sizes = {
    name: [gradient_through(kind, n, he) for n in depths] for name, (kind, he) in cases.items()
}
compare_guess(my_guess, math.log10(sizes["without skips"][-1]), "(power of ten)")

# %%
figure, axes = plots.new_figure(width=8, height=3.4)
plots.draw_curves(axes[0, 0], sizes, depths, "blocks", "gradient at the start / at the end")
axes[0, 0].set_yscale("log")
axes[0, 0].set_xscale("log", base=2)
axes[0, 0].set_xticks(depths, depths)
plots.show(
    figure,
    "With skips the gradient keeps its size, and without them it vanishes with depth. After a "
    "larger start it grows with skips, and without them shrinks a little.",
)
print("after 16 blocks:")
for name, values in sizes.items():
    print(f"    {name:27} {values[-1]:.1e}")
assert 0.3 < sizes["with skips"][-1] < 3
assert sizes["without skips"][-1] < 1e-6
assert sizes["with skips, larger start"][-1] > 100

# %% [markdown]
# With skips the gradient arrives as it was sent: the sum has a path of its own on which nothing is
# multiplied. Without them, each block makes the gradient smaller, and next to nothing reaches the
# first layers.
#
# Look at the two other curves before you quote this. They start with larger weights (He et al.,
# 2015), made for chains without skips. Now these keep about a third of their gradient through 16
# blocks, and the blocks *with* skips let it grow two hundred times.
#
# The lesson is not "a skip is magic" but **an identity plus something small**: the sum keeps the
# path open, and the small start of the branch keeps it in size.
#
# Autograd went the way back for us. It takes a few lines, and one of them shows the identity.

# %% [markdown] tags=["exercise"]
# ### Exercise 03.2 · The way back through one block
#
# | | |
# |---|---|
# | **Difficulty** | ●●●●○ |
# | **Importance** | ●●●●● |
# | **Spend** | 20 minutes |
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
# are in the second term, and they are multiplied: small weights make it very small.

# %% [markdown]
# ## 3. The baseline, trained while you watch
#
# Head, blocks, tail: a convolution from 3 colours to 16 channels, five residual blocks, and a
# convolution back to 3 colours. Its output is *added to the rainy picture*, so it has to be minus
# the rain: $\hat B = O + \mathrm{tail}(\cdot)$, with $O = B + R$.

# %%
shapes = [("rainy", (1, 3, 48, 48))]
for k, features in enumerate(baseline.features(torch.rand(1, 3, 48, 48))):
    shapes.append((f"block {k}" if k else "head", tuple(features.shape)))
shapes.append(("tail", tuple(baseline.tail(features).shape)))
for name, shape in shapes:
    print(f"{name:<8} {shape}")
print(f"{sum(p.numel() for p in baseline.parameters()):,} parameters")
assert shapes[-1][1] == shapes[0][1]

# %% [markdown]
# **The loss.** PReNet's authors train with −SSIM alone, for 100 epochs. We have about a minute, and
# add the mean absolute error: `neg_ssim+l1`. **The data**: patches of the training photos, each
# time in new light rain. **The test**: 24 patches of six photos that the network never sees.
#
# **The budget**, that is the learning rate and the number of steps, was chosen on four *validation*
# photos, not on the test. (The runs of that choice are not recorded.) Other photos may be harder,
# so the cell below asks for 3 dB on the test.
#
# **Think first.** The patches of the test have about 29 dB in rain. How many dB will 600 steps add?

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
    schedule="cosine",
    steps=600,
    validate_every=60,
    validation_pairs=4,
    seed=0,
)
run = de.train(config, on_log=plots.live_curve(config.steps))
model = run.model.cpu()
print(f"{run.steps} steps in {60 * run.minutes:.0f} s")

# %% [markdown]
# The left curve jumps because each step sees other patches, some with much rain and some with
# little. The right one is calmer: the same four pairs every time. If the left falls and the right
# does not rise, the network learns something that only helps on its own patches.


# %%
def held_out(split, count=24, size=128):
    """Return rainy and clean patches (count, 3, size, size) in rain of their own."""
    stream = de.SyntheticRain(rain="light", patch_size=size, seed=2, split=split)
    pairs = [stream[k] for k in range(count)]
    return tuple(torch.stack([pair[key] for pair in pairs]) for key in ("rainy", "clean"))


@torch.no_grad()
def gain(network, rainy, clean):
    """Return how many dB the network adds to the rainy patches, on average."""
    return de.psnr(network(rainy), clean) - de.psnr(rainy, clean)


test_rainy, test_clean = held_out("test")
gained = gain(model, test_rainy, test_clean)
compare_guess(my_guess, gained, "dB")
assert gained >= 3, "a minute of training must halve the error energy on unseen photos"

# %%
clean = de.load_photo("china")[:, 60:300, 200:520]  # (3, 240, 320), a test photo
rain = de.add_rain(clean, "light", seed=1)
with torch.no_grad():
    derained = model(rain.rainy[None])[0]  # (1, 3, 240, 320) -> (3, 240, 320)
plots.show(
    plots.derained_row(rain.rainy, derained, clean),
    "A temple in light rain, derained by the one-minute network, clean, and the error.",
)
assert de.psnr(derained, clean) > de.psnr(rain.rainy, clean)

# %% [markdown]
# Three decibels are half of the error's energy. Look at what is left: the longest and the
# brightest streaks, and a little of every bright thin edge has gone with the rain. Those are the
# lamp posts of section 1.

# %% [markdown]
# ## 4. Who knows where it rains?
#
# Each depth of the network has 16 pictures, its features. We ask them where it rains, with the
# simplest question: the best *weighted sum* of the 16 channels, fitted by least squares on other
# photos. This is a read-out. The tail can do little more.
#
# How good a map is, we say with the **AUC**: take one rainy and one dry pixel at random. How
# often is the map larger at the rainy one? 0.5 is a coin, 1 is always.
#
# **Think first.** What AUC do you expect of the *head*, one 3×3 layer?

# %%
my_guess = None  # write a number from 0.5 to 1

# %%

stream = de.SyntheticRain(rain="light", patch_size=96, seed=3)  # training photos
seen = [stream[k] for k in range(8)]
views = depth_views(model, seen, rain.rainy, rain.mask)
found = [view.read_out_auc for view in views]  # after the head, after block 1, 2, …
compare_guess(my_guess, found[0], decimals=2)
assert found[-1] > found[0] + 0.1, "the blocks must know more than the head"

# %%
depth_slider(model, seen, rain.rainy, rain.mask)

# %%

for depth in (0, len(views) // 2, len(views) - 1):
    where = f"{views[depth].name}: the best channel, the read-out, and the AUC by depth."
    plots.show_png(draw_depth(views, depth), f"What is known {where}")
for view in views:
    best = f"best channel {view.channel_auc:.2f}"
    print(f"{view.name:<14} read-out {view.read_out_auc:.2f}, {best}")

# %% [markdown]
# The head knows least: it sees rain, leaves and roof edges alike. That is the streak and the lamp
# post again, now in a trained network. In our run the first two blocks make the largest steps (.57,
# .73, .82). After that the AUC rises slowly, and the last block loses .01.
#
# And look at the best *single* channel. In the middle it is up to .12 behind the weighted sum of
# all 16; after the last block only .04. One channel has become nearly as good a map of the rain as
# all together. (This flatters the single channel: it is picked by its AUC on this very picture,
# with the true mask, and the weighted sum is not.)
#
# Is that training, or just depth? A network with random weights is the control.

# %%
de.set_seed(1)
fresh = de.create_model("residual", channels=16, blocks=5)
untrained = [v.read_out_auc for v in depth_views(fresh, seen, rain.rainy, rain.mask)]
figure, axes = plots.new_figure(width=7, height=3.2)
curves = {"trained": found, "random weights": untrained}
plots.draw_curves(axes[0, 0], curves, range(6), "depth (0: head)", "AUC of the read-out")
axes[0, 0].set_ylim(0.5, 1)
plots.show(figure, "The read-out improves with depth when trained, and stays flat when random.")
assert found[-1] > max(untrained) + 0.05

# %% [markdown]
# Here depth alone adds next to nothing: random features find some rain after the head, and hardly
# more after five blocks. But fresh blocks are nearly identities (section 2), so this control could
# hardly rise. It shows that *these* blocks find rain only after training. It does not show what
# other random blocks of the same depth would do. And the trained *head* finds less rain than a
# random one in this run. The loss does not ask the head to be readable, only to be useful to the
# blocks behind it.

# %% [markdown]
# ## 5. Specialists: one job, done once?
#
# One may call the baseline's blocks *specialists*: each is used once, at one place, for one job. A
# claim like this can be tested. If it is true, you cannot take a block out, use it twice, or let
# two neighbours change places without a loss.
#
# **Think first.** What does the network lose when the *first* block is taken out?

# %%
my_guess = None  # write a number of dB


# %%
@torch.no_grad()
def gain_with(order):
    """Return the gain when the blocks are applied in another order."""
    x = F.relu(model.head(test_rainy))  # (24, 3, 128, 128) -> (24, 16, 128, 128)
    for k in order:
        x = model.blocks[k](x)
    return de.psnr(test_rainy + model.tail(x), test_clean) - de.psnr(test_rainy, test_clean)


normal = list(range(5))
out = [gained - gain_with([j for j in normal if j != k]) for k in normal]
twice = [gained - gain_with(sorted([*normal, k])) for k in normal]
swapped = [gained - gain_with([*normal[:k], k + 1, k, *normal[k + 2 :]]) for k in normal[:-1]]
compare_guess(my_guess, out[0], "dB")

# %%
figure, axes = plots.new_figure(1, 3, width=11, height=3.0, sharey=True)
for axis, (title, losses) in zip(
    axes.flat,
    {
        "taken out": out,
        "used twice": twice,
        "changes places with the next": swapped,
    }.items(),
    strict=True,
):
    plots.draw_bars(axis, [f"block {k + 1}" for k in range(len(losses))], losses)
    axis.set_title(title, fontsize=10)
axes[0, 0].set_ylabel("loss in dB")
plots.show(figure, "What the network loses when a block is taken out, used twice or moved.")
needed = sum(loss > 0.1 for loss in out)
print(f"{needed} of 5 blocks cost more than 0.1 dB when taken out, the worst {max(out):.1f} dB")
print(f"using one twice costs up to {max(twice):.1f} dB")
moved = sum(loss > 0.1 for loss in swapped)
print(f"{moved} of 4 swaps cost more than 0.1 dB, the worst {max(swapped):.1f} dB")
assert max(out) > 0.3 and max(swapped) > 0.1

# %% [markdown]
# *Needed*: in our run each of the five blocks costs more than 0.1 dB when it is taken out. *Only
# once*: to use one twice costs up to 1.2 dB. *In this order*: three of four swaps cost more than
# 0.1 dB. Where neighbours can change places at no cost, the order is not part of their job.
#
# So the test does not refute the claim. It does not prove it either: other networks, too, may lose
# when somebody changes the order of their layers after the training, and there is no such control
# here.
#
# Keep *used twice* in mind. In lesson 04 a network is *trained* to use all its blocks several
# times. Its picture gets better from stage to stage, although in the end it is not ahead of a
# baseline of five blocks.

# %% [markdown]
# ## 6. Predict the rain, or the picture?
#
# Both are possible with the same network: leave out the addition at the end, and the tail has to
# paint the clean picture itself. The information is the same. What differs is the task.
#
# **Think first.** Same network, same patches, same 120 steps. How many dB is "rain" ahead of
# "picture" (negative: behind)?

# %%
my_guess = None  # write a number of dB

# %%
short, start, after = replace(config, steps=120, validate_every=0), {}, {}
for target in ("rain", "picture"):
    options = {**config.options, "predicts": target}
    de.set_seed(config.seed)
    start[target] = gain(de.create_model("residual", **options), test_rainy, test_clean)
    trained = de.train(replace(short, options=options)).model.cpu()
    after[target] = gain(trained, test_rainy, test_clean)
    print(
        f"{target:<8} gain before training {start[target]:6.1f} dB, after {after[target]:6.1f} dB"
    )
compare_guess(my_guess, after["rain"] - after["picture"], "dB")
assert after["rain"] > after["picture"]

# %%
figure, axes = plots.new_figure(1, 2, width=9, height=2.8)
layers = {"B": test_clean, "R = O − B": test_rainy - test_clean}
for name, layer in layers.items():
    axes[0, 0].hist(layer.flatten().numpy(), bins=60, range=(0, 1), histtype="step", label=name)
axes[0, 0].set_yscale("log")
axes[0, 0].set_xlabel("value")
axes[0, 0].set_ylabel("pixels")
axes[0, 0].legend(frameon=False)
energy = [layer.square().mean().item() for layer in layers.values()]
plots.draw_bars(axes[0, 1], list(layers), energy, ylabel="mean square", decimals=4)
plots.show(figure, "Values of the scene spread from 0 to 1; most of those of the rain are 0.")
print(f"the picture holds {energy[0] / energy[1]:.0f} times the energy of the rain")
dark = (layers["R = O − B"].abs() < 1 / 255).float().mean()
print(f"{dark:.0%} of the rain layer's values lie below one grey level")

# %% [markdown]
# The picture is everywhere and full of detail; the rain is zero at most places. A network that
# predicts rain can leave a pixel alone by answering zero. One that predicts the picture has to
# carry every pixel of it through all layers first, and what is lost on the way is missing in the
# result.
#
# To do *nothing*, a network that predicts rain needs a tail full of zeros. And the other one?

# %% [markdown] tags=["exercise"]
# ### Exercise 03.3 · Weights that do nothing
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 10 minutes |
# | **Task** | write `copy_kernel(channels)`: the weights (channels, channels, 3, 3) of a 3×3 convolution without bias and with padding 1 that hands on what it gets, unchanged, each channel to itself |
#
# <details><summary>Hint</summary>
#
# `weight[i, j]` is the 3 × 3 window through which output channel i looks at input channel j. Which
# of these windows are all zeros? What stands in the others, and where?
#
# </details>

# %% tags=["exercise"]
def copy_kernel(channels):
    """Return the weights of a convolution that copies."""
    # BEGIN SOLUTION
    weight = torch.zeros(channels, channels, 3, 3)  # (to, from, height, width)
    weight[:, :, 1, 1] = torch.eye(channels)
    return weight
    # END SOLUTION


if exercises.check("03.3", copy_kernel):
    noise = torch.Generator().manual_seed(0)
    for off in (0.001, 0.01, 0.03):
        left = []
        for _ in range(10):  # ten times twelve layers, as many as the baseline has
            picture = test_rainy[:4]
            for _ in range(12):
                weight = copy_kernel(3) + off * torch.randn(3, 3, 3, 3, generator=noise)
                picture = F.conv2d(picture, weight, padding=1)
            left.append(de.psnr(picture, test_rainy[:4]))
        print(f"12 copies, weights off by {off}: {statistics.fmean(left):.1f} dB on average")
    print(f"the rain itself: {de.psnr(test_rainy, test_clean):.1f} dB")

# %% [markdown] tags=["solution"]
# Each error in a weight of each layer shows in the picture, and from about one hundredth on it
# harms more than the rain. A network that predicts rain does not carry the picture at all: the sum
# at its end does.

# %% [markdown]
# One seed and 120 steps are an anecdote. The recorded experiment trains this same network longer,
# on smaller patches, three times each, and `verdict` says what the numbers allow: it pairs runs of
# the same seed, which saw the same samples, and asks whether the 95 % interval of their difference
# excludes zero. Write its main part yourself, before you trust it.

# %% [markdown] tags=["exercise"]
# ### Exercise 03.4 · Which network is ahead?
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 15 minutes |
# | **Task** | `first` and `second` are two networks' scores: {seed: dB}. Write `paired_interval(first, second)`: the pair `mean, half` of first − second, taken seed by seed, over the seeds that both have. The 95 % interval of the mean is `mean` ± `half` |
#
# With n differences and their standard deviation s, half = t · s / √n. The t (Student's) is larger
# when n is small, because s itself is uncertain then: the table `STUDENT` has it for each n.
#
# <details><summary>Hint</summary>
#
# Make a list of differences first; after that, forget the scores. `statistics.fmean` is the mean,
# `statistics.stdev` the standard deviation. Don't rely on the order of the seeds: `first[seed]`
# and `second[seed]` belong together.
#
# </details>

# %% tags=["exercise"]
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # n: t


def paired_interval(first, second):
    """Return the mean of first − second in dB, and the half-width of its 95 % interval."""
    # BEGIN SOLUTION
    differences = [first[seed] - second[seed] for seed in first if seed in second]
    n = len(differences)
    half = STUDENT[n] * statistics.stdev(differences) / math.sqrt(n)
    return statistics.fmean(differences), half
    # END SOLUTION


if exercises.check("03.4", paired_interval):
    scores = {0: 29.1, 1: 31.4, 2: 30.2}  # made up: seeds differ by more than two dB
    better = {0: 29.4, 1: 31.8, 2: 30.5}
    print("{:+.2f} ± {:.2f} dB".format(*paired_interval(better, scores)))

# %% [markdown] tags=["solution"]
# The seeds' ups and downs are much larger than the difference, but both networks go up and down
# together: they saw the same samples. Pairing takes that out. Two separate intervals would overlap
# here, and tell you nothing.

# %%
from derain_edu.experiments.results import load_results
from derain_edu.experiments.statistics import summarize


def verdict(rows, first, second, column="psnr_validation"):
    """Print by how much `first` is ahead of `second`, and whether the seeds agree on it."""
    score = {(row["variant"], row["seed"]): row[column] for row in rows}
    seeds = sorted({row["seed"] for row in rows})
    ahead = [{"variant": "", "dB": score[first, s] - score[second, s]} for s in seeds]
    mean, half = summarize(ahead, "dB")[""]
    word = "can't tell at this budget"
    if abs(mean) > half:
        word = "ahead" if mean > 0 else "behind"
    print(f"{first} − {second}:")
    print(f"    {mean:+.2f} ± {half:.2f} dB ({len(seeds)} seeds): {word}")


# %%
rows = load_results("rain_or_picture")
for row in rows:
    row["gain"] = row["psnr_validation"] - row["psnr_input"]
scores = summarize(rows, "gain")
figure, axes = plots.new_figure(width=6, height=3)
means, halves = zip(*scores.values(), strict=True)
plots.draw_bars(axes[0, 0], list(scores), means, halves, ylabel="gain over the rainy input, dB")
plots.show(figure, "Gain on the validation photos of both targets, with intervals over seeds.")
print(f"{rows[0]['steps']} steps, rainy input {rows[0]['psnr_input']:.2f} dB")
verdict(rows, "predicts the rain", "predicts the picture")

# %% [markdown]
# Two cautions. The learning rate was chosen with the network that predicts the rain, so another
# rate may suit the picture better. And the score is taken on the validation photos, on which the
# budget was chosen.
#
# Does the advantage last? There is a hint in public: the authors of PReNet also released a network
# that predicts the picture (`PReNet_LSTM`, otherwise the same), and re-running both on Rain100H
# gives 29.46 dB with the rainy picture added and 29.32 dB without.
#
# That is a difference of 0.14 dB after 100 epochs, from one training each. It is another network on
# other data, so it does not tell what ours would do. Our result is a statement about a *small
# budget*.

# %% [markdown]
# ## 7. Train and test
#
# A network can be good on what it has seen, and worse on the rest. Ours draws new rain and new
# patches at every step, from the same few photos. First we ask our own network.

# %%
train_rainy, train_clean = held_out("train")
own_gap = gain(model, train_rainy, train_clean) - gained
print(
    f"gain on new patches of the training photos minus gain on the test photos: {own_gap:+.2f} dB"
)
assert math.isfinite(own_gap)

# %% [markdown]
# Careful with this number: the two sets are different photos, and some photos are simply harder. A
# gap means something when *the same sets* judge several networks.
#
# For that we need a network that can overfit at all: the recorded experiment trains on only 64
# fixed patches, with 1, 4 and 12 blocks, and with a PRN (lesson 04), which uses 3 blocks four
# times.
#
# **Think first.** The network with 12 blocks has about ten times the parameters of the one with a
# single block (printed below). How much larger is its gap between seen and unseen patches?

# %%
my_guess = None  # write a number of dB

# %%
rows = load_results("capacity")
for row in rows:
    row["gap"] = row["psnr_train"] - row["psnr_validation"]
names = list(dict.fromkeys(row["variant"] for row in rows))
panels = {"psnr_train": "seen patches", "psnr_validation": "unseen photos", "gap": "the gap"}
figure, axes = plots.new_figure(1, 3, width=12, height=3.2)
for axis, (column, title) in zip(axes.flat, panels.items(), strict=True):
    means, halves = zip(*summarize(rows, column).values(), strict=True)
    labels = [name.replace(", ", "\n") for name in names]
    plots.draw_points(axis, labels, means, halves, "dB")
    axis.set_title(title, fontsize=10)
    axis.tick_params(axis="x", labelsize=7)
plots.show(figure, "PSNR on seen patches, on unseen photos, and the gap, for four networks.")

# %%
gaps = summarize(rows, "gap")
compare_guess(my_guess, gaps["baseline, 12 blocks"][0] - gaps["baseline, 1 block"][0], "dB")
sizes = {row["variant"]: row["parameters"] for row in rows}
for name, (gap, half) in gaps.items():
    times = sizes[name] / sizes["baseline, 1 block"]
    weights = f"{sizes[name]:>6,} parameters ({times:4.1f} ×)"
    print(f"{name:<25} {weights}, gap {gap:.2f} ± {half:.2f} dB")

# %% [markdown]
# Only differences between the points count (the axes do not begin at zero): the seen patches and
# the unseen photos are different pictures, so even a network that cannot overfit would have some
# gap.
#
# Three questions to the numbers. Do more blocks buy anything on unseen photos? Do they widen the
# gap? And does the baseline overfit more easily than PRN, compared at similar parameters (4 blocks
# have 28 % more) and at equal work (12 blocks)?

# %%
prn = "PRN, 3 blocks × 4 stages"
print("score on unseen photos:")
verdict(rows, "baseline, 12 blocks", "baseline, 1 block")
verdict(rows, "baseline, 12 blocks", "baseline, 4 blocks")
print("gap (larger: overfits more):")
verdict(rows, "baseline, 12 blocks", "baseline, 1 block", "gap")
verdict(rows, "baseline, 4 blocks", prn, "gap")
verdict(rows, "baseline, 12 blocks", prn, "gap")
assert len({row["seed"] for row in rows}) >= 3

# %% [markdown]
# Here every line ends in "can't tell": three seeds give wide intervals, and none of the three
# questions is answered at this budget. So it is neither shown nor refuted that the baseline
# overfits more easily. That is a result too. Lesson 04 looks at the second half of the claim: what
# it means that PRN's blocks do several jobs.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. A streak of light rain is up to 50 px long. How many 3×3 layers does a network need until one
# pixel can see a whole one, and is that enough to tell it from a lamp post?**
#
# <details><summary>Answer</summary>
#
# 1 + 2·n columns for n layers: 25 layers see 51. It is the least that is needed, for a pixel in the
# middle of the streak. Not enough by itself: with fresh weights most of the gradient was in the 7 ×
# 7 pixels in the middle (section 1 prints the share), and training has to make use of the rest.
#
# </details>
#
# **2. You start the blocks with larger weights, as He et al. propose. Why does that help a chain
# without skips, and harm one with skips?**
#
# <details><summary>Answer</summary>
#
# Without skips a gradient is multiplied in each block, and a larger start brings that factor
# near 1. With skips the factor is 1 *plus* the branch: a branch that is not small makes it grow
# at every block, and section 2 measured more than a hundred times after 16. Identity plus
# something *small*.
#
# </details>
#
# **3. All weights and biases of two fresh networks are set to zero. One predicts the rain, the
# other the picture. What is each one's gain in dB?**
#
# <details><summary>Answer</summary>
#
# The first returns the rainy picture: a gain of 0 dB, exactly. The second returns black, which is
# far worse than any rain. Section 6 prints both gains before training, with small random weights:
# both are below 0 dB, and the one that predicts the picture by far.
#
# </details>
#
# **4. A read-out from the last block finds the rain with an AUC of 0.9. Which control do you need
# before you say that the network has *learned* where it rains?**
#
# <details><summary>Answer</summary>
#
# The same read-out from the same network with random weights. The read-out is fitted, so part of
# its AUC is its own, and another part is just filters and depth. Section 4 draws both curves: only
# the trained one rises with depth. (With fresh blocks near the identity this is a weak control.)
#
# </details>
#
# **5. Three seeds each: network A has 30.2 ± 2.9 dB, network B has 29.9 ± 2.8 dB. "The intervals
# overlap, so B is as good as A." What do you answer?**
#
# <details><summary>Answer</summary>
#
# Two things. Overlap does not prove equality: "can't tell" is not "the same" (in section 7 every
# line ends so). And these intervals are full of what seeds do to *both* networks. If the runs of a
# seed saw the same samples, look at the differences seed by seed: they may be 0.3 dB each time.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - measure by gradients what a stack of convolutions sees, and say why a streak does not fit
# - explain why a gradient survives many residual blocks: an identity plus something small
# - train a network, and read the loss and the validation curve side by side
# - ask a layer what it knows, with a read-out, an AUC and a control with random weights
# - judge a recorded comparison by paired seeds and an interval, and say "can't tell" when it is so
#
# Next: **04 · Progressive PRN**. Three edits turn this baseline into a network that uses its
# blocks again and again.
