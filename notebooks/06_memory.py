# %% [markdown]
# # 06 · Memory
#
# **What does the LSTM remember?**
#
# | | |
# |---|---|
# | **Goals** | write one step of a ConvLSTM; say how long a memory holds what was written; read gates by comparing two runs; take a memory away and tell what the damage proves; measure on which road a gradient survives |
# | **Before you start** | lesson 04; lesson 05 helps in section 5 |
# | **Time** | 56 minutes, 25 of them for the exercises; the cells take 40 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Ren et al., CVPR 2019 (PReNet, arXiv 1901.09221); Shi et al., NeurIPS 2015 (ConvLSTM, arXiv 1506.04214) |

# %% tags=["bootstrap"]
import derain_edu as de

# %%
print(f"derain_edu {de.__version__}")

import statistics

import numpy as np
import torch

from derain_edu.course import exercises
from derain_edu.course.views import diagrams, gates, plots
from derain_edu.rain.streaks import Streaks, render_streaks
from derain_edu.text import compare_guess, table as text_table
from derain_edu.training.losses import make_loss

de.choose_device("cpu", verbose=True)  # small pictures: a GPU would mostly wait
compare = make_loss("neg_ssim+l1")  # what the networks were trained with

# %% [markdown]
# ## 1 · A pipe and three taps
#
# Between two stages, PRN hands on one thing: the picture so far, three numbers per pixel. The 32
# features that a stage computed are thrown away. **PReNet** is PRN with a memory between its head
# (the first convolution) and its blocks: 32 channels, called c, that go on from stage to stage. Each
# stage decides, per pixel and channel, what happens to them.

# %%
diagrams.memory_pipe()

# %% [markdown]
# Think of c as the water in a pipe with three taps. The tap f lets the *old* content pass, i lets
# the *new* content g in, and o lets a part of it out, as h, which the blocks see:
#
# $$c_t = f_t \cdot c_{t-1} + i_t \cdot g_t, \qquad h_t = o_t \cdot \tanh(c_t)$$
#
# The taps are called **gates**: *forget* f, *write* i, *output* o. Note the sense of the first:
# $f = 1$ keeps everything, $f = 0$ forgets everything. All gates are made from the same two things:
# z, what the head of this stage has computed, and $h_{t-1}$, what the memory showed last time. So h
# is handed on, too.
#
# <details><summary>Background: sigmoid, tanh, LSTM</summary>
#
# The sigmoid $1 / (1 + e^{-x})$ turns any number into one between 0 and 1: a tap that may be half
# open. The tanh turns any number into one between −1 and 1: content with a sign. A memory made of
# these parts is an LSTM, "long short-term memory" (1997). Where the numbers behind the gates come
# from a convolution, so that each pixel has its own gates, it is a ConvLSTM.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 06.1 · One step of the memory
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | write `lstm_step(conv, z, h, c)`: return the new h and the new c, in this order |
#
# `conv` takes 2C channels, first z and then the old h. It makes 4C: the raw values of i, f, g and o,
# in this order. i, f and o go through a sigmoid, g goes through a tanh.
#
# <details><summary>Hint</summary>
#
# `torch.cat((a, b), dim=1)` puts channels side by side, `x.chunk(4, dim=1)` takes them apart again.
# Then the two formulas above, c first.
#
# </details>

# %% tags=["exercise"]
def lstm_step(conv, z, h, c):
    """Return (h_t, c_t), each (B, C, H, W) like z."""
    # BEGIN SOLUTION
    raw = conv(torch.cat((z, h), dim=1))  # (B, 4C, H, W)
    i, f, g, o = raw.chunk(4, dim=1)  # (B, C, H, W) each
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, c
    # END SOLUTION


exercises.check("06.1", lstm_step)

# %% [markdown] tags=["solution"]
# The old c meets one product and one sum, and no squashing function. All that happens to it from
# one stage to the next is the factor f.

# %% [markdown]
# ## 2 · How long does it hold?
#
# Stage 1 writes something into c. Then stage 2 multiplies it by its forget gate, stage 3 by its own,
# and so on. What is left at the end?

