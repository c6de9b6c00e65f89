# %% [markdown]
# # 12 · Curricula
#
# **Does easy-to-hard help a deraining network?**
#
# | | |
# |---|---|
# | **Goals** | write a curriculum as a function of the progress; say what it spends; give it its controls; read differences over seeds; see what a mean hides; read a published schedule critically |
# | **Before you start** | lesson 04 |
# | **Time** | 55 minutes, 25 of them for three exercises; the cells take 40 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Wu, Dyer & Neyshabur, ICLR 2021 (when do curricula work?, arXiv 2012.03107); Zamir et al., CVPR 2022 (Restormer, arXiv 2111.09881) |

# %% tags=["bootstrap"]
import derain_edu as de

# %% [markdown]
# A *curriculum* is a plan of lessons: what a network is trained on becomes harder during the training.
# Three things are often said of it: it makes training more stable, it makes the network better on new
# pictures, and it costs more time. We test them on a small PRN, with the controls that are often
# missing.

# %%
print(f"derain_edu {de.__version__}")

import math
import random
from dataclasses import replace

import numpy as np
import torch

from derain_edu.course import exercises
from derain_edu.course.views import curriculum as views, diagrams, plots
from derain_edu.experiments.claims import CLAIMS
from derain_edu.experiments.claims_page import Comparison, answered
from derain_edu.experiments.results import load_results
from derain_edu.experiments.runner import cell_config
from derain_edu.experiments.statistics import differences, summarize
from derain_edu.experiments.tables import find_experiment
from derain_edu.text import compare_guess
from derain_edu.training.curriculum import Curriculum, StepSchedule
from derain_edu.training.plan import Plan
from derain_edu.training.trainer import Trainer

torch.set_num_threads(1)  # small tensors: two threads would wait for each other
de.choose_device("cpu", verbose=True)
de.set_seed(0)

# %% [markdown]
# ## 1 · What could be "easy" in rain?
#
# Deraining has at least four things to sort: the number of **stages**, the size of the **patches**, the
# **rain**, and the terms of the **loss**. Each is a *schedule*: a function of the *progress*, which is 0
# at the start and 1 when the budget is spent.

# %% [markdown] tags=["exercise"]
# ### Exercise 12.1 · A schedule without a memory
#
# | | |
# |---|---|
# | **Difficulty** | ●○○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 5 minutes |
# | **Task** | write `level_at(progress, values, starts)`: `values[i]` counts from the progress `starts[i]` on, until the next one begins. `starts` goes up from 0; the last value stays until the end, progress 1 |
#
# <details><summary>Hint</summary>
#
# Which of the values have begun already? The last of them counts.
#
# </details>

# %% tags=["exercise"]
def level_at(progress, values, starts):
    """Return the value that counts at `progress`, a number from 0 to 1."""
    # BEGIN SOLUTION
    level = values[0]
    for value, start in zip(values, starts, strict=True):
        if start <= progress:
            level = value
    return level
    # END SOLUTION


exercises.check("12.1", level_at)

# %% [markdown] tags=["solution"]
# A function of the progress has no memory. So a training that was stopped and goes on gets the right
# level, and another order is only another progress.

# %% [markdown]
# In the package this is `StepSchedule`. A `Curriculum` takes one for each thing that changes, and a
# `Plan` spells it out step by step. Two experiments were recorded with four curricula:

# %%
stages = StepSchedule((1, 2, 3, 4), (0.0, 0.25, 0.5, 0.75))
print("stages at progress 0, 0.1 … 0.9:", [stages(k / 10) for k in range(10)])

tables = {name: find_experiment(name) for name in ("curricula", "rain_curricula")}
base = cell_config(tables["curricula"], "one step", seed=0)  # without a curriculum
kinds = dict(stages="stages", patches="patch_size", rain="rain", loss="loss")
plans = {}
for what, field in kinds.items():
    table = tables["rain_curricula" if what == "rain" else "curricula"]
    for order in views.SORTED:  # easy to hard, random order
        plans[what, order] = Plan(cell_config(table, f"{what}, {order}", seed=0))
    levels = views.levels_of(plans[what, "easy to hard"], field)
    names = dict.fromkeys(levels)  # each level once
    counts = [f"{level} in {levels.count(level)} steps" for level in names]
    print(f"{what:8} {', '.join(counts)}")

# %% [markdown]
# What "easy" means is visible for two of the four: here is what the network sees early, in the middle
# and late.

