# %% [markdown]
# # 04 · Progressive PRN
#
# **How can one set of weights do six different jobs?**
#
# | | |
# |---|---|
# | **Goals** | turn the baseline into PRN in three edits; say what grows with the number of stages and what does not; predict what a loop does beyond the stages it was trained for; say which one job the weights do at each stage; measure what each stage takes away, where, and how fine it is, and judge a claim by numbers with an interval |
# | **Before you start** | lesson 03 |
# | **Time** | 95 minutes, 45 of them for the exercises; the cells take 45 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Ren et al., CVPR 2019 (arXiv 1901.09221) |

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
# The baseline of lesson 03 is a row of blocks. Each block works once, on features, and only the
# last layer makes a picture.
#
# PRN is one short network that runs again and again, and each run makes a picture. Its weights
# never change between the runs, so how can the first run do something else than the last? We build
# PRN, watch it work, and take it apart.

# %%
print(f"derain_edu {de.__version__}")

import copy
from itertools import pairwise

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from derain_edu.course import exercises
from derain_edu.course.views import plots
from derain_edu.course.views.stages import draw_stage, stage_slider, stage_views
from derain_edu.experiments.results import load_results
from derain_edu.experiments.statistics import summarize
from derain_edu.models.pretrained import best_pretrained
from derain_edu.text import compare_guess

de.choose_device("cpu", verbose=True)  # small pictures: a GPU would wait more than it works
torch.set_grad_enabled(False)  # today nothing is trained: no gradients

clean = de.load_photo("picosdeeuropa", long_side=240)  # (3, H, W), RGB in [0, 1]
rain = de.add_rain(clean, "light", seed=4)
rainy, target = rain.rainy[None], clean[None]  # (3, H, W) -> (1, 3, H, W)

# %% [markdown]
# ## 1 · Three edits
#
# We start with the trained baseline of the course: a head, five blocks, a tail. The tail predicts
# minus the rain layer, and the rainy picture is added. PRN's class can be told to do exactly
# that: one stage, and no second look at the rainy picture. "Exactly" is a claim, so we check it.

# %%
baseline = de.create_model("residual", pretrained="open")
one_stage = de.create_model("prn", stages=1, concat_rainy=False)  # five blocks, as published
one_stage.load_state_dict(baseline.state_dict())  # the same names and shapes, nothing left over

assert torch.equal(one_stage(rainy), baseline(rainy)), "not equal to the last bit"
print("PRN with one stage and without concatenation IS the baseline: equal to the last bit")
print(f"rainy {de.psnr(rainy, target):.2f} dB, baseline {de.psnr(baseline(rainy), target):.2f} dB")

# %% [markdown]
# **Edit 1: loop it.** The output is a picture, so it can be the next input:
# $x_t = x_{t-1} + f(x_{t-1})$, where f is head, blocks and tail. What is left of the rain gets a
# second chance.
#
# **Predict:** how many dB does the second pass add to the first?

# %%
my_guess = None  # write a number; minus means worse

# %%
x, edit_1 = rainy, []
for _ in range(6):
    x = baseline(x)  # x_t = x_{t-1} + f(x_{t-1}), (1, 3, H, W)
    edit_1.append(de.psnr(x, target))
compare_guess(my_guess, edit_1[1] - edit_1[0], "dB", decimals=2)
print("after pass 1 to 6:", " ".join(f"{score:.2f}" for score in edit_1), "dB")

# %% [markdown]
# Compare the second pass with the sixth. A pass can't know that its input was cleaned before, so it
# takes a little more away each time. And whatever one pass takes by mistake is gone for all later
# ones: they never see the original again.

# %% [markdown]
# **Edit 2: subtract from the original.** Let each pass predict the *whole* rain layer again, and
# add it to the rainy picture O, not to the last draft: $x_t = O + f(x_{t-1})$. Now a mistake can
# be taken back. This is what PRN's residual output does.
#
# **Predict:** the same weights, the second pass again. Better or worse than the first, by how much?

# %%
my_guess = None  # write a number; minus means worse

# %%
drafts = one_stage.unroll(rainy, 6)  # x_t = O + f(x_{t-1}): six pictures (1, 3, H, W)
edit_2 = [de.psnr(x, target) for x in drafts]
compare_guess(my_guess, edit_2[1] - edit_2[0], "dB", decimals=2)
print("after pass 1 to 6:", " ".join(f"{score:.2f}" for score in edit_2), "dB")

first, second = ((x - rainy).square().mean().sqrt() * 255 for x in drafts[:2])
print(f"rain layer that is found: pass 1 {first:.2f}, pass 2 {second:.2f} grey levels (RMS)")
assert second < first, "pass 2 sees a cleaner draft and must find less rain in it"

# %% [markdown]
# Pass 2 looks at a draft that is nearly free of rain, rightly finds little, and adds this little to
# O, where all the rain still is. The rain comes back; pass 3 sees it and finds it again. *These
# weights* can't win: they were trained for one pass, and what they *look at* (the draft) is not
# what they *correct* (the original). A loop of this kind that is trained as a loop does gain: in
# section 6 it is called "concat off, + rainy on", and gains 2.99 dB over the rainy input.

# %% [markdown]
# **Edit 3: show both.** The head sees O and the draft, six channels instead of three. This is PRN.
# The head's weights change their shape, so this edit has to be trained.

# %% [markdown] tags=["exercise"]
# ### Exercise 04.1 · All three edits
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | write PRN's loop `unroll(head, body, tail, rainy, stages)`: the list of the pictures after stage 1, 2, …, T |
#
# `head` takes six channels, first the rainy picture, then the draft, and ends in its ReLU; `body`
# stands for the blocks; `tail` predicts minus the rain layer. The first draft is the rainy picture.
#
# <details><summary>Hint</summary>
#
# Start from the loop of edit 1. Which line does edit 2 change, and what does edit 3 put before the
# head? `torch.cat((a, b), dim=1)` puts channels side by side.
#
# </details>