# %% [markdown] tags=["exercise"]
# ### Exercise 06.2 · What stays
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 5 minutes |
# | **Task** | write `what_stays(forget)`. `forget` is (T, …): the forget gates of stage 1 to T. Return a tensor of the same shape: which part of what stage 1, 2, … T wrote is still in $c_T$ |
#
# <details><summary>Hint</summary>
#
# Start at the end. What stage T wrote is all there: 1. What stage T − 1 wrote went through one gate.
# Which one? `x.prod(dim=0)` multiplies along the first axis, and the product of nothing is 1.
#
# </details>

# %% tags=["exercise"]
def what_stays(forget):
    """Return (T, ...): the part of each stage's writing that is left at the end."""
    # BEGIN SOLUTION
    stays = []
    for k in range(len(forget)):
        stays.append(forget[k + 1 :].prod(dim=0))  # the gates of later stages
    return torch.stack(stays)
    # END SOLUTION


if exercises.check("06.2", what_stays):
    for f in (0.5, 0.9, 0.99):
        stays = what_stays(torch.full((6,), f))
        numbers = ", ".join(f"{float(part):.2f}" for part in stays)
        print(f"f = {f} in six stages: {numbers}")

# %% [markdown] tags=["solution"]
# The gate of the stage that writes does not count: it works on what was there before. At f = 0.5
# only 3 % of the first writing is left after six stages, at f = 0.99 nearly all.

# %% [markdown]
# Now the gates of three PReNets: one with random weights, one trained for 800 steps on light rain,
# and one trained for about 45,000 steps on light and heavy rain. We let each run six stages.
#
# **Predict:** the forget gate of the long-trained network, on average over stages, channels and
# pixels. The one with random weights has 0.50.

# %%
my_guess = None  # write a number between 0 (forgets all) and 1 (keeps all)

# %%
de.set_seed(0)
networks = {
    "fresh": de.create_model("prenet"),
    "800 steps": de.create_model("prenet", pretrained="open-light"),
    "45,000 steps": de.create_model("prenet", pretrained="open"),
}
rocket = de.load_photo("rocket", long_side=320)[:, 100:180, 200:280]  # (3, 80, 80)
photo = de.add_rain(rocket, "light", seed=1).rainy
opened = {}  # the forget gates of each network
for name, net in networks.items():
    opened[name] = gates.forget_gates(net, photo, 6)  # (6, 32, 80, 80): six stages
compare_guess(my_guess, opened["45,000 steps"].mean().item(), decimals=2)
rows = []
for name, f in opened.items():
    each = f.mean(dim=(0, 2, 3))  # (32,): one number per channel
    stays = f[1:].prod(dim=0).mean(dim=(1, 2))  # (32,): as in 06.2, for stage 1
    rows.append([name, f"{f.mean():.2f} ± {f.std():.2f}",
                 f"{each.min():.2f} to {each.max():.2f}",
                 f"{stays.mean():.0%}", f"{stays.max():.0%}"])
head = ["network", "forget gate", "channels", "left of stage 1", "best channel"]
print(text_table(head, rows))

# %%
figure, axes = plots.new_figure(width=6, height=2.8)
for name, f in opened.items():
    axes[0, 0].hist(f.flatten(), 80, density=True, histtype="step", label=name)
axes[0, 0].set(xlabel="forget gate", ylabel="how often")
axes[0, 0].legend(fontsize=8, frameon=False)
plots.show(figure, "Histograms of the forget gate of three networks. All lie "
           "around one half; the one with the longest training is the widest.")
spread = {name: f.std().item() for name, f in opened.items()}
assert all(abs(f.mean() - 0.5) < 0.06 for f in opened.values())
assert max(spread["fresh"], spread["800 steps"]) < 0.05 < spread["45,000 steps"] / 2

# %% [markdown]
# One might think that training opens the forget gate. On average it did not: 0.50, 0.48, 0.48. After
# 800 steps a gate is $0.48 \pm 0.03$ (mean ± standard deviation), nearly the same everywhere: that
# memory has hardly learned *when* to forget. After 45,000 steps the mean is the same, but now the
# channels differ: one keeps a quarter per stage, another one seven tenths.
#
# So this memory is short. Of what stage 1 wrote, a few percent are left after stage 6, and a fifth in
# the best channel. What it holds at the end was mostly written late.

