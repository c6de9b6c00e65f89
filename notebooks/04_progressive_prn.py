# %% [markdown]
# # 04 · Progressive PRN
#
# **How can one set of weights do six different jobs?**
#
# | | |
# |---|---|
# | **Goals** | turn the baseline into PRN in three edits; say what grows with the number of stages and what does not; predict what a loop does beyond its training; say which job the weights do at each stage; judge a recorded comparison |
# | **Before you start** | lesson 03 |
# | **Time** | 60 minutes, 30 of them for the exercises; the cells take 30 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Ren et al., CVPR 2019 (arXiv 1901.09221) |

# %% tags=["bootstrap"]
import derain_edu as de

# %%
print(f"derain_edu {de.__version__}")

import copy
from itertools import pairwise

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from derain_edu.course import exercises
from derain_edu.course.views import diagrams, plots, stages as views
from derain_edu.experiments.results import load_results
from derain_edu.experiments.statistics import (
    chance_of_no_difference, differences, holm, interval, summarize,
)
from derain_edu.text import compare_guess, table

de.choose_device("cpu", verbose=True)  # small pictures: a GPU would only wait
torch.set_grad_enabled(False)  # today nothing is trained: no gradients

clean = de.load_photo("picosdeeuropa", long_side=240)  # (3, H, W), RGB in [0, 1]
rain = de.add_rain(clean, "light", seed=4)
rainy, target = rain.rainy[None], clean[None]  # (3, H, W) -> (1, 3, H, W)

# %% [markdown]
# The baseline of lesson 03 is a row of blocks. Each block works once, on features, and only the
# last layer makes a picture. PRN is one short network that runs again and again, and each run, a
# **stage**, makes a picture:

# %%
diagrams.prn_loop()

# %% [markdown]
# The weights never change between the stages. So how can the first stage do something else than the
# last?
#
# ## 1 · Three edits
#
# We start with the course's trained baseline: a head, five blocks, a tail that predicts minus the
# rain layer, and the rainy picture O is added. PRN with one stage, and without a second look at O,
# is exactly that. We check it.

# %%
baseline = de.create_model("residual", pretrained="open")
one_stage = de.create_model("prn", stages=1, concat_rainy=False)
one_stage.load_state_dict(baseline.state_dict())  # the same names and shapes
assert torch.equal(one_stage(rainy), baseline(rainy)), "not equal to the last bit"
print("PRN with one stage and no concatenation = the baseline, to the last bit")
print(f"rainy {de.psnr(rainy, target):.2f} dB, "
      f"baseline {de.psnr(baseline(rainy), target):.2f} dB")

# %% [markdown]
# **Edit 1: loop it.** The output is a picture, so it can be the next input:
# $x_t = x_{t-1} + f(x_{t-1})$, where $f$ is head, blocks and tail. What is left of the rain gets a
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
assert edit_1[5] < edit_1[0]

# %% [markdown]
# The passes after the first make it worse. A pass can't know that its input was cleaned before, so
# it goes on taking away. And what one pass takes by mistake is gone for all later ones: they never
# see the original again.
#
# **Edit 2: add to the original.** Let each pass predict the *whole* rain layer again, and add it to
# O, not to the last draft: $x_t = O + f(x_{t-1})$. Now a mistake can be taken back.
#
# **Predict:** the same weights, the second pass again. Better or worse than the first, by how much?

# %%
my_guess = None  # write a number; minus means worse

# %%
drafts = one_stage.unroll(rainy, 6)  # x_t = O + f(x_{t-1}), six (1, 3, H, W)
edit_2 = [de.psnr(x, target) for x in drafts]
compare_guess(my_guess, edit_2[1] - edit_2[0], "dB", decimals=2)
print("after pass 1 to 6:", " ".join(f"{score:.2f}" for score in edit_2), "dB")
for k, x in enumerate(drafts[:2], 1):
    found = 255 * (x - rainy).square().mean().sqrt()  # root of the mean square
    print(f"the rain layer that pass {k} finds: {found:.2f} grey levels")
assert edit_2[1] < edit_2[0] < edit_2[2] + 0.5