# %% tags=["exercise"]
def unroll(head, body, tail, rainy, stages):
    """Return [x_1, ..., x_T], each (B, 3, H, W) like ``rainy``."""
    # BEGIN SOLUTION
    x, pictures = rainy, []  # x_0 = O
    for _ in range(stages):
        z = head(torch.cat((rainy, x), dim=1))  # (B, 6, H, W) -> (B, C, H, W)
        x = rainy + tail(body(z))  # (B, C, H, W) -> (B, 3, H, W)
        pictures.append(x)
    return pictures
    # END SOLUTION


if exercises.check("04.1", unroll):
    prn = de.create_model("prn")  # random weights: the loop is the same
    body = torch.nn.Sequential(*prn.blocks)
    mine = unroll(lambda both: F.relu(prn.head(both)), body, prn.tail, rainy, 2)
    same = torch.equal(mine[-1], prn.unroll(rainy, 2)[-1])
    print("your loop and the package's, on one fresh PRN: equal to the last bit?", same)

# %% [markdown] tags=["solution"]
# One line for each edit: the loop; `rainy + …` instead of `x + …`; `torch.cat`. Nothing says which
# stage it is: the parts are the same each time, and only x changes. Don't copy the parts and don't
# detach x: training needs the way back through all stages (lesson 05).

# %% [markdown]
# Now with trained weights: all three edits once more, on the layers of the network themselves, and
# compared with the package. In the words of the paper's figure 2: head + ReLU is f_in, the blocks
# are f_res, the tail is f_out.

# %%
tag = best_pretrained("prn")  # the authors' weights if you have downloaded them, else the course's
model = de.create_model("prn", pretrained=tag)
T = model.config.stages


def prn_by_hand(model, rainy, stages):
    x, pictures = rainy, []  # x_0 = O
    for _ in range(stages):  # edit 1: the same weights, again and again
        both = torch.cat((rainy, x), dim=1)  # edit 3: (B, 3 + 3, H, W)
        z = F.relu(model.head(both))  # (B, 6, H, W) -> (B, C, H, W)
        for block in model.blocks:
            z = block(z)
        x = rainy + model.tail(z)  # edit 2: (B, C, H, W) -> (B, 3, H, W), added to O
        pictures.append(x)
    return pictures


pictures = model.unroll(rainy, 6)
assert all(torch.equal(a, b) for a, b in zip(prn_by_hand(model, rainy, 3), pictures, strict=False))
shorter = de.create_model("prn", pretrained=tag, stages=2)  # the same weights, told to stop at 2
assert torch.equal(shorter(rainy), pictures[1])
print(f"weights {tag!r}, trained with T = {T} stages: by hand and package agree to the last bit")

# %%
edit_3 = [de.psnr(x, target) for x in pictures]
assert edit_3[-1] >= edit_3[0], "PRN was trained as a loop: it must not fall over the passes"
figure, axes = plots.new_figure(width=8.5, height=3.2)
curves = {"edit 1: loop": edit_1, "edit 2: add to O": edit_2, "edit 3: PRN, trained": edit_3}
plots.draw_curves(axes[0, 0], curves, xlabel="pass, or stage", ylabel="PSNR in dB")
axes[0, 0].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plots.show(
    figure,
    "PSNR over six passes: the looped baseline, the baseline added to O each time, and PRN.",
)
print("PRN, stages 1 to 6:", " ".join(f"{score:.2f}" for score in edit_3), "dB")

# %% [markdown]
# Compare the shapes, not the heights: only PRN was trained as a loop, and not with the baseline's
# budget. Section 6 trains the combinations with equal budgets. What this section gives is the idea:
# the loop gives chances, the addition to O lets it take mistakes back, and the concatenation tells
# it what there is to correct.

# %% [markdown]
# ## 2 · What a stage costs
#
# The weights of all stages are the same tensors. A baseline as deep as PRN with T = 6 stages of
# five blocks needs 30 blocks of its own.
#
# **Predict:** how many times PRN's parameters is that?

# %%
my_guess = None  # write a number

# %%
costs, tiny = {}, torch.rand(1, 3, 64, 64)
print(" T | PRN: parameters   GFLOP | as deep a baseline: parameters   GFLOP")
for stages in (1, 2, 4, 6, 12):
    two = de.create_model("prn", stages=stages), de.create_model("residual", blocks=5 * stages)
    row = []
    for network in two:
        with FlopCounterMode(display=False) as counter:
            network(tiny)
        row += [sum(p.numel() for p in network.parameters()), counter.get_total_flops()]
    costs[stages] = row
    print(f"{stages:2} | {row[0]:15,}  {row[1] / 1e9:6.2f} | {row[2]:30,}  {row[3] / 1e9:6.2f}")

compare_guess(my_guess, costs[6][2] / costs[6][0], "times as many")
assert len({row[0] for row in costs.values()}) == 1, "parameters must not depend on T"
assert all(row[1] == stages * costs[1][1] for stages, row in costs.items()), "FLOPs grow with T"

# %% [markdown]
# Parameters stay at 95,107, the number of the released network; computation grows exactly with T.
# Sharing saves memory for weights. It saves no computation.

# %% [markdown] tags=["exercise"]
# ### Exercise 04.2 · Count without running
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 10 minutes |
# | **Task** | write `cost(stages, channels, blocks, height, width)`: two whole numbers, PRN's parameters and the multiplications of its T stages for one picture |
#
# All convolutions are 3×3, have biases and keep the size: the head 6 → C, two of C → C in each
# block, the tail C → 3. A multiplication with the zeros of the border counts, too, as in the
# counter above; additions don't.
#
# <details><summary>Hint</summary>
#
# A 3×3 convolution from a to b channels has 9·a·b weights and b biases. At each pixel, each weight
# is multiplied once. Write the list of (a, b) first.
#
# </details>

# %% tags=["exercise"]
def cost(stages, channels, blocks, height, width):
    """Return (parameters, multiplications) of PRN."""
    # BEGIN SOLUTION
    layers = [(6, channels), *[(channels, channels)] * (2 * blocks), (channels, 3)]
    weights = sum(9 * a * b for a, b in layers)
    biases = sum(b for _, b in layers)
    return weights + biases, stages * weights * height * width
    # END SOLUTION


