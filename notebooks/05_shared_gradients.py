# %% [markdown]
# # 05 · Shared gradients
#
# **Where does the gradient of a shared weight come from?**
#
# | | |
# |---|---|
# | **Goals** | split the gradient of a shared weight into the shares of its uses, exactly; measure how large they are and whether they agree; say which loss reaches which use; trade memory for time by checkpointing |
# | **Before you start** | lesson 04 |
# | **Time** | 56 minutes, 32 of them for the exercises; the cells take 25 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Ren et al., CVPR 2019 (PRN, arXiv 1901.09221); Chen et al., 2016 (checkpointing, arXiv 1604.06174) |

# %% tags=["bootstrap"]
import derain_edu as de

# %%
print(f"derain_edu {de.__version__}")

import copy
import statistics

import torch

from derain_edu.course import exercises
from derain_edu.course.views import diagrams, plots, shares as views
from derain_edu.evaluation.timing import LiveMemory, interleave, peak_bytes, speedup
from derain_edu.experiments.results import load_results
from derain_edu.text import compare_guess, table as text_table
from derain_edu.training.losses import make_loss, stage_loss

de.choose_device("cpu", verbose=True)  # small pictures: a GPU would mostly wait
compare = make_loss("neg_ssim+l1")  # what the open weights were trained with

# %% [markdown]
# ## 1 · One weight, used twice
#
# PRN runs the same weights T times. Training needs one gradient for them. Which of the T uses does
# it come from? Start with the smallest network that reuses a weight: $y = w \cdot (w \cdot x)$.
#
# **Predict:** $w = 3$ and $x = 2$. What is $\mathrm{d}y/\mathrm{d}w$?

# %%
my_guess = None  # write a number

# %%
x = 2.0
w = torch.tensor(3.0, requires_grad=True)
(w * (w * x)).backward()  # one weight, two uses

first = torch.tensor(3.0, requires_grad=True)
second = torch.tensor(3.0, requires_grad=True)
(second * (first * x)).backward()  # two weights of equal value, one use each

compare_guess(my_guess, w.grad.item())
print(f"first use {first.grad:.0f}, second {second.grad:.0f}, shared {w.grad:.0f}")
assert first.grad + second.grad == w.grad == 12

# %% [markdown]
# Give each use a weight of its own and ask for *its* gradient: 6 and 6. The shared weight gets
# their **sum**, $12 = 2wx$. This is the product rule. Backward knows nothing of "sharing": it walks
# back along each use, and adds what it finds there, the **share** of this use, into the one `.grad`.

# %%
diagrams.sum_over_uses()

# %% [markdown] tags=["exercise"]
# ### Exercise 05.1 · The shares of a small PRN
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | write `shares_of_uses(w, o, stages)`: a list with the share of each of the T uses of w in dy/dw, by hand, without autograd |
#
# PRN adds the rainy picture at each stage. With single numbers: $x_0 = o$, $x_t = o + w \cdot x_{t-1}$,
# and $y = x_T$. Now the uses have *different* shares.
#
# <details><summary>Hint</summary>
#
# Give use t a weight of its own, w_t. A change of w_t changes x_t by x_{t−1} times as much. How does
# a change of x_t come through to x_T? Each later stage multiplies it by w once.
#
# </details>

# %% tags=["exercise"]
def shares_of_uses(w, o, stages):
    """Return [share of use 1, ..., share of use T], numbers."""
    # BEGIN SOLUTION
    x, shares = o, []
    for t in range(1, stages + 1):
        shares.append(x * w ** (stages - t))  # what came in, and the way back
        x = o + w * x
    return shares
    # END SOLUTION


if exercises.check("05.1", shares_of_uses):
    for w_now in (0.5, 1.0, 1.5):
        shares = shares_of_uses(w_now, 1.0, 6)
        numbers = ", ".join(f"{float(share):.2f}" for share in shares)
        print(f"w = {w_now}, T = 6: {numbers}")

