# %% [markdown]
# # 01 · Paired data
#
# **What is rain to a network?**
#
# | | |
# |---|---|
# | **Goals** | make a pair of pictures, rainy and clean; say what is lost where rain meets white; find a pair that does not fit before you train on it; draw batches that you can draw again |
# | **Before you start** | lesson 00 |
# | **Time** | 55 minutes, 30 of them for the exercises; the cells take 20 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Yang et al., CVPR 2017 (layers, veil, Rain100; arXiv 1609.07769); Ren et al., CVPR 2019 (PReNet, arXiv 1901.09221) |

# %% tags=["bootstrap"]
import derain_edu as de

# %%
print(f"derain_edu {de.__version__}")

import copy
import math

import numpy as np
import torch

from derain_edu.course import exercises
from derain_edu.course.views import diagrams, plots
from derain_edu.course.views.rain import rain_sliders
from derain_edu.rain.streaks import render_streaks
from derain_edu.rain.synthesis import blend
from derain_edu.text import compare_guess, table as text_table

clean = de.load_photo("china", long_side=320)  # (3, H, W), RGB in [0, 1]
height, width = clean.shape[-2:]
print(f"{tuple(clean.shape)}: {height} rows, {width} columns")

# %% [markdown]
# ## 1 · One streak by hand
#
# A raindrop is a small, bright spot. It falls while the shutter is open, so the camera adds up the
# spot at all the places where it was. That sum is a **streak**. We do the same: one soft spot,
# moved along a slanted line in small steps.

# %%
ys, xs = torch.arange(height), torch.arange(width)


def drop(x, y):
    """Return a soft spot of light at (x, y), as a picture (1, H, W)."""
    column = torch.exp(-((ys - y) ** 2) / 2)[:, None]  # (H, 1)
    row = torch.exp(-((xs - x) ** 2) / 2)  # (W,)
    return (column * row)[None]  # (1, H, W)


angle = math.radians(15)  # from the vertical
sweep = torch.zeros(1, height, width)
for s in torch.linspace(-20, 20, 161).tolist():  # 40 pixels long
    sweep += drop(70 + s * math.sin(angle), 105 + s * math.cos(angle))
R = 0.5 * sweep / sweep.max()  # (1, H, W), the rain layer: half as bright as white
rainy = clean + R  # (3, H, W)
assert rainy.max() <= 1  # this streak does not reach white

# %%
part = (slice(None), slice(75, 135), slice(40, 100))  # 60 × 60 around the streak
figure = plots.picture_row(
    {
        "rain layer R": R[part].expand(3, -1, -1),  # (1, h, w) -> (3, h, w)
        "background B": clean[part],
        "rainy O = B + R": rainy[part],
    }
)
plots.show(figure, "The bright slanted line that one soft spot sweeps, a piece of "
                   "the temple, and the same piece with the bright line over it.")

# %% [markdown]
# That is all that rain is in this course: a layer $R$ of light that is added to the background $B$.
# The camera sees $O = B + R$.
#
# Now read the equation backwards. You see only $O$. Can you find $R$? In each pixel there is **one
# equation with two unknowns**. Here are two answers, and both add up:

# %%
answers = {"what we did": (clean, R), "also possible": (rainy, torch.zeros_like(R))}
for name, (background, rain) in answers.items():
    print(f"{name}: B + R = O is {torch.equal(background + rain, rainy)}")
    assert torch.equal(background + rain, rainy)

# %% [markdown]
# The equation allows both. Nothing in it says that thin, bright, slanted things are rain. A network
# has to learn that from examples, and an example is a **pair**: the rainy picture $O$ together with
# the clean picture $B$. The upper row of the drawing makes a pair. The lower row is the way back,
# which a network learns:

# %%
diagrams.pair_making()

# %% [markdown]
# ## 2 · Thousands of streaks
#
# `de.add_rain` draws many streaks and returns all that it drew. We open one result, and put it
# together again from its parts. Each seed is one rain: the same call gives the same picture.