# %% [markdown]
# Pass 2 looks at a draft that is nearly free of rain, rightly finds little, and adds this little to
# O, where all the rain still is. The rain comes back; pass 3 sees it and finds it again. *These
# weights* were trained for one pass: what they look at (the draft) is not what they correct (O). A
# loop of this kind that is *trained* as a loop does gain: section 5 has its numbers.
#
# **Edit 3: show both.** The head sees O and the draft, six channels instead of three. This is PRN.
# The head's weights change their shape, so it has to be trained.

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
    prn = de.create_model("prn", pretrained="open")
    body = torch.nn.Sequential(*prn.blocks)
    mine = unroll(lambda both: F.relu(prn.head(both)), body, prn.tail, rainy, 2)
    same = torch.equal(mine[-1], prn.unroll(rainy, 2)[-1])
    print("your loop = the package's, with trained weights, to the last bit?", same)

# %% [markdown] tags=["solution"]
# One line for each edit: the loop; `rainy + …` instead of `x + …`; `torch.cat`. Nothing says which
# stage it is: the parts are the same each time, and only x changes. Don't copy the parts and don't
# detach x: training needs the way back through all stages (lesson 05).

# %% [markdown]
# Now the course's trained PRN. (The paper uses T = 6 stages; this one was trained with T = 4.)

# %%
model = de.create_model("prn", pretrained="open")
T = model.config.stages
pictures = model.unroll(rainy, 6)
edit_3 = [de.psnr(x, target) for x in pictures]
curves = {"edit 1: loop": edit_1, "edit 2: add to O": edit_2,
          "edit 3: PRN, trained": edit_3}
plots.show(views.draw_scores(curves),
           "PSNR over six passes: the looped baseline falls, the baseline that is "
           "added to O goes up and down, and PRN rises more and more slowly.")
print(f"PRN (T = {T}), stages 1 to 6:", " ".join(f"{v:.2f}" for v in edit_3), "dB")
shorter = de.create_model("prn", pretrained="open", stages=2)  # told to stop at 2
assert torch.equal(shorter(rainy), pictures[1]) and edit_3[T - 1] > edit_3[0]

# %% [markdown]
# Compare the shapes, not the heights: only PRN was trained as a loop. The loop gives chances, the
# addition to O lets it take mistakes back, and the concatenation shows what there is to correct.
#
# ## 2 · What a stage costs
#
# The weights of all stages are the same tensors. A baseline with as many layers needs new weights
# for each of them: 30 blocks for PRN's T = 6 stages of five blocks.

# %%
def count(network):
    """Return parameters, and GFLOP (10⁹ multiplications, additions) for 64 × 64."""
    with FlopCounterMode(display=False) as counter:
        network(torch.rand(1, 3, 64, 64))
    parameters = sum(p.numel() for p in network.parameters())
    return parameters, counter.get_total_flops() / 1e9


costs, rows = {}, []
for stages in (1, 2, 6, 12):
    deep = count(de.create_model("residual", blocks=5 * stages))
    costs[stages] = count(de.create_model("prn", stages=stages))
    rows.append([str(stages), f"{costs[stages][0]:,}", f"{costs[stages][1]:.2f}",
                 f"{deep[0]:,}", f"{deep[1]:.2f}"])
header = ["T", "PRN: parameters", "GFLOP", "deep baseline: parameters", "GFLOP"]
print(table(header, rows))
assert len({parameters for parameters, _ in costs.values()}) == 1

# %% [markdown]
# PRN's parameters stay at 95,107, the number of the released network, and its computation grows
# exactly with T. At T = 6, a baseline of the same depth has about six times the parameters, and
# needs about as much computation. So sharing saves memory for weights. It saves no computation.

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
# block, the tail C → 3. A multiplication with the zeros of the border counts, too; additions don't.
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
    parameters, products = map(int, cost(6, 32, 5, 64, 64))
    print(f"T = 6: formula {parameters:,}, counted {costs[6][0]:,} parameters;")
    print(f"formula {products / 1e9:.2f} · 10⁹ multiplications, "
          f"counted {costs[6][1]:.2f} GFLOP")

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
views.stage_slider(model, rain.rainy, clean, STAGES)

# %% [markdown]
# Left: the picture after this stage. Middle: what this stage changed, ten times as bright. Right:
# the score of all stages, and what has been spent. The rainy picture and
# three of its stops:

