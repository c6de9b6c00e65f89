# %% [markdown]
# # 10 · Forensics
#
# **Does the released code do what the paper says?**
#
# | | |
# |---|---|
# | **Goals** | open a stranger's checkpoint safely; read in it which parts were trained, and at which rate; find a line that drops its result, and write the test that would have caught it; say what such a bug costs, and what repairs it |
# | **Before you start** | lesson 09 |
# | **Time** | 57 minutes, 30 of them for the exercises; the cells take 15 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Wang et al., CVPR 2019 (SPANet, arXiv 1904.01538) |

# %% tags=["bootstrap"]
import derain_edu as de

# %%
print(f"derain_edu {de.__version__}")

import pickle
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from derain_edu.course import exercises
from derain_edu.course.views import diagrams, forensics as views, plots
from derain_edu.course.views.attention import direction_weights
from derain_edu.experiments import spanet_checkpoint
from derain_edu.experiments.results import load_results
from derain_edu.experiments.statistics import differences
from derain_edu.experiments.verdicts import Verdicts
from derain_edu.map_scores import auc, calibration, calibration_gap
from derain_edu.models import idle_parts
from derain_edu.text import compare_guess, say, table as text_table
from derain_edu.training.losses import rain_mask

de.choose_device("cpu", verbose=True)  # small pictures: a GPU would not be faster
de.set_seed(0)

# %% [markdown]
# ## 1 · What the paper says
#
# SPANet's attention module sweeps over the features in four directions (lesson 07). The paper adds
# **direction weights**: a small branch gives a score for each pixel and direction, a sigmoid makes a
# weight between 0 and 1 of it, and the weight multiplies the sweep. Write it as the paper says.

# %% [markdown] tags=["exercise"]
# ### Exercise 10.1 · Let the directions act
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | write `weigh(swept, scores)`. `swept` (B, 4, C, H, W) holds the four sweeps, `scores` (B, 4, H, W) what the branch gave, any numbers. A sigmoid makes a weight of each score; the weight scales all channels of its sweep at its pixel. Return the four side by side, (B, 4C, H, W), up first |
#
# <details><summary>Hint</summary>
#
# Which axis of `swept` do the weights not have? `unsqueeze` makes room for it. `flatten(1, 2)` puts
# the axes 1 and 2, directions and channels, into one.
#
# </details>

# %% tags=["exercise"]
def weigh(swept, scores):
    """Scale the sweeps (B, 4, C, H, W) by the sigmoid of scores (B, 4, H, W)."""
    # BEGIN SOLUTION
    weights = torch.sigmoid(scores).unsqueeze(2)  # (B, 4, 1, H, W)
    return (swept * weights).flatten(1, 2)  # (B, 4C, H, W)
    # END SOLUTION


exercises.check("10.1", weigh)

# %% [markdown]
# Keep the line with the product in mind.
#
# Does the published network do this? The released code has the branch. And there is a witness: the file
# with the weights. A training script often saves more than the weights, so that training can go on
# later. Such a file, a *checkpoint*, tells how the network was trained.
#
# ## 2 · Open it without running it
#
# <details><summary>Background: what is a pickle?</summary>
#
# `torch.save` writes a *pickle*: not a table of numbers, but a small program. When Python loads it, it
# builds the objects again by *calling functions*. Which functions, the file decides. For tensors this
# is harmless. But a file can name any function, also one that deletes your folder.
#
# </details>
#
# A file of weights can run code on your machine, as this harmless one shows.

# %%
class Trap:
    def __reduce__(self):  # what pickle shall call to build this object again
        return print, ("— this line was printed by the FILE —",)


with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "weights.pth"
    torch.save({"net": Trap()}, file)
    print("functions named in it:", spanet_checkpoint.imports_of(file))
    torch.load(file, weights_only=False)  # never do this with a stranger's file
    try:
        torch.load(file, weights_only=True)
        refused = False
    except pickle.UnpicklingError:
        refused = True
print("with weights_only=True:", "refused" if refused else "LOADED")
assert refused

# %% [markdown]
# So: first read the names in it (without loading), then load with `weights_only=True`, which allows
# little more than tensors. Now the authors' file. If it is in your cache (`derain-edu download
# official-weights`), it is opened now. If not, you see what we measured in it: one row per tensor.

