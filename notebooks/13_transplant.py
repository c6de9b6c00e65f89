# %% [markdown]
# # 13 · Transplant
#
# **Does a borrowed module help?**
#
# | | |
# |---|---|
# | **Goals** | build a module of one network into another; choose controls; tell a problem of scale from a problem of meaning; start a graft so that it can't do harm; report that nothing was gained |
# | **Before you start** | lessons 03, 04 and 09 |
# | **Time** | 57 minutes, 29 of them for the exercises; the cells take 50 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Wang et al., CVPR 2019 (SPANet, arXiv 1904.01538); Ren et al., CVPR 2019 (PRN, arXiv 1901.09221) |

# %% tags=["bootstrap"]
import derain_edu as de

# %%
print(f"derain_edu {de.__version__}")

import numpy as np
import torch

from derain_edu.course import exercises
from derain_edu.course.views import diagrams, plots, transplant as views
from derain_edu.experiments.results import load_results
from derain_edu.experiments.statistics import differences, interval
from derain_edu.map_scores import auc
from derain_edu.models.transplant import transplant
from derain_edu.text import compare_guess, say, table as text_table
from derain_edu.training.losses import make_loss

de.choose_device("cpu", verbose=True)  # small pictures: a GPU would mostly wait
torch.set_grad_enabled(False)  # until something is trained
de.set_seed(0)

# %% [markdown]
# ## 1 · The plan
#
# You read a paper, its module sounds great, you build it into your own network, and the score does not
# rise. Why? We try it with SPANet's attention module (lesson 09): features go in, and one map A comes
# out, a number between 0 and 1 for each pixel. The *host* is the baseline of lesson 03.

# %%
diagrams.grafted_host()

# %% [markdown]
# The first blocks stay. The module looks at their features, and its map *gates* each later block:
#
# $$\mathrm{out} = \mathrm{relu}(\mathrm{gate} \cdot \mathrm{branch}(x) + x)$$
#
# With gate = A, as in SPANet, we call the graft **dropped**. The module also brings parameters, and
# these alone may help. So there is a control, **blocks**: a host that gets about as many parameters in
# plain blocks.

# %%
def fresh(graft, seed=0):
    """Return a fresh network; with one seed all grafts have the same host."""
    de.set_seed(seed)
    options = {"host": "residual", "channels": 16, "blocks": 5}
    return de.create_model("transplant", graft=graft, **options)


for graft in ("none", "blocks", "dropped"):
    count = sum(p.numel() for p in fresh(graft).parameters())
    print(f"{graft:8} {count:,} parameters")

# %% [markdown]
# **Predict the result of the whole lesson:** host and module start fresh and are trained together, as
# many steps as the host alone. The module is *dropped* in. How many dB does it gain?

# %%
my_gain = None  # write a number; minus means worse. Section 5 has the answer

# %% [markdown]
# ## 2 · Drop it in
#
# First something faster: both parts exist, trained, the baseline and the SPANet of this course. Both have
# 32 channels, so the shapes fit. We put the trained module into the trained host, and look at the four
# *validation* photos. (The test photos wait until something has been chosen.)

# %%
donor = de.create_model("spanet", pretrained="open")
host = de.create_model("residual", pretrained="open")