# %% [markdown] tags=["solution"]
# A share is a product: what came in, times the error that comes back through the T − t later uses.
# With w = 0.5 the error halves at each stage on its way back, 32 times less at use 1 than at use 6,
# and what came in does not even double: the early shares are small because the error got small. With
# w = 1.5 the error grows on its way back; use 1 has the largest error, and the smallest input.

# %% [markdown]
# ## 2 · The shares of a network
#
# The same trick works for a whole network: T copies with equal values, one for each stage. The
# gradient of copy t is the share of stage t:
#
# $$\frac{\mathrm{d}L}{\mathrm{d}\theta} = \sum_{t=1}^{T} \frac{\partial L}{\partial \theta_t}
# \quad\text{at}\quad \theta_1 = \dots = \theta_T = \theta$$

# %% [markdown] tags=["exercise"]
# ### Exercise 05.2 · A copy for each use
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | write `share_of_each_use(step, w, x, stages, loss)`: the share of each use in the gradient of `loss(x_T)`, a tensor (T, *shape of w) |
#
# `step(x, w)` makes the next draft with the weight w, a tensor of any shape; `loss` makes one number
# of the last draft. Now autograd may help.
#
# <details><summary>Hint</summary>
#
# `w.detach().clone().requires_grad_()` is a new weight of equal value. Make T of them and use each
# one once. `torch.autograd.grad(y, list_of_tensors)` returns a gradient for each of them.
#
# </details>

# %% tags=["exercise"]
def share_of_each_use(step, w, x, stages, loss):
    """Return the share of each use, (T, *w.shape); they add up to the gradient."""
    # BEGIN SOLUTION
    copies = [w.detach().clone().requires_grad_() for _ in range(stages)]
    for own in copies:
        x = step(x, own)
    return torch.stack(torch.autograd.grad(loss(x), copies))  # (T, *w.shape)
    # END SOLUTION


if exercises.check("05.2", share_of_each_use):
    numbers = torch.tensor(0.5), torch.tensor(1.0)
    shares = share_of_each_use(lambda x, w: 1 + w * x, *numbers, 6, lambda y: y)
    print("w = 0.5, o = 1, T = 6:", ", ".join(f"{float(v):.2f}" for v in shares))

# %% [markdown] tags=["solution"]
# The copies are cut off from *each other* (detach), and the drafts are not cut off: the error must
# travel through all of them. `w.clone()` without detach works, too: autograd can answer for any
# tensor on the way. The printed numbers are those of exercise 05.1.

# %% [markdown]
# Now PRN. `stage_shares` does what the exercise did. The gradients of all copies come as one long
# row, stage by stage, and `.view(stages, -1)` cuts it into one row per stage. With two stages and
# three weights a, b, c:
#
# $$[a_1\, b_1\, c_1\, a_2\, b_2\, c_2] \;\to\; \begin{bmatrix} a_1 & b_1 & c_1 \\
# a_2 & b_2 & c_2 \end{bmatrix}$$
#
# Two details: `stage` also returns a state, which PRN doesn't use (lesson 06 does), and
# `materialize_grads=True` asks for zeros where a loss does not reach a weight.

# %%
def stage_shares(model, rainy, clean, stages=4, weights=None):
    """Return the share of each stage in the gradient, (T, number of weights)."""
    x, pictures, leaves = rainy, [], []  # x_0 = O
    for _ in range(stages):
        own = copy.deepcopy(model)  # equal values, separate tensors
        x, _state = own.stage(rainy, x, None)  # x_t, (B, 3, P, P)
        pictures.append(x)
        leaves.extend(own.parameters())
    loss = stage_loss(pictures, clean, compare, weights)  # None: the last one
    row = torch.autograd.grad(loss, leaves, materialize_grads=True)
    return torch.cat([g.flatten() for g in row]).view(stages, -1)