# %%
some = {what: plans[what, "easy to hard"] for what in ("patches", "rain")}
plots.show(views.draw_patches(some), "Six rainy patches: of 16, 32 and 64 pixels; "
           "then of 32 pixels in drizzle, light rain and heavy rain.")

# %% [markdown]
# ## 2 · What does it spend?
#
# A *budget* has three parts: steps, samples (patches), and compute. We count compute in pixels times the
# stages that run over them. Without a curriculum each step works at the hardest level. We call that
# *fixed training*. (In the recorded files it is called "one step".)
#
# **Predict:** stages 1, 2, 3, 4 in equal parts. Which share of the compute of fixed training (four stages
# all the time) does it spend?

# %%
my_guess = None  # write a number from 0 to 1

# %%
equal = Plan(replace(base, curriculum=views.curriculum_of("stages", 0.25)))
compare_guess(my_guess, views.budget_shares(equal)["compute"], decimals=3)
assert abs(views.budget_shares(equal)["compute"] - (1 + 2 + 3 + 4) / 16) < 1e-6
views.schedule_dial(base)

# %% [markdown]
# Turn the dial: what becomes harder, in which order, and which share of the run the hardest level gets
# (100 % is fixed training). Watch the bars. Growing stages save compute. Growing patches see *more
# samples*, because 16 small patches have as many pixels as one large patch. So "the same number of steps"
# can hide two differences.

# %% [markdown] tags=["exercise"]
# ### Exercise 12.2 · For the same money
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 10 minutes |
# | **Task** | fixed training takes `steps` steps, each of the cost `full`. In a growing training a step costs `costs[i]` from the progress `starts[i]` on. Write `steps_for(steps, full, costs, starts)`: how many steps the growing one may take for the same total cost. A whole number; it must not overspend |
#
# <details><summary>Hint</summary>
#
# Which share of the run does each level get? It lasts from its start to the next one; the last level
# ends at progress 1. What does a step cost on average, then?
#
# </details>

# %% tags=["exercise"]
def steps_for(steps, full, costs, starts):
    """Return how many growing steps cost as much as `steps` of the cost `full`."""
    # BEGIN SOLUTION
    mean_cost = 0
    for start, end, cost in zip(starts, (*starts[1:], 1), costs, strict=True):
        mean_cost += (end - start) * cost
    return math.floor(steps * full / mean_cost)
    # END SOLUTION


if exercises.check("12.2", steps_for):
    found = steps_for(base.steps, 4, (1, 2, 3, 4), (0, 0.25, 0.5, 0.75))
    print(f"{base.steps} steps of four stages pay for {found} of growing stages")

# %% [markdown] tags=["solution"]
# Equal *steps* favour fixed training, which spends more; equal *compute* favours the curriculum, which
# gets more updates. Neither is unfair, if it is said. Section 4 has both.

# %% [markdown]
# ## 3 · The control: a shuffled twin
#
# A curriculum changes two things at once: it brings *easier steps* into the training, and it *sorts*
# them. If it wins, which of the two was it? The control has the same steps in another order.

# %%
diagrams.same_budget()

# %% [markdown] tags=["exercise"]
# ### Exercise 12.3 · The shuffled twin
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | write `twin(schedule, steps, seed)`: a list with one level per step. Step k of the curriculum works at `schedule(k / steps)`, k from 0. The twin has the same levels, each in exactly as many steps, in a random order that follows from `seed` |
#
# <details><summary>Hint</summary>
#
# First the list of the curriculum's levels. `random.Random(seed).shuffle(levels)` mixes a list and
# returns nothing; `.sample(levels, steps)` returns a mixed copy.
#
# </details>

# %% tags=["exercise"]
def twin(schedule, steps, seed):
    """Return the levels of the control, one per step."""
    # BEGIN SOLUTION
    levels = [schedule(step / steps) for step in range(steps)]
    random.Random(seed).shuffle(levels)
    return levels
    # END SOLUTION


if exercises.check("12.3", twin):
    growing = [stages(step / 1200) for step in range(1200)]
    drawn = random.Random(1).choices((1, 2, 3, 4), k=1200)  # each step drawn anew
    mixed = twin(stages, 1200, 0)
    print(f"stages in all 1200 steps: sorted {sum(growing)}, twin {sum(mixed)}, "
          f"drawn anew {sum(drawn)}")