# %%
result = de.add_rain(clean, "light", seed=1)
drawn = result.params.streaks  # the numbers of every streak, not a picture yet
print(f"{len(drawn)} streaks; the first three:")
for k in range(3):
    print(f"  centre ({drawn.x[k]:.0f}, {drawn.y[k]:.0f}), "
          f"{drawn.length[k]:.0f} px long, {drawn.width[k]:.1f} px wide, "
          f"{drawn.angle[k]:+.0f}°, brightness {drawn.brightness[k]:.2f}")
layer = render_streaks(drawn, height, width)  # numbers -> R, (1, H, W)
again = blend(clean, layer, "additive")  # O = B + R, cut off at white -> (3, H, W)
assert torch.equal(again, result.rainy)
assert torch.equal(de.add_rain(clean, "light", seed=1).rainy, result.rainy)
assert torch.equal(de.add_rain(clean, "light", amount=0).rainy, clean)  # no rain

# %% [markdown]
# A picture can't be brighter than white. Where $B + R$ is more than 1, the camera cuts it off, and
# so does `blend`. Then the two pictures no longer show all the rain that fell.

# %% [markdown] tags=["exercise"]
# ### Exercise 01.1 · Rain before a white sky
#
# | | |
# |---|---|
# | **Difficulty** | ●○○○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 5 minutes |
# | **Task** | write `rain_on(clean, streaks)`: the pair `rainy, layer`. `rainy` is O = B + R, cut off at white. `layer` is the rain that the pair shows, O − B. The streaks may be (1, H, W) and the picture (3, H, W) |
#
# <details><summary>Hint</summary>
#
# `torch.clamp(x, 0, 1)`, or `x.clamp(0, 1)`, gives a new tensor with all values in [0, 1]. It does
# not change `x`.
#
# </details>

# %% tags=["exercise"]
def rain_on(clean, streaks):
    """Return the rainy picture and the layer O − B, both shaped like ``clean``."""
    # BEGIN SOLUTION
    rainy = (clean + streaks).clamp(0, 1)
    return rainy, rainy - clean
    # END SOLUTION


if exercises.check("01.1", rain_on):
    _, visible = rain_on(clean, result.streaks)
    lost = 1 - visible.sum() / result.streaks.sum()
    print(f"{lost:.0%} of this rain's light is lost in white")

# %% [markdown] tags=["solution"]
# The layer never needs R: `rainy - clean` is all that a pair tells. It rains in front of the white
# sky, too, but the pair cannot show it.

# %%
clipped = (clean + result.streaks) > 1  # (3, H, W)
difference = result.rainy - clean  # O − B
wrong = (difference - result.streaks).abs() > 1e-6  # (3, H, W): it is not R
print(f"values where B + R is more than white: {clipped.float().mean():.1%}")
print(f"values where O − B differs from R:     {wrong.float().mean():.1%}")
assert not (wrong & ~clipped).any()
assert torch.equal(result.rainy[result.streaks == 0], clean[result.streaks == 0])

# %% [markdown]
# $O - B$ differs from $R$ only where the sum passed white. And where no rain falls, not one bit of the
# background changed: the difference of a pair is rain, and nothing else.
#
# ### Move it
#
# Above the picture stands its **PSNR** in decibels (dB), as in lesson 00: the larger, the closer is
# it to the clean one. (Lesson 02 takes this number apart.) The slider *veil* adds far rain, a fog
# over the whole scene. *Screen* is another blending, $O = 1 - (1 - B)(1 - R)$: nothing is cut off.
#
# Take three minutes. Which slider lowers the PSNR fastest? Which rain do you hardly see, although
# the PSNR is low?

# %%
rain_sliders(clean, "light")

# %% [markdown]
# What we found, each time with one change to the same light rain:

# %%
changes = {
    "nothing": {},
    "twice the streaks": {"amount": 2},
    "streaks of 70 px": {"length": 70},
    "streaks of 4 px width": {"width": 4},
    "an angle of 45°": {"angle": 45},
    "a veil of 0.3": {"veil": 0.3},
}
rows, scores = [], {}
for name, change in changes.items():
    one = de.add_rain(clean, "light", seed=1, **change)
    scores[name] = de.psnr(one.rainy, clean)
    rows.append([name, f"{one.mask.float().mean():.0%}", f"{scores[name]:.1f}"])