def batch(data, number, size=8):
    """Return batch `number` of a stream: rainy and clean, each (B, 3, P, P)."""
    samples = [data[number * size + k] for k in range(size)]
    rainy = torch.stack([sample["rainy"] for sample in samples])
    return rainy, torch.stack([sample["clean"] for sample in samples])


# %%
light = de.SyntheticRain(rain="light", patch_size=40, seed=5, split="test")
rainy, clean = batch(light, 0)
trained = de.create_model("prn", pretrained="open")
de.set_seed(0)
fresh = type(trained)(trained.config)  # the same form with new random weights
networks = {"fresh": fresh, "trained": trained}
found = {name: stage_shares(net, rainy, clean) for name, net in networks.items()}

compare(trained(rainy), clean).backward()  # as a trainer does it
grad = torch.cat([p.grad.flatten() for p in trained.parameters()])
error = (found["trained"].sum(dim=0) - grad).abs().max() / grad.abs().max()
print(f"{len(grad):,} weights; sum of the shares against .grad: {error:.1e}")
assert error <= 1e-6

# %% [markdown]
# They differ by the rounding of 32-bit numbers, and by nothing else.
#
# ## 3 · How large is each share?
#
# One may hope that the sum *balances* the stages. We measure the length of each share, in percent
# of all four lengths. The loss compares only the last picture.
#
# **Predict:** in a *fresh* PRN, how many percent belong to the last of the four stages?

# %%
my_guess = None  # write a number between 0 and 100

# %%
percent = {}
for name, values in found.items():
    lengths = values.norm(dim=1)  # (4,)
    percent[name] = 100 * lengths / lengths.sum()
compare_guess(my_guess, percent["fresh"][-1].item(), "%")
figure, axes = plots.new_figure(1, 2, width=8, height=2.6, sharey=True)
for axis, (name, values) in zip(axes.flat, percent.items(), strict=True):
    plots.draw_bars(axis, ["1", "2", "3", "4"], values.tolist(), decimals=1)
    axis.set_title(f"PRN, {name}", fontsize=10)
    axis.set_xlabel("stage")
axes[0, 0].set_ylabel("% of all lengths")
plots.show(figure, "Bars: how much each stage contributes to the gradient of a "
           "fresh and of a trained PRN. In the fresh one nearly all is stage 4.")
assert percent["fresh"][-1] > 60 and percent["trained"][0] > percent["fresh"][0]

# %% [markdown]
# At the start the last stage decides nearly alone: the error shrinks each time it passes a stage on
# its way back. After training the early stages count far more. Is that a balance? This is one
# network and one batch. Here are five recorded trainings of each kind (600 steps): the largest share
# divided by the smallest.

# %%
rows, recorded = [], load_results("stage_gradients")
for variant in ("PRN", "PReNet"):
    runs = [row for row in recorded if row["variant"] == variant]
    for when in ("fresh", "trained"):
        ratios = sorted(row[f"ratio_{when}"] for row in runs)
        shown = ratios[0], statistics.median(ratios), ratios[-1]
        rows.append([f"{variant}, {when}", *(f"{v:.0f}" for v in shown)])
print(text_table(["largest / smallest share", "least", "median", "most"], rows))

# %% [markdown]
# Training brings the shares closer together, but not to 1: a sum is not a balance. And the five
# trainings of PRN differ much.

# %% [markdown]
# ## 4 · Do the stages agree?
#
# Two shares are vectors, so an angle says whether they want the same change of the weights. Cosine
# 1: the same; 0: they have nothing to do with each other; −1: the opposite.
#
# <details><summary>Background: what is a large cosine in 95,107 dimensions?</summary>
#
# Two *random* directions in N dimensions have a cosine of about $\pm 1/\sqrt{N}$: many small products
# with random signs nearly cancel. In the plane any angle is common; for PRN's 95,107 weights,
# $1/\sqrt{N}$ is 0.003. So a cosine of 0.1, tiny in the plane, is no accident here.
#
# </details>
#
# One number for all stages: **agreement** is |sum of the shares| / sum of their lengths. It is 1 if
# all pull the same way. Two arrows of length 1 at right angles have a sum of length
# $\sqrt{2}$, so an agreement of $\sqrt{2}/2 = 0.71$. We print what shares of *these* lengths would
# have *at right angles*: only the distance from it tells something.

