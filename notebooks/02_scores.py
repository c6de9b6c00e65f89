# %% [markdown]
# # 02 · Scores
#
# **What does a score mean, and which tables may be compared?**
#
# | | |
# |---|---|
# | **Goals** | compute a PSNR by hand and read it as an error in grey levels; say why one picture has many scores; make two protocols disagree; decide which rows of a table may be compared |
# | **Before you start** | lesson 01 |
# | **Time** | 56 minutes, 33 of them for the exercises; the cells take 15 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Wang et al., IEEE TIP 2004 (SSIM); Ren et al., CVPR 2019 (PReNet, arXiv 1901.09221); Wang et al., CVPR 2019 (SPANet, arXiv 1904.01538) |

# %% tags=["bootstrap"]
import derain_edu as de

# %%
print(f"derain_edu {de.__version__}")

import io
import math

import torch
from PIL import Image

from derain_edu import metrics
from derain_edu.course import exercises
from derain_edu.course.views import diagrams, plots, scores as views
from derain_edu.text import compare_guess, table as text_table

photo = de.load_photo("china", 640)[:, 21:405, 128:512]  # (3, 384, 384)
rain = de.add_rain(photo, "light", seed=1)

# %% [markdown]
# ## 1 · PSNR by hand
#
# How far is a picture $x$ from the clean picture $y$? Take the difference in every pixel and colour,
# square it, and take the mean: the **mean squared error**. The PSNR (peak signal-to-noise ratio)
# puts it on a logarithmic scale. For values in [0, 1]:
#
# $$\text{PSNR} = -10\,\log_{10}\,\operatorname{mean}\left((x - y)^2\right)\quad\text{in decibels (dB)}$$

# %%
mean_squared_error = (rain.rainy - photo).square().mean()
by_hand = -10 * math.log10(mean_squared_error)
typical = 255 * mean_squared_error.sqrt()  # the root of it, in grey levels
print(f"mean squared error {mean_squared_error:.6f}: "
      f"a typical error of {typical:.1f} grey levels, {by_hand:.2f} dB")
print(f"package: {de.psnr(rain.rainy, photo, 'rgb'):.2f} dB by its protocol rgb, "
      f"{de.psnr(rain.rainy, photo):.2f} dB by its default")
assert abs(by_hand - de.psnr(rain.rainy, photo, "rgb")) < 0.1

# %% [markdown]
# One rainy picture, and already two scores. Section 3 says why. The root of the mean squared error
# is easier to imagine than a decibel: a *typical* error, in the 255 grey levels of a file.

# %% [markdown] tags=["exercise"]
# ### Exercise 02.1 · Back from decibels
#
# | | |
# |---|---|
# | **Difficulty** | ●○○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 5 minutes |
# | **Task** | write `typical_error(psnr)`: a PSNR in dB goes in, and the typical error (the root of the mean squared error) in grey levels of 255 comes out |
#
# <details><summary>Hint</summary>
#
# Solve PSNR = −10 · log₁₀(m) for m. The other way round, log₁₀ is a power of 10: `10**x`.
#
# </details>

# %% tags=["exercise"]
def typical_error(psnr):
    """Return the root of the mean squared error in grey levels of 255."""
    # BEGIN SOLUTION
    return 255 * 10 ** (-psnr / 20)
    # END SOLUTION


if exercises.check("02.1", typical_error):
    for psnr in (20, 26.02, 32.04, 40):
        print(f"{psnr:5.2f} dB: {typical_error(psnr):5.2f} grey levels")

# %% [markdown] tags=["solution"]
# The mean squared error is 10^(−PSNR/10), and its root 10^(−PSNR/20). So 20 dB more is a tenth of
# the error.

# %% [markdown]
# ## 2 · What the logarithm does
#
# **Predict.** `amount=2` keeps all streaks and adds as many again. By how many dB does the PSNR
# fall? And when each streak becomes twice as bright instead?

# %%
my_guess_amount = None  # write a number, in dB
my_guess_brightness = None  # write a number, in dB

# %%
dim = {"density": 1.5, "brightness": 0.1}  # dim rain: little is cut off at white


def rainy_score(**changes):
    """Return the mean PSNR of eight light rains with some settings changed."""
    found = []
    for seed in range(8):
        rainy = de.add_rain(photo, "light", seed=seed, **{**dim, **changes}).rainy
        found.append(de.psnr(rainy, photo))
    return sum(found) / len(found)