print(text_table(["change", "pixels with rain", "PSNR, dB"], rows))
assert min(scores, key=scores.get) == "a veil of 0.3"
light = scores["nothing"]
assert abs(scores["an angle of 45°"] - light) < 1

# %% [markdown]
# The veil costs most, although it adds no streak: the same pixels have rain as before. It changes
# every pixel a little. The angle changes the score by less than 1 dB.
#
# ## 3 · A pair must fit to the pixel
#
# A network learns from the difference between the two pictures of a pair. Suppose that somebody cut
# one of the two a little differently: it is moved by **one pixel**, and there is no rain at all.
#
# **Predict.** The light rain above has 27.5 dB. What PSNR does the clean photo have against itself,
# one pixel to the side?

# %%
my_guess = None  # write a number, in dB

# %%
moved, still = clean[..., 1:], clean[..., :-1]  # (3, H, W) -> (3, H, W − 1)
one_pixel = de.psnr(moved, still)
compare_guess(my_guess, one_pixel, "dB")
print(f"light rain, well aligned: {light:.1f} dB")
assert one_pixel < light - 2
figure = plots.picture_row(
    {
        "|O − B| ×2: rain, aligned": difference[..., 1:].abs() * 2,
        "no rain, 1 px to the side": (moved - still).abs() * 2,
        "rain, 1 px to the side": (result.rainy[..., 1:] - still).abs() * 2,
    }
)
plots.show(figure, "Three differences, twice as bright as they are: clean streaks; "
                   "the edges of a roof; and streaks and edges together.")

# %% [markdown]
# One pixel costs more than the rain. The middle picture is what such a pair teaches: every edge is
# "rain". (In the sky the streaks are brown: blue is nearest to white there, and is cut off first.)
#
# How bad is that for training? Suppose that the pairs of a data set are off by −1, 0 or +1 pixel,
# at random. For one rainy picture there are then three possible targets, and the network can't know
# which of them will come. What is its best answer? Take one pixel with the targets 0, 3 and 6, and
# the *mean squared error*, the usual way to measure a miss.
#
# **Predict.** Which answer has the smallest mean squared error? And if the targets are 0, 0 and 6?

# %%
my_answer = None  # for the targets 0, 0 and 6: write a number

# %%
def mean_squared_error(answer, targets):
    return sum((answer - target) ** 2 for target in targets) / len(targets)


for targets in ((0, 3, 6), (0, 0, 6)):
    errors = {answer: mean_squared_error(answer, targets) for answer in range(7)}
    words = [f"{answer} → {error:.0f}" for answer, error in errors.items()]
    print(f"targets {targets}, answer → error: " + ",  ".join(words))
best = min(errors, key=errors.get)
compare_guess(my_answer, best, decimals=0)
assert best == 2

# %% [markdown]
# The best answer is the **mean** of the targets: 3 for the first three, 2 for the others, although
# 2 is never right. (With the answer $a$ and the mean $m$, the error is $(a - m)^2$ plus a part that
# does not depend on $a$.) For pictures it is the same in every pixel:

# %%
shifts = [clean[..., k : width - 2 + k] for k in range(3)]  # three (3, H, W − 2)
blur, truth = sum(shifts) / 3, shifts[1]  # the mean of the three; the aligned one
blur_error = mean_squared_error(blur, shifts).mean()
truth_error = mean_squared_error(truth, shifts).mean()
print(f"training error: blur {blur_error:.5f}, sharp truth {truth_error:.5f}")
ceiling = de.psnr(blur, truth)
print(f"the blur against the sharp truth: {ceiling:.1f} dB, without any rain")
assert blur_error < truth_error and ceiling < 35

# %% [markdown]
# The training error prefers the blur to the truth. Even a perfect network would stop there, if it
# is trained on this error. So look at your pairs **before** you train.