# %%
def cosines(shares):
    """Return the cosine of the angle between each two shares, (T, T)."""
    unit = shares / shares.norm(dim=1, keepdim=True)  # each of length 1
    return unit @ unit.T


def agreement(shares):
    return (shares.sum(dim=0).norm() / shares.norm(dim=1).sum()).item()


def at_right_angles(shares):
    lengths = shares.norm(dim=1)
    return (lengths.norm() / lengths.sum()).item()  # Pythagoras


figure, axes = plots.new_figure(2, 2, width=9, height=6.4)
for row, (name, values) in zip(axes, found.items(), strict=True):
    views.draw_fan(row[0], values, f"PRN, {name}")
    views.draw_table(row[1], cosines(values), "cosines", "stage 1 … 4", "1 … 4")
    a, right = agreement(values), at_right_angles(values)
    print(f"{name:8s} agreement {a:.2f}, at right angles {right:.2f}")
plots.show(figure, "The share of each stage as an arrow beside their sum, with its "
           "true length and its true angle to the sum; beside it the cosines of "
           "all pairs. Fresh: one arrow is nearly the sum. Trained: they part.")

# %% [markdown]
# (An arrow's length and its angle to the sum are exact. The angles *between* two arrows are not:
# a plane has no room for 95,107 dimensions. For those, read the table.)
#
# In the fresh network one arrow is nearly the sum, so its high agreement says nothing. Always look at
# sizes *and* angles. One batch may be an accident, so for the trained network we take six more.

# %%
for k in range(2, 8):
    values = stage_shares(trained, *batch(light, k, size=4))
    table = cosines(values)
    pairs = [table[s, t].item() for s in range(4) for t in range(s)]  # six pairs
    opposed = sum(pair < -0.1 for pair in pairs)
    a, right = agreement(values), at_right_angles(values)
    print(f"batch {k}: cosines {min(pairs):+.2f} to {max(pairs):+.2f}, "
          f"{opposed} of 6 below −0.1, agreement {a:.2f} ({right:.2f})")

# %% [markdown]
# It depends on the batch: on some the stages pull together, on others they don't. A negative cosine
# means that the step which helps one use hurts the other. The shared weights are a compromise, and
# what it looks like changes from batch to batch.
#
# Whom does the compromise serve? A small step along the sum lowers the loss through *every* stage only
# if each share has a positive cosine with the *sum*. Here is the smallest of the four, for the five
# recorded trainings of each kind, on eight validation pictures.

# %%
for variant in ("PRN", "PReNet"):
    runs = [row for row in recorded if row["variant"] == variant]
    smallest = [row["cosine_trained"] for row in runs]
    print(f"{variant:7}", " ".join(f"{cosine:+.2f}" for cosine in smallest))
    if variant == "PRN":
        assert max(smallest) < 0

# %% [markdown]
# In PRN it is negative each time: some stage always loses. In PReNet it is near zero: some stage has
# little from the step. The sum follows the louder shares. It is no balance, and no agreement.

# %% [markdown]
# ## 5 · Which loss reaches which use?
#
# The paper's loss looks at the last picture only. One could also put a loss on the picture of every
# stage. With copies we can look inside: which loss (row) reaches which use (column)?
#
# **Predict:** with four stages, how many of the 4 × 4 entries are exactly zero?

# %%
my_guess = None  # write a number