# %% [markdown] tags=["solution"]
# Why not draw each step anew? Then the budget is right on average only, and each seed spends another
# one. Shuffled steps spend the same to the last pixel.

# %% [markdown]
# The recorded twins do, too:

# %%
for what in kinds:
    spent = [plans[what, order].spent(4) for order in views.SORTED]
    assert spent[0] == spent[1], "sorted and shuffled spend the same"
    shares = views.budget_shares(plans[what, "easy to hard"])
    print(f"{what:8} of fixed training: {shares['samples']:.2f} of the samples, "
          f"{shares['compute']:.3f} of the compute")

# %% [markdown]
# ## 4 · Each against its controls
#
# A small PRN was trained in twelve ways with five seeds each, 1,200 steps (about a minute each).
# *Stages*, *patches* and *loss* were judged in light rain, *rain* in light and heavy rain. Seeds differ
# from each other, so we compare *paired*: sorted minus shuffled with the same seed, five differences,
# their mean and its 95 % interval.
#
# **Predict:** of the four curricula, how many beat their twin by more than the seeds can explain?

# %%
my_guess = None  # write a number from 0 to 4

# %%
rows = {name: load_results(name) for name in tables}
gains = {}
for what in kinds:
    recorded = rows["rain_curricula" if what == "rain" else "curricula"]
    names = [f"{what}, {order}" for order in views.SORTED]
    gains[what] = differences(recorded, *names)  # five seeds
plots.show(
    views.draw_differences(gains),
    "Sorted minus shuffled in dB, five dots for each of the four curricula, and "
    "their interval: stages and patches near zero, loss from zero to −4, rain far "
    "below.",
)
claim = CLAIMS[9]
findings = claim.findings()
held = sum(finding.answer == "holds" for finding in findings[:4])
compare_guess(my_guess, held, "of 4", decimals=0)
print(f"Claim {claim.number}: {claim.text}")
for letter, finding in zip("abcdefg", findings, strict=True):
    print(f"({letter}) {finding.answer:14} {finding.text}")
assert not any(f.answer == "holds" for f in findings)

# %% [markdown]
# None of four: three times one can't tell, and for rain the shuffled twin is clearly better.
#
# <details><summary>Background: seven questions at once</summary>
#
# A 95 % interval misses the truth once in twenty times. Ask seven questions, and the chance that at
# least one interval misses by accident is much larger than 5 %. So the verdicts are corrected for
# their number (Holm's rule): the more questions, the clearer a difference must be. An interval that
# just leaves out zero is not enough. CLAIMS.md, claim 10, has these verdicts.
#
# </details>
#
# Line (e) is worth a second look. Growing stages stand 0.26 ± 0.26 dB above fixed training with the same
# compute. Nearly a success of easy-to-hard?

# %%
recorded, fixed = rows["curricula"], "one step, compute of growing stages"
for order in views.SORTED:
    gain = Comparison("", tuple(differences(recorded, f"stages, {order}", fixed)))
    print(f"stages, {order:12} minus fixed, the same compute: {gain.effect}")

# %% [markdown]
# The **shuffled** stages are ahead as well, by 0.31. What the two have in common is more steps for the
# same compute. Without the twin we would have told the wrong story. (Both intervals reach zero. Take the
# gains as a hint.)

# %% [markdown]
# ## 5 · What it forgot
#
# The curriculum over the rain ends with heavy rain. What became of light rain on the way?
#
# **Predict:** sorted minus shuffled, judged in *light* rain, in dB.

# %%
my_guess = None  # write a number; minus means worse

# %%
recorded = rows["rain_curricula"]
names = "rain, easy to hard", "rain, random order"
light = differences(recorded, *names, "psnr_light")
compare_guess(my_guess, float(np.mean(light)), "dB")
print(f"{'':20} {'light rain, dB':>16} {'heavy rain, dB':>16}")
in_light = summarize(recorded, "psnr_light")
in_heavy = summarize(recorded, "psnr_heavy")
for name in in_light:
    (a, half_a), (b, half_b) = in_light[name], in_heavy[name]
    print(f"{name:20} {a:9.2f} ± {half_a:.2f} {b:9.2f} ± {half_b:.2f}")
heavy = differences(recorded, *names, "psnr_heavy")
asked = [Comparison("easy to hard minus random order, light rain", tuple(light)),
         Comparison("easy to hard minus random order, heavy rain", tuple(heavy))]
