# %% [markdown]
# # 13 · Transplant
#
# **Why does a good module lose points in another network?**
#
# | | |
# |---|---|
# | **Goals** | move a module into another network in five ways; measure what it does to sizes, gradients and scores before you train; tell a problem of scale from a problem of language; start a graft so that it can't do harm; choose controls, and write up a negative result |
# | **Before you start** | lessons 03, 04 and 09 |
# | **Time** | 95 minutes: 50 for reading and playing, 45 for four exercises; the cells take 45 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Wang et al., CVPR 2019 (SPANet, arXiv 1904.01538); Ren et al., CVPR 2019 (PRN, arXiv 1901.09221) |

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
# You read a paper, its module sounds great, you build it into your own network, and the score does
# not rise. One suspect is the *context*: a module is tuned to the widths, the statistics, the loss
# and the training of its own paper. Is that so? We take SPANet's attention, move it out, and
# measure.

# %%
print(f"derain_edu {de.__version__}")

import itertools
from dataclasses import asdict

import numpy as np
import torch

from derain_edu.course import exercises
from derain_edu.course.views import plots, transplant as views
from derain_edu.experiments.results import load_results
from derain_edu.experiments.statistics import summarize
from derain_edu.experiments.tables import find_experiment
from derain_edu.map_scores import auc
from derain_edu.models.transplant import transplant
from derain_edu.text import compare_guess, say
from derain_edu.training.losses import make_loss
from derain_edu.training.recipes import recipe

de.choose_device("cpu", verbose=True)  # small pictures: a GPU would wait more than it works
torch.set_grad_enabled(False)  # until something is trained
de.set_seed(0)

# %% [markdown]
# ## 1 · The plan
#
# The module is the SAM of lesson 09: features in, one map A out, a number between 0 and 1 per
# pixel. The host is the baseline of lesson 03 (or PRN, lesson 04): head, residual blocks, tail. The
# first half of the blocks stays. Then the module looks at the features, and A gates every later
# block:
#
# $$\mathrm{out} = \mathrm{relu}(\mathrm{gate} \cdot \mathrm{branch}(x) + x)$$
#
# In SPANet the gate *is* A. We call this way in **dropped**. And since the module brings parameters
# along, there is a control: **blocks**, plain residual blocks with as many parameters.

# %%
for host, graft in itertools.product(("residual", "prn"), ("none", "blocks", "dropped")):
    network = de.create_model("transplant", host=host, graft=graft, channels=16, blocks=5)
    print(f"{host:8} {graft:8} {sum(p.numel() for p in network.parameters()):,} parameters")

# %% [markdown]
# In a narrow host the module nearly doubles the network. Without the control, a gain could come
# from the parameters alone.
#
# **Predict the result of the whole lesson:** host and graft start fresh and train together, with
# the same budget as the host alone. The module is *dropped* into the baseline. How many dB does it
# gain?

# %%
my_guess_at_the_start = None  # write a number; minus means worse. Section 7 has the answer

# %% [markdown]
# ## 2 · Drop it in
#
# There is a faster experiment than training. Both parts exist, trained: this course's baseline, and
# the SAM of this course's SPANet. Both have 32 channels, so the shapes fit. We put the trained
# module into the trained host, and measure on the six test photos.