more = rainy_score() - rainy_score(amount=2)
brighter = rainy_score() - rainy_score(brightness=0.2)
compare_guess(my_guess_amount, more, "dB for twice the streaks")
compare_guess(my_guess_brightness, brighter, "dB for twice the brightness")
assert 2.5 < more < 4.5 and 4.5 < brighter < 6.1

# %% [markdown]
# Twice the brightness doubles the error in every pixel. Squared, it is four times as large, and
# $10\log_{10}4 = 6.02$ dB, minus half a decibel for what is cut off in the bright sky. Twice the
# streaks lie mostly side by side: twice the squared error, $10\log_{10}2 = 3.01$ dB, and half a
# decibel more where they overlap.
#
# **6 dB more is half the error; 3 dB more is half the squared error.** To PSNR, one streak counts
# as much as four of half its brightness.
#
# ## 3 · Two pictures, four protocols
#
# Two people restored the rainy photo, and you know the truth. **A** leaves 30 % of the rain's light.
# **B** removes all of it, but saves the picture as a JPEG of quality 90, as photos are.

# %%
A = photo + 0.3 * (rain.rainy - photo)
file = io.BytesIO()
de.to_pil(photo).save(file, "JPEG", quality=90)
B = de.to_tensor(Image.open(file))  # (3, 384, 384)
pictures = {
    "rainy": rain.rainy,
    "A: rain left": A,
    "B: JPEG": B,
    "error of A ×5": 5 * (A - photo).abs(),
    "error of B ×5": 5 * (B - photo).abs(),
}
figure = plots.picture_row(pictures, width=12)
plots.show(figure, "Rainy, restored by A, restored by B; the error of A, five "
                   "times as bright: streaks; and that of B: faint coloured edges.")

# %% [markdown]
# Which one is closer to the truth? Papers that write "PSNR" did not all compute the same number.
# This is the way from two pictures to a score:

# %%
diagrams.score_path()

# %% [markdown]
# - **8 bits.** A network computes with fractions, but a file holds only 256 levels. Some round to the
#   nearest level, some cut off (round down), and some do neither.
# - **Colours.** Either red, green and blue are compared, or only the **luma** $Y$: the brightness, a
#   weighted sum of the three. $Y$ comes from television, which kept some room at both ends: black is
#   16 and white is 235, of 255.
#
# `de.psnr` and `de.ssim` know four ways through the drawing, called **protocols**. Each was read in
# released code, except `rgb`, which is what most people expect:
#
# | protocol | 8 bits | compares |
# |---|---|---|
# | `prenet_matlab` (the default) | cut off | luma Y |
# | `restormer_y` | rounded, and Y as well | luma Y |
# | `spanet_released` | no | red, green, blue |
# | `rgb` | rounded | red, green, blue |
#
# **Predict.** Picture B: how many dB lie between its highest and its lowest PSNR?

# %%
my_guess = None  # write a number, in dB

# %%
found, winner, rows = {"A": {}, "B": {}}, {}, []
for protocol in metrics.PROTOCOLS:
    for name, picture in (("A", A), ("B", B)):
        found[name][protocol] = de.psnr(picture, photo, protocol)
    a, b = found["A"][protocol], found["B"][protocol]
    winner[protocol] = "A" if a > b else "B"
    rows.append([protocol, f"{a:.2f}", f"{b:.2f}", winner[protocol]])
print(text_table(["protocol", "A, dB", "B, dB", "higher"], rows))
spread = max(found["B"].values()) - min(found["B"].values())
compare_guess(my_guess, spread, "dB between the highest and the lowest PSNR of B")
assert spread > 3
assert winner["prenet_matlab"] == "B" and winner["rgb"] == "A"

# %% [markdown]
# Same files, same truth, and the protocols do not even agree **which picture is better**. Compute
# one of the four yourself.