# %% [markdown] tags=["exercise"]
# ### Exercise 01.2 · Find the shift
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | write `find_shift(rainy, clean, reach)`. Move `clean` by every (rows, columns) from −reach to +reach, and return the move, two whole numbers, with the smallest mean squared error to `rainy` |
#
# `clean.roll((rows, columns), dims=(1, 2))` moves a picture down and to the right. What leaves it on
# one side comes in again on the other, so leave out `reach` pixels on all four sides when you take
# the error. (`reach` is at least 1.)
#
# <details><summary>Hint</summary>
#
# Two loops over `range(-reach, reach + 1)`, and a variable for the best error so far.
# `x[:, reach:-reach, reach:-reach]` is a picture (3, H, W) without its border.
#
# </details>

# %% tags=["exercise"]
def find_shift(rainy, clean, reach):
    """Return (rows, columns): the move of ``clean`` that fits ``rainy`` best."""
    # BEGIN SOLUTION
    best, smallest = (0, 0), float("inf")
    for rows in range(-reach, reach + 1):
        for columns in range(-reach, reach + 1):
            difference = rainy - clean.roll((rows, columns), dims=(1, 2))
            error = difference[:, reach:-reach, reach:-reach].square().mean()
            if error < smallest:
                best, smallest = (rows, columns), error
    return best
    # END SOLUTION


if exercises.check("01.2", find_shift):
    o, b = result.rainy, clean
    some = {"a good pair": (o, b), "the clean side lacks its left column":
            (o[..., :-1], b[..., 1:]), "the rainy side lacks its top row":
            (o[:, 1:], b[:, :-1])}
    for name, pair in some.items():
        print(f"{name}: {find_shift(*pair, reach=2)}")

# %% [markdown] tags=["solution"]
# The rain is in the error, too, but it is the same for every move. What changes is how well the
# edges fit. In a patch of plain sky every move fits, and nobody can tell.

# %% [markdown]
# ## 4 · Batches that you can draw again
#
# A network sees small patches, several at once: a **batch**. Drawing them takes time, so several
# **workers** (copies of the program) do it side by side. Suppose that a data set keeps one random
# generator, seeded with 0. Four workers start as four copies of it, and each draws two patches.
#
# **Predict.** Of these 8 patches, how many are different?

# %%
my_number = None  # write a number from 1 to 8