# %%
looks = views.stage_views(model, rain.rainy, clean, STAGES)  # what the slider shows
stops = {"rainy": rain.rainy}
stops |= {f"stage {k}, {looks[k - 1].psnr:.2f} dB": looks[k - 1].picture
          for k in (1, T, STAGES)}
stops |= {f"change ×10, stage {k}": looks[k - 1].change for k in (1, T)}
plots.show(plots.picture_row(stops, width=11),
           "The rainy photo, the pictures after the first, the trained last and "
           "the twelfth stage, and the change by the first and the trained last "
           "stage.")

# %% [markdown]
# One photo can mislead. We run twelve stages on the six test photos and keep every picture.

# %%
runs = {}  # of each photo: (clean, [x_0 = O, x_1, …, x_12])
for seed, name in enumerate(de.photo_names("test")):
    photo = de.load_photo(name, long_side=240)  # (3, H, W)
    o = de.add_rain(photo, "light", seed=seed).rainy
    runs[name] = photo, [o, *(x[0] for x in model.unroll(o[None], STAGES))]

scores = [[de.psnr(x, photo) for x in xs] for photo, xs in runs.values()]
scores = torch.tensor(scores)  # (6, 13)
mean = scores.mean(dim=0)  # (6, 13) -> (13,)
compare_guess(my_guess, (mean[STAGES] - mean[T]).item(), "dB", decimals=2)
print(f"mean: rainy {mean[0]:.2f}, stage 1 {mean[1]:.2f}, "
      f"stage {T} {mean[T]:.2f}, stage 12 {mean[12]:.2f} dB")
for name, row in zip(runs, scores, strict=True):
    best = row[1:].argmax() + 1
    print(f"  {name:13} best after stage {best:2}: {row[best]:.2f} dB")
assert mean[T] > mean[1], "the trained number of stages must beat a single stage"

# %%
changes = torch.tensor([[255 * (b - a).abs().mean() for a, b in pairwise(xs)]
                        for _, xs in runs.values()])  # (6, 12)
gains = dict(zip(runs, (scores - scores[:, :1])[:, 1:].tolist(), strict=True))
plots.show(views.draw_rest(gains, changes.mean(dim=0).tolist(), T),
           "Left: gain over the rainy photo by stage for six photos. Right: mean "
           "change by stage, which falls at every stage.")
assert changes.mean(dim=0).diff().max() < 0, "the changes must get smaller"

# %% [markdown]
# The dotted line is the trained T. Right: the changes get smaller at every stage; the loop **comes
# to rest**. Left: *where* it rests is another question. The loss asked for a good picture after T
# stages, not for one that stays good.
#
# Here the mean hardly moves from stage T to stage 12, and it hides that photos differ: some are
# best after stage 2 and get worse, others still gain at stage 12, the last one that we tried.
#
# A loop that comes to rest tells us when to stop, without a clean picture. (Pictures are in [0, 1],
# so the threshold 0.001 below is a quarter of a grey level.)

# %% [markdown] tags=["exercise"]
# ### Exercise 04.3 · Stop when it rests
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 10 minutes |
# | **Task** | write `run_to_rest(stage, rainy, threshold, limit)`: run one picture until a stage changes it by less than the threshold, or until the limit. Return the picture (1, 3, H, W) and how many stages were run |
#
# `stage(rainy, x)` makes the next draft; the first draft is `rainy`. A change is the mean of
# $|x_t - x_{t-1}|$ over colours and pixels. The result of the quiet stage counts, and so does the
# stage.
#
# <details><summary>Hint</summary>
#
# A `for` loop over `range(1, limit + 1)`. Keep the draft before the stage, to have something to
# compare with, and `return` (or `break`) when the change is small.
#
# </details>

# %% tags=["exercise"]
def run_to_rest(stage, rainy, threshold, limit):
    """Return the picture at rest, (1, 3, H, W), and the number of stages."""
    # BEGIN SOLUTION
    x = rainy
    for k in range(1, limit + 1):
        before, x = x, stage(rainy, x)
        if (x - before).abs().mean() < threshold:
            return x, k
    return x, limit
    # END SOLUTION


if exercises.check("04.3", run_to_rest):
    def stage(o, x):
        return model.stage(o, x, None)[0]

    for (name, (photo, xs)), row in zip(runs.items(), scores, strict=True):
        x, used = run_to_rest(stage, xs[0][None], 0.001, STAGES)
        score = de.psnr(x[0], photo)
        print(f"{name:13} rests after {int(used):2}: {score:.2f} dB; "
              f"after {T}: {row[T]:.2f}, best: {row[1:].max():.2f}")

