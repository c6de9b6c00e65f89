# %% [markdown]
# # 14 · Real rain
#
# **Does it work on real rain, and how would you know?**
#
# | | |
# |---|---|
# | **Goals** | make a truth from a camera that stands still; score a network without a truth, and know what cheats the score; measure the harm that a network does; read a table of results on real rain |
# | **Before you start** | lessons 01 and 03 |
# | **Time** | 57 minutes, 27 of them for the exercises; the cells take 60 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Wang et al., CVPR 2019 (SPANet and its truth from videos, arXiv 1904.01538); Jiang et al., CVPR 2017 (rain in videos, arXiv 1803.07487) |

# %% tags=["bootstrap"]
import derain_edu as de

# %%
print(f"derain_edu {de.__version__}")

import torch
from torch.nn import functional as F

from derain_edu.course import exercises
from derain_edu.course.views import diagrams, harm as views, plots
from derain_edu.datasets.photos import load_photo
from derain_edu.evaluation.harm import dry_pictures, grating_map
from derain_edu.experiments.results import load_results
from derain_edu.experiments.statistics import summarize
from derain_edu.rain.config import RainConfig
from derain_edu.text import compare_guess, table as text_table

de.choose_device("cpu", verbose=True)
torch.set_grad_enabled(False)  # nothing is trained here
de.set_seed(0)

# %% [markdown]
# ## 1 · Look first
#
# So far we made the rain ourselves, so we had the clean picture, too. In a real photo nobody knows
# what is behind the drops. How good is a network there?
#
# We need something that is like a real case, and still lets us check ourselves at the end. So we
# make a film: a camera on a tripod looks at one scene for 60 frames. Each frame has its own rain,
# and the sensor adds a little noise.

# %%
scene = load_photo("bridge", long_side=240)  # (3, H, W): the truth, for later
RAIN = RainConfig(
    density=(6, 6), layers=(2, 2), length=(15, 60), width=(1, 2.5), angle=(-12, 12),
    angle_spread=3, brightness=(0.1, 0.5),
)


def film(number, picture_at):
    """Return frames (N, 3, H, W): what the camera sees, each with its own rain."""
    frames = []
    for k in range(number):
        rainy = de.add_rain(picture_at(k), RAIN, seed=k).rainy
        g = torch.Generator().manual_seed(k)
        noise = 0.01 * torch.randn(rainy.shape, generator=g)
        frames.append((rainy + noise).clamp(0, 1))
    return torch.stack(frames)


frames = film(60, lambda k: scene)
network = de.create_model("prenet", pretrained="open")


def derain(pictures):
    """Derain pictures (N, 3, H, W) one by one: none knows of the others."""
    return torch.cat([network(p[None]).clamp(0, 1) for p in pictures])


derained = derain(frames[:8])
shown = {"frame 0": frames[0], "frame 1": frames[1],
         "frame 0, derained": derained[0], "frame 1, derained": derained[1]}
plots.show(plots.picture_row(shown),
           "Two frames of the film in rain, and the same two after the network.")

# %% [markdown]
# No score yet. Look at the two derained frames for a minute. What went? What stayed? Did anything go
# that was no rain? And the strongest test for the eye: do the two derained frames *agree*? The scene
# is the same.
#
# Looking finds faults that no score shows. But two people see two different things, and nobody can
# look at a thousand pictures. We want a number.

# %% [markdown]
# ## 2 · A tripod makes a truth
#
# Take one pixel, and follow it through the film.

# %%
y, x = 40, 120
brightness = frames[:, :, y, x].mean(dim=1)  # (60,)
figure, axes = plots.new_figure(width=8, height=2.6)
axes[0, 0].plot(255 * brightness, marker="o", markersize=3)
axes[0, 0].set(xlabel="frame", ylabel="grey level")
plots.show(figure, "The brightness of one pixel over 60 frames: a floor with "
           "spikes upwards.")

# %% [markdown]
# In many frames no streak is at this pixel, and it shows the scene. When a streak passes, it jumps
# **up**: a drop gathers light from the whole sky, so rain is brighter than most of what is behind it.
#
# So the film itself holds the truth, pixel by pixel. We only have to pick it.

# %%
diagrams.tripod()

# %% [markdown]
# Three ways: the *mean* of the 60 values, their *median*, or their *20th percentile*, the value below
# which one fifth of them lie.
#
# **Predict:** the mean gets 23 dB. How many dB does the median get?