# %%
class OneGenerator:
    """A data set as one would write it first: each call draws the next number."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __getitem__(self, k):
        return self.rng.random()  # stands for the random patch; k is not used


data = OneGenerator(seed=0)
workers = [copy.deepcopy(data) for _ in range(4)]  # each worker gets a copy
patches = []
for number, worker in enumerate(workers):
    patches += [worker[2 * number], worker[2 * number + 1]]
compare_guess(my_number, len(set(patches)), "different patches", decimals=0)
assert len(set(patches)) == 2

# %% [markdown]
# All four workers draw the same two. There is no error and no warning, and three quarters of the
# work is wasted. Here is the cure: **sample k depends on the seed and on k, and on nothing else.**
# Then it does not matter who draws it, when, or in which order. And a pair has to stay a pair.

# %% [markdown] tags=["exercise"]
# ### Exercise 01.3 · Sample number k
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 15 minutes |
# | **Task** | write `sample_pair(rainy, clean, size, seed, k)`: the pair `rainy_patch, clean_patch`, each (3, size, size), cut at a random place (every possible place can come) and mirrored from left to right in half of the cases |
#
# - Draw the place and the mirroring once, and use them for both pictures.
# - They are new for each k, and depend on `seed` and `k` alone.
# - Two seeds are two streams: seed 1 must not draw what seed 0 draws one sample later.
# - Leave the random numbers of the rest of the program alone.
#
# <details><summary>Hint</summary>
#
# `rng = np.random.default_rng((seed, k))` is a generator of your own that starts at a place which
# only the two numbers decide. `rng.integers(n)` draws from 0 to n − 1: how many rows can be the
# first one of a patch? `rng.random() < 0.5` tosses a coin, and `x.flip(-1)` mirrors a picture.
#
# </details>

# %% tags=["exercise"]
def sample_pair(rainy, clean, size, seed, k):
    """Return a random patch of each picture: sample k of this seed."""
    # BEGIN SOLUTION
    rng = np.random.default_rng((seed, k))
    top = rng.integers(rainy.shape[-2] - size + 1)
    left = rng.integers(rainy.shape[-1] - size + 1)
    mirrored = rng.random() < 0.5
    patches = []
    for picture in (rainy, clean):  # what was drawn once holds for both
        patch = picture[:, top : top + size, left : left + size]
        patches.append(patch.flip(-1) if mirrored else patch)
    return tuple(patches)
    # END SOLUTION


if exercises.check("01.3", sample_pair):
    shown = {}
    for k in range(3):
        pair = sample_pair(result.rainy, clean, size=96, seed=0, k=k)
        shown[f"k = {k}, rainy"], shown[f"k = {k}, clean"] = pair
    figure = plots.picture_row(shown, width=12)
    plots.show(figure, "Three patches with rain, and without.")

# %% [markdown] tags=["solution"]
# The order matters: draw first, then cut both. And the generator is made new in each call, so
# nothing can have used it before.

# %% [markdown]
# `de.SyntheticRain` does the same. It has no end: it takes a patch of a photo, mirrors it or not,
# and lets a new rain fall on it, all drawn from the seed and k.

# %%
photos = [de.load_photo(name, 480) for name in de.photo_names("train")]
data = de.SyntheticRain(photos, "light", patch_size=64, seed=0)
batch = [data[k] for k in range(8)]  # eight pairs, each picture (3, 64, 64)
figure, axes = plots.new_figure(2, 8, width=12, height=3.3)
for k, pair in enumerate(batch):
    score = de.psnr(pair["rainy"], pair["clean"])
    plots.draw_picture(axes[0, k], pair["rainy"], f"{score:.1f} dB")
    plots.draw_picture(axes[1, k], pair["clean"])
    assert (pair["rainy"] >= pair["clean"]).all()  # cut together: rain only adds
plots.show(figure, "Eight small patches of photos with light rain, and without.")

# %%
workers = [copy.deepcopy(data) for _ in range(4)]
shared = {}
for k in (7, 2, 5, 0, 3, 6, 1, 4):  # any order, any worker
    shared[k] = workers[k % 4][k]["rainy"]
different = len({patch.numpy().tobytes() for patch in shared.values()})
equal = sum(torch.equal(shared[k], batch[k]["rainy"]) for k in range(8))
print(f"4 workers: {different} different patches, {equal} as in the batch above")
assert different == equal == 8

# %% [markdown]
# Four workers, any order, and the same eight patches to the last bit. A training run that was
# interrupted at step 500 goes on with sample 500 × 8, and sees what it would have seen.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. Your camera moved a little between the two pictures of each pair. The training error falls as
# it should, and the derained pictures are soft. Does a larger network help?**
#
# <details><summary>Answer</summary>
#
# No. If the network can't know the shift, the best answer is the mean of all shifted pictures: a
# blur. In section 3 the blur had a *smaller* training error than the sharp truth. Align the pairs,
# or leave them out.
#
# </details>
#
# **2. Where can a pair of pictures *not* tell how bright the rain was, even if it fits to the
# pixel?**
#
# <details><summary>Answer</summary>
#
# Where $B + R$ is more than 1. There $O$ is white, and $O - B$ says only how much light was missing
# to white. Section 2 counts these values in a photo with a bright sky; in the dark there are none.
#
# </details>
#
# **3. A colleague trains with eight workers and says: "The error falls, so my batches are fine."
# Which check would you ask for?**
#
# <details><summary>Answer</summary>
#
# Count the *different* patches of the first batches. In section 4, four workers with copies of one
# generator drew 2 different patches out of 8, without a warning. When sample k depended on the seed
# and on k alone, it was 8 of 8.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - **make a pair:** a swept drop is a streak, a sum of streaks is $R$, and $O = B + R$ until it
#   reaches white;
# - **say what the network must learn:** one equation has two unknowns, so it needs examples of what
#   rain looks like;
# - **find a wrong pair** before you train on it: one pixel of shift costs more than light rain, and
#   teaches a blur;
# - **draw batches** that you can draw again: sample k is a function of the seed and of k.
#
# Next: **02 · Scores**. What does a score mean, and which tables may be compared? (On the short
# path, go on to lesson 03, where a network learns from batches like these.)