# %% [markdown]
# ## 3 · One streak in the gates
#
# Does the memory know about *rain*? A gate has a value at every pixel, so a map of it tells little. We
# give the network the same photo twice, with one streak and without. Everything else is equal, so
# each difference in a gate comes from the streak. From here on we take the long-trained network.
#
# The slider goes through the stages; the figure below it shows all six side by side.

# %%
prenet = networks["45,000 steps"]
T = prenet.config.stages
# x, y, length, width, angle, brightness, layer
numbers = (40.0, 40.0, 30.0, 1.8, 15.0, 0.3, 0)
streak = Streaks(*(np.array([value]) for value in numbers))
R = render_streaks(streak, 80, 80)  # (1, 80, 80)
streaked = (rocket + R).clamp(0, 1)
on_streak = R[0] > 0.1  # (80, 80)
gates.gate_slider(prenet, streaked, rocket, zoom=2)

# %%
views = gates.gate_views(prenet, streaked, rocket)
figure, axes = plots.new_figure(4, T, width=12, height=7.2)
gates.draw_gate_table(axes, views)
plots.show(figure, "The gates over the stages: six columns. Above, the "
           "picture, from which the streak goes in stages 1 and 2; below, how it "
           "changes the write, forget and output gate.")

# %% [markdown]
# Look at the top row first: the streak leaves the *picture* early. The lower rows are the size of the
# difference, |gate with the streak − gate without it|, averaged over the channels.
#
# **Predict:** call the change of the forget gate on the streak in stage 1 100 %. How large is it in the
# last stage, when the rain is gone from the picture?

# %%
my_guess = None  # write a number in percent

# %%
_, wet = gates.memory_inputs(prenet, streaked)  # the picture after each stage
_, dry = gates.memory_inputs(prenet, rocket)
begin = (streaked - rocket)[:, on_streak].mean()
left = []
for a, b in zip(wet, dry, strict=True):
    left.append(((a - b)[:, on_streak].mean() / begin).item())
changes = gates.forget_changes(prenet, streaked, rocket, on_streak)
both = changes["both"]
compare_guess(my_guess, 100 * both[-1] / both[0], "%", decimals=0)
header = ["stage", *(str(k + 1) for k in range(T))]
rows = [["rain left", *(f"{v:+.0%}" for v in left)]]
for name, values in changes.items():
    rows.append([f"forget gate: {name}", *(f"{v:.3f}" for v in values)])
print(text_table(header, rows))
assert abs(left[-1]) < 0.05 < changes["by the memory"][-1]
assert both[-1] > both[0]

# %% [markdown]
# (A rain below zero is a dark streak: the network took away too much.) At the end the rain is gone from
# the picture, and the gates still show where it was, even more than at the start. Is that memory?
# Careful: every stage sees the rainy picture O again, so the gates may know it from there. The last
# two rows test this. A gate sees only z and h, so we take *only h* from the run with the streak ("by
# the memory"), or *only z* ("by the pictures"). In the last stage both tell the gate about the streak.
# (They need not add up: both can say the same.)
#
# So one answer to the question above: **the LSTM remembers where the rain was, after the picture has
# forgotten it.** But not on its own for long: section 2 says that the memory is short, and O tells it
# again at each stage.

# %% [markdown]
# ## 4 · Take it away
#
# A picture of a gate is no proof that the network *needs* its memory. The test: empty it on the way.

# %% [markdown] tags=["exercise"]
# ### Exercise 06.3 · A network that forgets
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | write `with_wipes(model, rainy, wipe)`: run all stages of `model`, with an empty memory at the entrance of each stage whose number (counted from 1) is in `wipe`. Return the list of the pictures after stage 1, 2, … T |
#
# `model.config.stages` is T. `model.stage(rainy, x, state)` runs one stage and returns two things:
# the new picture and the new state, which is (h, c). The state `None` is an empty memory. At the
# start x is the rainy picture.
#
# <details><summary>Hint</summary>
#
# The loop of lesson 04 with one more line: `if t in wipe:` …
#
# </details>