def photos(split, side=128):
    """Return clean and rainy pieces (N, 3, side, side), and masks (N, 1, …)."""
    pieces, rains = [], []
    for seed, name in enumerate(de.photo_names(split)):
        photo = de.load_photo(name, long_side=480)
        top, left = ((size - side) // 2 for size in photo.shape[-2:])
        pieces.append(photo[:, top : top + side, left : left + side])
        rains.append(de.add_rain(pieces[-1], "light", seed=seed))
    rainy = torch.stack([rain.rainy for rain in rains])
    mask = torch.stack([rain.mask for rain in rains])
    return torch.stack(pieces), rainy, mask


clean, rainy, mask = photos("validation")
alone = views.mean_psnr(host(rainy), clean)
dropped = transplant(host, "dropped", donor.attention)
own = views.mean_psnr(dropped(rainy), clean) - alone
print(f"rainy {views.mean_psnr(rainy, clean):.2f} dB, host alone {alone:.2f} dB, "
      f"SPANet itself {views.mean_psnr(donor(rainy), clean):.2f} dB")
print(f"the module dropped into the host: {own:+.2f} dB")
assert own < -1

# %% [markdown]
# It costs 4 dB. There are two suspects: the *gate* (a block that worked at full strength now works at
# strength A), or *this map*. So we keep the gate, and swap the map.
#
# **Predict:** the true mask of the rain as the map. How many dB, against the host alone?

# %%
my_guess = None  # write a number; minus means worse

# %%
home = donor.attend(rainy)[1][:, :1]  # what the module says in SPANet
here = dropped.attend(rainy)[1]  # and in the host
others = {
    "its own mean everywhere": torch.full_like(here, here.mean()),
    "½ everywhere": torch.full_like(here, 0.5),
    "its map in SPANet, of the same photos": home,
    "the true mask": mask.float(),
}
with_map = {"the map that it makes in the host": own}
for name, A in others.items():
    with views.saying(dropped.attention, lambda _, A=A: A):
        with_map[name] = views.mean_psnr(dropped(rainy), clean) - alone
compare_guess(my_guess, with_map["the true mask"], "dB")
print(text_table(["map", "against the host alone, dB"],
                 [[name, f"{value:+.2f}"] for name, value in with_map.items()]))
matched = transplant(host, "matched", donor.attention)
full = views.mean_psnr(matched(rainy), clean) - alone
print(f"gate s·A, as strong as no gate, with the map of the host: {full:+.2f} dB")
constant = with_map["its own mean everywhere"]
assert max(constant, full) < own / 2 and with_map["½ everywhere"] < -1
assert with_map["the true mask"] > 0

# %% [markdown]
# Both suspects are guilty, and either alone is enough. A *constant* gate says nothing wrong about the
# rain, and still costs nearly as much as the module: it weakens the blocks. The last line takes this
# weakness away (**matched**, gate = s·A: the number s makes a gated branch as large as an open one). And
# still the wrong map costs over 3 dB.
#
# But with a *good* map even the weak gate does no harm: the module's own map from SPANet costs almost
# nothing, and the true mask helps, in a host that was never trained with a gate.
#
# <details><summary>Background: the AUC of a map</summary>
#
# Take a pixel with rain and one without, at random. The AUC is the chance that the map is higher at
# the rainy one. 1 is perfect order, .5 is a coin, below .5 the order is wrong. (Lesson 09.)
#
# </details>

# %%
def map_auc(maps, masks=mask):
    """Return how well maps (N, 1, H, W) find the rain: the mean AUC."""
    return float(np.mean([auc(*pair) for pair in zip(maps, masks, strict=True)]))


k = 1
figure, axes = plots.new_figure(1, 4, width=11, height=3.0)
plots.draw_picture(axes[0, 0], rainy[k], "rainy")
plots.draw_picture(axes[0, 1], mask[k].float(), "true mask")
plots.draw_map(axes[0, 2], home[k, 0], "A in SPANet", 0, 1)
plots.draw_map(axes[0, 3], here[k, 0], "A in the host", 0, 1)
plots.show(figure, "A rainy photo, the true mask, the module's map in SPANet, in "
           "which the streaks shine, and its map in the host, which does not.")
print(f"mean AUC: in SPANet {map_auc(home):.2f}, in the host {map_auc(here):.2f}")
assert map_auc(home) > 0.9 and abs(map_auc(here) - 0.5) < 0.1

# %% [markdown]
# In SPANet the module finds the rain. In the host, with the same weights and of the same photo, its map
# is no better than a coin.
#
# ## 3 · Scale, or meaning?
#
# The usual suspect is the **scale**: the host's features may be larger or smaller than those that the
# module knows. That can be repaired.

# %% [markdown] tags=["exercise"]
# ### Exercise 13.1 · The same scale
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 6 minutes |
# | **Task** | write `match_scale(x, home)`: give each channel of x (B, C, H, W) the mean and the standard deviation that this channel has in `home`. Both are taken over all pictures and pixels |
#
# <details><summary>Hint</summary>
#
# Take away the mean of x, divide by its standard deviation; then multiply by that of `home`, and add
# its mean. Pictures and pixels are the axes (0, 2, 3); `keepdim=True` keeps (1, C, 1, 1).
#
# </details>

# %% tags=["exercise"]
def match_scale(x, home):
    """Return x with the mean and the spread that each channel has in ``home``."""
    # BEGIN SOLUTION
    axes = (0, 2, 3)
    mean = x.mean(axes, keepdim=True)  # (1, C, 1, 1)
    standard = (x - mean) / x.std(axes, keepdim=True)
    return standard * home.std(axes, keepdim=True) + home.mean(axes, keepdim=True)
    # END SOLUTION


exercises.check("13.1", match_scale)

# %% [markdown]
# Now two tests. First in SPANet, where all is well, we make one thing wrong: features four times too
# small, four times too large, or the 32 channels in another *order* (five orders, because one may be
# lucky). Then we repair the scale in the host: for all channels at once, or for each channel.
#
# **Predict:** which is worst for the map in SPANet: small, large or order?

# %%
my_guess = None  # "small", "large" or "order"

# %%
in_spanet = views.entering(donor.attention, lambda: donor(rainy))  # (4, 32, H, W)
in_host = views.entering(dropped.attention, lambda: dropped(rainy))
found = {"as it is": map_auc(home)}
for name, factor in {"small": 0.25, "large": 4}.items():
    found[name] = map_auc(donor.attention(factor * in_spanet))
orders = []
for seed in range(5):
    order = torch.randperm(32, generator=torch.Generator().manual_seed(seed))
    orders.append(map_auc(donor.attention(in_spanet[:, order])))
found["order"] = np.mean(orders)
print(f"the five orders: {min(orders):.2f} to {max(orders):.2f}")
print(f"you said {my_guess or 'nothing yet'}; worst: {min(found, key=found.get)}")

found["host"] = map_auc(here)
one_size = in_host * in_spanet.std() / in_host.std()
found["host, one scale"] = map_auc(donor.attention(one_size))
each_size = views.match_channels(in_host, in_spanet)  # what exercise 13.1 does
found["host, each channel"] = map_auc(donor.attention(each_size))
figure = views.draw_aucs(found)
plots.show(figure, "The AUC of the map. In SPANet: high as it is and with small "
           "features, much lower with large ones or another order. In the host: "
           "near a coin, and little better with the scales repaired.")
assert found["small"] > 0.85 > 0.75 > max(found["large"], found["order"])
assert found["host, each channel"] < 0.7

# %% [markdown]
# Features that are too small do the least harm. Too large ones spoil the map about as much as a wrong
# order. So scale *can* be the fault. Here it is so at most in part: with the scales repaired, the map in
# the host is still a poor one.
#
# What remains is the **meaning** of the channels. Channel 5 of SPANet may say "bright and thin",
# channel 5 of the host "edge to the left": nothing makes two networks agree. A translator could help: a
# 1×1 convolution, which mixes 32 channels into 32 others. We fit it on training photos by least
# squares, so that its output comes as close as possible to SPANet's features. The module stays as it
# is.
#
# **Predict:** the AUC of the module in the host, with this translator before it, in percent.

# %%
my_guess = None  # write a number from 0 to 100

# %%
learn = de.SyntheticRain(rain="light", patch_size=96, seed=5)  # training photos
patches = torch.stack([learn[n]["rainy"] for n in range(10)])  # (10, 3, 96, 96)
source = views.entering(dropped.attention, lambda: dropped(patches))
target = views.entering(donor.attention, lambda: donor(patches))  # (10, 32, 96, 96)
translator = views.fit_adapter(source, target)  # a 1×1 convolution, 32 -> 32
translated = donor.attention(translator(in_host))  # (4, 1, 128, 128)
compare_guess(my_guess, 100 * map_auc(translated), "%", decimals=0)
assert map_auc(translated) > found["host, each channel"] + 0.15

# %% [markdown]
# One fitted linear layer, and the module finds the rain again. Its own weights have not changed: what did
# not fit was the meaning of its input channels.
#
# Does the *picture* gain by it? To find out without the damage of the gate, we let the map in step by
# step: gate = 1 + γ·(2A − 1). With γ = 0 the host is as it was; with a larger γ the map counts more. For
# each map we choose the best γ on the validation photos, and score it, once, on the six test photos.

# %%
GAMMAS = (-0.25, 0.0, 0.05, 0.1, 0.25, 0.5, 0.75)
zero = transplant(host, "zero", donor.attention)
maps = {"translated": translated, "SPANet's": home, "truth": mask.float()}
tried = {}
for name, A in maps.items():
    tried[name] = views.gain_views(zero, rainy, clean, GAMMAS, A)

clean_test, rainy_test, mask_test = photos("test")
entering = views.entering(dropped.attention, lambda: dropped(rainy_test))
test_maps = {"translated": donor.attention(translator(entering)),
             "SPANet's": donor.attend(rainy_test)[1][:, :1],
             "truth": mask_test.float()}
alone_test, lines, gained = views.mean_psnr(host(rainy_test), clean_test), [], {}
for name, A in test_maps.items():
    best = max(tried[name], key=lambda view: view.score)
    (once,) = views.gain_views(zero, rainy_test, clean_test, [best.gain], A)
    gained[name] = once.score - alone_test
    lines.append([name, f"{map_auc(A, mask_test):.2f}", f"{best.gain:+.2f}",
                  f"{best.score - alone:+.2f}", f"{gained[name]:+.2f}"])
header = ["map", "AUC (test)", "best γ", "validation, dB", "test, dB"]
print(text_table(header, lines))
assert gained["truth"] > 0.2 > max(gained["translated"], gained["SPANet's"])

# %%
shown = {}
for name in ("translated", "truth"):
    shown[name] = [views.GainView(v.gain, v.derained[k : k + 1], v.score)
                   for v in tried[name]]
views.gain_slider(shown, {name: maps[name][k, 0] for name in shown}, clean[k])

# %% [markdown]
# The translated map *finds* the rain, and the picture gains nothing. Only the truth helps clearly. So
# don't ask a module only "does your map find the rain?". Ask also: **what does it tell my network that my
# network does not know?** The translated map is made of the host's own features. (Whether this is the
# reason, we have not tested.)
#
# ## 4 · Start as nothing
#
# So far nothing was trained. Now host and module learn together. The graft **zero** makes γ a parameter
# that starts at 0. Then the network *is* its host at the first step, and training can let the module in.

# %% [markdown] tags=["exercise"]
# ### Exercise 13.2 · A gate that starts as nothing
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 8 minutes |
# | **Task** | write `gated_block(x, branch, A, gamma)`: the output of a gated block, as in the formula of section 1, with the gate 1 + γ·(2A − 1). `x` and `branch` are (B, C, H, W), `A` is (B, 1, H, W), `gamma` a number |
#
# <details><summary>Hint</summary>
#
# The map has one channel and counts for all C of them: PyTorch stretches it by itself. With γ = 0 you
# must get relu(branch + x).
#
# </details>

# %% tags=["exercise"]
def gated_block(x, branch, A, gamma):
    """Return relu(gate · branch + x) with the gate 1 + γ·(2A − 1)."""
    # BEGIN SOLUTION
    gate = 1 + gamma * (2 * A - 1)  # (B, 1, H, W)
    return torch.relu(gate * branch + x)
    # END SOLUTION


exercises.check("13.2", gated_block)

# %%
def stacked(pairs):
    """Return the rainy and the clean pictures of some pairs, each (N, 3, H, W)."""
    rainy = torch.stack([pair["rainy"] for pair in pairs])
    return rainy, torch.stack([pair["clean"] for pair in pairs])


wet, dry = stacked([learn[n] for n in range(8)])
gradients = {}
for graft in ("dropped", "zero"):
    network = fresh(graft)
    with torch.enable_grad():
        make_loss("neg_ssim+l1")(network(wet), dry).backward()
    gradients[graft] = views.gradient_norm(network.attention)
    print(f"{graft:8} gradient of the module at step 0: {gradients[graft]:.4f}")
print(f"{'':8} gradient of γ: {network.gains.grad.norm():.4f}")
expected = fresh("none")(wet)
assert torch.equal(fresh("zero")(wet), expected), "zero is its host, to the bit"
assert not torch.equal(fresh("dropped")(wet), expected), "the test can fail"
assert gradients["zero"] == 0 < network.gains.grad.norm()

# %% [markdown]
# *Zero* equals its host to the last bit. The module's gradient is exactly 0: what is multiplied by
# γ = 0 gets none. But γ itself gets one. It moves in the first step, and from the second step on the
# module learns, too. Never set *both* to zero, γ and what it multiplies: neither would ever move.

# %% [markdown] tags=["exercise"]
# ### Exercise 13.3 · Start as nothing, and learn
#
# | | |
# |---|---|
# | **Difficulty** | ●●●●○ |
# | **Importance** | ●●●●● |
# | **Spend** | 15 minutes |
# | **Task** | it works without a γ, too. An *adapter* turns x into x + second(relu(first(x))); `first` and `second` are convolutions with biases. Write `start_as_nothing(first, second)`: change the numbers in these two layers and return them, so that the sum is *exactly* x at the start and yet both layers learn |
#
# <details><summary>Hint</summary>
#
# A product of two factors is zero if one of them is. Which of the two layers may be zero, so that the
# zero one gets a gradient and moves? (For relu, PyTorch takes the slope 0 at 0.) And a bias adds
# something even if all weights are zero. Change weights with `torch.nn.init.zeros_(layer.weight)`, or
# inside `with torch.no_grad():`.
#
# </details>

# %% tags=["exercise"]
def start_as_nothing(first, second):
    """Return both convolutions: second(relu(first(x))) is 0 now, and can learn."""
    # BEGIN SOLUTION
    torch.nn.init.zeros_(second.weight)
    torch.nn.init.zeros_(second.bias)
    return first, second
    # END SOLUTION


exercises.check("13.3", start_as_nothing)

# %% [markdown] tags=["solution"]
# The last layer is zero, and `first` stays random. In the first step only `second` gets a gradient; in
# the second step it passes through `second`, and `first` learns, too. The other way round only the last
# bias would move: where `first` is zero, `second` sees only zeros, and relu has no slope there.

# %% [markdown]
# Is a safe start a gain? We train three networks a little longer: the trained host alone, with the module
# dropped in, and with it at zero.

# %%
judged = de.SyntheticRain(rain="light", patch_size=96, seed=77, split="validation")
judge = stacked([judged[n] for n in range(6)])
more = de.SyntheticRain(rain="light", patch_size=40, seed=11)  # training photos


def train_on(network, steps=40, every=10):
    """Train a network on fresh rain, and return its PSNR every few steps."""
    adam = torch.optim.Adam(network.parameters(), lr=2e-4)
    scores = [de.psnr(network(judge[0]), judge[1])]
    for step in range(steps):
        wet, dry = stacked([more[4 * step + n] for n in range(4)])
        with torch.enable_grad():
            adam.zero_grad()
            make_loss("neg_ssim+l1")(network(wet), dry).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        if (step + 1) % every == 0:
            scores.append(de.psnr(network(judge[0]), judge[1]))
    return scores

# %%
curves = {"host alone": train_on(transplant(host, "none"))}
for graft in ("dropped", "zero"):
    network = transplant(host, graft, donor.attention)
    curves[graft] = train_on(network)
rows = [[name, *(f"{score:.2f}" for score in scores)]
        for name, scores in curves.items()]
print(text_table(["PSNR in dB after step", *map(str, range(0, 41, 10))], rows))
assert curves["zero"][0] == curves["host alone"][0] > curves["dropped"][0] + 0.5
assert abs(curves["zero"][-1] - curves["host alone"][-1]) < 0.3

# %% [markdown]
# *Dropped* first repairs what the graft broke; after 40 steps the damage is gone. *Zero* has nothing to
# repair, and stays beside its host. A safe start is not a gain; it only does no harm.
#
# ## 5 · The recorded experiment
#
# Now the question of section 1, with controls: hosts that start fresh, 600 steps each, five seeds. One
# more way is **taught**: in SPANet's training a loss compares the map with the true mask, and so it does
# here. (That loss is a part of the module, although a drawing of the module does not show it.)
#
# **Predict:** with the mask as a teacher, the map of *zero* gets an AUC of .81 to .89. How many dB does
# its picture gain, against the host alone?

# %%
my_taught = None  # write a number; minus means worse

# %%
rows = load_results("transplant")
for row in rows:
    row["gain"] = row["psnr_validation"] - row["psnr_input"]  # dB over the input
WAYS = ("blocks", "dropped", "matched", "zero", "dropped and taught",
        "zero and taught")
gains, effects, lines = {"baseline": {}, "PRN": {}}, {}, []
for name, by_way in gains.items():
    for way in WAYS:
        values = differences(rows, f"{name}, {way}", f"{name}, none", "gain")
        if not values:  # PRN has no taught runs
            continue
        by_way[way] = values
        mean, half = effects[name, way] = interval(values)
        runs = [row for row in rows if row["variant"] == f"{name}, {way}"]
        aucs = [r["auc_validation"] for r in runs if r["auc_validation"]]
        lines.append([f"{name}, {way}", f"{runs[0]['parameters']:,}",
                      f"{mean:+.2f} ± {half:.2f}",
                      " ".join(f"{value:.2f}" for value in aucs)])
print(text_table(["network", "parameters", "against the host, dB", "AUC"], lines))
compare_guess(my_gain, effects["baseline", "dropped"][0], "dB", decimals=2)
taught = effects["baseline", "zero and taught"]
compare_guess(my_taught, taught[0], "dB", decimals=2)
assert not any(mean > half for mean, half in effects.values()), "no gain is shown"

# %%
figure = views.draw_against_host(gains)
plots.show(figure, "What each way gains over the host alone, for the baseline and "
           "for PRN: a dot per seed, and the mean with its interval. Nearly all "
           "intervals hold zero.")

# %% [markdown]
# (All differences are in pairs: with and without the module from the same seed, on the same samples.)
#
# **No gain is shown**, in none of the ten comparisons; and one loss, PRN *matched*, of which we can't be
# sure: ten intervals are many, and of twenty one is wrong by chance. In PRN, *dropped* loses .8 or .9 dB
# with two seeds and nothing with the other three: look at the dots, not only at the mean.
#
# Look at the maps. *Dropped* and *zero* stay near a coin (.41 to .57). *Matched* finds the rain in four of
# five seeds, without a teacher (.70 to .77), and in one its order is wrong (.31). With the teacher all maps
# find the rain. And for none of them a better picture is shown.
#
# The parameter control matters, too. Against *blocks*, which has as many parameters:

# %%
mean, half = effects["baseline", "dropped"]
pairs = differences(rows, "baseline, dropped", "baseline, blocks", "gain")
against = interval(pairs)
say("Claim: SPANet's attention module improves the baseline. Done: it gates the "
    "later blocks; 600 steps, light synthetic rain, five seeds, the same samples. "
    f"Effect: {mean:+.2f} ± {half:.2f} dB against the host alone; "
    f"{against[0]:+.2f} ± {against[1]:.2f} dB against as many plain parameters; "
    f"at zero, with the mask as teacher, {taught[0]:+.2f} ± {taught[1]:.2f} dB. "
    f"Excluded, in this setting: a gain of more than {mean + half:.2f} dB when "
    "dropped in. Not excluded: an effect after longer training, in wider hosts, in "
    "other rain; in PRN with a teacher, which was not tried.")

# %% [markdown]
# This is a *negative result, written so that others can use it*: the claim, what was done, against what,
# the effect with its interval, what it excludes, and what it does not. It does not say that the module
# is bad, or that the paper is wrong: in its own network it finds the rain.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. A constant gate at the module's own mean costs nearly as much as the module. With the true mask
# as the map the same host gains. Is the gate the fault, or the map?**
#
# <details><summary>Answer</summary>
#
# Both; either alone is enough. The constant gate costs 3.8 dB: it weakens the blocks. The module's map
# with a gate of full strength still costs 3.3 dB: the map is wrong. With the true mask even the weak
# gate gains 1.1 dB.
#
# </details>
#
# **2. You give each channel of the host the mean and the spread that the module knows. The AUC goes
# from .46 to .61. A 1×1 convolution, fitted by least squares, makes it .90. What does the second one do
# that the first one can't?**
#
# <details><summary>Answer</summary>
#
# It mixes channels. Channel 5 means one thing in SPANet and another one in the host; no factor per
# channel can turn one into the other. A sum of 32 channels with the right weights can.
#
# </details>
#
# **3. For double safety a colleague sets γ = 0 *and* the last layer of the module to zero, so that
# A is ½ everywhere. The gate is 1 + γ·(2A − 1). What will the training do with the module?**
#
# <details><summary>Answer</summary>
#
# Nothing, ever. The gradient of γ has the factor 2A − 1, which is 0; the gradient of the module has
# the factor γ, which is 0, too. Each of them waits for the other.
#
# </details>
#
# **4. "Dropped in, the module changes the baseline by −0.05 ± 0.08 dB: attention does not work." What is
# wrong with this sentence?**
#
# <details><summary>Answer</summary>
#
# The interval holds zero, so not even "it harms" is shown. The numbers exclude a gain of more than
# 0.03 dB *here*: in this host, after 600 steps, in light rain. They say nothing about other settings.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - graft a module into another network, with a control of as many parameters;
# - swap the map, to tell a bad gate from a bad map;
# - tell a wrong scale from a wrong meaning: repair the one, translate the other;
# - start a graft as nothing, prove that it is nothing, and see that it can learn;
# - compare in pairs of seeds, and write up that nothing was gained.
#
# **Next:** **14 · Real rain**. Does any of this work on real rain, and how would you know?