for finding in answered(asked):
    print(f"{finding.answer:14} {finding.text}")
assert [f.answer for f in answered(asked)] == ["does not hold", "can't tell"]
assert np.mean(light) < -10

# %%
panels = {}
for what, others in {"rain": ("heavy rain only",), "loss": ("one step",)}.items():
    some = rows["rain_curricula" if what == "rain" else "curricula"]
    names = [f"{what}, {order}" for order in views.SORTED] + list(others)
    panels[what] = {name.replace("one step", "fixed"): views.curves_of(some, name)
                    for name in names}
plots.show(
    views.draw_histories(panels),
    "Two panels of validation PSNR over the budget. Rain: easy to hard rises, then "
    "falls when heavy rain begins. Loss: easy to hard stays flat in the first half "
    "and has a wide band after it.",
)

# %% [markdown]
# (The curves judge every third pair only, so they don't end at the scores of the table.)
#
# The largest effect of this lesson, and not the one that was promised. Easy-to-hard is about 15 dB *worse*
# in light rain than its twin. It is good at what it saw *last*. So is the reverse order: 32.02 dB in
# light rain, and 14.18 dB in heavy rain, the worst of all. The left panel shows the moment: when heavy
# rain begins, the curve falls. The network **forgets**.
#
# Is it at least good for heavy rain? It is 1.3 dB ahead of its twin there, and five seeds can't tell
# whether that is chance (± 1.8). The network that saw heavy rain only is 1.9 dB ahead of it, but it had
# 1,200 steps of heavy rain, and easy-to-hard had 400. Whether the easy steps helped, only a run with 400
# steps of heavy rain and nothing else could tell. It was not recorded.
#
# ## 6 · A failure that the mean hides
#
# Now the right panel. *Loss* asks for L1 in the first half and for −SSIM + L1 in the second. Its interval
# is wide, so the verdict is "can't tell". Look at single seeds.
#
# **Predict:** how many of the five seeds end where they began, at the score of the rainy picture?

# %%
my_guess = None  # write a number from 0 to 5

# %%
failed = []
for row in rows["curricula"]:
    if row["variant"] == "loss, easy to hard":
        print(f"seed {row['seed']}: end {row['psnr_validation']:.2f} dB, "
              f"rainy picture {row['psnr_input']:.2f} dB")
        if abs(row["psnr_validation"] - row["psnr_input"]) < 0.1:
            failed.append(row["seed"])
compare_guess(my_guess, len(failed), f"of 5: seeds {failed}", decimals=0)
middle, half = summarize(rows["curricula"])["loss, easy to hard"]
print(f"their mean: {middle:.2f} ± {half:.2f} dB")
middle, half = summarize(rows["curricula"])["one step"]
print(f"fixed training: {middle:.2f} ± {half:.2f} dB")
twins = [row["psnr_validation"] for row in rows["curricula"]
         if row["variant"] == "loss, random order"]
print("the twins, shuffled:", *(f"{end:.2f}" for end in twins))
assert len(failed) == 2 and min(twins) > 33

# %% [markdown]
# Three networks end near 34 dB, two did not learn at all. The mean of 32.35 dB describes none of the
# five, and its interval is wide *because* of the failures. "Can't tell" answers the wrong question: ask
# how many runs failed. Of the five twins, none did.
#
# A possible reason: rain covers few pixels, so for L1 "leave the picture as it is" is a good answer, and
# in the first half all five stay there. For two, the second half does not lead away from it any more.
#
# ## 7 · The experiment, live and small
#
# You don't have to believe a file. Here are growing stages and their twin in 80 steps of light rain,
# three seeds.

# %%
def train_live(order, seed):
    """Train the small PRN for 80 steps; return its Trainer."""
    curriculum = replace(views.curriculum_of("stages", 0.25, order), seed=seed)
    short = {"steps": 80, "validate_every": 80, "validation_size": 96, "seed": seed}
    trainer = Trainer(replace(base, **short, curriculum=curriculum))
    trainer.run()
    return trainer


live = []
for seed in (0, 1, 2):
    pair = [train_live(order, seed) for order in ("easy_to_hard", "random")]
    assert pair[0].plan.spent(4) == pair[1].plan.spent(4), "the same budget"
    ends = [trainer.log[-1]["validation_psnr"] for trainer in pair]
    live.append(ends[0] - ends[1])
    print(f"seed {seed}: sorted minus shuffled {live[-1]:+.2f} dB")