# %% tags=["exercise"]
def with_wipes(model, rainy, wipe):
    """Return the picture after each stage, with an empty memory before some."""
    # BEGIN SOLUTION
    x, state, pictures = rainy, None, []
    for t in range(1, model.config.stages + 1):
        if t in wipe:
            state = None
        x, state = model.stage(rainy, x, state)
        pictures.append(x)
    return pictures
    # END SOLUTION


if exercises.check("06.3", with_wipes):
    for t in range(1, T + 1):
        with torch.no_grad():
            end = with_wipes(prenet, photo[None], {t})[-1]  # (1, 3, 80, 80)
        score = de.psnr(end[0], rocket)
        print(f"empty before stage {t}: {score:.1f} dB at the end")

# %% [markdown] tags=["solution"]
# Before stage 1 the memory is empty anyway. Later, a single loss costs this photo 1 to 5 dB: the stages
# that are left can't repair it.

# %% [markdown]
# Now six test photos, with light rain. Emptying takes away more than knowledge: after stage 1 this
# network never met an empty memory, and that alone may confuse it. Two gentler ways:
#
# - **no places**: each channel of the memory gets its mean over the picture. The level is right; it
#   no longer says where anything is.
# - **another photo's**: the memory of the same stage, from the next photo. The network knows this kind
#   of memory; its places are wrong.
#
# **Predict:** how many dB does the last picture lose with an *empty* memory before every stage?

# %%
my_guess = None  # write a number of dB


# %%
def empty(state):
    return None


def no_places(state):
    means = [part.mean(dim=(2, 3), keepdim=True) for part in state]  # (B, C, 1, 1)
    return tuple(m.expand_as(part) for m, part in zip(means, state, strict=True))


def another_photo(state):
    return tuple(part.roll(1, dims=0) for part in state)  # along the batch


@torch.no_grad()
def psnr_by_stage(model, rainy, clean, change=None):
    """Return the mean PSNR after each stage; `change` is made between stages."""
    x, state, scores = rainy, None, []
    for _ in range(model.config.stages):
        if change and state is not None:
            state = change(state)
        x, state = model.stage(rainy, x, state)
        each = [de.psnr(a, b) for a, b in zip(x, clean, strict=True)]
        scores.append(statistics.fmean(each))
    return scores