# %%
evidence = spanet_checkpoint.released_checkpoint()
print(f"spanet_spa.pth: {evidence.source}")
say(f"functions named in it: {', '.join(evidence.imports)}")
print("entries:", ", ".join(evidence.entries))
total = sum(trace.number for trace in evidence.traces)
steps = max(trace.steps for trace in evidence.traces)
print(f"net: {len(evidence.traces)} tensors, {total:,} parameters")
print(f"opt: what Adam keeps, after {steps:,} steps; clock: {evidence.counter:,}")

# %% [markdown]
# The functions are harmless: they only put tensors together. The entry `opt` is the treasure.
#
# ## 3 · What Adam remembers
#
# For each weight, Adam keeps two running means, of its gradient g and of its square. In each step
#
# $$m \leftarrow 0.9\,m + 0.1\,g, \qquad v \leftarrow 0.999\,v + 0.001\,g^2$$
#
# Both start at 0. One gradient that is not 0 makes v positive. After that v shrinks in each step by a
# thousandth, but it does not become 0 for a long time.

# %%
v = 0.001 * 1e-6**2  # one gradient of 0.000001 in the very first step
for _ in range(40_000):
    v = 0.999 * v  # then 40,000 steps without any
print(f"v after 40,001 steps: {v:.0e}; not 0: {np.float32(v) > 0}")

# %% [markdown]
# So a weight with m = v = 0 after 40,001 steps *never got a gradient* that counts. Are there any?

# %%
idle = evidence.idle  # the tensors whose m and v are exactly 0 everywhere
untrained = sum(trace.number for trace in idle)
print(f"{untrained:,} of {total:,} parameters never got a gradient:")
rows = [[t.name.removeprefix("attention."), t.shape, f"{t.moment} {t.square}",
         f"{t.largest:.4f}", f"{t.start:.4f}"] for t in idle]
print(text_table(["tensor", "shape", "m and v", "largest", "bound"], rows))
assert untrained == 7012 and len(idle) == 6
assert {t.name.rpartition(".conv")[0] for t in idle} == {"attention.directions"}

# %% [markdown]
# They are the six tensors of the branch that makes the direction weights, and nothing else.
#
# The last two columns are a second witness. PyTorch draws the new weights of a convolution between −b
# and b, with the bound $b = 1/\sqrt{n}$. Here n is the number of inputs of one output: in the first
# row 32 channels × 3 × 3 = 288, so b = 0.0589. No weight of the branch is larger than its bound. It
# still looks new.
#
# How do the other tensors look? Below, each tensor is a point. Across: its largest weight, divided by
# its bound. Up: the largest root of v in it, so the size of its gradients (RMS: root of the mean
# square). Both axes are logarithmic: equal steps are equal *factors*. Zero has no place on such an axis,
# so we draw it at the bottom.

# %%
figure = views.traces_figure(evidence.traces)
plots.show(figure, "A checkpoint taken apart, each tensor a point: most lie high "
           "and right of the bound; six lie at gradient zero, left of the bound.")
inside = [t.name for t in evidence.traces if t.largest <= t.start and not t.idle]
print("got gradients, and still inside their bound:", ", ".join(inside))
assert all(t.largest <= t.start for t in idle) and len(inside) == 2

# %% [markdown]
# Two trained tensors lie left of the line, too: the β of the sweeps. So the size of the weights alone
# proves nothing. **The record of Adam is the proof, the size fits to it.**

# %% [markdown] tags=["exercise"]
# ### Exercise 10.2 · Find the idle tensors
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 10 minutes |
# | **Task** | write `idle_tensors(names, optimizer)`, the list of the names whose record is all zeros. `optimizer["state"]` is a dict from a tensor's place in `names` (0, 1, …) to its record, a dict with the means m, `"exp_avg"`, and v, `"exp_avg_sq"`, both tensors. Some tensors have no record |
#
# <details><summary>Hint</summary>
#
# Go through `optimizer["state"].items()`: each is a place and a record. `.any()` asks whether a tensor
# holds anything but zeros.
#
# </details>

# %% tags=["exercise"]
def idle_tensors(names, optimizer):
    """Return the names of the tensors whose record is there, and all zeros."""
    # BEGIN SOLUTION
    found = []
    for place, record in optimizer["state"].items():
        if not record["exp_avg"].any() and not record["exp_avg_sq"].any():
            found.append(names[place])
    return found
    # END SOLUTION


exercises.check("10.2", idle_tensors)

# %% [markdown] tags=["solution"]
# v alone would do, as squares can't cancel. m alone would not: it can be 0 by chance.