if exercises.check("04.2", cost):
    parameters, multiplications = cost(6, 32, 5, 64, 64)
    print(f"T = 6: formula {parameters:,}, counted {costs[6][0]:,} parameters;")
    print(f"formula {multiplications:,} multiplications, counted {costs[6][1]:,} FLOP")

# %% [markdown] tags=["solution"]
# T stands in one of the two numbers only. The counter has twice as many FLOP as you have
# multiplications: it counts each multiplication together with the addition behind it.

# %% [markdown]
# ## 3 · The stage slider
#
# Training looked only at the picture after stage T. But the loop can run on: nothing in the code
# knows that T is the end.
#
# **Predict** before you move the slider: from stage T to stage 12, how many dB does the mean over
# six photos gain or lose?

# %%
my_guess = None  # write a number; minus means worse

# %%
STAGES = 12
stage_slider(model, rain.rainy, clean, STAGES)

# %% [markdown]
# Left: the picture after this stage. Middle: what this stage changed, ten times as bright. Right:
# the score of all stages, and what has been spent. Four of its stops:

# %%
views = stage_views(model, rain.rainy, clean, STAGES)  # what the slider looks at
stops = {"rainy": rain.rainy}
stops |= {f"stage {k}, {views[k - 1].psnr:.2f} dB": views[k - 1].picture for k in (1, T, STAGES)}
stops |= {f"change ×10, stage {k}": views[k - 1].change for k in (1, T)}
plots.show(
    plots.picture_row(stops, width=11),
    "The rainy photo, the pictures after the first, the trained last and the twelfth stage, and "
    "the change by the first and the trained last stage.",
)
assert views[0].parameters == views[-1].parameters
assert views[T - 1].change.mean() < views[0].change.mean(), "late stages change less"

# %%
frames = [draw_stage(views, k, T) for k in (1, 6, STAGES)]  # what the slider shows
assert all(frame.startswith(b"\x89PNG") for frame in frames) and len(set(frames)) == 3

# %% [markdown]
# One photo can mislead. We run twelve stages on the six test photos and keep every picture: the
# rest of the lesson looks at these runs.

# %%
runs = []  # (clean, mask, [x_0 = O, x_1, …, x_12]) of each photo
for seed, name in enumerate(de.photo_names("test")):
    photo = de.load_photo(name, long_side=240)  # (3, H, W)
    drawn = de.add_rain(photo, "light", seed=seed)
    stages = model.unroll(drawn.rainy[None], STAGES)  # 12 pictures (1, 3, H, W)
    runs.append((photo, drawn.mask, [drawn.rainy, *(x[0] for x in stages)]))

scores = torch.tensor([[de.psnr(x, photo) for x in xs] for photo, _, xs in runs])  # (6, 13)
mean = scores.mean(dim=0)  # (6, 13) -> (13,)
compare_guess(my_guess, (mean[STAGES] - mean[T]).item(), "dB", decimals=2)
print(f"mean: rainy {mean[0]:.2f}, stage 1 {mean[1]:.2f}, T = {T} {mean[T]:.2f}, 12 {mean[12]:.2f}")
best = (scores[:, 1:].argmax(dim=1) + 1).tolist()  # (6,)
print("best stage of each photo:")
print("   ", ", ".join(f"{k}: {v}" for k, v in zip(de.photo_names("test"), best, strict=True)))
assert mean[T] > mean[1], "the trained number of stages must beat a single stage"

# %%
figure, axes = plots.new_figure(1, 2, width=11, height=3.2)
gains = (scores - scores[:, :1])[:, 1:]  # (6, 12), dB over the rainy input
curves = {name: row.tolist() for name, row in zip(de.photo_names("test"), gains, strict=True)}
plots.draw_curves(axes[0, 0], curves, xlabel="stage", ylabel="gain over rainy, dB")
axes[0, 0].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
changes = [(b - a).abs().mean() * 255 for _, _, xs in runs for a, b in pairwise(xs)]
changes = torch.stack(changes).view(len(runs), STAGES).mean(dim=0)  # (6 · 12) -> (12,)
plots.draw_curves(axes[0, 1], {"": changes.tolist()}, xlabel="stage", ylabel="change, grey levels")
axes[0, 1].set_yscale("log")
for axis in axes.flat:
    axis.axvline(T, linestyle=":", color="grey")
plots.show(
    figure,
    "Left: gain over the rainy photo by stage for six photos. Right: mean change by stage.",
)

# %% [markdown]
# The dotted line is the trained T. Right: the changes get smaller and smaller, the loop comes to
# rest. Left: *where* it rests is another question. The loss asked for a good picture after T
# stages, not for one that stays good.
#
# Here the mean hardly moves from T to stage 12: +0.08 dB. Other weights may lose. And the mean
# hides that photos differ: two are best after stage 2, one after stage 6, and three after stage 12,
# which is only the last one that we tried.

# %% [markdown] tags=["exercise"]
# ### Exercise 04.3 · Stop when it rests
#
# | | |
# |---|---|
# | **Difficulty** | ●●●●○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 20 minutes |
# | **Task** | write `run_to_rest(stage, rainy, threshold, limit)`: each picture of the batch runs until one of its stages changes it by less than the threshold, or until the limit |
#
# `stage(rainy, x)` makes the next drafts of a batch. A change is the mean of |x_t − x_{t−1}| over
# colours and pixels. The result of the quiet stage counts, and so does the stage. Return the
# pictures (B, 3, H, W) and the number of stages that each one used (B,). A picture at rest must not
# change any more, and when all are at rest, call `stage` no more.
#
# <details><summary>Hint</summary>
#
# Keep `awake`, one bool per picture. `torch.where(awake.view(-1, 1, 1, 1), new, x)` moves only the
# pictures that are awake. Count them before you put some to rest. Or split the batch and run
# picture by picture.
#
# </details>