# %% [markdown] tags=["solution"]
# This needs no clean picture, so it works on real photos. But it finds the place where the loop
# *rests*, and this need not be the *best* one.

# %% [markdown]
# ## 4 · Not six jobs: one job, six times
#
# A stage gets two pictures, O and a draft, and nothing else: no counter, no memory. So it can't
# know which stage it is. Only the draft makes a difference.
#
# **Predict:** we cheat and give it the *clean* photo as a first draft. What is the PSNR after one
# stage?

# %%
my_guess = None  # write a number

# %%
fresh = copy.deepcopy(model)  # has never seen this picture
x_4, _ = fresh.stage(rainy, pictures[2], None)  # x_3 as if it were a first draft
assert torch.equal(x_4, pictures[3])

starts = {"rainy": rainy, "clean": target, "black": torch.zeros_like(rainy)}
curves, ends = {}, {}
for name, x in starts.items():
    curves[name] = []
    for _ in range(STAGES):
        x, _ = model.stage(rainy, x, None)
        curves[name].append(de.psnr(x, target))
    ends[name] = x
compare_guess(my_guess, curves["clean"][0], "dB")
plots.show(views.draw_scores(curves, "first draft"),
           "PSNR by stage when the first draft is the rainy, the clean or a black "
           "picture: three curves that meet.")
for name, x in ends.items():
    apart = 255 * (x - ends["rainy"]).abs().mean()
    print(f"first draft {name}: {curves[name][0]:.2f} dB after stage 1, "
          f"{curves[name][-1]:.2f} dB after 12;")
    print(f"    there {apart:.2f} grey levels away from where the rainy draft ends")
    assert apart < 0.1

# %% [markdown]
# The perfect draft gets *worse*, stage by stage: the network does not know that it is perfect, and
# pulls it towards its own answer. The rainy draft climbs towards the same answer from below. And
# even a black draft, which is far from everything in training, ends there. So on this photo the
# answer depends on O alone, and the way to it on the draft.
#
# So the weights do **one job at every stage**: "Here is the rainy picture, here is a draft: give me
# the rain layer." Only the drafts differ. That is no finding: a stage without a counter and without
# a memory is the same function each time, by construction. What we measured is what this function
# does with different drafts.
#
# If the end depends so little on the draft, then a fault in an early stage should hardly matter. A
# recorded experiment tests it. Small networks were trained, five seeds each. Then their five blocks
# were left out, one at a time, and the final picture was scored (mean loss over the blocks):

# %%
rows = load_results("specialists")
places = {"baseline": ("baseline", "missing_all"),
          "PRN, in stage 1": ("PRN", "missing_first"),
          "PRN, in the last stage": ("PRN", "missing_last"),
          "PRN, in all stages": ("PRN", "missing_all")}
lost = {}
for place, (variant, column) in places.items():
    values = [row[column] for row in rows if row["variant"] == variant]
    lost[place], half = interval(values)
    print(f"a block is missing, {place:22}: {lost[place]:.2f} ± {half:.2f} dB")
middle, half = interval(differences(rows, "PRN", "baseline", "missing_all"))
print(f"all stages, PRN − baseline: {middle:+.2f} ± {half:.2f} dB")
middle, half = interval(differences(rows, "PRN", "baseline"))
print(f"nothing is missing, score of PRN − baseline: {middle:+.2f} ± {half:.2f} dB")
assert lost["PRN, in stage 1"] + 1 < lost["PRN, in the last stage"]
assert abs(middle) < half

# %% [markdown]
# A block that is missing in stage 1 costs next to nothing: the next stages get a worse draft, and
# repair it. After the last stage nobody is left to repair. This is part (a) of claim 1 in lesson
# 03: the baseline misses a block more than PRN's *first stage* does. The fair comparison takes the
# block out of *all* stages, and there the interval covers zero: no difference is shown.
#
# And the last line: after equal training steps, **PRN does not beat the baseline here**. The
# interval covers zero, and four stages are four times the computation. What the loop buys in this
# lesson is not a better score. It is drafts that can be looked at and repaired.
#
# ## 5 · Which of the edits helps?
#
# Edits 2 and 3 can be switched on and off: four small PRNs, each trained as a loop with the same
# steps and samples, five seeds each. In the figure, "+ rainy" is edit 2 and "concat" is edit 3.