# %% [markdown]
# ## 4 · Which story fits?
#
# Why did the branch get no gradient? Three stories: it was *frozen* on purpose; its result was *not
# used*; it was not used, and *zeros were filled in*. They leave different records. We let Adam make
# three steps on one weight that is used and on another one that is not.
#
# <details><summary>Background: who fills in zeros?</summary>
#
# The released script wraps its network in `DataParallel`, which lets several GPUs share a batch. It
# hands each GPU a copy of the weights. For PyTorch this is one operation with many outputs. On the way
# back each output needs a gradient, and where none comes, PyTorch fills in zeros. `views.hand_out` is
# such an operation on one CPU.
#
# </details>

# %%
def record_of(story):
    """Return Adam's record of a weight that is not used, after three steps."""
    used, other = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    other.requires_grad_(story != "frozen")
    adam = torch.optim.Adam([used, other])
    for _ in range(3):
        adam.zero_grad()
        a, b = used, other
        if story == "not used, zeros filled in":
            a, b = views.hand_out(used, other)
        b.mul(2)  # a result that nobody uses
        a.square().sum().backward()
        adam.step()
    return adam.state.get(other, {})


for story in ("frozen", "not used", "not used, zeros filled in"):
    kept = {name: value.item() for name, value in record_of(story).items()}
    print(f"{story:26} {kept or 'no record'}")
print(f"{'the checkpoint':26} {idle[0].steps:,} steps, m = {idle[0].moment}, "
      f"v = {idle[0].square}")
assert not record_of("frozen") and record_of("not used, zeros filled in")
assert {t.steps for t in idle} == {40_001}

# %% [markdown]
# Of the three, only the last one leaves a record of zeros. So the branch was *meant* to be trained,
# and zeros arrived 40,001 times. That `DataParallel` filled them in is our explanation; the file itself
# can't say it.
#
# ## 5 · Find the line
#
# Not used: then some line of the code computes a result and drops it. Here is a tiny network with
# such a line. Everything runs, the loss falls, no warning appears.

# %%
class Weighted(nn.Module):
    """`main` makes features; `branch` makes weights that should scale them."""

    def __init__(self):
        super().__init__()
        self.main, self.branch = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)

    def forward(self, x):
        y = self.main(x)  # line 1
        w = torch.sigmoid(self.branch(x))  # line 2
        y.mul(w)  # line 3
        return torch.relu(y)  # line 4


# %% [markdown]
# **Predict:** in which line is the product lost?

# %%
my_line = None  # write 1, 2, 3 or 4

# %%
x = torch.rand(1, 1, 6, 6)
tiny = Weighted()
y = tiny.main(x)
before = y.clone()
y.mul(torch.sigmoid(tiny.branch(x)))
print("y after line 3 is the y before it:", torch.equal(y, before))
diagrams.dropped_product()

# %% [markdown]
# `y.mul(w)` *returns* the product and leaves y as it is. The line should read `y = y.mul(w)`. (In place
# is `y.mul_(w)`, with an underscore.) The released code of SPANet has such lines, and what they drop is
# the product with the direction weights.
#
# No warning comes, as a call alone on a line can be right: `names.add("rain")` is. But a *test* finds
# it: one random input, one backward pass, and every parameter that wants a gradient must get one.

# %% [markdown] tags=["exercise"]
# ### Exercise 10.3 · The five-line test
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | write `idle_parameters(model, loss)`: the list of the names of those parameters that want a gradient (`requires_grad`) and get none from `loss`, or only zeros. An earlier backward may have left gradients in the model: they don't count |
#
# <details><summary>Hint</summary>
#
# Three steps: `model.zero_grad()` clears the gradients, `loss.backward()` makes new ones, a loop over
# `model.named_parameters()` looks at each name and parameter p. `p.grad` is None if nothing came, else a
# tensor.
#
# </details>

# %% tags=["exercise"]
def idle_parameters(model, loss):
    """Return the parameters that want a gradient and get none, or zeros."""
    # BEGIN SOLUTION
    model.zero_grad()
    loss.backward()
    return [name for name, p in model.named_parameters()
            if p.requires_grad and (p.grad is None or not p.grad.any())]
    # END SOLUTION


if exercises.check("10.3", idle_parameters):
    print("Weighted:", idle_parameters(tiny, tiny(x).square().mean()))

# %% [markdown] tags=["solution"]
# Without `zero_grad` an old gradient of the branch hides that none came this time.

# %% [markdown]
# Now the same test on the real network, in the two modes of this package: as released (the product is
# dropped) and as in the paper.