# %%
clean = []
for name in de.photo_names("test"):
    picture = de.load_photo(name, long_side=256)
    y, x = ((side - 96) // 2 for side in picture.shape[-2:])
    clean.append(picture[:, y : y + 96, x : x + 96])
clean = torch.stack(clean)  # (6, 3, 96, 96)
rainy = de.add_rain(clean, "light", seed=4).rainy
ways = {"its own": None, "no places": no_places,
        "another photo's": another_photo, "empty": empty}
curves = {}
for name, way in ways.items():
    curves[name] = psnr_by_stage(prenet, rainy, clean, way)
last = {name: curve[-1] for name, curve in curves.items()}
compare_guess(my_guess, last["its own"] - last["empty"], "dB")
rows = [[name, *(f"{v:.1f}" for v in curve)] for name, curve in curves.items()]
print(text_table(["memory / stage", *header[1:]], rows))
print(f"rainy: {de.psnr(rainy, clean):.1f} dB")

# %%
figure, axes = plots.new_figure(width=6.5, height=3)
plots.draw_curves(axes[0, 0], curves, xlabel="stage", ylabel="mean PSNR in dB")
plots.show(figure, "PSNR over the stages with four kinds of memory: its own "
           "rises to 37 dB, without places or of another photo it ends at 32, the "
           "empty one falls to 16 dB.")
assert last["empty"] < last["another photo's"] < last["its own"] - 3
assert abs(curves["no places"][2] - curves["its own"][2]) < 1

# %% [markdown]
# The empty memory ruins the picture, stage by stage. But most of that is shock: a memory with no or
# wrong places costs 4 to 6 dB, not 21. So what the memory knows about *places* is worth at most this
# much to this network (at most, because these two memories are strange to it as well). And look at
# the curve without places: up to stage 3 little is lost. The early stages need only the level of the
# memory; the last stages need the places.
#
# It does not say that an LSTM is worth 5 dB: a network that was trained without one has learned to
# work without it. So we look at such a network.

# %% [markdown]
# ### PRN → PReNet
#
# The course's PRN and the PReNet of 800 steps were trained on the same light rain, for 1,000 and
# 800 steps.

# %%
prn = de.create_model("prn", pretrained="open")
pair = {"PRN": prn, "PReNet, 800 steps": networks["800 steps"]}
curves = {name: psnr_by_stage(net, rainy, clean) for name, net in pair.items()}
figure, axes = plots.new_figure(width=6, height=2.8)
plots.draw_curves(axes[0, 0], curves, xlabel="stage", ylabel="mean PSNR in dB")
axes[0, 0].set_xticks((1, 2, 3, 4))
plots.show(figure, "PSNR over four stages: PRN starts higher and stays level, "
           "PReNet starts lower and rises.")
for name, net in pair.items():
    size = sum(p.numel() for p in net.parameters())
    numbers = ", ".join(f"{v:.2f}" for v in curves[name])
    print(f"{name:18s} {size:,} weights: {numbers} dB")
gain = {name: curve[-1] - curve[0] for name, curve in curves.items()}
assert gain["PRN"] < 0.5 < 1 < gain["PReNet, 800 steps"]

# %% [markdown]
# The two use their stages differently. PRN does nearly all in stage 1. PReNet does less at first, and
# goes on to gain. It ends higher, but it also has 78 % more weights, so "memory helps" and "more weights
# help" are mixed here, and this is one network of each kind. The paper trained both alike, also with
# more weights for PReNet: 36.99 → 37.48 dB on Rain100L, and 28.07 → 29.46 dB on Rain100H.

# %% [markdown]
# ## 5 · The way back
#
# The other reason for an LSTM is training. Lesson 05: the error of the last picture travels back
# through the stages, and is multiplied at each. If the factor is below 1, the gradient **vanishes**
# on its way to the first stage; above 1 it **explodes**. In PRN there is one road, over the picture.
# PReNet has a second one, over the memory, where the direct factor is f.
#
# We measure it with a *probe*: zeros that we add to the picture at the entrance of each stage. Their
# gradient says how much the loss would notice a change there. `detach` closes a road: it changes no
# value, but no error passes.
#
# **Predict:** in a fresh PRN, less than a fifth of the error survives each stage. And in a fresh PReNet?
# Think of its forget gates.

# %%
my_guess = None  # 1 is "all stays", 0.5 is "half is lost at each stage"

# %%
held = de.SyntheticRain(rain="light", patch_size=32, seed=5, split="test")
samples = [held[k] for k in range(4)]
few_rainy = torch.stack([sample["rainy"] for sample in samples])  # (4, 3, 32, 32)
few_clean = torch.stack([sample["clean"] for sample in samples])


def error_at_stages(model, closed=None, stages=6):
    """Return the length of the error that reaches the entrance of each stage."""
    x, state, probes = few_rainy, None, []
    for _ in range(stages):
        if closed == "picture":
            x = x.detach()
        if closed == "memory" and state is not None:
            state = tuple(part.detach() for part in state)
        probes.append(torch.zeros_like(x, requires_grad=True))
        x, state = model.stage(few_rainy, x + probes[-1], state)
    errors = torch.autograd.grad(compare(x, few_clean), probes)
    return [error.norm().item() for error in errors]


def factor(lengths):
    """Return the mean factor per stage on the way back to stage 1."""
    return (lengths[0] / lengths[-1]) ** (1 / (len(lengths) - 1))


# %%
de.set_seed(0)
trainings = {"PRN, fresh": de.create_model("prn"), "PRN, 1,000 steps": prn}
for name, net in networks.items():
    trainings[f"PReNet, {name}"] = net
errors = {name: error_at_stages(net) for name, net in trainings.items()}
factors = {name: factor(lengths) for name, lengths in errors.items()}
compare_guess(my_guess, factors["PReNet, fresh"], decimals=2)

rows = [[name, f"{factors[name]:.2f}", "–", "–"] for name in list(trainings)[:2]]
ROADS, roads = ("memory", "picture"), {}
for name, net in list(trainings.items())[2:]:
    roads[name] = [factor(error_at_stages(net, closed)) for closed in ROADS]
    rows.append([name, f"{factors[name]:.2f}", *(f"{v:.2f}" for v in roads[name])])
head = ["factor per stage", "all roads", "picture only", "memory only"]
print(text_table(head, rows))

# %%
figure, axes = plots.new_figure(width=7, height=3.2)
curves = {name: np.array(lengths) / lengths[-1] for name, lengths in errors.items()}
label = "|error|, last stage = 1"
plots.draw_curves(axes[0, 0], curves, xlabel="stage", ylabel=label)
axes[0, 0].set_yscale("log")
plots.show(figure, "The error at each stage relative to the last one, on a "
           "logarithmic scale, for five networks: fresh PRN falls fastest towards "
           "stage 1, long-trained PReNet stays level.")
picture_only, memory_only = roads["PReNet, fresh"]
assert factors["PRN, fresh"] < 0.3 < 0.45 < factors["PReNet, fresh"] < 0.7
assert picture_only < 0.1 and abs(memory_only - factors["PReNet, fresh"]) < 0.05
assert min(roads["PReNet, 45,000 steps"]) > 0.8 > factors["PReNet, 800 steps"]

# %% [markdown]
# (On a logarithmic axis each step down means ten times less, and a constant factor per stage is a
# straight line.)
#
# **Fresh networks.** PRN loses more than four fifths of the error at each stage, PReNet less than
# half. Closing roads shows why: over the picture alone nearly nothing arrives, over the memory alone
# nearly everything. There the factor is near the forget gate, 0.50, because the sigmoid starts at
# one half.
#
# **Trained networks.** After 800 steps the road over the picture alone has 0.91: training opened it.
# Both roads together give *less*, 0.53: what comes over one partly cancels what comes over the other.
# PReNet's factor is not above PRN's 0.66, so here no advantage of the LSTM is left. In the
# long-trained network nothing vanishes, on any road. Over the memory it has 0.92, although its mean
# gate is 0.48. That is possible, because the gates see h: an error travels over h, too, not over c
# alone.
#
# So in these networks the memory keeps the gradient alive before the training; later it is not the
# only road. (One network of each kind, four patches: other weights give other factors.)

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. A forget gate is 0.5 everywhere. How much of what stage 1 wrote is left after stage 4? And
# which gate decides whether stage 4 *shows* it?**
#
# <details><summary>Answer</summary>
#
# One eighth: it went through the forget gates of stages 2, 3 and 4. Its own gate does not count. What
# is shown is decided by the output gate o of stage 4; the content stays in c even if o is 0.
#
# </details>
#
# **2. The mean forget gate of two networks is the same, 0.48. Do they remember equally long?**
#
# <details><summary>Answer</summary>
#
# That number does not tell. In section 2 both trained networks have it. In one all gates are near 0.48,
# in the other the channels reach from 0.24 to 0.72. And what stays is a *product*: over five stages, a
# channel with 0.72 keeps many times more than one with 0.48 (0.19 against 0.03).
#
# </details>
#
# **3. You empty the memory of a trained network, and it loses 21 dB. May you write "the LSTM is
# worth 21 dB"?**
#
# <details><summary>Answer</summary>
#
# No. The network met a state that it never saw in training; with another photo's memory it loses
# less than 6 dB. And even that is what *this* network needs. For the worth of an LSTM, train two networks,
# with and without, equally long and with as many weights.
#
# </details>
#
# **4. A map of the forget gate shows the streak in the last stage, where the picture has none. Is
# this proof of memory?**
#
# <details><summary>Answer</summary>
#
# No: the stage sees the rainy picture O, too. The proof needs an exchange: only h from the run with
# the streak, everything else from the run without. If the gate changes, the memory told it.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - write one step of a ConvLSTM, and say what each of its three gates does;
# - compute what stays of a memory: a product of forget gates;
# - read a gate by comparing two runs, and find out what it follows by exchanging one input;
# - take a memory away in three ways, and say what each loss proves;
# - measure a factor per stage, road by road.
#
# We found a short memory that knows where the rain was, told again at each stage; and a second road for
# the gradient, which matters most in a network that has not learned anything yet.
#
# Next: **07 · IRNN**. There a recurrence runs through *space* instead of stages: one factor per step
# decides how far a pixel can see. You already know what happens if it is not 1.