print(Comparison("", tuple(live)).effect)

# %% [markdown]
# Look at single seeds and at the interval. If it has zero in it, these runs can't tell.
#
# ## 8 · A published schedule, read critically
#
# Restormer, a strong network for deraining, grows its patches in six steps, from 128 to 384 pixels. So
# growing patches help? We write its schedule as a `Plan`, one step for 1,000 iterations, and look at what
# changes at the same time.
#
# **Predict:** from the first to the last level, how does the number of *pictures* per iteration change? By
# which factor?

# %%
my_guess = None  # write a factor, such as 1.5 or 0.5

# %%
lengths = (92, 64, 48, 36, 36, 24)  # thousands of iterations
starts = tuple(sum(lengths[:k]) / sum(lengths) for k in range(6))
restormer = Curriculum(
    patch_size=StepSchedule((128, 160, 192, 256, 320, 384), starts),
    batch_size=StepSchedule((8, 5, 4, 2, 1, 1), starts),  # per GPU
)
plan = Plan(replace(base, steps=sum(lengths), curriculum=restormer))
patches = np.array(views.levels_of(plan, "patch_size"))
batches = np.array(views.levels_of(plan, "batch_size"))
compare_guess(my_guess, batches[-1] / batches[0], decimals=3)
pixels = batches * patches**2
shares = np.unique((pixels / pixels[0]).round(2))
print("pixels per iteration, first level = 1:", *shares)
falling = 0.5 * (1 + np.cos(np.pi * np.arange(208) / 208))  # half a cosine
rate = np.concatenate([np.ones(92), falling])
panels = {"patch, px": patches, "pictures per GPU": batches, "learning rate": rate}
plots.show(
    views.draw_schedule(panels, 92),
    "Restormer's schedule: at 92 thousand iterations the patches begin to grow, "
    "the batches begin to shrink, and the learning rate begins to fall.",
)

# %% [markdown]
# (The learning rate is drawn relative to its first value, its fall as half a cosine.) Three things begin at the same dotted line. If the
# score rises after it, was it the patches? A falling learning rate lets the weights settle, which raises
# scores, too. And the batches shrink to an eighth, so that the pixels per iteration stay about the same.
#
# The schedule may be very good. But a comparison with "fixed patches of 128" can't tell *why*. Patches
# grow or not, times learning rate falls or not: that takes four runs. To tell patches from batches takes
# more. Our own curriculum of patches has the same fault: its batches shrink as well.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. Growing stages stand 0.26 ± 0.26 dB above fixed training with the same compute. Why does that not
# show that easy-to-hard works?**
#
# <details><summary>Answer</summary>
#
# The same steps in random order are ahead as well, by 0.31 ± 0.34 dB. What both have is more steps for
# the same compute. Sorted minus shuffled is −0.04 ± 0.17 dB: the order adds nothing that can be seen.
#
# </details>
#
# **2. You train on drizzle, then on light rain, then on heavy rain. What do you expect in light rain?**
#
# <details><summary>Answer</summary>
#
# That it forgets: 15 dB below the shuffled twin, which keeps seeing all three. A network is good at what
# it saw last.
#
# </details>
#
# **3. The loss curriculum scores 32.35 ± 2.75 dB and fixed training 34.38 ± 0.15 dB. Are they about
# equally good?**
#
# <details><summary>Answer</summary>
#
# No. Two of five seeds ended at the score of the rainy picture. Report the seeds one by one, or how many
# failed.
#
# </details>
#
# **4. A paper grows its patches from step 92,000 on, and the score rises from there. What do you ask?**
#
# <details><summary>Answer</summary>
#
# What else begins there. In Restormer's schedule the learning rate begins to fall and the batches begin to
# shrink at the same step. And whether the same patches in random order do as well.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - write a curriculum as a function of the progress, and say what it spends;
# - give it its controls: a shuffled twin, equal compute, paired seeds;
# - look at single seeds before you trust a mean;
# - read a published schedule: what else changes at the same step?
#
# For this small network, these budgets and this rain: *more stable* is **not shown**, and on two of five
# seeds the loss curriculum did not learn; *better* is **not shown** for three of four, and for rain it is
# **worse**; *more time* does **not hold** by design: growing stages spend 37 % less compute.
#
# **Next: 13 · Transplant.** A module moves into another network.