# %%
names = {}
for mode, acts in {"as released": False, "as in the paper": True}.items():
    network = de.create_model("spanet", direction_attention=acts)
    network.requires_grad_(True)  # also for the branch
    picture, maps = network.attend(torch.rand(1, 3, 16, 16))
    loss = picture.square().mean() + maps[:, 0].mean()
    names[mode] = idle_parts.idle_parameters(network, loss)
    count = sum(network.get_parameter(name).numel() for name in names[mode])
    print(f"{mode:16} idle: {len(names[mode])} tensors, {count:,} parameters")
assert set(names["as released"]) == {trace.name for trace in idle}
assert names["as in the paper"] == []

# %% [markdown]
# From the outside, by a checkpoint of 2019, and from the inside, by a test of five lines: the same six
# tensors.
#
# ## 6 · Two more contradictions
#
# **The learning rate.** The released script starts at a rate of 0.005 and divides it by ten after
# 30,000 steps. The checkpoint holds the rate at the start and the rate now.

# %%
def rate_now(start, step):
    return start / 10 if step > 30_000 else start


in_file = evidence.settings
rows = [["script", "0.005", f"{rate_now(0.005, evidence.counter):.5f}"],
        ["file", f"{in_file['initial_lr']}", f"{in_file['lr']:.5f}"],
        ["from 0.0005", "0.0005", f"{rate_now(0.0005, evidence.counter):.5f}"]]
print(text_table(["learning rate", "at the start", "at step 40,000"], rows))
assert np.isclose(in_file["initial_lr"], 0.0005)
assert np.isclose(in_file["lr"], rate_now(0.0005, evidence.counter))

# %% [markdown]
# The division by ten fits, the start does not: the file names 0.0005. Anyone who trains with the
# released script starts at ten times that rate. So the published weights are not what the published
# script makes.
#
# **The mask.** SPANet's map is trained against a mask of the rain. The released code makes it from
# the two pictures as bytes: rainy minus clean, summed over the colours, cut to 0 … 1. A byte has no
# minus: 3 − 5 wraps around to 254. We take a rainy photo whose truth we know, and add noise of at most
# one grey level of 255, as any camera or file format would.
#
# **Predict:** how many percent of the pixels does the released mask call rain then?

# %%
my_guess = None  # write a number from 0 to 100

# %%
photo = de.load_photo("picosdeeuropa", long_side=240)
rain = de.add_rain(photo, "light", seed=4)
clean, rainy = (255 * photo).round(), (255 * rain.rainy).round()  # grey levels
noisy = (rainy + torch.randint(-1, 2, rainy.shape)).clamp(0, 255)


def masks_of(rainy, clean):
    """Return three masks (H, W) of pictures (3, H, W) in grey levels."""
    signed = rainy - clean  # can be negative
    as_bytes = rainy.byte() - clean.byte()  # can't: 3 − 5 is 254
    return {"brighter by more than 3": signed.mean(dim=0) > 3,
            "brighter at all": signed.sum(dim=0) > 0,
            "released: bytes": as_bytes.long().sum(dim=0).clamp(0, 1) > 0}


exact, with_noise = masks_of(rainy, clean), masks_of(noisy, clean)
released = with_noise["released: bytes"]
compare_guess(my_guess, 100 * released.float().mean().item(), "%", decimals=0)
rows = [["true mask", f"{rain.mask.float().mean():.0%}", ""]]
for name in exact:
    a, b = exact[name].float().mean(), with_noise[name].float().mean()
    rows.append([name, f"{a:.0%}", f"{b:.0%}"])
print(text_table(["mask", "exact pair", "noise of ±1"], rows))
package = rain_mask(noisy[None] / 255, clean[None] / 255, "released")[0, 0]
assert torch.equal(released, package.bool()), "the same as in the package"

# %%
figure = views.masks_figure({"true mask": rain.mask[0]} | with_noise)
plots.show(figure, "The true mask, and three of the noisy pair: nearly the truth; "
           "speckled all over; nearly all white.")
few, some, most = (mask.float().mean() for mask in with_noise.values())
assert few < 0.2 < some < 0.6 < 0.9 < most

# %% [markdown]
# On the exact pair all three are a little larger than the truth: 14 and 18 % against 13. With noise the
# released one calls 96 % of the pixels rain. It has two faults. It has no threshold, so the smallest
# difference counts; that alone gives 48 %. And it has no minus, so *darker* counts as well as brighter.
# How noisy the authors' pairs are, and what the mask did to their training, we don't know.
#
# ## 7 · Does it matter?
#
# Back to the direction weights. Does repairing the line repair a network that was trained with the bug?
# This course's network was trained "as released", too, so we can try: we let its untrained branch act.
#
# **Predict:** how many dB does it lose?