# %% [markdown] tags=["exercise"]
# ### Exercise 02.2 · The PSNR of a paper
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 12 minutes |
# | **Task** | write `psnr_y(derained, clean)` for two pictures (3, H, W) by the protocol `prenet_matlab`: cut **both** to 8 bits, turn them into Y, and return the PSNR in dB (infinite if nothing differs). Don't call `metrics` |
#
# A network's output may leave [0, 1]; 8 bits can't. The luma of red r, green g and blue b in [0, 1]
# is Y = (16 + 65.481·r + 128.553·g + 24.966·b) / 255.
#
# <details><summary>Hint</summary>
#
# `clamp`, times 255, `floor`, divided by 255 makes 8 bits. `weights` has the shape (3, 1, 1), so
# it fits to (3, H, W). `torch.log10(torch.tensor(0.0))` is minus infinity; `math.log10(0)` is an
# error.
#
# </details>

# %% tags=["exercise"]
def psnr_y(derained, clean):
    """Return the PSNR in dB as PReNet's authors compute it."""
    weights = torch.tensor([65.481, 128.553, 24.966]).view(3, 1, 1)  # of r, g, b

    # 1. both pictures in 8 bits   2. Y of both, (H, W)
    # 3. the mean of the squared difference   4. decibels
    # BEGIN SOLUTION
    def to_y(picture):
        cut = (picture.clamp(0, 1) * 255).floor() / 255  # (3, H, W), steps of 1/255
        return (16 + (weights * cut).sum(dim=0)) / 255  # (3, H, W) -> (H, W)

    error = (to_y(derained) - to_y(clean)).square().mean()
    return -10 * torch.log10(error)
    # END SOLUTION


if exercises.check("02.2", psnr_y):
    for name, picture in (("A", A), ("B", B)):
        print(f"{name}: yours {psnr_y(picture, photo):.2f} dB, "
              f"the package {found[name]['prenet_matlab']:.2f} dB")

# %% [markdown] tags=["solution"]
# The 16 drops out, because only a difference is squared. The weights don't: they add up to 219 and
# not to 255.

# %% [markdown]
# Now walk from one PSNR to the other, one step at a time:

# %%
luma = metrics.luma  # (1, 3, H, W) -> (1, 1, H, W), from 16/255 to 235/255
steps = {
    "RGB": lambda x: x,
    "Y, black 0, white 1": lambda x: (luma(x) * 255 - 16) / 219,
    "Y, 16 to 235": luma,
    "… rounded to 8 bits": lambda x: luma(metrics.round_to_8_bits(x)),
    "… cut to 8 bits": lambda x: luma(metrics.truncate_to_8_bits(x)),
}
ladder = {"A: rain left": [], "B: JPEG": []}
for step in steps.values():
    for name, picture in zip(ladder, (A, B), strict=True):
        x, y = picture[None].double(), photo[None].double()  # (1, 3, H, W)
        error = (step(x) - step(y)).square().mean()
        ladder[name].append(-10 * math.log10(error))
plots.show(views.draw_ladder(ladder, list(steps)), views.LADDER_ALT)
rows = [[step, *(f"{ladder[name][k]:.2f}" for name in ladder)]
        for k, step in enumerate(steps)]
print(text_table(["PSNR, dB", *ladder], rows))

# %%
for name, values in ladder.items():
    assert abs(values[2] - values[1] - 20 * math.log10(255 / 219)) < 1e-6
    assert abs(values[4] - found[name[0]]["prenet_matlab"]) < 1e-6  # we arrived
jump = {name: values[1] - values[0] for name, values in ladder.items()}
for name, step in jump.items():
    print(f"{name}: {step:+.2f} dB from RGB to Y")
assert abs(jump["A: rain left"]) < 1 and jump["B: JPEG"] > 5

# %% [markdown]
# - **RGB → Y.** Rain is grey (but for the sky): the error of A is nearly the same in red, green and blue, so hardly
#   anything changes. JPEG saves most on colour, and Y hardly sees colour: B jumps.
# - **0–1 → 16–235.** White is 235/255 and black 16/255, so every error shrinks to 219/255. That
#   alone is worth $20\log_{10}(255/219) = 1.32$ dB, for any picture.
# - **Rounded or cut.** The rain that is left makes A too bright. Cutting makes it a little darker, so
#   here it helps. B came as 8 bits, so neither changes it.
#
# ## 4 · What Y cannot see
#
# How much can a picture change before a PSNR on Y notices? You know the weights of Y, so you can
# make the worst case.

