# %% [markdown]
# # 07 · IRNN
#
# **How does one pixel see the whole picture in two rounds of four sweeps?**
#
# | | |
# |---|---|
# | **Goals** | say what the weight α does with a memory, and why α = 1 is a special start; write a sweep over a picture; show by gradients what a pixel sees after one round and after two; tell seeing from hearing |
# | **Before you start** | lesson 05 |
# | **Time** | 58 minutes, 30 of them for the exercises; the cells take 20 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Le, Jaitly & Hinton, 2015 (IRNN, arXiv 1504.00941); Bell et al., CVPR 2016 (sweeps over pictures, arXiv 1512.04143); Wang et al., CVPR 2019 (SPANet, arXiv 1904.01538) |

# %% tags=["bootstrap"]
import derain_edu as de

# %% [markdown]
# Is this bright line rain, or the edge of a roof? A pixel's neighbours often can't say, but the rest of
# the picture may. A 3×3 convolution carries information one pixel further, so across 512 pixels you
# need 511 layers. SPANet, the network of lesson 09, does something else: it *sweeps* over the picture,
# in two rounds of four sweeps.

# %%
print(f"derain_edu {de.__version__}")

import torch

from derain_edu.course import exercises
from derain_edu.course.views import diagrams, plots, sweeps
from derain_edu.experiments import spanet_alpha
from derain_edu.experiments.influence import share_beyond
from derain_edu.experiments.results import load_results
from derain_edu.models.irnn import irnn, irnn_stack
from derain_edu.text import compare_guess, table as text_table

de.choose_device("cpu", verbose=True)  # small pictures: a GPU would mostly wait
de.set_seed(0)

diagrams.four_sweeps()

# %% [markdown]
# This is the whole lesson in one drawing. We begin with a single row of numbers.
#
# ## 1 · A network that reads a row
#
# A *recurrent* network reads a row pixel by pixel, and carries a memory h with it:
#
# $$h_1 = \mathrm{relu}(x_1), \qquad h_t = \mathrm{relu}(\alpha\,h_{t-1} + \beta + x_t)$$
#
# The first pixel has nothing before it, so it needs no α and no β.


# %%
def read_row(x, alpha, beta=0.0):
    """Read the last axis of x (..., L) from left to right; return h (..., L)."""
    h = [torch.relu(x[..., 0])]
    for t in range(1, x.shape[-1]):
        h.append(torch.relu(alpha * h[-1] + beta + x[..., t]))
    return torch.stack(h, dim=-1)


row = torch.tensor([0.0, 2, 0, 0, 0, 0])
for alpha in (1.0, 0.5, 0.0, -0.5):
    h = read_row(row, alpha)
    print(f"α = {alpha:4}: h =", " ".join(f"{v:5.3f}" for v in h.tolist()))

# %% [markdown]
# α says how much of the memory stays from one pixel to the next: 1 keeps all, .5 a half, 0 nothing.
# After d steps $\alpha^d$ is left. With a negative α the memory would turn below zero, and the ReLU
# cuts it off: here the bright pixel leaves no trace.

# %% [markdown] tags=["exercise"]
# ### Exercise 07.1 · How far does a memory reach?
#
# | | |
# |---|---|
# | **Difficulty** | ●○○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 5 minutes |
# | **Task** | write `reach(alpha, smallest)`: the largest whole distance d at which $\alpha^d$ is still at least `smallest`. α is from 0 to below 1, `smallest` above 0 and at most 1 |
#
# <details><summary>Hint</summary>
#
# Go one pixel further as long as the *next* power is large enough. A pixel always reaches itself:
# $\alpha^0 = 1$, and Python agrees even for `0 ** 0`. (If the cell never ends, stop it with ■: your
# loop's number does not get smaller.)
#
# </details>

# %% tags=["exercise"]
def reach(alpha, smallest):
    """Return the largest whole d with alpha ** d >= smallest."""
    # BEGIN SOLUTION
    d = 0
    while alpha ** (d + 1) >= smallest:
        d += 1
    return d
    # END SOLUTION


if exercises.check("07.1", reach):
    for alpha in (0.2, 0.5, 0.9, 0.99):
        far = int(reach(alpha, 1e-6))
        print(f"α = {alpha:4}: at least a millionth is left as far as {far:5,} px")