# %%
my_guess = None  # write a number of dB

# %%
median = frames.median(dim=0).values
compare_guess(my_guess, de.psnr(median, scene), "dB")
mean = frames.mean(dim=0)
print(f"one frame {de.psnr(frames[0], scene):.1f} dB, "
      f"mean {de.psnr(mean, scene):.1f} dB")

# %% [markdown] tags=["exercise"]
# ### Exercise 14.1 · The scene without rain
#
# | | |
# |---|---|
# | **Difficulty** | ●○○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 5 minutes |
# | **Task** | write `scene_of(frames, percentile)`. `frames` is (N, 3, H, W), `percentile` a number from 0 to 100. Return a picture (3, H, W): for every pixel and colour, this percentile over the frames |
#
# <details><summary>Hint</summary>
#
# `torch.quantile(values, q, dim=…)` does it. Its q goes from 0 to 1. Which dimension is the time?
#
# </details>

# %% tags=["exercise"]
def scene_of(frames, percentile):
    """Return one percentile over the frames (N, 3, H, W), a picture (3, H, W)."""
    # BEGIN SOLUTION
    return torch.quantile(frames, percentile / 100, dim=0)
    # END SOLUTION


exercises.check("14.1", scene_of)

# %% [markdown] tags=["solution"]
# One line. A percentile needs no model of rain, only that the pixel is dry often enough, and that rain
# makes it brighter.

# %%
for percentile in (5, 20, 35, 80):
    found = torch.quantile(frames, percentile / 100, dim=0)
    print(f"{percentile:3d} %: {de.psnr(found, scene):5.1f} dB")
truth = torch.quantile(frames, 0.2, dim=0)
assert de.psnr(truth, scene) > de.psnr(frames[0], scene) + 5
assert de.psnr(truth, scene) > de.psnr(median, scene) > de.psnr(mean, scene)

# %% [markdown]
# Below the median it gets better, because rain only adds light. Too low is worse again: at 5 % we pick
# the moments when the *noise* was most negative.
#
# How many frames does it take? Move both sliders.

# %%
views.truth_sliders(frames, scene)

# %% [markdown]
# The truth of SPANet's data set was made like this, from real videos. (Its authors choose the
# percentile for each pixel.) It is a *measured* truth, and like every measurement it has faults. Two
# of them, in our film:

# %%
height, width = scene.shape[-2:]


def with_twig(k):
    """A twig moves in the wind: a dark bar at another place in each frame."""
    left = round(170 + 14 * torch.sin(torch.tensor(0.9 * k)).item())
    picture = scene.clone()
    picture[:, 20:80, left : left + 5] *= 0.2
    return picture