# %% [markdown] tags=["exercise"]
# ### Exercise 02.3 · Make two protocols disagree
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 8 minutes |
# | **Task** | write `unseen(clean, strength)`: a copy of the picture (3, H, W) with `strength` added to red, blue as it was, and green lowered by so much that Y = (16 + 65.481·r + 128.553·g + 24.966·b) / 255 stays the same |
#
# <details><summary>Hint</summary>
#
# Red grows by s, and green must change by t: 65.481·s + 128.553·t = 0. `clean.clone()` is a copy;
# `copy[0]` is its red.
#
# </details>

# %% tags=["exercise"]
def unseen(clean, strength):
    """Return a picture (3, H, W): redder than ``clean``, with the same Y."""
    # BEGIN SOLUTION
    changed = clean.clone()
    changed[0] += strength
    changed[1] -= strength * 65.481 / 128.553
    return changed
    # END SOLUTION


if exercises.check("02.3", unseen):
    soft = 0.15 + 0.7 * photo  # room below and above: nothing leaves [0, 1]
    C = unseen(soft, 0.1)
    on_y, on_rgb = de.psnr(C, soft), de.psnr(C, soft, "rgb")
    print(f"the same two pictures: {on_y:.1f} dB on Y, {on_rgb:.1f} dB on RGB")
    plots.show(plots.picture_row({"clean": soft, "yours": C}, width=7),
               "The temple, and the same temple with a tint of red.")

# %% [markdown] tags=["solution"]
# Everybody sees the tint, and Y does not: what is left on Y comes from the cut to 8 bits. A score
# on Y alone can't tell whether a network keeps the colours.

# %% [markdown]
# ## 5 · SSIM has a step of its own
#
# **SSIM** is the second score of most papers. It compares two pictures in small windows: their means,
# their contrasts, and whether they go up and down together. It is the mean over all windows; 1 is
# perfect. `prenet_matlab` has one more step: it first shrinks a picture by averaging f × f pixels,
# with f = round(short side / 256), at least 1.
#
# **Predict.** Picture B has 384 × 384 pixels. We cut off **one row and one column**. By how much
# does the SSIM change?

# %%
my_change = None  # write a number, such as 0.0001

# %%
whole = de.ssim(B, photo)
cut = de.ssim(B[:, :383, :383], photo[:, :383, :383])  # (3, 383, 383)
print(f"384 × 384: {whole:.4f}    383 × 383: {cut:.4f}")
compare_guess(my_change, whole - cut, decimals=4)
print(f"the distance to 1 is {(1 - cut) / (1 - whole):.1f} times as large")
assert whole - cut > 0.005

# %% [markdown]
# At 384 the factor f becomes 2: fine errors are averaged away before anybody looks at them. The
# pictures of Rain100 (481 × 321) are below that limit, so f = 1 for all of them. On your own photos
# it is not.
#
# ## 6 · What may be compared
#
# A score belongs to four things: **a network, its training data, a test set, and a protocol.** Is the
# *part* that is scored so important? We score A again, on parts of the same picture:

# %%
parts = {
    "whole": slice(0, 384),
    "without 8 rows at both ends": slice(8, 376),
    "upper half": slice(0, 192),
    "lower half": slice(192, 384),
}
on_parts = {}
for name, part in parts.items():
    on_parts[name] = de.psnr(A[:, part], photo[:, part])
    print(f"{name:28s}{on_parts[name]:6.2f} dB")
halves = abs(on_parts["upper half"] - on_parts["lower half"])
print(f"between the two halves: {halves:.2f} dB")
assert halves > 0.5

# %% [markdown]
# In the paper of PReNet, 0.49 dB lie between it and its predecessor PRN (Rain100L). The two halves of
# one picture lie farther apart. So a crop, or other test pictures, can be worth more than a better
# network.
#
# The names of two sets don't say that they are apart: Rain100L and Rain100H show the *same*
# backgrounds. If you train on one and test on the other, you test on pictures that you have seen.
#
# The training data matter as much. Here are published scores (PSNR on Y). *Rain13K* is a mix of many
# training sets, one network for all; its papers round to 8 bits, and PReNet's authors cut off.