# %% tags=["exercise"]
def run_to_rest(stage, rainy, threshold, limit):
    """Return each picture at its own last stage, (B, 3, H, W), and the stages it used, (B,)."""
    # BEGIN SOLUTION
    x = rainy
    awake = torch.ones(len(rainy), dtype=torch.bool)
    used = torch.zeros(len(rainy), dtype=torch.long)
    for _ in range(limit):
        new = stage(rainy, x)
        change = (new - x).abs().mean(dim=(1, 2, 3))  # (B, 3, H, W) -> (B,)
        x = torch.where(awake.view(-1, 1, 1, 1), new, x)
        used = used + awake
        awake = awake & (change >= threshold)
        if not awake.any():
            break
    return x, used
    # END SOLUTION


if exercises.check("04.3", run_to_rest):
    for name, (photo, _, xs), row in zip(de.photo_names("test"), runs, scores, strict=True):
        x, used = run_to_rest(lambda o, x: model.stage(o, x, None)[0], xs[0][None], 0.001, STAGES)
        print(f"{name:>13}: at rest (0.1 %) after {int(used[0]):2} stages, "
              f"{de.psnr(x[0], photo):.2f} dB; after {T} {row[T]:.2f}, best {row[1:].max():.2f}")

# %% [markdown] tags=["solution"]
# This needs no clean picture, so it works on real photos, and it saves the stages that a light rain
# does not need. But it finds the place where the loop *rests*, and this need not be the *best* one.

# %% [markdown]
# ### The network doesn't know which stage it is in
#
# A stage gets two pictures, O and a draft, and nothing else: no counter, no memory. Stop after
# stage 3, hand the draft to a fresh network as if it were new, and it must continue as if nothing
# had happened.
#
# So the draft decides what a stage does. **Predict:** we cheat and give it the *clean* photo as a
# draft. What is the PSNR after one stage?

# %%
my_guess = None  # write a number

# %%
fresh = copy.deepcopy(model)  # has never seen this picture
assert torch.equal(fresh.stage(rainy, pictures[2], None)[0], pictures[3])  # x_3 -> x_4

starts = {"rainy (as trained)": rainy, "clean": target, "black": torch.zeros_like(rainy)}
curves, ends = {}, {}
for name, x in starts.items():
    curves[name] = []
    for _ in range(STAGES):
        x, _ = model.stage(rainy, x, None)
        curves[name].append(de.psnr(x, target))
    ends[name] = x
compare_guess(my_guess, curves["clean"][0], "dB")

# %%
figure, axes = plots.new_figure(width=7, height=3.2)
plots.draw_curves(axes[0, 0], curves, xlabel="stage", ylabel="PSNR in dB")
axes[0, 0].get_legend().set_title("first draft")
plots.show(figure, "PSNR by stage when the first draft is the rainy, the clean or a black picture.")
own = ends["rainy (as trained)"]
for name, x in ends.items():
    apart = (x - own).abs().mean() * 255
    same = "the same picture" if apart < 1 else "another picture"
    print(f"draft {name}: {curves[name][-1]:.2f} dB, {apart:.2f} grey levels apart: {same}")

# %% [markdown]
# The perfect draft gets *worse*: the network does not know that it is perfect, and pulls it towards
# its own answer. The rainy draft climbs towards the same answer from below.
#
# A black draft lies far from everything in training, so nothing promises that it ends there, too.
# The printed lines say whether it does with your weights.
#
# So the weights do **one job, once for each stage**: "Here is the rainy picture, here is a draft:
# give me the rain layer." Only the drafts differ. This is not a finding. It follows from how PRN is
# built: a stage without a counter and without a memory is the same function each time. What we
# measured is what this function does with different drafts.

# %% [markdown]
# ## 4 · Feature stages against picture stages
#
# The baseline has stages too: its blocks. But what flows between them has 32 channels and is not a
# picture. Only the tail turns it into one, and the tail is a linear layer.
#
# So we may apply it after *each* block, and the difference from block to block is what this block
# adds to the result: five blocks and a head, six pictures, and their sum is the whole answer.

# %%
def contributions(baseline, rainy):
    """Return what the head and each block add to the output: pictures (3, H, W)."""
    features = baseline.features(rainy[None])  # after the head, after each block: (1, C, H, W)
    read = [baseline.tail(f)[0] for f in features]  # (1, C, H, W) -> (3, H, W)
    return [read[0], *(b - a for a, b in pairwise(read))]


parts = contributions(baseline, rain.rainy)
assert torch.allclose(rain.rainy + sum(parts), baseline(rainy)[0], atol=1e-5)
print(f"O + {len(parts)} contributions = the baseline's output")

# %% [markdown]
# **Predict:** we stop the baseline in the middle, after block 3 of 5, and let the tail read. On the
# six photos, how many of its final dB has the baseline gained by then, in percent?

# %%
my_guess = None  # write a number from 0 to 100

# %%
features = torch.zeros(len(parts))  # mean PSNR of O + what the tail reads at each depth
parts_of = [contributions(baseline, xs[0]) for _, _, xs in runs]
for parts, (photo, _, xs) in zip(parts_of, runs, strict=True):
    x = xs[0]
    for depth, part in enumerate(parts):
        x = x + part
        features[depth] += de.psnr(x, photo) / len(runs)
share = (features[3] - mean[0]) / (features[-1] - mean[0])
compare_guess(my_guess, 100 * share.item(), "%", decimals=0)
print("baseline, head and blocks 1 to 5:", " ".join(f"{v:.2f}" for v in features), "dB")
print(f"PRN, stages 1 to {T}:", " ".join(f"{v:.2f}" for v in mean[1 : T + 1]), "dB")
first = (mean[1] - mean[0]) / (mean[T] - mean[0])
print(f"PRN has {first:.0%} of its gain after stage 1 of {T}")

# %%
shown = [k for k in (1, 2, 3, 4, 6) if k <= T]
figure, axes = plots.new_figure(2, 6, width=11, height=3.4)
for axis, f, k in zip(axes[0], baseline.features(rainy), range(6), strict=True):
    f = f[0].mean(dim=0)  # (1, C, H, W) -> (H, W): the mean of all channels
    plots.draw_picture(axis, f / f.max(), "after the head" if k == 0 else f"after block {k}")
