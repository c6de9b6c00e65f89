# %% [markdown]
# # 05 · Shared gradients
#
# **Where does the gradient of a shared weight come from, and what does the LSTM remember?**
#
# | | |
# |---|---|
# | **Goals** | split the gradient of a shared weight into the shares of its uses, exactly; measure which stages it listens to, and whether they agree; say which loss reaches which use; measure what an unrolled network keeps in memory, and trade it for time; read the gates of a ConvLSTM; tell a vanishing gradient from an exploding one |
# | **Before you start** | lesson 04 |
# | **Time** | 100 minutes, 50 of them for the exercises; the cells take 60 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Ren et al., CVPR 2019 (arXiv 1901.09221); Shi et al., NeurIPS 2015 (ConvLSTM, arXiv 1506.04214); Chen et al., 2016 (checkpointing, arXiv 1604.06174) |

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

import copy
import statistics

import numpy as np
import torch
from torch.autograd.graph import saved_tensors_hooks

from derain_edu.course import exercises
from derain_edu.course.views import gates, plots
from derain_edu.course.views.gates import gate_slider
from derain_edu.datasets.download import cached_files
from derain_edu.evaluation.timing import LiveMemory, interleave, peak_bytes, speedup
from derain_edu.rain.streaks import Streaks, render_streaks
from derain_edu.text import compare_guess
from derain_edu.training.losses import make_loss, stage_loss
from derain_edu.training.recipes import RECIPES

de.choose_device("cpu", verbose=True)  # small pictures: a GPU would wait more than it works
compare = make_loss("neg_ssim+l1")  # what the open weights were trained with

# %% [markdown]
# ## 1 · One weight, used twice
#
# PRN runs the same weights T times. Training needs one gradient for them. Which of the T uses does
# it come from? Start with the smallest network that reuses a weight: y = w · (w · x).
#
# **Predict:** w = 3 and x = 2. What is dy/dw?

# %%
my_guess = None  # write a number

# %%
x = 2.0
w = torch.tensor(3.0, requires_grad=True)
(w * (w * x)).backward()  # one weight, two uses

first, second = (torch.tensor(3.0, requires_grad=True) for _ in range(2))
(second * (first * x)).backward()  # two weights of equal value, one use each

compare_guess(my_guess, w.grad.item())
print(f"first use: {first.grad:.0f}, second use: {second.grad:.0f}, shared weight: {w.grad:.0f}")
assert first.grad + second.grad == w.grad == 12

# %% [markdown]
# Give each use a weight of its own and ask for *its* gradient: 6 and 6. The shared weight gets
# their **sum**, 12 = 2wx. This is the product rule. Backward knows nothing of "sharing": it walks
# back along each use, and adds what it finds into the one `.grad`.
#
# With T uses, y = wᵀ · x, each use gets w^(T−1) · x. Keep this power in mind for section 8.

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
# PRN adds the rainy picture at each stage. With single numbers: x_0 = o, x_t = o + w · x_{t−1}, and
# y = x_T. Now the uses have *different* shares.
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
        shares.append(x * w ** (stages - t))  # what came in, x_{t-1}, and the way of the error
        x = o + w * x
    return shares
    # END SOLUTION


if exercises.check("05.1", shares_of_uses):
    for w_now in (0.5, 1.0, 1.5):
        shares = shares_of_uses(w_now, 1.0, 6)
        print(f"w = {w_now}, T = 6:", ", ".join(f"{share:.2f}" for share in shares))

# %% [markdown] tags=["solution"]
# A share is a product: what came in, times the error that comes back through the T − t later uses.
# With w = 0.5 the error halves at each stage on its way back, so the last use has the largest
# factor from the way back; with w = 1.5 it grows. What came in grows in both cases. So an early
# share is small because the error got small on its way back, never because the input did.

# %% [markdown]
# ## 2 · The shares of PRN's stages, caught exactly
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
    """Return the share of each use, (T, *w.shape); their sum is the gradient of w."""
    # BEGIN SOLUTION
    copies = [w.detach().clone().requires_grad_() for _ in range(stages)]
    for own in copies:
        x = step(x, own)
    return torch.stack(torch.autograd.grad(loss(x), copies))  # T tensors -> (T, *w.shape)
    # END SOLUTION


if exercises.check("05.2", share_of_each_use):
    numbers = torch.tensor(0.5), torch.tensor(1.0)
    shares = share_of_each_use(lambda x, w: 1 + w * x, *numbers, 6, lambda y: y)
    print("w = 0.5, o = 1, T = 6, by autograd:", ", ".join(f"{v:.2f}" for v in shares.tolist()))

# %% [markdown] tags=["solution"]
# The copies are cut off from *each other* (detach), and the drafts are not cut off: the error must
# travel through all of them. `w.clone()` without detach works, too: autograd can answer for any
# tensor on the way. The printed numbers are those of exercise 05.1.

# %% [markdown]
# We need patches first: a stream of short, bright streaks that a tiny network can learn quickly.
#
# The function after them, `stage_shares`, is the heart of this lesson. It does what exercise 05.2
# did, for a network. Each stage gets a copy of the network with equal values. `state` is the memory
# that PReNet hands from stage to stage; PRN has none. `materialize_grads=True` asks for zeros where
# a loss does not reach a weight. The gradients come as one flat row, stage by stage. With two
# stages and three weights it is [a₁ b₁ c₁ a₂ b₂ c₂], and `.view(2, -1)` cuts it into the rows [a₁
# b₁ c₁] and [a₂ b₂ c₂]: one row per stage.

# %%
bright = de.RainConfig(density=(4, 8), length=(15, 30), width=(1.5, 2.5), brightness=(0.4, 0.6))
stream = de.SyntheticRain(rain=bright, patch_size=32, seed=0)
held = de.SyntheticRain(rain="light", patch_size=40, seed=5, split="test")