# %% [markdown] tags=["solution"]
# A photo is some 500 pixels wide: α = .9 does not reach across, .99 does. Each further 9 gives about
# ten times the reach, and α = 1 has no end.

# %% [markdown]
# ## 2 · The identity start
#
# Le, Jaitly and Hinton start the weight of the memory at the *identity*, α = 1 and β = 0, with a ReLU.
# They call this an IRNN. The code of SPANet starts at α = .2. To compare them we ask autograd: how
# strongly does the last h depend on the pixel d steps before it? We take two more starts beside them,
# 1.1 and a random α for each row. All inputs are positive here.

# %%
rows = torch.rand(500, 65, dtype=torch.float64)  # 500 rows of 65 positive numbers
starts = {
    "α = 1": 1.0,
    "α = 1.1": 1.1,
    "α random": 2 * torch.rand(500, dtype=torch.float64) - 1,  # one per row
    "α = .2": 0.2,
}


def arriving(x, alpha):
    """Return the derivatives of the last h by the pixel d = 0, 1 … steps before."""
    x = x.clone().requires_grad_()
    last = read_row(x, alpha)[..., -1]  # (rows,): no row depends on another one
    return torch.autograd.grad(last.sum(), x)[0].flip(-1)  # (rows, L)


fades = {}
for name, alpha in starts.items():
    fades[name] = arriving(rows, alpha).abs().mean(dim=0)  # (L,), by distance
    some = [f"d = {d}: {fades[name][d]:.2g}" for d in (1, 8, 16, 64)]
    print(f"{name:9}", "  ".join(some))
first_below = (fades["α = .2"] < 1e-6).int().argmax().item()
print(f"α = .2: less than a millionth arrives from d = {first_below} on")

# %%
plots.show(
    sweeps.draw_fades(fades),
    "The derivative over the distance on a logarithmic scale. α = 1: level at 1. "
    "α = 1.1 rises. Random α fall slowly. α = .2 falls steeply off the scale.",
)
assert (fades["α = 1"] == 1).all(), "the identity keeps every derivative exactly"
assert fades["α = 1.1"][64] > 100 and first_below == 9

# %% [markdown]
# (The scale is logarithmic: equal steps up are equal *factors*, so $\alpha^d$ becomes a straight
# line.) It is a power again, as in lesson 05. With α = .2, less than a millionth arrives from 9 pixels
# away. With 1.1 the derivative explodes. Only with α = 1 it stays as it is. The random starts are a
# mixture: far away, the few rows with an α near 1 make up the mean.
#
# The same question for the layer of SPANet as it is initialised, recorded with three seeds (lowest to
# highest):

# %%
recorded = load_results("identity_start")
lines = []
for variant in dict.fromkeys(row["variant"] for row in recorded):
    line = [variant]
    for column in ("at_1", "at_8", "at_16"):
        values = [row[column] for row in recorded if row["variant"] == variant]
        line.append(f"{min(values):.2g} to {max(values):.2g}")
    lines.append(line)
print(text_table(["what arrives from", "1 px", "8 px", "16 px"], lines))

# %% [markdown]
# The first line is no discovery: with α = 1, β = 0 and positive inputs nothing else can come out.
# (The layer that starts at .2 also has a random β. Where it is negative, some h are cut to zero: hence
# less than .2 from 1 px.) Nothing was trained here. The table says what arrives at the *start*, and
# not which start gives the better network.
#
# ## 3 · The ReLU cuts
#
# Positive inputs were too easy: with a positive α, h never gets below zero, and the ReLU has nothing to
# cut. Real features have both signs.
#
# **Predict:** α = 1, and inputs that are positive or negative at random, with mean 0. In what percent of
# the rows does *any* derivative arrive from 64 pixels away?

# %%
my_guess = None  # write a number from 0 to 100