for axis in axes[1]:
    axis.set_axis_off()
plots.draw_picture(axes[1, 0], rain.rainy, "rainy")
for axis, k in zip(axes[1, 1:], shown, strict=False):
    plots.draw_picture(axis, views[k - 1].picture, f"PRN, stage {k}")
plots.show(
    figure,
    "Top: the baseline's mean feature map after the head and after each block: a grey relief. "
    "Bottom: PRN's output after its stages: photos with less and less rain.",
)

# %% [markdown]
# Top row: these are not pictures. The tail was trained to read the *last* features only, so the
# features before need not mean anything to it. After block 3 of 5, only a third of the gain is
# there.
#
# Bottom row: each stage must hand on a picture, because three channels are all that passes to the
# next stage. Stop PRN after stage 1, and 76 % of its gain is there. (The work is not equal: stage 1
# has run five blocks, block 3 is the third.)
#
# And the end? PRN is *not* better than the baseline here: 31.86 against 32.17 dB after T = 4
# stages, with four times the computation. Their trainings differed, so this does not decide which
# one is better. But no gain of PRN is shown here.

# %% [markdown]
# ## 5 · What does each stage take away?
#
# A common story: the first stage removes the big streaks, later stages restore details. We made
# the rain, so we can check.
#
# The **energy** of a change (sum of its squares) can be split in two ways: by place, on streak
# pixels or background; and by size, with a Fourier transform, into waves longer than 16 px, 16–8,
# 8–4, and shorter than 4 px.

# %% [markdown] tags=["exercise"]
# ### Exercise 04.4 · Energy on the streaks
#
# | | |
# |---|---|
# | **Difficulty** | ●○○○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 5 minutes |
# | **Task** | write `split_energy(before, after, mask)`: the energy of a stage's change on the streaks, and the energy of its change on the background |
#
# `before` and `after` are two drafts (3, H, W). The mask is true on streaks, one bool per pixel
# (1, H, W), for all three colours. Energy is a sum of squares, no mean.
#
# <details><summary>Hint</summary>
#
# Sum the squares over the three colours first: then the energy and `mask[0]` have the same shape.
# `~mask` is true where `mask` is false.
#
# </details>

# %% tags=["exercise"]
def split_energy(before, after, mask):
    """Return (energy on streaks, energy on background)."""
    # BEGIN SOLUTION
    power = (after - before).square().sum(dim=0)  # (3, H, W) -> (H, W)
    return power[mask[0]].sum(), power[~mask[0]].sum()
    # END SOLUTION


if exercises.check("04.4", split_energy):
    for words, offset in (("mask", 0), ("the same mask, 40 pixels too far right", 40)):
        pairs = [split_energy(xs[0], xs[1], mask.roll(offset, dims=2)) for _, mask, xs in runs]
        on = sum(float(a) for a, _ in pairs)
        share = on / (on + sum(float(b) for _, b in pairs))
        print(f"stage 1, {words}: {share:.0%} of the energy on it")

# %% [markdown] tags=["solution"]
# A share alone says little: a mask of a quarter of the picture gets some of any change. So look
# at a mask that knows nothing, too: the same one in the wrong place.

# %%
EDGES = (0, 1 / 16, 1 / 8, 1 / 4, 1)  # waves per pixel; the largest that exists is √½ = 0.71
SIZES = ("over 16 px", "16–8 px", "8–4 px", "under 4 px")


def energies(change, mask):
    """Return the energy of a change (3, H, W) on streaks, on background, and in four sizes: (6,)"""
    power = change.square().sum(dim=0)  # (3, H, W) -> (H, W)
    spectrum = torch.fft.fft2(change, norm="ortho").abs().square().sum(dim=0)  # (H, W)
    rows, columns = (torch.fft.fftfreq(n) for n in power.shape)
    radius = torch.hypot(rows[:, None], columns[None])  # (H, W), waves per pixel
    bands = [spectrum[(radius >= a) & (radius < b)].sum() for a, b in pairwise(EDGES)]
    assert torch.isclose(sum(bands), power.sum(), rtol=1e-3)  # Parseval: nothing is lost
    return torch.stack([power[mask[0]].sum(), power[~mask[0]].sum(), *bands])


def table_of(changes_of_each_photo):
    """Return the energies of all changes of all photos: (photos, changes, 6)."""
    pairs = zip(changes_of_each_photo, runs, strict=True)
    return torch.stack([torch.stack([energies(c, mask) for c in cs]) for cs, (_, mask, _) in pairs])


by_stage = table_of([[b - a for a, b in pairwise(xs[: T + 1])] for _, _, xs in runs])  # (6, T, 6)
errors = table_of([[x - photo for x in xs[: T + 1]] for photo, _, xs in runs])  # (6, T + 1, 6)

# %%
total = by_stage.sum(dim=0)  # (6 photos, T, 6) -> (T, 6)
shares = total / total[:, :2].sum(dim=1, keepdim=True)  # (T, 6), parts of the stage's energy
covered = torch.stack([mask.float().mean() for _, mask, _ in runs]).mean()
print("stage | energy | on streaks | " + " | ".join(SIZES))
for k, (energy, row) in enumerate(zip(total[:, :2].sum(dim=1), shares, strict=True), 1):
    columns = " | ".join(f"{v:>{len(n)}.0%}" for n, v in zip(SIZES, row[2:], strict=True))
    print(f"{k:5} | {energy:6.0f} | {row[0]:10.0%} | {columns}")
print(f"streaks cover {covered:.0%} of the pixels: a blind change would have that share")
assert total[0, :2].sum() > total[1:, :2].sum(), "stage 1 does more than all others together"

# %%
figure, axes = plots.new_figure(1, 3, width=11, height=3.2)
stages, left = range(1, T + 1), errors.sum(dim=0)  # (6 photos, T + 1, 6) -> (T + 1, 6)
places = {"on streaks": total[:, 0].tolist(), "on background": total[:, 1].tolist()}
plots.draw_curves(axes[0, 0], places, xlabel="stage", ylabel="energy of the change")
axes[0, 0].set(yscale="log", xticks=stages)
bottom = torch.zeros(T)
for k, size in enumerate(SIZES):
    bars = shares[:, 2 + k]
    axes[0, 1].bar(stages, bars, bottom=bottom, label=size, color=plots.COLOURS[k], width=0.7)
    bottom = bottom + bars