# %%
my_guess = None  # write a number

# %%
pairs = []
for seed, name in enumerate(de.photo_names("test")):
    middle = de.load_photo(name, long_side=480)[:, 80:208, 80:208]  # (3, 128, 128)
    pairs.append((middle, de.add_rain(middle, "light", seed=seed)))
clean = torch.stack([middle for middle, _ in pairs])
rainy = torch.stack([rain.rainy for _, rain in pairs])
mask = torch.stack([rain.mask for _, rain in pairs])

scores = {}
for mode, acts in {"as trained": False, "line repaired": True}.items():
    network = de.create_model("spanet", pretrained="open", direction_attention=acts)
    with torch.no_grad():
        picture, maps = network.attend(rainy)
    A = maps[:, :1]
    each = [de.psnr(*pair) for pair in zip(picture, clean, strict=True)]
    scores[mode] = np.mean(each)
    gap = 100 * calibration_gap(calibration(A, mask))
    print(f"{mode:13} {scores[mode]:.2f} dB; map: AUC {auc(A, mask):.3f}, "
          f"mean {A.mean():.2f}, gap {gap:.1f} points")
weights = direction_weights(network, rainy[0])
print(f"untrained weights: {weights.min():.2f} to {weights.max():.2f}")
compare_guess(my_guess, scores["as trained"] - scores["line repaired"], "dB")
assert scores["line repaired"] < scores["as trained"]

# %% [markdown]
# An untrained branch gives weights near ½, so each round of sweeps now reaches the next layer at about
# half its size. The *order* of the pixels hardly suffers, the *level* of the map does: its mean grows by
# nearly half, and it is no longer near a probability. A bug that has been trained over is part of the network.
#
# And if both are trained from the start? Recorded: both modes with the same small budget (1,600
# steps), on the same samples in the same order, three seeds. (Lesson 09 showed what it did to the map;
# here is the picture.)

# %%
rows = load_results("direction_attention")
figure = views.seeds_figure(rows, "psnr_validation", "PSNR in dB")
plots.show(figure, "PSNR of both modes, one line per seed: one rises, two fall.")
gain = differences(rows, "as in the paper", "as released")
print("gain by seed:", ", ".join(f"{value:+.2f} dB" for value in gain))
verdicts = Verdicts()
claim = "trained with direction weights, the picture is better"
verdict = verdicts.judge(claim, gain)
assert verdict.holds is None and abs(verdict.middle) + verdict.half < 1
verdicts.latest()

# %% [markdown]
# Can't tell. One seed gains, two lose. The interval excludes an effect of more than 1 dB in this small
# training; it can't tell a small one from none. So the bug did not make a network that fails. It made a
# *claim* that nobody had tested: whatever the published network is good at, it is not because of direction
# weights.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. Why does `torch.load(file, weights_only=False)` need trust in whoever made the file?**
#
# <details><summary>Answer</summary>
#
# The file is a pickle, a small program. Loading runs it, and it can call any function that it names
# (section 2: it printed a line).
#
# </details>
#
# **2. A tensor still looks as new after 40,001 steps. What else do you need to say that it never got a
# gradient? And how do you know that it was not frozen?**
#
# <details><summary>Answer</summary>
#
# Its record in Adam: m and v exactly 0. The size of the weights proves nothing: the β of the sweeps were
# trained, and lie inside their bound, too. And a frozen tensor has no record at all.
#
# </details>
#
# **3. Why must the five-line test call `zero_grad` first?**
#
# <details><summary>Answer</summary>
#
# `backward` *adds* to what is in `.grad`, and leaves it as it is where no gradient comes. A gradient of
# an earlier backward would make an idle branch look alive.
#
# </details>
#
# **4. A friend changes `y.mul(w)` to `y = y.mul(w)` in the released code and loads the published
# weights. A repair?**
#
# <details><summary>Answer</summary>
#
# Of the code, yes; of the network, no. The branch was never trained. Section 7 tries it with this
# course's weights: the picture loses 1.0 dB. The repaired network has to be trained.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - open a stranger's checkpoint without running its code;
# - read in it which tensors were trained, and compare its learning rate with the script's;
# - find a dropped result, and write the five-line test that finds it for you. Put it into your own
#   projects;
# - tell a repaired line from a repaired network.
#
# What we found about the released SPANet, without the authors' data: its direction weights never acted,
# its weights were made at another learning rate than the script names, and its mask counts any
# difference as rain.
#
# **Next: 11 · Progressive training**. When does it help to learn the easy things first?