def drifting(k):
    """The tripod sinks: after 60 frames the camera looks 2 pixels lower."""
    return scene.roll(-(k // 20), dims=1)


faults = {"still": frames}
faults["a twig"] = film(60, with_twig)
faults["a drift"] = film(60, drifting)
found = {name: torch.quantile(some, 0.2, dim=0) for name, some in faults.items()}
for name, picture in found.items():
    print(f"{name:8s} {de.psnr(picture, scene):5.1f} dB")
plots.show(plots.picture_row(found),
           "The 20th percentile of three films: clean; with a dark smear "
           "where the twig moved; blurred where the camera moved.")

# %% [markdown]
# The percentile cannot tell a twig from the scene: what is dark for a fifth of the time wins. And a
# drift of two pixels costs more than 20 dB. So use no film in which the camera moved.
#
# `derain-edu pairs clip.mp4 -o pairs/` makes pairs from your own video: it corrects small drifts, and
# refuses what moves too much. Here is a real clip, from a phone on a tripod, if you have it (research
# only: `derain-edu download real-clip`).

# %%
from importlib.util import find_spec

from derain_edu.datasets.download import cached_set

if cached_set("real-clip") and find_spec("av") and find_spec("skimage"):
    clip = de.frames(cached_set("real-clip") / "yard.mp4")
    real = de.truth_of(clip, window=20, middle=180)  # the median of 41 frames
    cleaned = derain(real.rainy[None])[0]
    print(f"rainy {de.psnr(real.rainy, real.clean):.2f} dB, "
          f"derained {de.psnr(cleaned, real.clean):.2f} dB")
    shown = {"rainy": real.rainy, "derained": cleaned, "median": real.clean}
    plots.show(plots.picture_row(shown),
               "A frame of a real clip, derained, and the median over 41 frames.")
else:
    print("The real clip is not there (or the packages av and scikit-image).")

# %% [markdown]
# If you have the clip: in this frame the network gains nothing. The rain is faint, and a real video has
# one more fault, compression, which is in the frame and in its truth.

# %% [markdown]
# ## 3 · A score without a truth
#
# Not every film is good enough for a truth. But any film of a still scene can tell how *steady* a
# network is: what changes from frame to frame is rain, noise, or the network's own mistakes. After a
# perfect network nothing changes.

# %% [markdown] tags=["exercise"]
# ### Exercise 14.2 · How much does it flicker?
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 7 minutes |
# | **Task** | write `flicker(frames)`. `frames` is (N, 3, H, W) in [0, 1]. Take the variance over time of each pixel and colour, the mean of all these variances, and its square root. Return it in grey levels: white is 255 |
#
# <details><summary>Hint</summary>
#
# `frames.var(dim=0)` is (3, H, W): one variance for each pixel and colour.
#
# </details>

# %% tags=["exercise"]
def flicker(frames):
    """Return the root of the mean variance over time, in grey levels."""
    # BEGIN SOLUTION
    variance = frames.var(dim=0)  # (3, H, W)
    return 255 * variance.mean().sqrt()
    # END SOLUTION


exercises.check("14.2", flicker)

# %% [markdown]
# We put two cheats beside the network, which know nothing of rain. One **blurs** each frame; the other
# one paints every frame **grey**.
#
# **Predict:** which of the three flickers least, and which is closest to the truth?

# %%
my_guess = None  # write two names, such as "blur, network"

# %%
def flicker_of(frames):
    return 255 * frames.var(dim=0).mean().sqrt().item()


blurred = F.avg_pool2d(frames[:8], 15, stride=1, padding=7, count_include_pad=False)
grey_frames = torch.full_like(derained, 0.5)
ways = {"rainy": frames[:8], "network": derained}
ways |= {"blur": blurred, "grey": grey_frames}
rows = []
for name, pictures in ways.items():
    score = de.psnr(pictures[0], truth)
    rows.append([name, f"{flicker_of(pictures):.1f}", f"{score:.1f}"])
print(text_table(["", "flicker", "PSNR to the truth, dB"], rows))
least = min(ways, key=lambda name: flicker_of(ways[name]))
closest = max(ways, key=lambda name: de.psnr(ways[name][0], truth))
print(f"\nleast flicker: {least}; closest to the truth: {closest}; "
      f"you said: {my_guess}")
assert flicker_of(derained) < flicker_of(blurred) < flicker_of(frames[:8]) / 2
assert (least, closest) == ("grey", "network")

# %% [markdown]
# Read the columns together. The blur more than halves the flicker, and grey wins: it never changes.
# Only the last column shows what both are worth, and that one needs a truth.
#
# So a score without a truth can only *fail* a network: with much flicker it is bad, with little it may
# be a cheat. Always report it together with a score that punishes the cheat.

# %% [markdown]
# ## 4 · Do no harm
#
# Most photos have no rain in them. What does a network do to those? The right answer to a dry photo
# is the photo itself, so here a score needs no other truth: PSNR of the output *to the input*. 60 dB
# is a quarter of a grey level, as good as untouched. 30 dB is eight grey levels: look at the picture.

# %%
networks = {"PReNet, light and heavy": network,
            "PReNet, light": de.create_model("prenet", pretrained="open-light"),
            "baseline": de.create_model("residual", pretrained="open")}
NAMES = ("mesh_fence", "piano_keys", "plaid_shirt", "white_sky_pavilion")
dry = {}
for name, picture in dry_pictures("validation", 160):
    if name in NAMES:
        dry[name] = picture


def harm(model, picture):
    """Return the picture after the network, and its PSNR to the picture itself."""
    output = model(picture[None]).clamp(0, 1)[0]
    return output, min(60.0, de.psnr(output, picture))


rows = []
for name, picture in dry.items():
    scores = [harm(model, picture)[1] for model in networks.values()]
    rows.append([name, *(f"{score:.1f}" for score in scores)])
print(text_table(["dry photo", *networks], rows))

# %%
worst = min(dry, key=lambda name: harm(network, dry[name])[1])
after, score = harm(network, dry[worst])
taken = (4 * (dry[worst] - after)).clamp(0, 1)
shown = {f"{worst}, dry": dry[worst], f"after, {score:.1f} dB": after,
         "what was taken, ×4": taken}
plots.show(plots.picture_row(shown), "The dry photo that the network damages most, "
           "what it becomes, and what was taken.")

# %% [markdown]
# What does a network take for rain? Long, thin, bright and nearly parallel: that is rain, and also
# fences, zebras, hair, and the keys of a piano. To find out *which* lines it takes, we build the simplest
# of such things by hand.

# %% [markdown] tags=["exercise"]
# ### Exercise 14.3 · A grating
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 10 minutes |
# | **Task** | write `grating(size, angle, period)`: a picture (size, size) of parallel bars. With column x and row y counted from 0, and the angle θ in degrees: $u = x\cos\theta - y\sin\theta$, and the value is $(1 + \cos(2\pi u/\text{period}))\,/\,2$ |
#
# <details><summary>Hint</summary>
#
# `x = torch.arange(size)` is a row, `y = x[:, None]` a column; added, they make (size, size).
# `math.radians`, `math.cos` and `math.sin` take numbers, `torch.cos` takes tensors (`import math`).
#
# </details>

# %% tags=["exercise"]
def grating(size, angle, period):
    """Return bars (size, size) in [0, 1], `period` pixels apart; 0 is upright."""
    # BEGIN SOLUTION
    theta = torch.tensor(angle).float().deg2rad()
    x = torch.arange(size)
    y = x[:, None]
    u = x * theta.cos() - y * theta.sin()
    return 0.5 + 0.5 * torch.cos(2 * torch.pi * u / period)
    # END SOLUTION


exercises.check("14.3", grating)

# %% [markdown]
# Now the map: gratings of many angles and periods through two networks. Each cell is the PSNR of the
# output to the grating itself. (These bars have sharp edges, as a fence has.)
#
# **Predict:** at which angle, in degrees from upright, will the damage be largest?

# %%
my_guess = None  # write an angle from −90 to 90

# %%
ANGLES = (-60, -40, -20, -10, 0, 10, 20, 40, 60, 90)
PERIODS = (4, 8, 12, 16, 24)
compared = list(networks)[:2]
maps = {}
for name in compared:
    maps[name] = grating_map(networks[name], ANGLES, PERIODS, size=64)
figure = views.draw_grating_maps(maps, ANGLES, PERIODS)
plots.show(figure, "Two maps of PSNR over angle and period. Both are darkest near "
           "0 degrees; the network for all rain takes upright bars away.")
by_angle = maps[compared[0]].mean(dim=0)
compare_guess(my_guess, ANGLES[int(by_angle.argmin())], "degrees", decimals=0)
flat_out = maps[compared[0]][:, ANGLES.index(90)].min().item()
print(f"level bars lose nothing: at least {flat_out:.0f} dB at 90 degrees")
assert by_angle.min() < 35 < flat_out

# %% [markdown]
# Upright bars suffer most, level ones little or not at all: the networks learned that rain *falls*. And
# the two fail in two ways. The network for light rain takes a little from every grating: none has
# 60 dB. The network for all rain leaves nearly half of them alone, and wipes out those that it mistakes
# for rain. So on two photos of the table it is the better one by far, and on the other two the worse
# one. **A mean would hide this; the worst picture shows it.**
#
# The cheapest remedy needs no training at all.

# %% [markdown] tags=["exercise"]
# ### Exercise 14.4 · The strength of the effect
#
# | | |
# |---|---|
# | **Difficulty** | ●○○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 5 minutes |
# | **Task** | write `blend(rainy, derained, strength)`: strength 0 gives the rainy picture, 1 the derained one, 0.5 the middle between them, and 2 takes away twice as much. The result lies in [0, 1] |
#
# <details><summary>Hint</summary>
#
# `derained - rainy` is what the network changed. How much of it do you add?
#
# </details>

# %% tags=["exercise"]
def blend(rainy, derained, strength):
    """Return rainy + strength · (derained − rainy), in [0, 1]."""
    # BEGIN SOLUTION
    return (rainy + strength * (derained - rainy)).clamp(0, 1)
    # END SOLUTION


exercises.check("14.4", blend)

# %%
views.strength_slider(frames[0], derained[0], scene, dry[worst], after)

# %% [markdown]
# One number for the whole picture, chosen by the person who looks at it. Less strength helps the dry
# photo and leaves more rain in the other one: a compromise, not a cure.

# %% [markdown]
# ## 5 · What helps, recorded
#
# Why does synthetic training do this? The network learned from pairs in which nearly every bright,
# thin, upright thing was rain. Three changes of the training set, each with the same network and the same
# number of steps: more photos; **hard patches**, in which many clean pictures are gratings,
# over-exposed, sharpened or noisy before it rains on them; and **dry samples**, in which it does not
# rain at all. (`derain-edu experiment do_no_harm`.)

# %%
rows = load_results("do_no_harm")
columns = {"light rain": "psnr_light", "heavy rain": "psnr_heavy",
           "both": "psnr_validation", "dry": "psnr_dry"}
scores = {name: summarize(rows, column) for name, column in columns.items()}
sets = list(scores["dry"])
short = [name.split(", ")[-1] for name in sets]
short[2:] = [f"+ {name}" for name in short[2:]]

figure, axes = plots.new_figure(1, 3, width=11, height=3)
for axis, name in zip(axes[0], ("light rain", "heavy rain", "dry"), strict=True):
    means, halves = zip(*scores[name].values(), strict=True)
    plots.draw_points(axis, short, means, halves, "dB")
    axis.set_title(name, fontsize=10)
    axis.tick_params(axis="x", rotation=20)
plots.show(figure, "Four training sets from left to right in three panels: the "
           "score rises in light rain and on dry photos, and falls in heavy rain.")
rows = []
for text, one in zip(short, sets, strict=True):
    cells = [scores[name][one] for name in columns]  # (mean, half of the interval)
    rows.append([text, *(f"{mean:.2f} ± {half:.2f}" for mean, half in cells)])
print(text_table(["training set", *columns], rows))
change = {}
for name in columns:
    change[name] = scores[name][sets[-1]][0] - scores[name][sets[0]][0]
assert change["dry"] > 3 and change["light rain"] > 2 and change["heavy rain"] < -2

# %% [markdown]
# Each row changes one thing in the row above. More photos help, and so do dry samples: together they
# give back several decibels of the dry photos, and light rain gains as well. For the hard patches
# alone the three seeds can't tell (CLAIMS.md, claim 12).
#
# And it has a price: **in heavy rain the same network gets worse**, row by row. It is small and its
# training is short, so what it learns to leave alone it takes from what it can remove. Now look at the
# column "both", their mean: the two cancel, and the mean of the benchmark shows nothing at all.
#
# ## 6 · Reading a table of real rain
#
# Three habits, with numbers from the literature:
#
# - **Look for the input's own score.** On the 1,000 real test pairs of SPA-Data the rainy picture
#   itself has 34.15 dB. Networks trained on Rain100L alone reach 34.91 (PReNet), 35.13 (SPANet) and
#   35.23 (DRCDNet). One that saw two synthetic sets reaches 32.25: that is *below* its input, and
#   only the input's own score shows it.
# - **Gains are small where a network never saw that rain.** A decibel is much; ten, as on synthetic
#   rain, means that it trained on the same kind.
# - **Scores that need no truth mislead easily.** A *blind metric* guesses the quality from one picture.
#   For one network a public model card gives NIQE 9.8 on one test set and 791 on another.
#
# (Sources: the figures of hongwang01/DRCDNet, commit e50b58d.)

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. Your film shows snow in front of a white wall. Does the 20th percentile work?**
#
# <details><summary>Answer</summary>
#
# No. It works because rain is *brighter* than what is behind it. In front of white, snow is darker or
# equal: take a high percentile there, or the median. Check the sign before you trust the method.
#
# </details>
#
# **2. A network has a flicker of 0 on every film. Is it perfect?**
#
# <details><summary>Answer</summary>
#
# It may be: a perfect network has 0. So has one that always returns grey. Flicker alone can't tell
# them apart, so ask for a score that needs a truth, on at least some pictures.
#
# </details>
#
# **3. A model card says "39 dB on light rain". What else do you ask before you use the network on all
# your holiday photos?**
#
# <details><summary>Answer</summary>
#
# What it does to photos without rain, and which one it damages most: the mean may be fine while
# fences and shirts are ruined. `derain-edu evaluate --dry` measures it for any network.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - make a truth from a film of a scene that stands still, and say when it fails;
# - measure flicker without a truth, and name what cheats it;
# - measure harm: dry photos to themselves, and gratings over angle and period;
# - ask a table of real rain for the input's own score.