axes[0, 1].set(xlabel="stage", ylabel="share of the energy", xticks=stages)
axes[0, 1].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
places = {"on streaks": left[:, 0].tolist(), "on background": left[:, 1].tolist()}
plots.draw_curves(axes[0, 2], places, x=range(T + 1), xlabel="stage", ylabel="error that is left")
axes[0, 2].set_xticks(range(T + 1))
plots.show(
    figure,
    "Energy of the change by stage on streaks and background; its shares by size of the detail; "
    "and the error that is left on streaks and on background.",
)

# %% [markdown]
# Now the verdicts. For each photo we form one number that is positive if the story is right. The
# mean over photos, with a 95 % interval (Student's t), decides: above zero, below zero, or neither.
# The thirteen verdicts of this lesson are made in this way, by
# `derain_edu/experiments/verdicts.py`.

# %%
from derain_edu.experiments.verdicts import Verdicts

verdicts = Verdicts()
percent = 100 * by_stage / by_stage[:, :, :2].sum(dim=2, keepdim=True)  # (6 photos, T, 6)
fine = percent[:, :, 4] + percent[:, :, 5]  # waves shorter than 8 px, (6 photos, T)
verdicts.judge("coarse first: the last stage works on finer detail than the first",
               fine[:, -1] - fine[:, 0], "percentage points")
verdicts.judge("rain first: the first stage's change lies more on streaks than the last one's",
               percent[:, 0, 0] - percent[:, -1, 0], "percentage points")
background = errors[:, :, 1]  # (6 photos, T + 1)
verdicts.judge("repair later: the error on the background falls after stage 1",
               100 * (1 - background[:, -1] / background[:, 1]), "% of the error after stage 1")
verdicts.latest()

# %% [markdown]
# Stage 1 does more than all others together: this held for all weights that we tried, so it is an
# assert. The rest of the story is not a law of the architecture, and the verdicts depend on the
# training.
#
# With the course's weights all three intervals cover zero. The shares of all photos together move
# towards finer detail (under 4 px: 15 % in stage 1, 37 % in stage 4), but the six photos do not
# agree on it. Nor do they say whether the error on the background falls or grows after stage 1. So
# the story is neither shown nor refuted.

# %% [markdown]
# ## 6 · Why the rainy picture at every stage?
#
# A draft alone does not tell a leftover streak from a detail that looks like one. Nor does it
# tell what an earlier stage damaged. With the original beside it, a stage can compare. First a
# quick check at test time: we set the weights of one half of the head's input to zero.
#
# **Predict:** PRN without the rainy half: how many dB does it lose at stage T?

# %%
my_guess = None  # write a number

# %%
def blinded(model, channels):
    """Return a copy whose head ignores some of its six input channels."""
    blind = copy.deepcopy(model)
    blind.head.weight[:, channels] = 0  # (C, 6, 3, 3)
    return blind


# Six cuts of 64 × 64 pixels are enough for quick checks.
cuts = [(xs[0][:, 40:104, 40:104], photo[:, 40:104, 40:104]) for photo, _, xs in runs]
o, truth = (torch.stack(batch) for batch in zip(*cuts, strict=True))  # (6, 3, 64, 64) each
networks = {"sees both": model, "no rainy half": blinded(model, slice(0, 3)),
            "no draft": blinded(model, slice(3, 6))}
curves = {}
for name, network in networks.items():
    outputs = network.unroll(o, T)
    curves[name] = [de.psnr(x, truth) for x in outputs]
    print(f"{name:>13}:", " ".join(f"{v:.2f}" for v in curves[name]), "dB")
compare_guess(my_guess, curves["sees both"][-1] - curves["no rainy half"][-1], "dB")
assert all(torch.equal(outputs[0], x) for x in outputs), "without a draft all stages are the same"

# %% [markdown]
# Both halves are needed *by these weights*. That is less than it seems: weights that were trained
# with two inputs fail when one of them is set to zero, and a network that is trained without it
# might do well.
#
# So the fair question needs training: four small PRNs, the same steps and samples, five seeds
# each. The authors' tables never had this 2×2: their PReNet_x drops the rainy input *and* the
# addition.

# %%
def draw_recorded(name, alt):
    """Show the recorded gains of an experiment: means, intervals and single seeds; return rows."""
    rows = load_results(name)
    for row in rows:
        row["gain"] = row["psnr_validation"] - row["psnr_input"]  # dB over the rainy input
    summary = summarize(rows, "gain")
    middles, halves = zip(*summary.values(), strict=True)
    figure, axes = plots.new_figure(width=8, height=3.6)
    labels = [variant.replace(", ", ",\n") for variant in summary]
    plots.draw_bars(axes[0, 0], labels, middles, halves, ylabel="gain over the rainy input, dB")
    places = [list(summary).index(row["variant"]) - 0.2 for row in rows]
    axes[0, 0].plot(places, [row["gain"] for row in rows], "o", color="black", markersize=4)
    plots.show(figure, alt)
    print(f"{rows[0]['steps']} steps each; dots: {len({row['seed'] for row in rows})} seeds")
    return rows


rows = draw_recorded(
    "concat_residual", "Gain over the rainy input: concatenation and + O, on or off."
)

# %%
from derain_edu.experiments.statistics import differences  # of two variants, seed by seed

for residual in ("on", "off"):
    both = [f"concat {concat}, + rainy {residual}" for concat in ("on", "off")]
    verdicts.judge(f"concatenation helps, + rainy {residual}", differences(rows, *both))
for concat in ("on", "off"):
    both = [f"concat {concat}, + rainy {residual}" for residual in ("on", "off")]
    verdicts.judge(f"adding O helps, concatenation {concat}", differences(rows, *both))
verdicts.latest()