# %%
donor = de.create_model("spanet", pretrained="open")
host = de.create_model("residual", pretrained="open")
progressive = de.create_model("prn", pretrained="open")
SIDE, pairs = 128, []
for seed, name in enumerate(de.photo_names("test")):
    photo = de.load_photo(name, long_side=480)
    top, left = ((size - SIDE) // 2 for size in photo.shape[-2:])
    piece = photo[:, top : top + SIDE, left : left + SIDE]  # (3, SIDE, SIDE)
    pairs.append((piece, de.add_rain(piece, "light", seed=seed)))
clean = torch.stack([piece for piece, _ in pairs])  # (6, 3, SIDE, SIDE)
rainy = torch.stack([rain.rainy for _, rain in pairs])
mask = torch.stack([rain.mask for _, rain in pairs])  # (6, 1, SIDE, SIDE) bool
hosts = {"baseline": host, "PRN": progressive}
alone = {name: views.mean_psnr(network(rainy), clean) for name, network in hosts.items()}
print(f"rainy {views.mean_psnr(rainy, clean):.2f} dB; SPANet itself "
      f"{views.mean_psnr(donor(rainy), clean):.2f} dB")
print("hosts alone:", ", ".join(f"{name} {score:.2f} dB" for name, score in alone.items()))

# %% [markdown]
# **Predict:** the trained module in the trained baseline, no training afterwards. How many dB?

# %%
my_guess = None  # write a number; minus means worse

# %%
dropped = {name: transplant(network, "dropped", donor.attention)
           for name, network in hosts.items()}
lost = {name: views.mean_psnr(network(rainy), clean) - alone[name]
        for name, network in dropped.items()}
compare_guess(my_guess, lost["baseline"], "dB")
for name, value in lost.items():
    print(f"dropped into {name}: {value:+.2f} dB")
assert max(lost.values()) < 0, "a transplant without training costs something"

# %% [markdown]
# Both lose. But *why*? There are two suspects: gates as such (a block that worked at full power now
# works at A), or *this* map. We give the host other maps instead of the module's own.
#
# **Predict:** the true mask of the rain as the map. How many dB, against the host alone?

# %%
my_guess = None  # write a number; minus means worse

# %%
home = donor.attend(rainy)[1][:, :1]  # (6, 1, SIDE, SIDE), what the module says in SPANet
others = {
    "the module's own": lambda A: A,
    "½ everywhere": lambda A: torch.full_like(A, 0.5),
    "SPANet's map of the same photo": lambda A: home,
    "the true mask": lambda A: mask.float(),
}
with_map = {}
for name, change in others.items():
    with views.saying(dropped["baseline"].attention, change):
        with_map[name] = views.mean_psnr(dropped["baseline"](rainy), clean) - alone["baseline"]
compare_guess(my_guess, with_map["the true mask"], "dB")
for name, value in with_map.items():
    print(f"{name:32} {value:+.2f} dB")
own = with_map.pop("the module's own")
assert own < min(with_map["the true mask"], with_map["SPANet's map of the same photo"])

# %% [markdown]
# A gate can help: with the *true* mask, a host that was never trained with a gate is better than
# alone. And the map that the same module makes at home, of the same photos, is far better for the
# host than the map that it makes here.
#
# But a gate is not harmless. ½ everywhere says nothing about the rain, and it costs 0.86 dB. A
# constant gate at the mean of the module's own map, .30, costs 1.58 dB. (We measured this apart
# from the cell above.) That is nearly all of the 1.67 dB. So there are two faults here: the gate
# weakens the blocks, and the map is wrong. Section 4 repairs the size, and the loss hardly changes:
# either fault alone is enough.

# %%
def map_auc(maps):
    """Return how well maps (6, 1, SIDE, SIDE) find the rain: the mean AUC of the six photos."""
    return float(np.mean([auc(*pair) for pair in zip(maps, mask, strict=True)]))


here = dropped["baseline"].attend(rainy)[1]  # (6, 1, SIDE, SIDE)
k = de.photo_names("test").index("picosdeeuropa")
figure, axes = plots.new_figure(1, 4, width=11, height=3.0)
plots.draw_picture(axes[0, 0], rainy[k], "rainy")
plots.draw_picture(axes[0, 1], mask[k].float(), "true mask")
plots.draw_map(axes[0, 2], home[k, 0], f"at home: AUC {auc(home[k], mask[k]):.2f}", 0, 1)
plots.draw_map(axes[0, 3], here[k, 0], f"in the host: AUC {auc(here[k], mask[k]):.2f}", 0, 1)
plots.show(figure, "A rainy mountain, the true mask, the map of the module at home, in which the "
           "streaks shine, and its map in the host, which shows something else.")
print(f"mean AUC of six photos: at home {map_auc(home):.2f}, in the host {map_auc(here):.2f}")
assert map_auc(home) > map_auc(here)

# %% [markdown]
# At home the module finds the rain. In the host its map is no better than a coin, which has an AUC
# of .5.

# %% [markdown]
# ## 3 · Layer by layer
#
# Now the other kind of transplant, and the usual one: host and module start *fresh* and will be
# trained together. Before the first step we look at two numbers per layer: how large is what it
# adds (standard deviation), and how large is its gradient?

# %% [markdown] tags=["exercise"]
# ### Exercise 13.1 · One number per part
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 10 minutes |
# | **Task** | after a `backward`, each weight has its gradient in `.grad`. Write `gradient_norms(network)`: a dictionary from the name of each direct part of the network to the norm of the gradient of *all* its weights together, as one long vector. A part without any gradient gets 0 |
#
# <details><summary>Hint</summary>
#
# `network.named_children()` gives the parts with their names, `part.parameters()` all weights of a
# part, however deep. The norm of a long vector is the root of the sum of *all* squares.
#
# </details>

# %% tags=["exercise"]
def gradient_norms(network):
    """Return {name of a part: norm of the gradient of its weights}."""
    # BEGIN SOLUTION
    norms = {}
    for name, part in network.named_children():
        squares = [p.grad.square().sum() for p in part.parameters() if p.grad is not None]
        norms[name] = float(sum(squares)) ** 0.5
    return norms
    # END SOLUTION


exercises.check("13.1", gradient_norms)

# %% [markdown] tags=["solution"]
# Norms don't add up: weights with the norms 3 and 4 have the norm 5 together, not 7. `None` means
# that `backward` never came by, which is worth knowing: a frozen part, or one that is not
# connected.

# %% [markdown]
# A fresh sigmoid says about ½ everywhere. So a dropped module halves the gated branches.
#
# **Predict:** the gradient of a gated block, as a part of what it is in the host alone?

# %%
my_guess = None  # write a number, 1 means unchanged

# %%
stream = de.SyntheticRain(rain="light", patch_size=32, seed=1)
some = [stream[k] for k in range(8)]
patches = [torch.stack([p[key] for p in some]) for key in ("rainy", "clean")]  # (8, 3, 32, 32)


def fresh(kind, graft, seed=0):
    """Return a fresh network of 16 channels; with one seed all grafts have the same host."""
    de.set_seed(seed)
    return de.create_model("transplant", host=kind, graft=graft, channels=16, blocks=5)


layers = {}
for kind in ("residual", "prn"):
    for graft in ("none", "dropped"):
        layers[f"{kind}, {graft}"] = views.layer_views(fresh(kind, graft), *patches)
plots.show(views.draw_layers(layers),
           "What each layer adds, and its gradient, for both hosts alone and with the dropped "
           "module: from block 3 on the dropped ones lie below.")

# %%
def ratio(found, kind, graft, what, blocks=(3, 4, 5)):
    """Return what a graft leaves of a number, against the host alone: mean over some blocks."""
    with_it, without = found[f"{kind}, {graft}"], found[f"{kind}, none"]
    parts = [getattr(with_it[b], what) / getattr(without[b], what) for b in blocks]
    return float(np.mean(parts))


compare_guess(my_guess, ratio(layers, "residual", "dropped", "gradient"), decimals=2)
for kind in ("residual", "prn"):
    for what in ("branch", "gradient"):
        gated, others = (ratio(layers, kind, "dropped", what, b) for b in ((3, 4, 5), (1, 2)))
        print(f"{kind:8} {what:8} × {gated:.2f} in gated blocks, × {others:.2f} in the others")
    assert abs(ratio(layers, kind, "dropped", "branch") - 0.5) < 0.1
    assert ratio(layers, kind, "dropped", "gradient") < 0.5

# %% [markdown]
# Half the size forward, and *less* than half backward: the gate multiplies the gradient too, and
# the signal behind it is another one. In PRN the same happens in every stage, with the same
# weights.
#
# Is this bad? Not by itself. Adam divides each gradient by its usual size, so half a gradient is
# not half a step. It is a reason to look, not yet a reason for a loss.

# %% [markdown]
# ## 4 · Is it the scale?
#
# If a module depends on the scales of its features, then it should help to repair the scales. On
# the output side: **matched**, gate = s·A, where s is measured on a few rainy patches, once for
# each block, so that the gated branch is as large as the open one.

# %%
for kind in ("residual", "prn"):
    network = fresh(kind, "matched")
    layers[f"{kind}, matched"] = views.layer_views(network, *patches)
    sizes, gradients = (ratio(layers, kind, "matched", what) for what in ("branch", "gradient"))
    print(f"{kind:8} s = {', '.join(f'{s:.2f}' for s in network.scales)}: "
          f"sizes × {sizes:.2f}, gradients × {gradients:.2f}")
    assert abs(sizes - 1) < 0.1 and abs(gradients - 1) < 0.15

# %% [markdown]
# For fresh networks that was easy: s is about 2, and sizes and gradients are those of the host
# again (on patches that s never saw). Whether that makes the *trained* network better, section 7
# will say.
#
# Back to the trained pair. Scales on both sides: s on the output; on the input we give the features
# of the host the size that the module knows from home. Three more suspects on the way.

# %%
with torch.no_grad():
    at_home = views.entering(donor.attention, lambda: donor(rainy))  # (6, 32, SIDE, SIDE)
    in_host = views.entering(dropped["baseline"].attention, lambda: dropped["baseline"](rainy))
for name, x in {"at home": at_home, "in the host": in_host}.items():
    dead = (x.std(dim=(0, 2, 3)) < 1e-4).sum()
    print(f"{name:12} std {x.std():.3f}, mean {x.mean():.3f}; {dead} of {x.shape[1]} channels dead")
matched = transplant(host, "matched", donor.attention)
value = views.mean_psnr(matched(rainy), clean) - alone["baseline"]
print(f"output matched, s = {', '.join(f'{s:.1f}' for s in matched.scales)}: {value:+.2f} dB "
      f"(dropped {lost['baseline']:+.2f} dB)")

# %% [markdown] tags=["exercise"]
# ### Exercise 13.2 · As loud as at home
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 10 minutes |
# | **Task** | one factor for all channels is crude. Write `match_scale(x, home)`: each channel of x (B, C, H, W) gets the mean and the standard deviation of the same channel of `home`, over all pictures and pixels. `home` may have other B, H and W. Take torch's `std` as it is (it divides by n − 1). A dead channel, the same number everywhere, gets the mean of `home` |
#
# <details><summary>Hint</summary>
#
# Which axes go away in a mean per channel? `keepdim=True` keeps what is left as (1, C, 1, 1). A
# dead channel has the standard deviation 0: see that you don't divide by it.
#
# </details>

# %% tags=["exercise"]
def match_scale(x, home):
    """Return x (B, C, H, W) with the mean and the spread that each channel has in ``home``."""
    # BEGIN SOLUTION
    axes = (0, 2, 3)
    mean, spread = x.mean(axes, keepdim=True), x.std(axes, keepdim=True)  # (1, C, 1, 1) each
    standard = (x - mean) / spread.clamp_min(1e-8)
    return standard * home.std(axes, keepdim=True) + home.mean(axes, keepdim=True)
    # END SOLUTION


if exercises.check("13.2", match_scale):
    x = match_scale(in_host, at_home)
    print(f"in the host, matched: std {x.std():.3f}, mean {x.mean():.3f}")

# %% [markdown] tags=["solution"]
# Over the pictures, too: a network whose features are matched picture by picture forgets that one
# picture is brighter than the other. Whether the size was the problem, we see now.

# %% [markdown]
# To find the cause we change **one factor at a time**, and not in the host but *at home*, where
# everything else stays right: the module in its own network, on its own features, with one thing
# wrong. If a factor matters, the AUC of the map falls.
#
# **Predict:** which of these hurts most: features four times too small, four times too large, all
# raised by one standard deviation, or the 32 channels in another order?

# %%
my_guess = None  # "small", "large", "raised" or "order"

# %%
other_order = torch.randperm(at_home.shape[1], generator=torch.Generator().manual_seed(0))
changes = {
    "unchanged": at_home,
    "small": at_home / 4,
    "large": at_home * 4,
    "raised": at_home + at_home.std(),
    "order": at_home[:, other_order],
}
by_factor = {name: map_auc(donor.attention(x)) for name, x in changes.items()}
raw = map_auc(donor.attention(in_host))
sized = map_auc(donor.attention(in_host * at_home.std() / in_host.std()))
per_channel = [(x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True).clamp_min(1e-6))
               for x in (in_host, at_home)]