def batch(data, number: int, size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Return batch ``number`` of a stream: rainy and clean, each (B, 3, P, P)."""
    samples = [data[number * size + k] for k in range(size)]
    return tuple(torch.stack([sample[key] for sample in samples]) for key in ("rainy", "clean"))


rainy, clean = batch(stream, 0)
print(f"{tuple(rainy.shape)}, {de.psnr(rainy, clean):.1f} dB")
figure = plots.picture_row({f"patch {k + 1}": rainy[k] for k in range(6)})
plots.show(figure, "Six small patches of photos under short, bright, slanted streaks.")


# %%
def stage_shares(model, rainy, clean, stages, weights=None):
    """Return the share of each stage in the gradient of all weights, (T, number of weights)."""
    copies = [copy.deepcopy(model) for _ in range(stages)]  # equal values, separate tensors
    x, state, pictures = rainy, None, []  # x_0 = O
    for own in copies:
        x, state = own.stage(rainy, x, state)  # x_t, (B, 3, P, P), by the weights of this copy
        pictures.append(x)
    loss = stage_loss(pictures, clean, compare, weights)
    leaves = [p for own in copies for p in own.parameters()]
    gradients = torch.autograd.grad(loss, leaves, materialize_grads=True)  # unused: zeros
    return torch.cat([g.flatten() for g in gradients]).view(stages, -1)  # (T, number of weights)


# %% [markdown]
# Now the same network without copies, as a trainer runs it. Does its `.grad` equal the sum?

# %%
de.set_seed(0)
net = de.create_model("prn", channels=16, blocks=1, stages=4)


def gradient(model) -> torch.Tensor:
    """Return the .grad of all weights as one long vector, (number of weights,)."""
    return torch.cat([p.grad.flatten() for p in model.parameters()])


compare(net(rainy), clean).backward()
shares = stage_shares(net, rainy, clean, 4)  # (4, number of weights)
error = (shares.sum(dim=0) - gradient(net)).abs().max() / gradient(net).abs().max()
print(f"{shares.shape[1]:,} weights, 4 stages; sum of the shares against .grad: {error:.1e}")
assert error <= 1e-6

# %% [markdown]
# They differ by the rounding of 32-bit numbers, and by nothing else.
#
# Copies are not the only way. A **hook** is a function of ours that PyTorch calls while the network
# works. For a convolution the share of one use is a product of two things: *what came in* on the
# way forward, and *the error that came back*. We catch both at the head, the first layer of each
# stage.
#
# Two hooks are needed, one inside the other. The first is called on the way forward, at each stage:
# it notes the input. There it also puts a second hook on the output. This one is called on the way
# back, and notes the error. So the inputs come in the order 1, 2, 3, 4, and the errors in the order
# in which backward meets the stages.

# %%
came_in, came_back = [], []


def catch(layer, inputs, output):
    stage = len(came_in) + 1
    came_in.append(inputs[0])  # cat(O, x_{t−1}), (B, 6, P, P)
    output.register_hook(lambda error: came_back.append((stage, error)))  # (B, 16, P, P), later


hook = net.head.register_forward_hook(catch)
compare(net(rainy), clean).backward()
hook.remove()
size = net.head.weight.shape  # (16, 6, 3, 3): the first weights in our long vector
print("errors came back in the order of stages", [stage for stage, _ in came_back])
for stage, error in came_back:
    product = torch.nn.grad.conv2d_weight(came_in[stage - 1], size, error, padding=1)
    share = shares[stage - 1, : size.numel()].view(size)  # (16, 6, 3, 3)
    print(
        f"  stage {stage}: |share| = {share.norm():.1e}, "
        f"the two ways differ by {(product - share).abs().max():.1e}"
    )
    assert (product - share).abs().max() <= 1e-6 * shares.abs().max()
assert [stage for stage, _ in came_back] == [4, 3, 2, 1]

# %% [markdown]
# Both ways give the same numbers, to the last bit: for a convolution, autograd itself makes a share
# from what came in and the error that came back. The order tells the way of the error: it enters at
# the last stage, and travels back through 4, 3, 2, 1. Look at how the sizes change on the way.

# %% [markdown]
# ## 3 · Does each stage have a say?
#
# One may hope that the sum *balances* the stages: each adds its share, so the shared weights suit
# all of them. We measure how large the shares are: the length of each share, in percent of all
# lengths.
#
# **Predict:** the tiny fresh network of section 2, with four stages; the loss compares only the
# last picture. How many percent belong to the last stage? (The figure then shows four *larger*
# networks, two fresh and two trained.)

# %%
my_guess = None  # write a number between 0 and 100


# %%
def trained(name: str, own: str = "open"):
    """Load the authors' weights if they are in the cache, else those of this course."""
    official = f"{name}_rain100l.pth" in cached_files("official-weights")
    tag = "official-rain100l" if official else own
    print(f"{name}: {tag} weights")
    return de.create_model(name, pretrained=tag)


def fresh(model):
    """Return a network of the same form with new random weights."""
    de.set_seed(0)
    return type(model)(model.config)


prn = trained("prn")
prenet = trained("prenet", "open-light")  # made like PRN's: in minutes, on light rain
networks = {
    "PRN, fresh": fresh(prn),
    "PReNet, fresh": fresh(prenet),
    "PRN, trained": prn,
    "PReNet, trained": prenet,
}
stages = {name: network.config.stages for name, network in networks.items()}
print(stages)

# %%
rainy_held, clean_held = batch(held, 0)
voices = {
    name: stage_shares(network, rainy_held, clean_held, stages[name])
    for name, network in networks.items()
}  # each (T, number of weights)
percent = {name: 100 * v.norm(dim=1) / v.norm(dim=1).sum() for name, v in voices.items()}
compare_guess(my_guess, 100 * (shares.norm(dim=1) / shares.norm(dim=1).sum())[-1].item(), "%")

figure, axes = plots.new_figure(1, 4, width=12, height=2.6, sharey=True)
for axis, (name, values) in zip(axes.flat, percent.items(), strict=True):
    labels = [str(t + 1) for t in range(len(values))]
    plots.draw_bars(axis, labels, values.tolist(), decimals=1)
    axis.set_title(name, fontsize=10)
    axis.set_xlabel("stage")
axes[0, 0].set_ylabel("% of all lengths")
plots.show(
    figure,
    "Bars: how much each stage contributes to the gradient, for fresh and trained "
    "PRN and PReNet. In the fresh networks nearly everything is the last stage.",
)

# %%
for name, values in percent.items():
    ratio = (values.max() / values.min()).item()
    verdict = "balanced within a factor of 3" if ratio <= 3 else "not balanced"
    print(f"{name:16} loudest / quietest stage: {ratio:9.1f}   {verdict}")
for name in ("PRN", "PReNet"):
    before, after = percent[f"{name}, fresh"], percent[f"{name}, trained"]
    assert before.argmax() == len(before) - 1 and before[-1] > 60
    assert after[0] > before[0]

# %% [markdown]
# A sum is not a balance by itself. At the start the last stage decides nearly alone: the error
# shrinks each time it passes a stage on its way back, so the early shares are tiny. After training
# the early stages count far more.
#
# Whether that is a balance depends on the network: with the course's weights the largest share of
# PRN is 6.1 times the smallest, that of PReNet 2.9 times. (The lines above say it for the weights
# on your machine: *loudest* is the largest share, *quietest* the smallest. The factor of 3 in them
# is our choice.)

# %% [markdown]
# ## 4 · Do the stages agree?
#
# Two shares are vectors: an angle says if they want the same change. Cosine 1: the same; 0: nothing
# to do with each other; −1: the opposite. In N dimensions two *random* directions have a cosine of
# about 1/√N. PRN has 95,107 weights, so that is about 0.003. A cosine of .1 is far more.
#
# One number for all stages: **agreement** = |sum of the shares| / sum of their lengths. It is 1 if
# all pull the same way, and 0 if they cancel. Two equally long shares at right angles have a sum
# that is √2 times as long as each: agreement √2/2 = 0.71. The cell prints this value *at right
# angles* for each network. (In the tables below, row s and column t hold the cosine between the
# shares of stages s and t.)
#
# **Predict:** the agreement of the stages in a trained PRN.

# %%
my_guess = None  # write a number between 0 and 1


# %%
def cosines(shares):
    """Return the cosine of the angle between each two shares, (T, T)."""
    unit = shares / shares.norm(dim=1, keepdim=True)  # (T, number of weights), each of length 1
    return unit @ unit.T


def agreement(shares) -> float:
    return (shares.sum(dim=0).norm() / shares.norm(dim=1).sum()).item()


def at_right_angles(shares) -> float:
    """Return the agreement that shares of these lengths have if none knows of the others."""
    lengths = shares.norm(dim=1)
    return (lengths.norm() / lengths.sum()).item()


random = cosines(torch.randn(2, voices["PRN, trained"].shape[1]))[0, 1]
print(f"two random directions: cosine {random:+.3f}")
compare_guess(my_guess, agreement(voices["PRN, trained"]), decimals=2)
assert abs(random) < 0.02

# %%
figure, axes = plots.new_figure(1, 4, width=12, height=3.0)
for axis, (name, values) in zip(axes.flat, voices.items(), strict=True):
    table = cosines(values)  # (T, T)
    plots.draw_map(axis, table, name, vmin=-1, vmax=1, colours="PuOr")
    for s, t in np.ndindex(*table.shape):
        colour = "white" if abs(table[s, t]) > 0.7 else "black"
        axis.text(t, s, f"{table[s, t]:.1f}", ha="center", va="center", fontsize=7, color=colour)
plots.show(
    figure,
    "Four tables of cosines between the shares of the stages, from stage 1 at the "
    "top left to the last stage at the bottom right. The diagonal is 1.",
)
for name, values in voices.items():
    a, right = agreement(values), at_right_angles(values)
    verdict = "work against each other" if a < 0.9 * right else "are unrelated"
    verdict = "pull together" if a > 1.1 * right else verdict
    print(f"{name:16} agreement {a:.2f}, at right angles {right:.2f}: they {verdict}")

# %% [markdown]
# Read the fresh networks with care. Their verdict is "unrelated", though some cosines of their
# early stages are near 1. Their last share is so long that it fills the sum: the number at right
# angles is 0.91 already, so agreement can't say much. There the table says more.
#
# One batch may be an accident. Here are four more batches of the same rain. *Of the mean share*
# means: first the mean of each stage's share over the four batches, then the agreement of these
# means.

# %%
for name in ("PRN, trained", "PReNet, trained"):
    seen = [
        stage_shares(networks[name], *batch(held, k, size=4), stages[name]) for k in (2, 3, 4, 5)
    ]
    numbers = [agreement(s) for s in seen]
    opposed = [(cosines(s) < -0.1).float().sum().item() / 2 for s in seen]  # each pair counts once
    pairs = stages[name] * (stages[name] - 1) // 2
    print(f"{name}: agreement {min(numbers):.2f} to {max(numbers):.2f}, "
          f"of the mean share {agreement(sum(seen)):.2f};")
    print(f"    {min(opposed):.0f} to {max(opposed):.0f} of {pairs} pairs of stages "
          "oppose each other")

# %% [markdown]
# It depends on the batch: on some the stages pull together, on others they don't. A negative cosine
# means that the step which helps one use hurts the other.
#
# At a minimum the *sum* over all data would be zero, and a zero sum does not need zero parts: each
# use may still want other weights, and the shared ones are the compromise between them. On these
# four batches the networks are not at such a point: the mean shares have an agreement of 0.78 and
# 0.63, so their sum is far from zero.
#
# A high agreement in a fresh network says less than it seems: when one share has nearly all the
# length, the sum agrees with it in any case. So always look at sizes *and* angles.

# %% [markdown]
# ## 5 · One loss, or one for each stage?
#
# The paper's loss looks at the last picture only. The authors report in a public thread (PReNet#19)
# that the last loss alone "may yield gradient vanish or explosion in few tries", and that they
# used weights .5 for the stages before the last and 1.5 for the last one.
#
# With copies we can look inside: which loss (row) reaches which use (column)?
#
# **Predict:** with T stages, how many of the T × T entries are exactly zero? Take T = 4.

# %%
my_guess = None  # write a number


# %%
def losses_by_uses(model, rainy, clean, stages):
    """Return |gradient of the loss at stage s through use t|, (T, T)."""
    one_loss = torch.eye(stages).tolist()  # row s: weight 1 for stage s, 0 for the others
    return torch.stack(
        [stage_shares(model, rainy, clean, stages, row).norm(dim=1) for row in one_loss]
    )


few = (rainy_held[:4], clean_held[:4])
tables = {
    name: losses_by_uses(networks[name], *few, stages[name])
    for name in ("PRN, fresh", "PRN, trained")
}
four = losses_by_uses(net, rainy, clean, 4)
compare_guess(my_guess, int((four == 0).sum()), decimals=0)
for table in (four, *tables.values()):
    assert (table.triu(1) == 0).all() and (table.tril().diagonal() > 0).all()

# %%
figure, axes = plots.new_figure(1, 2, width=9, height=3.4)
for axis, (name, table) in zip(axes.flat, tables.items(), strict=True):
    plots.draw_map(axis, table.clamp(min=1e-9).log10(), f"{name} (colour: log₁₀)", vmin=-4, vmax=2)
    for s, t in np.ndindex(*table.shape):
        text = f"{table[s, t]:.2g}" if table[s, t] > 0 else "0"
        colour = "white" if table[s, t] < 0.3 else "black"
        axis.text(t, s, text, ha="center", va="center", fontsize=7, color=colour)
    axis.text(
        -0.7, (len(table) - 1) / 2, "loss of stage 1 … T", rotation=90, va="center", ha="right"
    )
    axis.text((len(table) - 1) / 2, len(table) - 0.3, "use at stage 1 … T", va="top", ha="center")
plots.show(
    figure,
    "Two triangular tables in logarithmic colours: how strongly the loss of each "
    "stage reaches each use of the weights. Above the diagonal all is zero.",
)
for name, table in tables.items():
    fractions = (table[-1, :-1] / table[-1, 1:]).tolist()  # (T − 1,)
    print(f"{name}: last row, each entry over its right neighbour:")
    print("   ", ", ".join(f"{fraction:.2f}" for fraction in fractions))

# %% [markdown]
# No loss reaches a use that comes after it: a picture does not depend on what happens later. The
# paper's loss is the **last row** alone.
#
# So the early stages have no error signal of their own: what arrives there is the last stage's
# error, passed on. Losses at all stages add the other rows, and with them the diagonal: for each
# use an error that did not have to travel.
#
# In the last row of the fresh PRN each entry is about the same small fraction of its right
# neighbour, 0.12, 0.12 and 0.09: nearly the power of section 1.
#
# Do losses at all stages balance the sizes, and do the stages agree more? We train the tiny network
# twice, 120 small steps from the same start on the same patches (about 15 s), and look in between.

# %%
LOOKS = (0, 5, 10, 20, 40, 80, 120)
LOSSES = {"last stage only": None, "all stages": (0.5, 0.5, 0.5, 1.5)}
batches = [batch(stream, step) for step in range(LOOKS[-1])]
fixed = batch(stream, 1000)  # the same patches at each look, never trained on


def short_training(weights):
    """Train a tiny PRN; return it and the shares (4, number of weights) at some steps."""
    de.set_seed(0)
    model = de.create_model("prn", channels=16, blocks=1, stages=4)
    adam = torch.optim.Adam(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, LOOKS[-1])  # down to 0
    looks = {}
    for step in range(LOOKS[-1] + 1):
        if step in LOOKS:
            looks[step] = stage_shares(model, *fixed, 4, weights)
        if step == LOOKS[-1]:
            return model, looks
        rainy, clean = batches[step]
        loss = stage_loss(model.unroll(rainy), clean, compare, weights)
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()


runs = {name: short_training(weights) for name, weights in LOSSES.items()}

# %%
figure, axes = plots.new_figure(1, 3, width=12, height=3.0)
first_share = {
    name: [(100 * s.norm(dim=1)[0] / s.norm(dim=1).sum()).item() for s in looks.values()]
    for name, (_, looks) in runs.items()
}
first_last = {
    name: [cosines(s)[0, -1].item() for s in looks.values()] for name, (_, looks) in runs.items()
}
agree = {name: [agreement(s) for s in looks.values()] for name, (_, looks) in runs.items()}
labels = ("share of stage 1, %", "cosine of stages 1 and 4", "agreement of all four")
for axis, curves, label in zip(axes.flat, (first_share, first_last, agree), labels, strict=True):
    plots.draw_curves(axis, curves, LOOKS, xlabel="step", ylabel=label)
axes[0, 1].axhline(0, color="grey", linewidth=0.8)
plots.show(
    figure,
    "Three charts over 120 training steps, for the loss at the last stage and for "
    "losses at all stages: size of stage 1, its angle to stage 4, agreement.",
)
for name in LOSSES:
    share, cosine, whole = (statistics.fmean(v[name]) for v in (first_share, first_last, agree))
    print(f"{name}: share of stage 1 {share:.1f} %, cosine {cosine:+.2f}, agreement {whole:.2f}")
every, last = (statistics.fmean(first_share[name]) for name in ("all stages", "last stage only"))
assert every > last

# %% [markdown]
# Losses at all stages make the share of stage 1 larger, 16.0 % instead of 1.2 % on average. The
# stages agree more, too, but that is partly built in: each run is measured with its own loss, and
# with losses at all stages every stage works for one and the same clean picture. Is the *picture*
# better for it?

# %%
test = de.SyntheticRain(rain=bright, patch_size=64, seed=1, split="validation")
rainy_test, clean_test = batch(test, 0, size=12)
curves = {}
with torch.no_grad():
    for name, (model, _) in runs.items():
        curves[name] = [de.psnr(x, clean_test) for x in model.unroll(rainy_test)]
figure, axes = plots.new_figure(width=5.5)
plots.draw_curves(axes[0, 0], curves, xlabel="stage", ylabel="PSNR in dB")
axes[0, 0].axhline(de.psnr(rainy_test, clean_test), linestyle=":", color="grey")
axes[0, 0].set_xticks((1, 2, 3, 4))
plots.show(figure, "PSNR after each stage for both losses; a dotted line marks the rainy input.")
start = de.psnr(rainy_test, clean_test)
for name, curve in curves.items():
    print(f"{name:16} rainy {start:.2f} dB → " + ", ".join(f"{v:.2f}" for v in curve))
better = curves["all stages"][-1] - curves["last stage only"][-1]
print(f"losses at all stages: {better:+.2f} dB at the last stage, in one run with one seed")
assert max(curve[-1] for curve in curves.values()) > start + 0.5

# %% [markdown]
# One seed and 120 steps decide nothing. What is known from full training?
#
# Of the authors' own ablation networks (LSTM, T = 6, Rain100H, all 100 images, measured with their
# weights), the one with −SSIM at every stage has 29.12 dB, the one with −SSIM at the last stage
# 29.32 dB. There losses at all stages did not win. A first picture that must be good already is a
# constraint, too.

# %% [markdown]
# ## 6 · What unrolling costs
#
# T does not change the number of weights. But backward needs the activations of *every* stage, so
# the forward pass has to keep them. PyTorch calls a hook of ours for each tensor that it saves.
#
# **Predict:** PReNet with six stages and one picture of 512 × 512. How many GiB does it keep?

# %%
my_guess = None  # write a number, in GiB


# %%
def bytes_kept(model, rainy, stages: int) -> int:
    """Count the bytes that a forward pass keeps for backward, without the weights."""
    pieces = {}

    def note(tensor):
        memory = tensor.untyped_storage()
        pieces[memory.data_ptr()] = memory.nbytes()  # a piece that is saved twice counts once
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        pictures = model.unroll(rainy, stages)  # T pictures: they hold the graph
    for weight in model.parameters():
        pieces.pop(weight.untyped_storage().data_ptr(), None)
    assert len(pictures) == stages
    return sum(pieces.values())


# %%
fresh_prenet = de.create_model("prenet")
small = torch.rand(1, 3, 64, 64)
counts = (1, 2, 3, 4, 5, 6)
kept = {
    name: [bytes_kept(model, small, t) / 2**20 for t in counts]  # MiB
    for name, model in {"PRN": de.create_model("prn"), "PReNet": fresh_prenet}.items()
}
gib = kept["PReNet"][-1] * (512 / 64) ** 2 / 1024
compare_guess(my_guess, gib, "GiB")

figure, axes = plots.new_figure(width=5.5)
plots.draw_curves(axes[0, 0], kept, counts, xlabel="stages T", ylabel="MiB kept for 64 × 64 pixels")
plots.show(figure, "Memory kept for the backward pass grows in a straight line with the stages.")
for name, values in kept.items():
    added = np.diff(values)
    print(f"{name}: {added.mean():.1f} MiB more with each stage; the weights stay the same")
    assert added[1:].max() < 1.05 * added[1:].min()

# %% [markdown]
# A straight line: each stage keeps the same again. Batches and pixels multiply it. A user with an
# 11 GB card ran out of memory at 512² (PReNet#12): by the number above, two such pictures fill it.
#
# **Checkpointing** keeps only the borders between the stages (the picture and the memory), and
# computes the inside of a stage again when backward gets there.
#
# **Predict:** if backward costs about twice as much as forward, how many times longer does a step
# with checkpointing take?

# %%
my_guess = None  # write a number, such as 1.1

# %%
rainy_small, clean_small = rainy_held[:4, :, :32, :32], clean_held[:4, :, :32, :32]


def step(checkpoint: bool) -> torch.Tensor:
    """Run forward and backward; return the gradient, (number of weights,)."""
    fresh_prenet.zero_grad()
    last = fresh_prenet.unroll(rainy_small, checkpoint=checkpoint)[-1]  # (4, 3, 32, 32)
    compare(last, clean_small).backward()
    return gradient(fresh_prenet)


plain, recomputed = step(False), step(True)
seconds = interleave({"plain": lambda: step(False), "checkpointed": lambda: step(True)}, rounds=3)
slower = speedup(seconds["checkpointed"], seconds["plain"])  # median of the ratios
compare_guess(my_guess, slower, "times", decimals=2)

# %%
mib = [
    peak_bytes(lambda c=c: compare(fresh_prenet.unroll(rainy_small, checkpoint=c)[-1], clean_small))
    / 2**20
    for c in (False, True)
]  # the most that is alive at once, forward or backward
print(f"peak memory: {mib[0]:.1f} MiB plain, {mib[1]:.1f} MiB checkpointed: {mib[1] / mib[0]:.0%}")
difference = (plain - recomputed).abs().max() / plain.abs().max()
print(f"time × {slower:.2f}; the gradients differ by {difference:.1e}")
assert difference <= 1e-6 and mib[1] < mib[0] / 2

# %% [markdown]
# The same gradient, for about a quarter of the memory and, on a quiet machine, about a third more
# time: one more forward beside one forward and a backward of twice its cost, 4/3. A busy machine
# blurs the time, not the bytes.

# %% [markdown] tags=["exercise"]
# ### Exercise 05.3 · Backward with nothing but the drafts
#
# | | |
# |---|---|
# | **Difficulty** | ●●●●○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 20 minutes |
# | **Task** | write `gradient_from_drafts(step, w, x, stages, loss)`: the gradient of w, with no more than the drafts kept on the way forward |
#
# What `checkpoint=True` does, by hand. `step` and `loss` are those of exercise 05.2; return one
# gradient, of the shape of w. Autograd may look at one stage at a time. The checker counts what it
# keeps.
#
# <details><summary>Hint</summary>
#
# Forward in `torch.no_grad()`, and keep x_0 … x_T. The first error is the gradient of the loss for
# x_T. Then for t = T … 1: run stage t once more from x_{t−1}, with gradients, and ask
# `torch.autograd.grad(x_t, (x_before, weight), error)`. It returns the error for the stage before,
# and one share.
#
# </details>

# %% tags=["exercise"]
def gradient_from_drafts(step, w, x, stages, loss):
    """Return the gradient of ``loss(x_T)`` with respect to w."""
    # BEGIN SOLUTION
    drafts = [x]
    with torch.no_grad():
        for _ in range(stages):
            drafts.append(step(drafts[-1], w))
    last = drafts.pop().requires_grad_()
    [error] = torch.autograd.grad(loss(last), last)
    total = torch.zeros_like(w)
    for before in reversed(drafts):
        x, weight = (value.detach().requires_grad_() for value in (before, w))
        error, share = torch.autograd.grad(step(x, weight), (x, weight), error)
        total = total + share
    return total
    # END SOLUTION


if exercises.check("05.3", gradient_from_drafts):
    for count in (2, 4, 8):
        with LiveMemory() as memory:
            gradient_from_drafts(lambda x, w: x + (x * w).sin().tanh(), torch.tensor(0.5),
                                 torch.rand(512, 512), count, torch.mean)
        print(f"T = {count}: {memory.peak / 2**20:.1f} MiB")

# %% [markdown] tags=["solution"]
# It is section 2 once more: a share is made of what came in (x_{t−1}, kept) and the error that came
# back, and the shares are added up. Each stage runs twice, so time grows by one forward. The drafts
# still grow with T: two more stages, 2 MiB more, for two more drafts of 512 × 512 numbers. What is
# inside a stage is there for one stage at a time.

# %% [markdown]
# ## 7 · Memory of another kind: what does the LSTM remember?
#
# PReNet is PRN with a ConvLSTM between head and blocks. Its memory c is not a copy of a picture:
# each stage decides per pixel and channel what to forget, write and show (`models/blocks.py`, eight
# lines). Think of c as a pipe through the stages with three taps. f lets the old content pass, i
# lets the new content g in, and o lets a part of it out, as h:
#
# $$c_t = f \cdot c_{t-1} + i \cdot g, \qquad h_t = o \cdot \tanh(c_t)$$

# %% [markdown] tags=["exercise"]
# ### Exercise 05.4 · One step of the memory
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 10 minutes |
# | **Task** | write `lstm_step(conv, z, h, c)`: the new h and the new c, in this order |
#
# `conv` takes 2C channels, first z (the features of this stage), then the old h, and makes 4C: the
# raw values of i, f, g and o, in this order. i (write), f (forget) and o (show) go through a sigmoid
# and end between 0 and 1. g, what may be written, goes through a tanh.
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
    i, f, g, o = conv(torch.cat((z, h), dim=1)).chunk(4, dim=1)  # (B, 4C, H, W) -> (B, C, H, W)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, c
    # END SOLUTION


if exercises.check("05.4", lstm_step):
    z, empty = torch.randn(2, 1, 32, 24, 24)  # (1, C, H, W) each
    with torch.no_grad():
        mine = lstm_step(prenet.memory.gate_conv, z, 0 * empty, 0 * empty)[0]
        theirs = prenet.memory(z, prenet.memory.start(z))[0]
    print(f"trained gates, your step against PReNet's: {(mine - theirs).abs().max():.1e} apart")

# %% [markdown] tags=["solution"]
# The old c is touched by one product and one sum, and by no squashing function. That is the road
# which section 8 measures: on it the error of a stage is multiplied by f, and by nothing else.

# %% [markdown]
# We look at **one streak**. The same patch passes twice, with the streak and without: each
# difference in a gate is the streak's doing.

# %%
patch = de.load_photo("rocket", long_side=320)[:, 100:180, 200:280]  # (3, 80, 80)
numbers = (40.0, 40.0, 30.0, 1.8, 15.0, 0.3, 0)  # x, y, length, width, angle, brightness, layer
R = render_streaks(Streaks(*(np.array([value]) for value in numbers)), 80, 80)  # (1, 80, 80)
streaked = (patch + R).clamp(0, 1)
on_streak = R[0] > 0.1  # (80, 80)
figure = plots.picture_row(
    {"dry": patch, "with one streak": streaked, "R": R.expand(3, -1, -1)}, width=6
)
plots.show(
    figure,
    "A steel tower before a dark blue sky; the same with one bright slanted streak; "
    "the streak alone.",
)

# %%
views = gates.gate_views(prenet, streaked, patch)
gate_slider(prenet, streaked, patch, zoom=2)

# %%
T = len(views)
figure, axes = plots.new_figure(4, T, width=2.0 * T + 1.2, height=7.6)
top = max(change.max().item() for view in views for change in view.changes.values())
for column, view in zip(axes.T, views, strict=True):
    plots.draw_picture(column[0], view.picture, f"after stage {view.stage}")
    for axis, (name, change) in zip(column[1:], view.changes.items(), strict=True):
        plots.draw_map(axis, change, name, vmin=0, vmax=top)
plots.show(
    figure,
    "For each stage: the picture, and three maps of how much the streak changes "
    "the write gate, the forget gate and the output gate.",
)

# %%
frames = {stage: gates.draw_gates(views, stage) for stage in (1, (1 + T) // 2, T)}
assert all(frame.startswith(b"\x89PNG") for frame in frames.values())
assert len(set(frames.values())) == len(frames)
for view in views:
    change = view.changes["forget gate f"]
    near, far = change[on_streak].mean(), change[:8].mean()
    print(f"stage {view.stage}: the gate changes by {near:.3f} on the streak, {far:.3f} far off")
    assert near > far

# %% [markdown]
# The streak is drawn in the gates. But it is also *removed* from the picture, stage by stage.
#
# **Predict:** when the rain is gone, what does the forget gate do where the streak was, compared
# with the same place in the dry picture: close (forget), open (keep), or return to normal? Write
# the difference that you expect in the last stage.

# %%
my_guess = None  # write a number, such as -0.1 (forgets), 0 or 0.1 (keeps)


# %%
def memory_inputs(model, picture):
    """Return what the LSTM is given at each stage, (z, h), and the picture after each stage."""
    caught = []

    def catch(memory, inputs, output):
        z, (h, c) = inputs  # each (1, C, H, W)
        caught.append((z, h))

    hook = model.memory.register_forward_hook(catch)
    with torch.no_grad():
        pictures = [x[0] for x in model.unroll(picture[None])]
    hook.remove()
    return caught, pictures


@torch.no_grad()
def forget_gate(model, z, h) -> torch.Tensor:
    return model.memory.gates(z, h)[1][0]  # (C, H, W)


# %%
(wet_in, x_wet), (dry_in, x_dry) = memory_inputs(prenet, streaked), memory_inputs(prenet, patch)
f_wet, f_dry = ([forget_gate(prenet, z, h) for z, h in both] for both in (wet_in, dry_in))
shift = [(a - b)[:, on_streak].mean().item() for a, b in zip(f_wet, f_dry, strict=True)]
begin = (streaked - patch)[:, on_streak].mean()
left = [((a - b)[:, on_streak].mean() / begin).item() for a, b in zip(x_wet, x_dry, strict=True)]
compare_guess(my_guess, shift[-1], decimals=3)
figure, axes = plots.new_figure(1, 2, width=9, height=2.8)
rain = {"": [100 * v for v in left]}  # below zero: the network took away too much
plots.draw_curves(axes[0, 0], rain, xlabel="stage", ylabel="rain left, %")
plots.draw_curves(axes[0, 1], {"": shift}, xlabel="stage", ylabel="forget gate, wet − dry")
for axis in axes.flat:
    axis.axhline(0, color="grey", linewidth=0.8)
    axis.set_xticks(range(1, T + 1))
plots.show(
    figure,
    "Left: how much of the streak is left after each stage. Right: how the forget "
    "gate on the streak differs from the gate at the same place without rain.",
)

# %%
does = "keeps more" if shift[-1] > 0 else "forgets more"
does = "returns to normal" if abs(shift[-1]) < 0.1 * max(map(abs, shift)) else does
print(f"rain left after the last stage: {left[-1]:.0%}")
print(f"the forget gate there {does} ({shift[-1]:+.3f}; in stage 1 {shift[0]:+.3f})")
levels = [(f[:, on_streak].mean().item(), f.mean().item()) for f in f_wet]
print("mean forget gate on the streak:", ", ".join(f"{a:.2f}" for a, _ in levels))
print("mean forget gate of the patch :", ", ".join(f"{b:.2f}" for _, b in levels))
assert abs(left[-1]) < 0.4

# %% [markdown]
# (Stage 1 has nothing to forget: c starts at zero, so its forget gate acts on nothing.)
#
# In the last stage x shows hardly any rain, yet the gates still differ a little where it was: less
# than at first. With the course's own weights all of these are small changes: −0.010 in the first
# stage and −0.004 in the last, beside a gate of 0.48.
#
# Where does the difference come from? Two inputs can carry it. The **memory** h holds the earlier
# stages. And the **picture** z: each stage sees the rainy O again. We test them one by one:
# exchange only h, or only z, between the wet and the dry run.
#
# **Predict:** of the change that both cause together, how many percent does the memory alone cause?

# %%
my_guess = None  # write a number, in percent

# %%
(z_wet, h_wet), (z_dry, h_dry) = wet_in[-1], dry_in[-1]  # the inputs of the last stage
normal = forget_gate(prenet, z_dry, h_dry)
changes = {}
for name, z, h in (
    ("both", z_wet, h_wet),
    ("memory only", z_dry, h_wet),
    ("picture only", z_wet, h_dry),
):
    changes[name] = (forget_gate(prenet, z, h) - normal)[:, on_streak].abs().mean().item()
    print(f"{name}: the forget gate changes by {changes[name]:.4f}")
compare_guess(my_guess, 100 * changes["memory only"] / changes["both"], "%", decimals=0)
assert changes["memory only"] > 0 and changes["picture only"] > 0

# %% [markdown]
# Both carry it. (Their parts need not add up: they may say the same, or contradict each other.) A
# map of a gate alone would not have told you which one it follows.
#
# Does a memory help? Three curves over the test photos: PRN, PReNet, and PReNet with **its memory
# wiped before each stage**.
#
# **Predict:** how many dB does PReNet lose when it can't remember?

# %%
my_guess = None  # write a number, in dB


# %%
def without_memory(model, rainy):
    x, pictures = rainy, []
    for _ in range(model.config.stages):
        x, _ = model.stage(rainy, x, None)  # state None: c = h = 0 at each stage
        pictures.append(x)
    return pictures


photos = [de.load_photo(name, long_side=256) for name in de.photo_names("test")]
middles = [[(side - 96) // 2 for side in photo.shape[-2:]] for photo in photos]
dry = torch.stack([p[:, y : y + 96, x : x + 96] for p, (y, x) in zip(photos, middles, strict=True)])
wet = de.add_rain(dry, "light", seed=4).rainy  # (6, 3, 96, 96)
with torch.no_grad():
    pictures = {
        "PRN": prn.unroll(wet),
        "PReNet": prenet.unroll(wet),
        "PReNet, memory wiped": without_memory(prenet, wet),
    }
scores = {
    name: [[de.psnr(x[k], dry[k]) for k in range(len(dry))] for x in xs]
    for name, xs in pictures.items()
}  # name -> stage -> photo

# %%
curves = {name: [statistics.fmean(stage) for stage in values] for name, values in scores.items()}
compare_guess(my_guess, curves["PReNet"][-1] - curves["PReNet, memory wiped"][-1], "dB")
figure, axes = plots.new_figure(width=6.5)
for name, curve in curves.items():
    axes[0, 0].plot(range(1, len(curve) + 1), curve, marker="o", markersize=3.5, label=name)
axes[0, 0].axhline(de.psnr(wet, dry), linestyle=":", color="grey", label="rainy")
axes[0, 0].set_xlabel("stage")
axes[0, 0].set_ylabel("mean PSNR in dB")
axes[0, 0].set_xticks(range(1, prenet.config.stages + 1))
axes[0, 0].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plots.show(
    figure,
    "Mean PSNR of six test photos after each stage: PRN, PReNet, PReNet without "
    "memory, and the rainy input as a dotted line.",
)
gains = [a - b for a, b in zip(scores["PReNet"][-1], scores["PRN"][-1], strict=True)]
print(f"PReNet − PRN: mean {statistics.fmean(gains):+.2f} dB")
print(f"photo by photo {min(gains):+.2f} to {max(gains):+.2f}")

# %%
for name, network, steps in (
    ("PRN", prn, RECIPES["open-prn"].steps),
    ("PReNet", prenet, RECIPES["open-prenet-light"].steps),
):
    gain = curves[name][0] - de.psnr(wet, dry)
    print(f"{name}: {sum(p.numel() for p in network.parameters()):,} weights, {steps:,} steps; "
          f"stage 1 alone gives {gain:+.2f} dB")
assert curves["PReNet"][-1] > de.psnr(wet, dry) + 0.5
assert curves["PReNet"][-1] > curves["PReNet, memory wiped"][-1]

# %% [markdown]
# Three cautions. PReNet has 78 % more weights than PRN, so "the memory helps" and "more weights
# help" are mixed here; and the open weights had unequal numbers of steps (printed above).
#
# The published networks had the same training: 36.99 → 37.48 dB on Rain100L and 28.07 → 29.46 dB
# on Rain100H (Ren et al., Y channel).
#
# And wiping the memory takes away more than memory: the network never met an empty one after the
# first stage. So the loss is what *this* network needs, not what an LSTM is worth.
#
# Look at the first stages, too. One may expect that in the end the error of *each* stage is small.
#
# The loss never asked for that: it looks at the last picture only, and an early stage may well
# leave a worse picture than the rainy one, if that helps the stages after it. (The authors' PReNet
# does so: its first picture is about 2 dB worse than the rainy one. With the course's weights stage
# 1 alone gives a gain.)

# %% [markdown]
# ## 8 · Vanishing and exploding
#
# Back to section 1: through T uses the gradient carries a power, w^(T−1). Below 1 it vanishes,
# above 1 it explodes.
#
# In PRN a stage takes the place of w: the error passes tail, blocks and head on its way from x_t
# to x_{t−1}. The `+ O` at the end is not a shortcut: it skips to the rainy picture, not to the last
# stage. In PReNet there is a second road, c_t = f · c_{t−1} + …
#
# A share is a product of what came in and the error that came back. Here only the second counts: we
# catch the error at the head of stage 1 and of stage T, by both roads, for growing T. Its size at
# stage 1, divided by that at stage T, is the ratio in the figure. From its fall between T = 2 and T
# = 8 follows the **factor per stage**.
#
# **Predict two factors per stage:** of a fresh PRN, and of the same PRN with a ten times stronger
# tail.

# %%
my_guess = None  # write a number: 1 is "stays", 0.5 is "half is lost at each stage"
my_guess_strong = None  # the same for the PRN whose tail is ten times as strong


# %%
def errors_at_heads(model, rainy, clean, stages) -> list[float]:
    """Return the length of the error that comes back to the head of each stage."""
    lengths = []

    def catch(layer, inputs, output):
        output.register_hook(lambda error: lengths.append(error.norm().item()))  # (B, C, H, W)

    hook = model.head.register_forward_hook(catch)
    compare(model.unroll(rainy, stages)[-1], clean).backward()
    hook.remove()
    return lengths[::-1]  # backward meets the last stage first


strong = copy.deepcopy(networks["PRN, fresh"])
with torch.no_grad():
    strong.tail.weight.mul_(10)
tiny = (rainy_held[:2, :, :32, :32], clean_held[:2, :, :32, :32])  # each (2, 3, 32, 32)

# %%
COUNTS = (2, 3, 4, 6, 8)
ratios = {}
for name, network in {**networks, "PRN, fresh, tail × 10": strong}.items():
    errors = [errors_at_heads(network, *tiny, count) for count in COUNTS]
    ratios[name] = [e[0] / e[-1] for e in errors]
factors = {name: (v[-1] / v[0]) ** (1 / (COUNTS[-1] - COUNTS[0])) for name, v in ratios.items()}
compare_guess(my_guess, factors["PRN, fresh"], decimals=2)
compare_guess(my_guess_strong, factors["PRN, fresh, tail × 10"], decimals=2)
figure, axes = plots.new_figure(width=7, height=3.4)
label = "|error at 1| / |error at T|"
plots.draw_curves(axes[0, 0], ratios, COUNTS, xlabel="stages T", ylabel=label)
axes[0, 0].set_yscale("log")
axes[0, 0].axhline(1, linestyle=":", color="grey")
plots.show(
    figure,
    "The error that comes back to stage 1, relative to the last stage, on a logarithmic scale "
    "over T, for five networks. Fresh PRN falls fastest; with the strong tail it grows.",
)

# %%
for name, factor in factors.items():
    verdict = "vanishes" if factor < 0.9 else "explodes" if factor > 1.1 else "stays"
    print(f"{name:22} factor per stage {factor:.2f}: {verdict}")
last_inputs = memory_inputs(networks["PReNet, fresh"], streaked)[0][-1]
gate = forget_gate(networks["PReNet, fresh"], *last_inputs).mean().item()
print(f"mean forget gate of the fresh PReNet: {gate:.2f}")
assert factors["PRN, fresh"] < factors["PReNet, fresh"] < 1 < factors["PRN, fresh, tail × 10"]
assert factors["PRN, trained"] > factors["PRN, fresh"]
assert abs(factors["PReNet, fresh"] - gate) < 0.2

# %% [markdown]
# A fresh PRN loses more than four fifths of the error at each stage. A fresh PReNet loses less than
# half: its factor of 0.56 is near its forget gate of 0.50. That fits an error that takes the road
# over c, where each stage multiplies it by f.
#
# An LSTM offers a road whose factor is a number between 0 and 1 that a network *can* learn, pixel
# by pixel. Did this one? With the course's weights (800 steps of training), hardly: section 7
# prints a mean gate of 0.48 on the streak and of 0.48 or 0.49 over the patch, in all stages. It
# scatters by 0.03 only, and a fresh one is 0.50. The factors of the trained networks are about
# equal, too: 0.66 without this road (PRN) and 0.64 with it (PReNet). So the advantage of the LSTM
# is visible in the fresh networks only.
#
# Ten times the tail, more than ten times the factor: the same network now explodes. Only the scale
# of its weights lies between the two. Gradient clipping (`grad_clip` of the trainer) limits the
# damage of one such step; it does not change the factor.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. A weight is used six times, and its `.grad` is exactly zero. Does no use want to change it?**
#
# <details><summary>Answer</summary>
#
# That does not follow. `.grad` is a sum, and a zero sum does not need zero parts: three uses may
# pull up and three down. Section 4 finds opposed stages in trained networks: with the course's
# weights, up to 4 of 6 pairs have a cosine below −0.1 on some batches. Only the shares can tell.
#
# </details>
#
# **2. You write `x = step(x.detach(), w)` in the training loop of a PRN, with the loss at the last
# stage. Training runs, and memory stays flat. What have you trained?**
#
# <details><summary>Answer</summary>
#
# One stage. The error ends at the draft that is cut off, so `.grad` holds the share of stage T alone,
# and no stage learns to prepare a good draft for the next one. Checkpointing is flat, too, and it
# gives the whole sum: exercise 05.3.
#
# </details>
#
# **3. In the fresh PRN the last stage has over 90 % of all lengths, and the agreement of the stages
# is 0.93. Do the stages agree?**
#
# <details><summary>Answer</summary>
#
# That number can't tell. If one share has nearly all the length, the sum points its way, whatever
# the others want. Shares of these lengths at right angles would have 0.91 (the cell below the
# tables prints it). So compare with that number, or look at the cosines.
#
# </details>
#
# **4. Losses at all stages give stage 1 a larger share, and the stages agree more. Why is the last
# picture not simply better for it?**
#
# <details><summary>Answer</summary>
#
# Because it is another goal. The first picture must be good already, and that binds the weights which
# make the last one. In our short run the last stage is no better for it (−0.27 dB, with one seed,
# which proves nothing). The authors' own networks have 29.12 dB with the loss at all stages, and
# 29.32 dB with the last one.
#
# </details>
#
# **5. A forget gate is 0.5 everywhere. How much of an error at c is left after three stages on the
# road over c, and what would have to change so that it stays?**
#
# <details><summary>Answer</summary>
#
# One eighth: each stage multiplies by f, 0.5 · 0.5 · 0.5. A gate near 1 would keep it. A network
# could learn that, but this course's trained PReNet did not: its gates stay near 0.5. Section 8
# measures a factor of 0.56 per stage for a fresh PReNet, and 0.17 for a fresh PRN without this
# road.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - split the gradient of a shared weight into the shares of its uses, by copies and by hooks, and
#   prove that their sum is `.grad`;
# - measure how large the share of each stage is and whether the stages agree, and explain why a sum
#   is not a balance and why a trained network is a compromise;
# - say which loss reaches which use, and what losses at all stages change;
# - count what an unrolled network keeps, and trade it for time by checkpointing;
# - write one step of a ConvLSTM, read its gates, and test by wiping what its memory is needed for;
# - tell vanishing from exploding by one factor per stage.
#
# The page [Try it](https://github.com/derain-edu/derain-edu/blob/main/book/demo/page.md)
# of the book runs such stages on a photo of yours, up to the twelfth.
#
# Next, in **lesson 07**, a recurrence runs through *space* instead of stages: one factor per step
# decides how far a pixel can see. You already know what happens if it is not 1.