# %% [markdown]
# Look at the dots before the bars. Where one dot lies far from the others, a training went wrong,
# and no mean repairs that. These runs were recorded twice. The first time, with twice the learning
# rate, no clipping and three seeds, one PRN ended 3 dB below the others, and the interval covered
# nearly everything. So the rate was halved, the gradient was clipped, and two seeds were added. An
# experiment that is repeated after an unclear result is *exploratory*: its verdicts are hints, and
# need a fresh experiment.
#
# (The authors saw it too: "final loss may yield gradient vanish or explosion in few tries", PReNet
# issue 19. Lesson 05 looks into it.)
#
# For comparison, the authors' fully trained ablation weights on the 100 images of Rain100H, one
# training each: no concatenation 28.91 dB, with it 29.32 dB, and with + O as well 29.46 dB.

# %% [markdown]
# ## 7 · A ReLU in the head?
#
# PRN has a ReLU after the head. One may argue: a ReLU this early destroys local features. It
# would hurt the baseline, whose blocks are specialists that need them, and help PRN, a generalist
# that needs all the nonlinearity it can get. Before we believe or test it: what does this
# ReLU cut?
#
# **Predict:** which share of the head's outputs is negative, in percent?

# %%
my_guess = None  # write a number from 0 to 100

# %%
before = model.head(torch.cat((rainy, rainy), dim=1))  # (1, C, H, W), stage 1, before the ReLU
compare_guess(my_guess, 100 * (before < 0).float().mean().item(), "%", decimals=0)

after_block = model.blocks[0](before)  # the head's ReLU taken out
assert after_block.min() >= 0, "a block ends in a ReLU"
print(f"smallest value after the head {before.min():.2f}, one block later {after_block.min():.2f}")

# %% [markdown]
# Most of the head's outputs would be cut. But look one block further: a residual block ends in a
# ReLU after the addition, so it cuts what its skip path carries below zero, unless its branch
# lifts it.
#
# Without the ReLU in the head, negative values live for one block longer, no more. We expect no
# large effect. Here is the 2×2, same budget, five seeds:

# %%
rows = draw_recorded(
    "head_relu", "Gain over the rainy input: baseline and PRN, head ReLU on or off."
)

# %%
verdicts.judge("the head's ReLU hurts the baseline",
               differences(rows, "baseline, head ReLU off", "baseline, head ReLU on"))
verdicts.judge("the head's ReLU helps PRN",
               differences(rows, "PRN, head ReLU on", "PRN, head ReLU off"))
verdicts.latest()

# %% [markdown]
# The first half of the claim holds, by a tenth of a dB: the baseline is a little better without its
# ReLU. That is less than the 0.2 dB that CLAIMS.md asks for before a difference matters. The second
# half is not shown: the interval of PRN covers zero, and its mean points the other way. The
# interval is −0.17 ± 0.26 dB, so it does not exclude a loss of 0.4 dB by the ReLU.

# %% [markdown]
# ## 8 · Specialists and generalists
#
# One may say: the baseline's blocks are **specialists**, each used once for one thing; PRN's are
# **generalists**, who do a bit of everything, again and again. What would we see if that were true?
#
# (a) The six contributions of the baseline differ in kind more than PRN's stages do. (b) If a
# specialist is away, nobody steps in; if a generalist misses one stage, the next stages make up
# for it. First (a), with the measure of section 5.

# %%
by_block = table_of(parts_of)  # (6, head + 5, 6)


def spread(energy):
    """Return how far the fine shares of the parts lie apart, in percentage points, per photo."""
    shares = 100 * energy[:, :, 4:].sum(dim=2) / energy[:, :, :2].sum(dim=2)  # (6 photos, parts)
    return shares.amax(dim=1) - shares.amin(dim=1)  # (6,)


for name, energy in {"baseline": by_block, "PRN": by_stage}.items():
    share = energy.sum(dim=0)
    share = 100 * share[:, 4:].sum(dim=1) / share[:, :2].sum(dim=1)
    print(f"{name:>8}: fine share of each part", " ".join(f"{v:.0f} %" for v in share))
verdicts.judge("the baseline's blocks differ more in kind than PRN's stages",
               spread(by_block) - spread(by_stage), "percentage points")
verdicts.latest()

# %% [markdown]
# This comparison is not quite fair. The measure is the largest share minus the smallest, and such a
# range grows with the number of parts: the baseline has six, PRN has T. So a part of the difference
# may come from the number of parts alone. And it is one training of each network.
#
# Now (b): we take one block out, in one stage or in all of them, and look at the score at the end.
# A residual block can be left out without breaking anything: the skip path stays.
#
# **Predict:** PRN, one block missing in stage 1 only. How many dB does the final picture lose, on
# average over the five blocks?

# %%
my_guess = None  # write a number

# %%
drafts = [o, *model.unroll(o, T)]  # x_0 = O, x_1, …, x_T of the six cuts: (6, 3, 64, 64) each


def score(x):
    """Return the PSNR of each of the six cuts: (6,)."""
    return torch.tensor([de.psnr(*pair) for pair in zip(x, truth, strict=True)])


def without(block, away):
    """Return the scores of PRN's output if one block is away in the stages ``away``."""
    x = drafts[min(away) - 1]  # nothing is different before
    for stage in range(min(away), T + 1):
        z = F.relu(model.head(torch.cat((o, x), dim=1)))  # (B, 6, H, W) -> (B, C, H, W)
        for k, layer in enumerate(model.blocks):
            if not (k == block and stage in away):
                z = layer(z)
        x = o + model.tail(z)  # (B, 3, H, W)
    return score(x)

# %%
full, places = score(drafts[T]), [*([stage] for stage in range(1, T + 1)), range(1, T + 1)]
loss = [[full - without(k, away) for away in places] for k in range(5)]
loss = torch.stack([torch.stack(row) for row in loss])  # (5 blocks, T stages + all, 6 photos)
compare_guess(my_guess, loss[:, 0].mean().item(), "dB", decimals=2)