(m, s), (m_home, s_home) = per_channel  # (1, 32, 1, 1) each
channelwise = map_auc(donor.attention((in_host - m) / s * s_home + m_home))
by_factor |= {"host": raw, "host, size": sized, "host, each channel": channelwise}
worst = min(("small", "large", "raised", "order"), key=by_factor.get)
print(f"you said {my_guess or 'nothing yet'} · measured: {worst}")
assert abs(by_factor["order"] - 0.5) < abs(by_factor["small"] - 0.5), "order is worse than size"

# %%
figure, axes = plots.new_figure(width=10, height=3.4)
plots.draw_bars(axes[0, 0], list(by_factor), list(by_factor.values()), ylabel="AUC of the map")
axes[0, 0].axhline(0.5, linestyle=":", color="grey", zorder=0)
axes[0, 0].set_ylim(0, 1.05)
for bar, value, name in zip(axes[0, 0].patches, axes[0, 0].texts, by_factor, strict=True):
    bar.set_color(plots.COLOURS["host" in name])  # at home blue, in the host red
    value.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
plots.show(figure, "The AUC of the map: high at home, hardly lower with small features, a coin "
           "with the channels in another order, and near a coin on the features of the host, "
           "whatever is done to their size.")

# %% [markdown]
# The module forgives a wrong size far more easily than a wrong *order*. Channel 5 of SPANet may say
# "bright and thin", channel 5 of the host "edge to the left". Nothing in the training of two
# networks makes them agree. Means and sizes that match channel by channel do not change what a
# channel stands for.
#
# So this is a problem of **language**. Could a translator help? A 1×1 convolution can mix 32
# channels into 32 others. We fit it by least squares on training photos, so that its output comes
# as close as possible to SPANet's own features. The module itself stays as it is.
#
# **Predict:** the AUC of the module in the host, with this translator in front of it, in percent.