# %%
tables = {}
for name, net in networks.items():
    rows = []
    for s in range(4):
        only = [float(k == s) for k in range(4)]  # 1 for this loss, 0 for others
        rows.append(stage_shares(net, rainy[:4], clean[:4], 4, only).norm(dim=1))
    tables[name] = torch.stack(rows)  # (4, 4)
compare_guess(my_guess, int((tables["fresh"] == 0).sum()), decimals=0)
figure, axes = plots.new_figure(1, 2, width=9, height=3.4)
for axis, (name, table) in zip(axes.flat, tables.items(), strict=True):
    title = f"PRN, {name} (colour: log₁₀)"
    views.draw_table(axis, table, title, "loss of stage 1 … 4", "use 1 … 4", "log")
plots.show(figure, "Two triangular tables: how strongly the loss of each stage "
           "reaches each use of the weights. Above the diagonal all is zero.")
for table in tables.values():
    assert (table.triu(1) == 0).all() and (table.diagonal() > 0).all()
fractions = (tables["fresh"][-1, :-1] / tables["fresh"][-1, 1:]).tolist()
print("fresh, last row, each entry over its right neighbour:",
      ", ".join(f"{fraction:.2f}" for fraction in fractions))

# %% [markdown]
# **No loss reaches a later use:** a picture does not depend on what happens after it. The paper's
# loss is the last row alone. There the early uses have no error of their own, only what the last
# stage passes on: in the fresh network about a tenth at each stage, the power of w from section 1.
# Losses at all stages add the diagonal: for each use an error that did not have to travel.
#
# Whether the last *picture* gets better is another question. Of the authors' networks (LSTM, T = 6), the
# one with a loss at every stage has 29.12 dB on Rain100H, the one with the last loss alone 29.32 dB.
#
# ## 6 · What the sum costs
#
# T does not change the number of weights. But a share is made of what came in, so forward must keep
# what came in at *every* layer of *every* stage until backward gets there.
#
# **Checkpointing** keeps only the borders between the stages, and computes the inside of a stage
# again when backward reaches it: `unroll(rainy, checkpoint=True)`.
#
# **Predict:** if backward costs about twice as much as forward, how many times longer does a step
# with checkpointing take?

# %%
my_guess = None  # write a number, such as 1.1

# %%
small = (rainy[:2, :, :32, :32], clean[:2, :, :32, :32])


def loss_of(stages, checkpoint):
    pictures = trained.unroll(small[0], stages, checkpoint=checkpoint)
    return compare(pictures[-1], small[1])


def gradient(checkpoint):
    trained.zero_grad()
    loss_of(6, checkpoint).backward()
    return torch.cat([p.grad.flatten() for p in trained.parameters()])


counts = (1, 2, 4, 6, 8)
peaks = {"plain": [], "checkpointed": []}
for way, values in peaks.items():
    for count in counts:
        peak = peak_bytes(lambda n=count, w=way: loss_of(n, w == "checkpointed"))
        values.append(peak / 2**20)
ways = {"plain": lambda: gradient(False), "checkpointed": lambda: gradient(True)}
seconds = interleave(ways, rounds=3)
slower = speedup(seconds["checkpointed"], seconds["plain"])  # median of the ratios
compare_guess(my_guess, slower, "times", decimals=2)

# %%
figure, axes = plots.new_figure(width=5.5, height=2.8)
plots.draw_curves(axes[0, 0], peaks, counts, "stages T", "peak memory in MiB")
plots.show(figure, "Peak memory over the number of stages: a steep straight line "
           "without checkpointing, a flat one with it.")
plain, again = gradient(False), gradient(True)
difference = ((plain - again).abs().max() / plain.abs().max()).item()
part = peaks["checkpointed"][3] / peaks["plain"][3]
print(f"T = 6: {part:.0%} of the memory; the gradients differ by {difference:.1e}")
assert difference <= 1e-6 and part < 0.5

# %% [markdown]
# The same gradient for a fraction of the memory. The time, on a quiet machine, is about 4/3: one
# more forward beside one forward and a backward of twice its cost. How does it work? Build it.