# %%
def baseline_without(block):
    """Return the scores of the baseline's output if one block is away."""
    z = baseline.features(o)[0]  # after the head, (B, C, H, W)
    for k, layer in enumerate(baseline.blocks):
        z = z if k == block else layer(z)
    return score(o + baseline.tail(z))


lost = torch.stack([score(baseline(o)) - baseline_without(k) for k in range(5)])  # (5, 6 photos)

# %%
table = torch.cat((lost[:, None], loss), dim=1).mean(dim=2)  # (5, 1 + T + 1, 6) -> (5, 1 + T + 1)
figure, axes = plots.new_figure(width=9, height=3.4)
axes[0, 0].imshow(table.clamp(0, 3), cmap="viridis", aspect="auto", vmin=0, vmax=3)
for row, values in enumerate(table.tolist()):
    for column, value in enumerate(values):
        colour = "white" if value < 2 else "black"
        axes[0, 0].text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
labels = ["baseline", *(f"PRN,\nstage {k}" for k in range(1, T + 1)), "PRN,\nall stages"]
axes[0, 0].set_xticks(range(T + 2), labels, fontsize=8)
axes[0, 0].set_yticks(range(5), [f"without block {k}" for k in range(1, 6)], fontsize=8)
axes[0, 0].set_title("PSNR that the final picture loses, dB", fontsize=10)
plots.show(figure, "A table of losses: by missing block, in the baseline and in PRN by stage.")

# %%
lost, loss = lost.mean(dim=0), loss.mean(dim=0)  # over the blocks: (6 photos,), (T + 1, 6 photos)
verdicts.judge("nobody steps in: the baseline loses if a block is away", lost)
verdicts.judge("later stages step in: a block away in the last stage costs more than in the first",
               loss[T - 1] - loss[0])
verdicts.judge("yet blocks are needed: PRN loses if a block is away in all stages", loss[T])
verdicts.latest()

# %% [markdown]
# Read the table from left to right. After the last stage there is no other one to mend its faults.
# With the course's weights a block that is away in stage 1 costs 0.04 dB at the end, on average
# over the five. Right after stage 1 it costs 0.54 dB (measured apart from the cells). So the next
# stages, which still see the original, make up for most of it.
#
# Do six photos agree that a block costs more in the last stage than in the first? With the course's
# weights the interval covers zero: we can't tell.
#
# The verdict "nobody steps in" says only that the baseline loses something, 1.77 dB. A fair partner
# for it is PRN without the block in *all* stages: 1.20 dB. The two intervals are wide, so no
# difference between the networks is shown.
#
# So the numbers support the words *specialist* and *generalist* only in part. The other half of the
# claim, that specialists overfit more, belongs to lesson 02.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. With edit 2 alone, the scores of the baseline go down, up, down, up. Why do they alternate?**
#
# <details><summary>Answer</summary>
#
# A pass *looks at* the draft and *corrects* O. After a good draft it finds little rain, adds this
# little to O, and the rain is back. After a bad draft it finds all of it again: 33.7, 28.3, 33.7,
# 28.4 dB. The weights were trained for one pass. A loop that is trained as a loop does better
# (section 6), and edit 3 helps it: with O beside the draft a pass can say "the rain layer is the
# difference of the two, and this bit more".
#
# </details>
#
# **2. You train PRN with T = 12 instead of T = 6. What doubles: the weights, the time of a picture,
# the memory that a phone needs for the weights?**
#
# <details><summary>Answer</summary>
#
# The computation, and with it, roughly, the time. Nothing else of these. All stages use the same
# 95,107 weights, and FLOPs grow exactly with T: see the table of section 2. It counts operations,
# and stops no clock. (What training keeps for its way back grows with T, too. That is a measurement
# of lesson 04.)
#
# </details>
#
# **3. On your test photos, one is best after stage 2 and another one after stage 12. May you report
# each photo at its own best stage?**
#
# <details><summary>Answer</summary>
#
# No. To find the best stage you looked at the clean photo, which nobody has on a rainy day. Choose
# one stage on *other* photos, or a rule that needs no clean photo: like the one of exercise 04.3.
# Its cell shows that the rule ends below the best stage of each photo.
#
# </details>
#
# **4. The course's PRN loses 3.4 dB when the rainy half of the head's input is set to zero. Does
# this show that a PRN needs the rainy picture?**
#
# <details><summary>Answer</summary>
#
# It shows that *these weights* need it. They were trained with both halves, and have never seen
# zeros there. Only networks that were trained without it can answer. With the same budget and five
# seeds, the concatenation is worth 0.94 ± 0.79 dB beside the addition of O. So it helps here, but
# the network also learns without it.
#
# </details>
#
# **5. With the course's weights, 82 % of the energy of stage 1 lies on the streaks. Is this a
# lot?**
#
# <details><summary>Answer</summary>
#
# A share needs something to compare with. Streaks cover 19 % of the pixels, and the same mask 40
# pixels too far right gets about this share (exercise 04.4). So a streak pixel changes far more
# than another one. The same number with a mask of 80 % would say nothing.
#
# </details>

# %% [markdown]
# ## You can now …
#
# All verdicts of this lesson, on the weights and recordings that you have. Thirteen are many: of
# twenty intervals of 95 %, one is wrong by chance. Those that only just exclude zero are the
# weakest: +0.94, +1.77 and +0.11 dB have p-values of about .030, .028 and .012. None of the three
# survives a correction for thirteen questions (Holm's).

# %%
verdicts.table()

# %% [markdown]
# - turn the baseline into PRN in three edits, and say what each one is for: chances, a way back,
#   and a reference;
# - say what grows with T (computation) and what does not (parameters), and count both by a formula;
# - predict what a loop does beyond its training: it comes to rest, and not always at the best
#   place;
# - answer the question of this lesson: by construction the weights do **one** job, "O and a draft
#   in, the rain layer out". The draft makes the difference between the stages;
# - split a change by place and by size, and let an interval over photos or seeds decide a claim.
#
# **Next:** one set of weights, used T times, gets one gradient. Which stage does it listen to?
# Lesson 05 takes this gradient apart, and adds the memory that turns PRN into PReNet.