# %%
my_guess = None  # write a number from 0 to 100

# %%
learn = de.SyntheticRain(rain="light", patch_size=96, seed=5)  # training photos only
lessons = torch.stack([learn[k]["rainy"] for k in range(10)])  # (10, 3, 96, 96)
spoken = views.entering(dropped["baseline"].attention, lambda: dropped["baseline"](lessons))
wanted = views.entering(donor.attention, lambda: donor(lessons))  # (10, 32, 96, 96)
translator = views.fit_adapter(spoken, wanted)  # a 1×1 convolution, 32 -> 32
translated = donor.attention(translator(in_host))  # (6, 1, SIDE, SIDE)
compare_guess(my_guess, 100 * map_auc(translated), "%", decimals=0)
for name, x in {"raw": in_host, "translated": translator(in_host)}.items():
    explained = 1 - (x - at_home).square().mean() / at_home.var()
    print(f"features, {name:10}: {explained:+.2f} of SPANet's variance explained")
assert map_auc(translated) > max(raw, sized, channelwise), "words matter more than loudness"

# %% [markdown]
# One fitted linear layer, and the module finds rain again. Its own weights have not changed. What
# did not fit was the meaning of its input channels.
#
# Does the host gain by it? The gate now is 1 + γ·(2A − 1): γ = 0 is the host as it was, a larger γ
# listens more to the map. We try four maps and several γ.