# %% [markdown] tags=["exercise"]
# ### Exercise 05.3 · Backward with nothing but the drafts
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 12 minutes |
# | **Task** | write `gradient_from_drafts(step, w, x, stages, loss)`: the gradient of w, with no more than the drafts kept on the way forward |
#
# `step` and `loss` are those of exercise 05.2. The way forward is written for you: `drafts` holds
# x_0 … x_T, and `error` is the gradient of the loss for x_T. Walk back, and return one gradient, of the
# shape of w. Autograd may look at one stage at a time; the checker counts what it keeps.
#
# <details><summary>Hint</summary>
#
# For t = T … 1: run stage t once more from x_{t−1}, with gradients, and ask
# `torch.autograd.grad(x_t, (x_before, weight), error)`. It returns the error for the stage before,
# and one share.
#
# </details>

# %% tags=["exercise"]
def gradient_from_drafts(step, w, x, stages, loss):
    """Return the gradient of ``loss(x_T)`` with respect to w."""
    drafts = [x]  # x_0
    with torch.no_grad():
        for _ in range(stages):
            drafts.append(step(drafts[-1], w))
    last = drafts[-1].requires_grad_()  # x_T
    [error] = torch.autograd.grad(loss(last), last)  # dL/dx_T
    # BEGIN SOLUTION
    total = torch.zeros_like(w)
    for before in reversed(drafts[:-1]):
        x, weight = (value.detach().requires_grad_() for value in (before, w))
        error, share = torch.autograd.grad(step(x, weight), (x, weight), error)
        total = total + share
    return total
    # END SOLUTION


if exercises.check("05.3", gradient_from_drafts):
    for count in (2, 4, 8):
        with LiveMemory() as memory:
            gradient_from_drafts(
                lambda x, w: x + (x * w).sin().tanh(),
                torch.tensor(0.5), torch.rand(512, 512), count, torch.mean,
            )
        print(f"T = {count}: {memory.peak / 2**20:.1f} MiB")

# %% [markdown] tags=["solution"]
# A share is made of what came in (x_{t−1}, kept) and the error that came
# back, and the shares are added up. Each stage runs twice, so time grows by one forward. The drafts
# still grow with T: two more stages, 2 MiB more, for two more drafts of 512 × 512 numbers. What is
# inside a stage is there for one stage at a time.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. A weight is used four times, and its `.grad` is exactly zero. Does no use want to change it?**
#
# <details><summary>Answer</summary>
#
# That does not follow. `.grad` is a sum, and a zero sum does not need zero parts: two uses may pull
# up and two down. Section 4 finds pairs with a negative cosine in a trained network.
#
# </details>
#
# **2. You write `x = step(x.detach(), w)` in the training loop of a PRN, with the loss at the last
# stage. Training runs, and memory stays flat. What have you trained?**
#
# <details><summary>Answer</summary>
#
# One stage. The error ends at the draft that is cut off, so `.grad` holds the share of stage T alone,
# and no stage learns to prepare a good draft for the next one. Checkpointing needs little memory,
# too, and gives the whole sum: exercise 05.3.
#
# </details>
#
# **3. In the fresh PRN the agreement of the stages is above 0.9. Do the stages agree?**
#
# <details><summary>Answer</summary>
#
# That number can't tell. If one share has nearly all the length, the sum points its way, whatever
# the others want. Shares of these lengths at right angles have nearly the same agreement (printed
# in section 4). Compare with that, or look at the cosines.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - split the gradient of a shared weight into the shares of its uses, and prove that their sum is
#   `.grad`;
# - measure how large the shares are and whether they agree, and say why a sum is not a balance;
# - say which loss reaches which use;
# - compute the sum with nothing kept but the drafts.
#
# Next: **06 · Memory**. PReNet gives the stages a memory, and with it the error gets a second way
# back.