# %%
signed = torch.randn(500, 257, dtype=torch.float64)  # mean 0
shares = {}
print("a derivative arrives in … of the rows, by distance")
for name, x in {"mean 0": signed, "mean −.5": signed - 0.5}.items():
    arrives = arriving(x, 1.0)  # (500, 257)
    assert ((arrives == 0) | (arrives == 1)).all(), "all or nothing"
    shares[name] = 100 * (arrives != 0).double().mean(dim=0)  # percent, by distance
    some = [f"d = {d}: {shares[name][d]:.0f} %" for d in (1, 4, 16, 64)]
    print(f"{name:9}", "  ".join(some))
compare_guess(my_guess, shares["mean 0"][64].item(), "%", decimals=0)
assert shares["mean 0"][64] > 50 and shares["mean −.5"][16] < 5

# %% [markdown]
# Each derivative is exactly 1 or exactly 0, nothing between. It does not fade; it is *cut* where h falls
# to zero on the way, and everything before is forgotten at once. How often this happens depends on the
# inputs. With mean 0, h can grow large along a row of 257 pixels, and then it seldom falls back to
# zero. With inputs that are negative on average it falls to zero again and again.
#
# So "the identity start keeps gradients over long distances" holds **where h stays above zero**.

# %% [markdown]
# ## 4 · From a row to a picture
#
# A picture is a stack of rows, and also a set of columns. So it can be read in four directions: up,
# right, down, left. Each of these sweeps is named after the way it moves, and has its own α for each
# channel. We follow one bright pixel.

# %%
spot = torch.zeros(25, 25)
spot[10, 8] = 1
ones, zeros = torch.ones(4, 1), torch.zeros(4, 1)  # (direction, channel)
up, right, down, left = irnn(spot[None, None], ones, zeros)  # (1, 1, 25, 25) each
assert torch.equal(right[0, 0], read_row(spot, 1.0)), "each row as in section 1"

half_way = sweeps.draw_sweeps(spot, 1, 14)
at_the_end = sweeps.draw_sweeps(spot, 0.8, 25)
plots.show_png(half_way, "Four sweeps, α = 1, after 14 lines: right and down drag "
               "a line from the bright pixel to their front.")
plots.show_png(at_the_end, "Four sweeps, α = .8, at their end: four lines from the "
               "pixel to the border, each fades on its way.")
sweeps.sweep_sliders(spot)

# %% [markdown]
# The two pictures are two positions of the sliders: half way with α = 1, and at the end with α = .8.
# Orange is the front of a sweep; what it has not reached yet is grey. Move the position, then α.
#
# From the pixel go four rays. Mind the names: after the sweep to the *right*, a pixel knows what is to
# its *left*. Now write a sweep yourself, for all channels at once.

# %% [markdown] tags=["exercise"]
# ### Exercise 07.2 · The sweep up
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 12 minutes |
# | **Task** | write `sweep_up(x, alpha, beta)` for x (C, H, W), with one α and one β per channel, (C,) each. It starts at the bottom row, moves up, and returns (C, H, W), each h at the place of its pixel |
#
# <details><summary>Hint</summary>
#
# `read_row` takes one pixel per step; here a step takes a whole row of the picture, `x[:, t]` with the
# shape (C, W). `alpha[:, None]` is (C, 1): one number for all pixels of a channel. The bottom row has
# neither α nor β. At the end `torch.stack(list_of_rows, dim=1)`, and the bottom row has to be the last.
#
# </details>

# %% tags=["exercise"]
def sweep_up(x, alpha, beta):
    """Sweep x (C, H, W) from the bottom row up; alpha and beta are (C,)."""
    # BEGIN SOLUTION
    alpha, beta = alpha[:, None], beta[:, None]  # (C, 1)
    h = torch.relu(x[:, -1])  # (C, W), the bottom row
    swept = [h]
    for t in range(x.shape[1] - 2, -1, -1):
        h = torch.relu(alpha * h + beta + x[:, t])
        swept.append(h)
    return torch.stack(swept[::-1], dim=1)  # (C, H, W), the bottom row last
    # END SOLUTION


if exercises.check("07.2", sweep_up):
    mine = sweep_up(spot[None], torch.ones(1), torch.zeros(1))  # (1, 25, 25)
    print(f"your sweep lights {int(mine.sum())} pixels: rows 0 to 10 of column 8;",
          "like the package's:", torch.equal(mine, up[0]))