# %%
rows = load_results("concat_residual")
for row in rows:
    row["gain"] = row["psnr_validation"] - row["psnr_input"]
plots.show(views.draw_recorded(rows, "gain", "gain over the rainy input, dB"),
           "Gain over the rainy input: concatenation (edit 3) and + O (edit 2), "
           "each on or off.")
pairs = {}
for state in ("on", "off"):
    pairs[f"concatenation helps, + rainy {state}"] = differences(
        rows, f"concat on, + rainy {state}", f"concat off, + rainy {state}")
    pairs[f"adding O helps, concatenation {state}"] = differences(
        rows, f"concat {state}, + rainy on", f"concat {state}, + rainy off")
chances = holm([chance_of_no_difference(values) for values in pairs.values()])
for (what, values), chance in zip(pairs.items(), chances, strict=True):
    middle, half = interval(values)
    answer = "holds" if middle > 0 and chance < 0.05 else "not shown"
    print(f"{what:34} {middle:+.2f} ± {half:.2f} dB, p = {chance:.3f}: {answer}")
gain = {name: middle for name, (middle, _) in summarize(rows, "gain").items()}
assert gain["concat off, + rainy on"] > 2 and max(chances) < 0.05

# %% [markdown]
# (p says how often chance alone would make a difference as large as this. Here it is corrected for
# four comparisons, see Holm in lesson 03.)
#
# - **Both edits help**, each of them with and without the other.
# - "concat off, + rainy on" is the loop of edit 2. Trained as a loop, it gains 2.99 dB. So the
#   alternating scores of section 1 belong to *those weights*, not to the loop.
# - One caution: the experiment was recorded twice. The first time, with a larger learning rate and
#   three seeds, one training went wrong, and nothing could be concluded. An experiment that is repeated
#   after an unclear result is *exploratory*: its verdicts need a fresh one.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. With edit 2 alone, the scores of the baseline go down, up, down, up. Why do they alternate?**
#
# <details><summary>Answer</summary>
#
# A pass *looks at* the draft and *corrects* O. After a good draft it finds little rain, adds this
# little to O, and the rain is back. After a bad draft it finds all of it again. The weights were
# trained for one pass; a loop that is trained as a loop gains (section 5).
#
# </details>
#
# **2. You train PRN with T = 12 instead of T = 6. What doubles: the weights, the computation for a
# picture, the memory that a phone needs for the weights?**
#
# <details><summary>Answer</summary>
#
# Only the computation. All stages use the same 95,107 weights, and FLOPs grow exactly with T: see
# the table of section 2. (What training keeps for its way back grows with T, too: lesson 05.)
#
# </details>
#
# **3. On your test photos, one is best after stage 2 and another one after stage 12. May you report
# each photo at its own best stage?**
#
# <details><summary>Answer</summary>
#
# No. To find the best stage you looked at the clean photo, which nobody has on a rainy day. Choose
# one stage on *other* photos, or a rule that needs no clean photo, like the one of exercise 04.3.
#
# </details>
#
# **4. Somebody sets the rainy half of the head's input to zero, and a trained PRN loses 3 dB. "So a
# PRN needs the concatenation." What do you answer?**
#
# <details><summary>Answer</summary>
#
# *These weights* need it: they have never seen zeros there. Only networks that were *trained*
# without it can answer. In section 5 the concatenation is worth 0.94 ± 0.79 dB beside the addition
# of O: it helps, but the network also learns without it.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - turn the baseline into PRN in three edits: chances, a way back, and a reference;
# - say what grows with T (computation) and what does not (parameters), and count both;
# - predict what a loop does beyond its training: it comes to rest, not always at the best place;
# - answer the question of this lesson: the weights do **one** job, "O and a draft in, the rain
#   layer out", and the draft makes the difference between the stages;
# - judge a recorded comparison by pairs, intervals and corrected p values.
#
# On the page [Try it](https://github.com/derain-edu/derain-edu/blob/main/book/demo/page.md) a photo of
# your own goes through the stages, in the browser.
#
# Next: **05 · Shared gradients**. One set of weights, used T times, gets one gradient. Which stage
# does it listen to?