# %%
GAINS = (-0.25, 0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
zero = transplant(host, "zero", donor.attention)
maps = {"untranslated": here, "translated": translated, "SPANet's": home, "truth": mask.float()}
found = {name: views.gain_views(zero, rainy, clean, GAINS, A) for name, A in maps.items()}
figure, axes = plots.new_figure(width=7.5, height=3.8)
curves = {f"{name}, AUC {map_auc(maps[name]):.2f}": [view.score for view in gained]
          for name, gained in found.items()}
plots.draw_curves(axes[0, 0], curves, GAINS, "γ: how much the map acts", "PSNR, dB")
axes[0, 0].axvline(0, linestyle=":", color="grey")
plots.show(figure, "PSNR over γ for four maps. All meet at γ = 0. The truth rises far above it, "
           "the other three hardly or not.")
best = {name: max(gained, key=lambda view: view.score) for name, gained in found.items()}
for name, view in best.items():
    print(f"{name:13} best γ {view.gain:+.2f}: {view.score - alone['baseline']:+.2f} dB")
assert best["truth"].score == max(view.score for view in best.values())

# %%
views.gain_slider({n: [views.GainView(v.gain, v.derained[k : k + 1], v.score) for v in found[n]]
                   for n in ("translated", "truth")},
                  {n: maps[n][k, 0] for n in ("translated", "truth")}, clean[k])

# %% [markdown]
# Two stops of the slider, γ = 0 and γ = .5:

# %%

shown = {n: [views.GainView(v.gain, v.derained[k : k + 1], v.score) for v in found[n]]
         for n in ("translated", "truth")}
stops = {p: views.draw_gain(shown, {n: maps[n][k, 0] for n in shown}, p, clean[k])
         for p in (0, 1, 4, 6)}
for p in (1, 4):
    alt = f"Two maps, what they make of a photo at γ = {GAINS[p]}, and PSNR over γ for both."
    plots.show_png(stops[p], alt)
assert len(set(stops.values())) == 4 and all(png.startswith(b"\x89PNG") for png in stops.values())

# %% [markdown]
# The translated map *finds* rain, and the picture gains nothing: its best γ is 0. SPANet's own map
# gains 0.07 dB, the true mask 1.46 dB. (γ is chosen and scored on the same six photos of the *test*
# split, so these gains are rather too large.)
#
# Why? One idea: the translated map is made of the host's own features, so it may say little that
# the host does not know. We have not tested this. The kind of gate matters, too: with the gate A in
# place of 1 + γ·(2A − 1), the translated map costs 0.26 dB. (Measured apart from the cells.)
#
# So "does the map find the rain?" is not the only question to ask of a module. Ask also: "**what
# does it tell my network that my network does not know?**"

# %% [markdown]
# ## 5 · Start as nothing
#
# The γ of the last figure can be *learned*. A graft **zero** starts with γ = 0: the gate is exactly
# 1, and the network is exactly its host. The module can't do harm on the first day, and training
# can let it in.
#
# Exactly its host? That is easily said, and easily tested, with a test that *could* fail.

# %% [markdown] tags=["exercise"]
# ### Exercise 13.3 · Prove that it is nothing
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | write `largest_difference(one, other, sizes)`: for each (B, H, W) in `sizes`, give both networks the same random pictures (B, 3, H, W) in [0, 1]. Return the largest absolute difference of all their outputs, a number. If NaN comes out somewhere, the result must not look like a small number |
#
# <details><summary>Hint</summary>
#
# Make x once per size. Collect the largest differences, and take the largest at the end, with
# torch: Python's `max(0.0, nan)` is 0.0.
#
# </details>

# %% tags=["exercise"]
def largest_difference(one, other, sizes):
    """Return the largest |one(x) − other(x)| over random pictures of several sizes."""
    # BEGIN SOLUTION
    found = []
    for batch, height, width in sizes:
        x = torch.rand(batch, 3, height, width)
        found.append((one(x) - other(x)).abs().max())
    return torch.stack(found).max().item()  # torch's max keeps a NaN
    # END SOLUTION


if exercises.check("13.3", largest_difference):
    for graft, seed in (("zero", 0), ("dropped", 0), ("zero", 1)):
        pair = fresh("residual", graft, seed), fresh("residual", "none")
        found = largest_difference(*pair, [(1, 16, 16), (2, 9, 23)])
        print(f"{graft}, seed {seed}, against the host of seed 0: {found:.2g}")

# %% [markdown] tags=["solution"]
# A test must be able to fail: with zeros for x, with a mean instead of the largest, with one size
# only, or with a NaN that gets lost, two different networks can look alike.

# %% [markdown]
# **Predict:** at γ = 0, how large is the gradient of the module's own weights, as a part of what it
# is in the dropped graft?

# %%
my_guess = None  # write a number

# %%
def first_gradients(graft):
    """Return the gradient norm of the module, of γ (or 0), and the picture, at step 0."""
    network, (wet, dry) = fresh("residual", graft), patches
    with torch.enable_grad():
        picture = network(wet)
        make_loss("neg_ssim+l1")(picture, dry).backward()
    gamma = network.gains.grad.norm().item() if graft == "zero" else 0.0
    return views.gradient_norm(network.attention), gamma, picture.detach()


module, gamma, picture = first_gradients("zero")
in_dropped = first_gradients("dropped")[0]
compare_guess(my_guess, module / in_dropped, decimals=2)
print(f"gradient of the module: {in_dropped:.4f} dropped, {module:.4f} zero; of γ: {gamma:.4f}")
for kind in ("residual", "prn"):
    assert torch.equal(fresh(kind, "zero")(patches[0]), fresh(kind, "none")(patches[0]))
assert torch.equal(zero(rainy), host(rainy)), "and so does the trained host"
assert module == 0 and gamma > 0

# %% [markdown]
# Zero, exactly: what is multiplied by γ = 0 gets no gradient. But γ itself gets one, moves in the
# first step, and from the second step on the module learns, too. It would be a mistake to set
# *both* to zero, γ and what it multiplies: then neither would ever move.

# %% [markdown] tags=["exercise"]
# ### Exercise 13.4 · Start as nothing, and learn
#
# | | |
# |---|---|
# | **Difficulty** | ●●●●○ |
# | **Importance** | ●●●●● |
# | **Spend** | 15 minutes |
# | **Task** | it works without a γ, too. An *adapter* adds x + second(relu(first(x))) to a network; `first` and `second` are convolutions with biases. Write `start_as_nothing(first, second)`: change their weights in place and return both, so that the sum is *exactly* x at the start and yet both layers learn |
#
# <details><summary>Hint</summary>
#
# A product of two factors is zero if one of them is. Which one may be zero, if the other one must
# get a gradient through it? What does relu do to a gradient at 0? And a bias adds something even if
# all weights are zero. Change weights with `torch.nn.init`, or inside `with torch.no_grad():`.
#
# </details>

# %% tags=["exercise"]
def start_as_nothing(first, second):
    """Return both convolutions, changed so that second(relu(first(x))) is 0, and learns."""
    # BEGIN SOLUTION
    torch.nn.init.zeros_(second.weight)
    torch.nn.init.zeros_(second.bias)
    return first, second
    # END SOLUTION


exercises.check("13.4", start_as_nothing)

# %% [markdown] tags=["solution"]
# The last layer is zero, and `first` stays random. In the first step only `second` gets a gradient:
# it sees the features of `first`, which are not zero. In the second step the gradient passes
# through `second`, and `first` learns, too. The other way round nothing would move but the last
# bias: where `first` is zero, `second` sees only zeros, and relu has no slope there.

# %% [markdown]
# The trained module and the trained host, trained on together for a moment. **Predict:** where are
# *dropped* and *zero* after 40 steps, against the host that just trains on?

# %%
my_guess = None  # write how many dB dropped is below the host alone at the end

# %%
judged = de.SyntheticRain(rain="light", patch_size=96, seed=77, split="validation")
judged = [judged[k] for k in range(6)]
judge = [torch.stack([pair[key] for pair in judged]) for key in ("rainy", "clean")]
more = de.SyntheticRain(rain="light", patch_size=40, seed=11)  # training photos


def train_on(network, steps=40, every=10, lr=2e-4):
    """Train ``network`` on fresh rain, and return its validation PSNR every few steps."""
    adam, loss = torch.optim.Adam(network.parameters(), lr=lr), make_loss("neg_ssim+l1")
    scores = [de.psnr(network(judge[0]), judge[1])]
    for step in range(steps):
        batch = [more[4 * step + k] for k in range(4)]
        wet, dry = (torch.stack([pair[key] for pair in batch]) for key in ("rainy", "clean"))
        with torch.enable_grad():
            adam.zero_grad()
            loss(network(wet), dry).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        if (step + 1) % every == 0:
            scores.append(de.psnr(network(judge[0]), judge[1]))
    return scores

# %%
curves = {}
for name, graft in {"host alone": "none", "dropped": "dropped", "zero": "zero"}.items():
    network = transplant(host, graft, donor.attention if graft != "none" else None)
    curves[name] = train_on(network)
figure, axes = plots.new_figure(width=7.5, height=3.6)
plots.draw_curves(axes[0, 0], curves, range(0, 41, 10), "step", "validation PSNR, dB")
axes[0, 0].lines[0].set(linewidth=7, alpha=0.3)  # the host alone: lies below "zero"
axes[0, 0].legend(fontsize=8, frameon=False)  # once more, with the wide line
plots.show(figure, "Three curves: host alone and zero lie on each other; dropped starts far "
           "below and climbs.")
compare_guess(my_guess, curves["host alone"][-1] - curves["dropped"][-1], "dB")
print("γ after 40 steps:", ", ".join(f"{gain:+.4f}" for gain in network.gains))
assert curves["zero"][0] == curves["host alone"][0] > curves["dropped"][0]
assert abs(curves["zero"][-1] - curves["host alone"][-1]) < 0.3
assert curves["dropped"][-1] > curves["dropped"][0]

# %% [markdown]
# *Dropped* spends its first steps on repairing what the transplant broke. After 40 steps it is 0.0
# dB below the host: here the damage is soon gone. *Zero* has nothing to repair and stays with the
# host; its γ have moved by less than .001. A safe start is not a gain. It only makes sure that the
# start does no harm.

# %% [markdown]
# ## 6 · What else moved?
#
# A transplant never changes one thing. Here is what the donor was trained with, beside what our
# recorded experiment gives its networks. Only the lines that differ.

# %%
table = find_experiment("transplant")
theirs = asdict(recipe("open-spanet"))
ours = asdict(de.TrainConfig(model="transplant", steps=table.steps, **table.train))
fields = ("data", "steps", "patch_size", "batch_size", "lr", "schedule", "grad_clip", "ema", "loss",
          "attention_mask")
moved = {field: (theirs[field], ours[field]) for field in fields}
moved |= {"channels": (donor.config.channels, 16), "maps per pass": (donor.config.stages, 1)}
print(f"{'':15} {'donor':>12} {'transplant':>12}")
for field, (before, now) in moved.items():
    if before != now:
        print(f"{field:15} {before!s:>12} {now!s:>12}")
assert moved["attention_mask"] == ("true", None)

# %% [markdown]
# And what no table lists: SPANet's blocks have no bias and may *subtract*, ours end in a ReLU and
# can only add; SPANet makes the picture, our hosts the rain. If the result differs, which line did
# it? Only one experiment can say: **change one line, keep all others.**
#
# We try two. In SPANet a mask *teaches* the map where the rain is; a plain host has no such loss.
# And the learning rate: the donor had another one.
#
# **Predict:** a dropped module, fresh, trained for 200 steps as in our table, without a teacher.
# How well does its map find rain (AUC in percent)?

# %%
my_guess = None  # write a number from 0 to 100

# %%
factors = {"as in our table": {}, "a mask teaches": {"attention_mask": "true"},
           "twice the rate": {"lr": 2 * ours["lr"]}}
grown = {}
for name, change in factors.items():
    config = de.TrainConfig(
        model="transplant", options={"host": "residual", "graft": "dropped"}, steps=200,
        device="cpu", validate_every=0, **{**table.train, **change},
    )
    with torch.enable_grad():
        network = de.train(config).model
    derained, A = network.attend(rainy)  # (6, 3, SIDE, SIDE), (6, 1, SIDE, SIDE)
    grown[name] = (A, views.mean_psnr(derained, clean))
compare_guess(my_guess, 100 * map_auc(grown["as in our table"][0]), "%", decimals=0)
for name, (A, score) in grown.items():
    print(f"{name:16} A: mean {A.mean():.3f}, spread {A.std():.3f}, AUC {map_auc(A):.2f}; "
          f"picture {score:.2f} dB")
assert map_auc(grown["a mask teaches"][0]) > map_auc(grown["as in our table"][0])

# %%
figure, axes = plots.new_figure(1, 4, width=11, height=3.0)
plots.draw_picture(axes[0, 0], mask[k].float(), "true mask")
for axis, (name, (A, _)) in zip(axes[0, 1:], grown.items(), strict=True):
    plots.draw_map(axis, A[k, 0], f"{name}: AUC {auc(A[k], mask[k]):.2f}", 0, 0.5)
plots.show(figure, "The true mask, and three maps of the same module: an even one near one half, "
           "one in which streaks begin to show, and a dark one.")

# %% [markdown]
# In the first run the map is nearly the same number everywhere, and its AUC is that of a coin. At
# twice the rate the gate *closed* (mean .001): three blocks and the module are switched off. And
# yet this network has the best picture of the three. With a teacher the AUC rises to .64, and the
# picture is not better than without.
#
# One seed each: a hint, not a verdict. A teacher is not the only way to a map that finds rain, as
# section 7 will show, and a better map is not yet a better picture. But the **loss** is part of the
# module, although the paper's figure of the module does not show it.

# %% [markdown]
# ## 7 · The recorded experiment
#
# Now the question of section 1, with controls: two hosts, five ways, the same steps and samples for
# all of them, several seeds. `derain-edu experiment transplant` repeats it.

# %%
WAYS = ("none", "blocks", "dropped", "matched", "zero")
HOSTS = ("baseline", "PRN")
rows = load_results("transplant")
for row in rows:
    row["gain"] = row["psnr_validation"] - row["psnr_input"]  # dB over the rainy input
    row["host"], row["graft"] = row["variant"].split(", ")
of = {name: [{**r, "variant": r["graft"]} for r in rows if r["host"] == name and r["graft"] in WAYS]
      for name in HOSTS}
for name, some in of.items():
    print(f"{name}, gain over the rainy input in dB, {some[0]['steps']} steps;")
    print("                           parameters  AUC of the map, by seed")
    for graft, (middle, half) in summarize(some, "gain").items():
        ones = [r for r in some if r["graft"] == graft]
        areas = " ".join(f"{r['auc_validation']:.2f}" for r in ones if r.get("auc_validation"))
        print(f"  {graft:8} {middle:6.2f} ± {half:.2f} {ones[0]['parameters']:12,}  {areas}")

# %% [markdown]
# Look at the last column. The maps of *dropped* and *zero* stay near .5. *Matched* reaches .70 to
# .77 in four of five seeds, without a teacher, and .31 in one.
#
# The file holds two more ways for the baseline, which this table leaves out: *dropped* and *zero*
# with the mask as teacher, five seeds each. Their maps have an AUC of .81 to .91. Against the host
# alone their pictures change by −0.14 ± 0.16 dB (dropped) and +0.00 ± 0.12 dB (zero). So the
# teacher makes the map find the rain, and no gain of the picture is seen.
#
# The seeds differ in how good all networks are, so we compare *within* each seed: same start of the
# host, same samples, one thing changed.

# %%
from derain_edu.experiments.statistics import differences  # of two variants, seed by seed

figure, axes = plots.new_figure(1, 2, width=11, height=3.6, sharey=True)
for axis, name in zip(axes.flat, HOSTS, strict=False):
    gains = [{"variant": g, "v": v} for g in WAYS[1:]
             for v in differences(of[name], g, "none", "gain")]
    middles, halves = zip(*summarize(gains, "v").values(), strict=True)
    plots.draw_bars(axis, WAYS[1:], middles, halves, ylabel="against the host alone, dB")
    dots = [(WAYS.index(one["variant"]) - 1.2, one["v"]) for one in gains]
    axis.plot(*zip(*dots, strict=True), "o", color="black", markersize=4)
    axis.axhline(0, color="grey", linewidth=0.8)
    axis.set_title(name, fontsize=10)
plots.show(figure, "What four ways gain over the host alone, for both hosts: a bar and its "
           "interval for the mean, a dot per seed.")

# %% [markdown]
# And on the way there? Each way against the host alone, at every tenth of the budget, mean over the
# seeds. If a bad start were the reason for a bad end, *dropped* and *zero* would part at the
# beginning, and never meet again.

# %%
figure, axes = plots.new_figure(1, 2, width=11, height=3.4, sharey=True)
for axis, (name, some) in zip(axes.flat, of.items(), strict=False):
    curves = {g: [np.array(r["curve"].split(), float) for r in some if r["graft"] == g]
              for g in WAYS}
    way = {g: np.mean(found, axis=0) for g, found in curves.items()}  # each (10,)
    plots.draw_curves(axis, {g: way[g] - way["none"] for g in WAYS[1:]}, range(10, 101, 10),
                      "% of the budget", "against the host alone, dB")
    axis.axhline(0, color="grey", linewidth=0.8)
    axis.set_title(name, fontsize=10)
plots.show(figure, "Four ways minus the host alone, along the training, for both hosts.")

# %%
from derain_edu.experiments.verdicts import Verdicts

verdicts = Verdicts()
QUESTIONS = {"the module, dropped in, helps": ("dropped", "none"),
             "more blocks help": ("blocks", "none"),
             "the module beats as many parameters": ("dropped", "blocks"),
             "matched scales beat dropping in": ("matched", "dropped"),
             "starting at zero beats dropping in": ("zero", "dropped"),
             "the module at its best start helps": ("zero", "none")}
for name, (claim, pair) in itertools.product(HOSTS, QUESTIONS.items()):
    verdicts.judge(f"{name}: {claim}", differences(of[name], *pair, "gain"))
verdicts.latest()

# %%
found = verdicts["baseline: the module, dropped in, helps"]
compare_guess(my_guess_at_the_start, found.middle, "dB", decimals=2)
scatter = float(np.std(differences(of["baseline"], "dropped", "none", "gain"), ddof=1))
needed = max(3, int(np.ceil((1.96 * scatter / 0.1) ** 2)))
print(f"the difference scatters by {scatter:.2f} dB from seed to seed:")
print(f"about {needed} seeds for an interval of ± 0.1 dB")

# %% [markdown]
# Read the verdicts in pairs. *Dropped* against *none* is what a paper's table would show. *Dropped*
# against *blocks* is what one wants to know: does the module do more than its parameters would?
# *Matched* against *dropped* asks about scales, *zero* against *dropped* about the start.
#
# An interval that covers zero is an answer, too: "smaller than this, if there is anything". Twelve
# questions are many: of twenty intervals of 95 %, one is wrong by chance. All twelve answers here
# are "can't tell": no gain is shown, and no loss either.
#
# (The number of seeds in the last cell comes from 1.96, the factor for many seeds. For few seeds
# Student's t is larger, and about five are needed.)

# %% [markdown]
# ## 8 · A negative result, written up well
#
# "I tried attention, it didn't work" helps nobody. A negative result is worth as much as its
# controls. Six sentences are enough: the claim; what was done; against what; how large the effect
# is, with an interval; what that excludes; what it does not exclude. The numbers come from the
# file:

# %%
def write_up(name):
    """Return the result of one host in six sentences, with the numbers of the recording."""
    found = verdicts[f"{name}: the module, dropped in, helps"]
    control = verdicts[f"{name}: the module beats as many parameters"].effect
    zero_start = verdicts[f"{name}: the module at its best start helps"].effect
    low, high = found.middle - found.half, found.middle + found.half
    return (
        f"Claim: SPANet's attention module improves the host {name}. Done: it gates the later "
        f"blocks; {rows[0]['steps']} steps, light synthetic rain, {found.n} seeds, same samples. "
        "Against: the host alone, and the host with as many parameters in plain blocks. "
        f"Effect: {found.middle:+.2f} dB, 95 % interval {low:+.2f} to {high:+.2f} dB; against the "
        f"blocks {control}; started at zero {zero_start}. "
        f"Excluded: a gain of more than {max(high, 0):.2f} dB and a loss of more than "
        f"{max(-low, 0):.2f} dB in this setting. Not excluded: an effect after longer training, "
        "in wider hosts, with the mask as teacher, in other rain."
    )


for name in HOSTS:
    say(write_up(name))
    print()

# %% [markdown]
# The last sentence is the most useful one: it lists the next experiments. One of them is done for
# the baseline: section 7 gives the result with the mask as teacher. For PRN it is not.
#
# Note what the write-up does *not* say: that the module is bad, or that the paper is wrong. In its
# own network, with its own loss, it finds the rain; lesson 09 measured what its first map is worth
# there.

# %% [markdown]
# ## 9 · A checklist for transplants
#
# Before the training:
#
# 1. **What does it tell your network that it does not know?** Replace the module's output by the
#    truth (a mask, a label). If even the truth does not help, stop here.
# 2. **Does it speak the language?** The channels of two trained networks do not mean the same: fit
#    a translator, and see whether the module works again.
# 3. **Sizes and gradients, layer by layer,** with and without it. A sigmoid halves.
# 4. **Start as nothing:** one factor at zero, never two. Assert that step 0 equals the host.
#
# In the training:
#
# 5. **Bring the context along:** the module's own loss, width, schedule, data. One at a time.
# 6. **A control with as many parameters** (and, if it is slow, one with as much time).
# 7. **Three seeds at least, better five, paired;** the interval, not the best run.
#
# After the training:
#
# 8. **Is it switched on?** Look at γ, at the mean of the map. Behind a closed gate the module does
#    nothing.
# 9. **Hold it still** (lesson 09): what does the picture lose?
# 10. **Write down what you found,** also if it is nothing.
#
# Number 8 on the three networks of section 6, as an example:

# %%
for name, (A, _) in grown.items():
    even = A.std() < A.mean() / 10
    state = "closed" if A.mean() < 0.05 else "the same everywhere" if even else "at work"
    print(f"{name:16} mean {A.mean():.3f}, spread {A.std():.3f}: {state}")

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. The trained module costs the trained baseline 1.67 dB. With the true mask instead of its map
# the same host *gains* 1.94 dB. What follows from this, and what does not?**
#
# <details><summary>Answer</summary>
#
# A gate with a good map can help a host that was never trained with one. It does not follow that
# the gate is harmless: ½ everywhere costs 0.86 dB, and a constant gate at the mean of the module's
# map costs 1.58 dB. And the map is wrong, too: its AUC is .48 in the host and .94 at home, for the
# same photos and with the same weights. With the size repaired, section 4 still loses 1.58 dB.
# Either fault alone is enough.
#
# </details>
#
# **2. You give each channel of the host the mean and the spread that the module knows from home.
# The AUC goes from .48 to .52. A 1×1 convolution, fitted by least squares, makes it .86. What does
# the second one do that the first one can't?**
#
# <details><summary>Answer</summary>
#
# It mixes channels. Channel 5 means one thing in SPANet and another one in the host; no factor per
# channel can turn one into the other. A sum of 32 channels with the right weights can.
#
# </details>
#
# **3. The translated map finds the rain (AUC .86), and yet the best γ for it is 0. How can a good
# map be of no use?**
#
# <details><summary>Answer</summary>
#
# The AUC says how well the map finds rain, not what the host can do with it. The map is computed
# from the features that the host has already, so it may tell the host little that is new. That is
# an idea, and not tested here. The true mask knows more than the host, and gains 1.46 dB at its
# best γ.
#
# </details>
#
# **4. For double safety a colleague sets γ = 0 *and* the last layer of the module to zero, so that
# A is ½ everywhere. The gate is 1 + γ·(2A − 1). What will the training do with the module?**
#
# <details><summary>Answer</summary>
#
# Nothing, ever. The gradient of γ has the factor 2A − 1, which is 0; the gradient of the module has
# the factor γ, which is 0, too. Each of them waits for the other. With one zero the graft can
# learn; with two it can't.
#
# </details>
#
# **5. "Dropped in, the module changes the baseline by −0.05 ± 0.08 dB: attention does not work."
# What is wrong with this sentence?**
#
# <details><summary>Answer</summary>
#
# The numbers exclude a gain of more than 0.03 dB, here: in this host, with 600 steps, light rain,
# and no mask as a teacher. They say nothing about other settings. (With a teacher, the recorded
# runs show no gain either: section 7.) And the interval covers zero, so "it harms" is not shown
# either. (For PRN it runs from −0.92 to +0.31 dB: five seeds exclude little there.)
#
# </details>

# %% [markdown]
# ## You can now …
#
# The claim "a module taken out of its paper lowers the score in another network, because scales and
# statistics no longer fit", in its parts:

# %%
print(f"trained into trained: {lost['baseline']:+.2f} dB (baseline), {lost['PRN']:+.2f} dB (PRN)")
print(f"  because of sizes? AUC {raw:.2f} raw, {sized:.2f} and {channelwise:.2f} when matched")
print(f"  because of language? AUC {map_auc(translated):.2f} with a translator, "
      f"{map_auc(home):.2f} at home")
print("trained together from the start:")
verdicts.table()

# %% [markdown]
# - move a module into another network in five ways, and name what else moved with it;
# - find out *before* training what a graft does to sizes, gradients and scores;
# - tell scale from language, and "finds the rain" from "helps the picture";
# - start a graft as nothing, prove that it is nothing, and see that it can learn;
# - choose controls, and write a negative result that others can use.
#
# **Next:** lesson 10. Your own network, with a budget, on the board.