# %%
columns = ("network", "trained on", "tested on", "protocol", "psnr")
published = [
    ("PRN", "RainTrainL", "Rain100L", "Y, cut off", 36.99),
    ("PReNet", "RainTrainL", "Rain100L", "Y, cut off", 37.48),
    ("PReNet", "RainTrainH", "Rain100H", "Y, cut off", 29.46),
    ("PReNet", "Rain13K", "Rain100L", "Y, rounded", 32.44),
    ("MPRNet", "Rain13K", "Rain100L", "Y, rounded", 36.40),
    ("Restormer", "Rain13K", "Rain100L", "Y, rounded", 38.99),
]
rows = [dict(zip(columns, values, strict=True)) for values in published]
lines = []
for k, row in enumerate(rows):
    facts = [row[column] for column in columns[1:4]]
    lines.append([f"{k}  {row['network']}", *facts, f"{row['psnr']:.2f}"])
print(text_table(columns, lines))

# %% [markdown]
# The same PReNet on the same test set: 37.48 and 32.44 dB. To cut or to round moved picture A by
# less than half a dB, so for these five decibels the training data are the main suspect.

# %% [markdown] tags=["exercise"]
# ### Exercise 02.4 · Which rows may be compared?
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 8 minutes |
# | **Task** | write `comparable(rows)`. `rows` is a list of dictionaries with the keys of the table. Return a list of pairs `(i, j)` with i < j: the numbers of all rows that have the same `"trained on"`, `"tested on"` and `"protocol"`, so that only the network can explain the difference |
#
# <details><summary>Hint</summary>
#
# Two loops: i over all rows, and j from i + 1 on. `all(rows[i][c] == rows[j][c] for c in …)`.
#
# </details>

# %% tags=["exercise"]
def comparable(rows):
    """Return all pairs (i, j), i < j, of rows where only the network differs."""
    # BEGIN SOLUTION
    pairs = []
    for i in range(len(rows)):
        for j in range(i + 1, len(rows)):
            same = ("trained on", "tested on", "protocol")
            if all(rows[i][column] == rows[j][column] for column in same):
                pairs.append((i, j))
    return pairs
    # END SOLUTION


if exercises.check("02.4", comparable):
    for i, j in comparable(rows):
        first, second = rows[i], rows[j]
        print(f"{second['network']} − {first['network']}: "
              f"{second['psnr'] - first['psnr']:+.2f} dB")

# %% [markdown] tags=["solution"]
# Four pairs of fifteen. The pair that one sees most often, PReNet's 37.48 beside Restormer's 38.99,
# is not among them: trained on the same data, they lie 6.55 dB apart and not 1.51.

# %%
families = {}  # training data, test set and protocol -> the scores that share them
for row in rows:
    key = (row["trained on"], row["tested on"], row["protocol"])
    families.setdefault(key, []).append(f"{row['network']} {row['psnr']:.2f}")
for key, members in families.items():
    print(", ".join(key), "→", ", ".join(members))
assert [len(members) for members in families.values()] == [2, 1, 3]

# %% [markdown]
# Each line is a table of its own. Inside a line you may compare; between two lines, never.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. Network 1 takes half of the brightness of every streak. Network 2 takes every second streak
# away completely. The same rain, and nothing is cut off at white: which one gains more PSNR?**
#
# <details><summary>Answer</summary>
#
# Network 1. Half the brightness is half the error in every pixel: 10·log₁₀(4) = 6 dB. Half of the
# streaks is about half of the squared error: 3 dB. It is the measurement of section 2, backwards.
#
# </details>
#
# **2. One paper gives 33.0 dB on a test set, another one 34.3 dB on the same. What do you ask
# before you believe in a better network?**
#
# <details><summary>Answer</summary>
#
# What each score is made of: the training data, the pictures and the part of them that was scored,
# and the protocol. The range of Y from 16 to 235 instead of 0 to 255 alone is worth 1.32 dB, for any
# picture.
#
# </details>
#
# **3. On your own photos (400 × 400) a network has a higher SSIM than the same network in its paper
# (Rain100), both by `prenet_matlab`. Good news?**
#
# <details><summary>Answer</summary>
#
# Not yet. Your pictures are another test set, and from 384 pixels on, this SSIM shrinks them first,
# which hides fine errors. In section 5 one row and one column decided about it.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - **read a PSNR:** 6 dB more is half the error, 3 dB half the squared error;
# - **say why one picture has many scores:** part, 8 bits, colours, window, and the mean over a set;
#   the winner may change with the colours;
# - **make two protocols disagree:** a tint that everybody sees and Y does not;
# - **compare fairly:** the same training data, test set and protocol, or not at all.
#
# Next: **03 · The residual baseline**. Why residual blocks, and why predict the rain instead of the
# picture?