# %% [markdown] tags=["solution"]
# Only along the axis of the sweep one step waits for the step before. All columns and all channels of a row are computed
# at once, so a picture of H × W takes H steps, not H · W.

# %% [markdown]
# ## 5 · What does one pixel see?
#
# Now we turn the question round. Not "where does this pixel go?", but "**what does the middle pixel
# see?**" The gradient tells: the derivative of an output by an input is exactly zero if no path leads
# from the input to the output. One round is four sweeps, here simply added up (a network gives each
# one a weight).
#
# **Predict:** in a picture of 21 × 31, how many pixels does the middle one see after one round?

# %%
my_guess = None  # write a number

# %%
H, W = 21, 31
x = torch.rand(1, 1, H, W, dtype=torch.float64) + 0.1  # positive: no ReLU cuts


def one_round(x):
    four = irnn_stack(x, ones, zeros, "loop")  # (1, 4, 1, H, W)
    return four.sum(dim=1)  # (1, 1, H, W)


def influence(layer, x):
    """Return the derivatives of the middle output by all inputs: (H, W)."""
    x = x.clone().requires_grad_()
    middle = layer(x)[0, 0, H // 2, W // 2]
    return torch.autograd.grad(middle, x)[0][0, 0]


once = influence(one_round, x)
compare_guess(my_guess, (once > 0).sum().item(), "pixels", decimals=0)
cross = torch.zeros(H, W, dtype=torch.bool)
cross[H // 2], cross[:, W // 2] = True, True
assert torch.equal(once > 0, cross), "one round: its row and its column"

# %% [markdown]
# 21 + 31 − 1 = 51 of 651: its row and its column, a **cross**. Now a second round, on the output of the
# first. Then move the slider.

# %%
twice = influence(lambda x: one_round(one_round(x)), x)
print(f"two rounds: the middle pixel sees {(twice > 0).sum()} of {H * W} pixels; "
      f"its derivative by a corner is {twice[0, 0]:.0f}")
assert (twice > 0).all(), "two rounds are everything"
assert (twice[~cross] == 2).all(), "off the cross: two ways"

middle_only = torch.zeros(H, W)
middle_only[H // 2, W // 2] = 1  # no round: a pixel sees itself
maps = [middle_only, once, twice]
plots.show_png(sweeps.draw_round(maps, 1), "After one round it sees a cross.")
plots.show_png(sweeps.draw_round(maps, 2), "After two rounds it sees all 651, "
               "those on the cross on many more ways than the others.")
sweeps.round_slider(maps)

# %% [markdown]
# **Everything.** The first round carries the value of a corner along its row to the middle column, the
# second round along that column to the middle. Or first along its column, then along the middle row.
# With α = 1 nothing on a path changes the value, so the derivative *counts the ways*: two, for every
# pixel off the cross. And on the cross?

# %% [markdown] tags=["exercise"]
# ### Exercise 07.3 · Count the ways
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 13 minutes |
# | **Task** | write `ways(here, there, size)`: how many ways lead from the pixel `there` to the pixel `here` in two rounds? Pixels are (row, column), `size` is (height, width). No tensors, no gradients: count |
#
# <details><summary>Hint</summary>
#
# Every way has one stopover: the pixel where the value is between the two rounds. It can be any pixel of
# the picture, also `here` or `there`. So count the ways of one round first; then multiply the two
# parts of a way, and sum over all stopovers. In one round, one of the four sweeps leads from a pixel to
# another one in its row. And to itself? A pixel keeps its own value in all four sweeps.
#
# </details>

# %% tags=["exercise"]
def ways(here, there, size):
    """Return the number of ways between two pixels (row, column) in two rounds."""
    # BEGIN SOLUTION
    def in_one_round(a, b):
        if a == b:
            return 4  # each sweep holds the pixel itself
        same_line = a[0] == b[0] or a[1] == b[1]
        return 1 if same_line else 0

    total = 0
    for row in range(size[0]):
        for column in range(size[1]):
            stop = (row, column)
            total += in_one_round(here, stop) * in_one_round(stop, there)
    return total
    # END SOLUTION


if exercises.check("07.3", ways):
    middle = (H // 2, W // 2)
    places = {"corner": (0, 0), "middle row": (middle[0], 0), "itself": middle}
    for name, there in places.items():
        count = ways(middle, there, (H, W))
        print(f"{name:10} {count} ways, derivative {twice[there]:.0f}")

# %% [markdown] tags=["solution"]
# In the same row there are W + 6 ways: W − 2 stops between or beyond the two, and 4 + 4 at the two
# ends. The chain rule does the same sum, with derivatives in place of counts.

# %% [markdown]
# ## 6 · Seen is not heard
#
# "Not zero" can be very little. SPANet's attention module makes a map of the rain, with the two rounds
# and with 3×3 convolutions before, between and after them. We show rainy photos to fresh networks, take
# the derivatives of the middle pixel of the map by all input pixels, and add up their sizes: which
# share comes from **more than 8 pixels away**?
#
# **Predict** for the start of the released code, α = .2: how many percent?

# %%
my_guess = None  # write a number from 0 to 100

# %%
heard = {}  # name: a curve over the distances for each network and photo
for name, alpha in {"α = 1": 1.0, "α random": "random", "α = .2": 0.2}.items():
    heard[name] = []
    for seed in range(3):
        de.set_seed(seed)
        network = de.create_model("spanet", alpha_init=alpha)
        for photo in spanet_alpha.PHOTOS:
            derivatives = spanet_alpha.heard(network, photo)  # (65, 65), absolute
            assert (derivatives > 0).all(), "all 65 × 65 pixels are seen"
            shares_heard = share_beyond(derivatives, spanet_alpha.DISTANCES)
            heard[name].append([100 * share for share in shares_heard])
at_8 = spanet_alpha.DISTANCES.index(8)
beyond = {name: [curve[at_8] for curve in curves] for name, curves in heard.items()}
for name, values in beyond.items():
    print(f"{name:9} from beyond 8 px: {min(values):.2g} to {max(values):.2g} %")
compare_guess(my_guess, max(beyond["α = .2"]), "%", decimals=4)
assert min(beyond["α = 1"]) > 70 and max(beyond["α = .2"]) < 0.01

# %% [markdown]
# Every network sees all 65 × 65 pixels. But with α = .2, less than a ten-thousandth of what moves the
# map comes from beyond 8 pixels; with α = 1 it is about four fifths. (The middle pixel of three photos,
# three random starts each.)
#
# ## 7 · What training made of α
#
# SPANet has 256 α: two rounds, four directions, 32 channels. All started at .2. If they are there for
# seeing far, training should have moved them towards 1.
#
# **Predict:** what percent of the 256 are *negative* in the network that the authors released?

# %%
my_guess = None  # write a number from 0 to 100

# %%
learned = spanet_alpha.learned_factors()
alpha = learned.summary["alpha"]
print(f"the released SPANet: {learned.source}")
compare_guess(my_guess, 100 * alpha["negative"] / alpha["number"], "%")
plots.show(sweeps.draw_alphas(learned.counts), "Histogram of the 256 learned α: "
           "from −.47 to 1, with its peak just above 0.")
quartiles = alpha["quantiles"]
print(f"negative: {alpha['negative']}, below .1: {alpha['below 0.1']}, above .9: "
      f"{alpha['above 0.9']} of {alpha['number']}; the middle half lies between "
      f"{quartiles['25']:.2f} and {quartiles['75']:.2f}")
assert alpha["negative"] > 50 and alpha["above 0.9"] < 20

# %% [markdown]
# They moved both ways. Nearly a third became negative, half are below .1, and only five are above .9.
#
# <details><summary>Background: what does a negative α do?</summary>
#
# On a flat grey wall of .6, α = −.5 brings h to rest at .4, because .6 − .5 · .4 = .4. Now comes a
# streak of .9: its first pixel gets .9 − .5 · .4 = .7. Relative to the wall that is 1.75, against 1.5
# in x itself, because the memory that is subtracted is still the small one of the wall. The first
# pixel behind the streak comes out darker than the wall. So a negative α stresses *edges*.
#
# </details>
#
# So how much does the trained network hear from far away? And what if we cut its largest α down to .9 or
# to .5, and change nothing else?

# %%
curves = {"released": learned.summary["beyond"]}
for top, shares_heard in learned.summary["capped"].items():
    curves[f"released, α at most {top}"] = shares_heard
trained = {name: [100 * curve[str(d)] for d in spanet_alpha.DISTANCES]
           for name, curve in curves.items()}
fresh = {f"fresh, {name}": torch.tensor(curves).mean(dim=0).tolist()
         for name, curves in heard.items()}
plots.show(
    sweeps.draw_heard(fresh | trained, spanet_alpha.DISTANCES),
    "Share of the influence from beyond d pixels, logarithmic. Fresh with α = 1 and"
    " random α stay high, the released network a little lower, with α at most .9 "
    "lower still; with α at most .5 and fresh with α = .2 it falls steeply.",
)
for name, values in trained.items():
    print(f"{name:23} from beyond 8 px: {values[at_8]:.2g} %")
assert 30 < trained["released"][at_8] < 50
assert trained["released, α at most 0.9"][at_8] < trained["released"][at_8] / 2

# %% [markdown]
# From almost nothing at the start to about two fifths: this network learned to hear far, although it
# started at .2. Would another start have been faster, or better? These numbers do not say.
#
# "α at most .9" changes five numbers of 256, and more than half of what came from beyond 8 pixels is
# gone. So these five matter a lot. Whether five *others* matter as much, we have not measured.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. After the sweep to the left, with α = 1, what does a pixel know?**
#
# <details><summary>Answer</summary>
#
# What is to its *right*. A sweep is named after the way it moves: it came from the right border, and
# carried with it what it met.
#
# </details>
#
# **2. You give the layer 100 channels instead of one, but keep a single round of sweeps. Does a pixel
# now see the whole picture?**
#
# <details><summary>Answer</summary>
#
# No. All channels sweep along the same rows and columns, so it stays the cross: 51 of 651 pixels in
# section 5. Only a second round, from a line to all lines that cross it, reaches the rest.
#
# </details>
#
# **3. A fresh SPANet with α = .2 sees all pixels. Why does far rain hardly move its map?**
#
# <details><summary>Answer</summary>
#
# Seeing means: the derivative is not exactly zero. But each step multiplies it by .2, and from 9
# pixels less than a millionth arrives along a row. In section 6 less than .01 % of what moves the map
# comes from beyond 8 pixels.
#
# </details>
#
# **4. α = 1, and still hardly any derivative arrives from 16 pixels away if the inputs have mean −.5.
# How can that be?**
#
# <details><summary>Answer</summary>
#
# The identity neither fades nor grows, but the ReLU cuts. Where h falls to zero on the way, its slope
# is 0, and everything before is forgotten at once. With inputs below zero on average that happens
# again and again: a derivative gets through in about 1 % of the rows of section 3.
#
# </details>

# %% [markdown]
# ## You can now …
#
# First, two claims of this course, with what you measured. Both hold as long as no ReLU cuts the way:

# %%
print("claim 6, two rounds let every pixel see the whole picture, one does not:")
print(f"    one round sees {(once > 0).sum()} of {H * W} pixels, "
      f"two see {(twice > 0).sum()}.")
print("    Seen is not heard: from beyond 8 px come at most "
      f"{max(beyond['α = .2']):.4f} % with α = .2.")
print("claim 7, the identity start keeps gradients over long distances:")
at_64 = {name: values[64] for name, values in fades.items()}
print(f"    after 64 px {at_64['α = 1']:.0f}, "
      f"against {at_64['α = .2']:.0e} with α = .2.")
print("    It holds while h > 0:")
print(f"    with inputs of mean −.5 a gradient from 16 px away arrives in "
      f"{shares['mean −.5'][16]:.0f} % of the rows.")

# %% [markdown]
# And you can
#
# - say what α does with a memory: keep it, let it fade, let it explode, or turn its sign;
# - write a sweep over a picture;
# - show by gradients what a pixel sees: a cross after one round, everything after two;
# - tell seeing from hearing, and measure how much a pixel hears.
#
# **Next: 08 · Fast sweeps.** A sweep is a loop, and Python loops are slow. How does it become fast? (If
# you are in a hurry, go on with lesson 09: SPANet's attention map.)
