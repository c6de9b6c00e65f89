# %% [markdown]
# # 00 · Start here
#
# **What can be done in one minute, and how do I read a paper together with its code?**
#
# | | |
# |---|---|
# | **Goals** | take the rain out of a photo; look at a result critically; read a paper in seven moves, with its code beside it; know which published numbers may be compared |
# | **Before you start** | some Python; nothing about rain |
# | **Time** | 35 minutes; the cells take 30 s on a CPU with two cores, 5 s on a GPU |
# | **Papers** | Ren et al., *Progressive Image Deraining Networks: A Better and Simpler Baseline*, CVPR 2019 (arXiv 1901.09221) |

# %% tags=["bootstrap"]
import derain_edu as de

# %% [markdown]
# ## One minute
#
# We take a clean photo, let it rain on it, and give it to a network that this course trained, on 47
# other photos. Because we made the rain ourselves, we know the clean truth and can measure how
# close the network comes.

# %%
import torch

from derain_edu.course.views import plots
from derain_edu.course.views.your_photo import (
    before_and_after, own_photo, swipe, swipe_slider,
)
from derain_edu.text import compare_guess

de.choose_device(verbose=True)
clean = de.load_photo("picosdeeuropa", long_side=400)  # (3, H, W), RGB in [0, 1]
rain = de.add_rain(clean, "light", seed=1)
rainy = rain.rainy  # (3, H, W)
model = de.create_model("prenet", pretrained="open")

# %% [markdown]
# **Think first.** PSNR, in decibels, says how small the error is: the rainy photo below has about
# 25 to 30 dB, and +6 dB means that the error is half as large. How many dB do you expect after
# deraining? Write your number down.

# %%
my_guess = None  # write a number, such as 30

# %%
derained = de.to_tensor(de.derain(rainy, model))  # (3, H, W)
before, after = de.psnr(rainy, clean), de.psnr(derained, clean)
compare_guess(my_guess, after, "dB")
figure = plots.derained_row(rainy, derained, clean)
plots.show(figure, "A mountain path: in rain, derained by the network, "
           "clean, and the error.")
assert after >= before + 3, "at least half of the error energy must go"

# %%
print(f"rainy {before:.1f} dB, derained {after:.1f} dB: "
      f"{after - before:.1f} dB better")

# %% [markdown]
# ## Now a photo of your own
#
# The button takes a file from your computer. If you see no button, write the file's name into the
# cell below it instead. (On a phone, or for friends without Python: the page
# [Try it](https://github.com/derain-edu/derain-edu/blob/main/book/demo/page.md)
# of the book does it in the browser.)

# %%
own_photo(model)

# %%
my_photo = None  # or a file name, such as "street.jpg"
if my_photo is not None:
    before_after = before_and_after(my_photo, model)

    plots.show_png(before_after, "Your photo, derained, and what was taken away.")

# %% [markdown]
# Two warnings. There is no clean truth for your photo, so no score: you have to look. And this
# network has only seen rain that we drew: real rain may differ. The difference picture tells you
# whether it took away rain, or part of the scene.

# %% [markdown]
# ## Look again
#
# A score is one number for 120,000 pixels. Swipe between the two pictures, and look for three
# things: rain that is left, texture that went away with the rain, and colours that changed.

# %%
swipe_slider(rainy, derained)

# %%
error = (derained - clean).abs().mean(dim=0)  # (3, H, W) -> (H, W)
figure, axes = plots.new_figure(1, 2, width=10, height=3.6)
halves = swipe(rainy, derained, 0.5)
plots.draw_picture(axes[0, 0], halves, "left: rainy, right: derained")
plots.draw_map(axes[0, 1], error * plots.ERROR_SCALE, "mean error ×5", vmin=0)
plots.show(figure, "Half rainy, half derained picture, and a map of the error.")
for position in (0.0, 0.5, 1.0):
    assert swipe(rainy, derained, position).shape == rainy.shape

# %%
wet = rain.mask[0]  # (H, W) bool: where we let it rain
energy = (derained - clean).square().mean(dim=0)  # (3, H, W) -> (H, W)
share = energy[wet].sum() / energy.sum()
print(f"{share:.0%} of the squared error lies on the "
      f"{wet.float().mean():.0%} of pixels with rain")
assert share > 2 * wet.float().mean()

# %% [markdown]
# Most of the error lies where a streak was: there the network has to guess, and the brightest spots
# of the map are bright streaks. Most of the rest lies right beside a streak. Lesson 04
# watches, stage by stage, how a network guesses.

# %% [markdown]
# ## Reading a paper with its code, in seven moves
#
# The network above is a small PReNet. We read its paper the way you can read any other.
#
# **1. The abstract as one sentence.** Say it in your own words, with a verb:
# *a small network, applied six times with the same weights and a memory between the rounds,
# removes rain as well as far larger ones.*
#
# **2. The contributions as a checklist.** Each is a promise that can be tested:
#
# | promise | how we test it here |
# |---|---|
# | a small shallow network, applied several times, is enough | lesson 04: parameters stay, the picture gets better |
# | a recurrent layer between the stages helps | lesson 06: PRN against PReNet |
# | showing the rainy picture to each stage helps | lesson 04: switch it off |
# | one simple loss, −SSIM, is enough | `TrainConfig(loss=...)` in lesson 03 |

# %% [markdown]
# **3. The figure as a list of shapes.** Boxes and arrows hide sizes. Send a picture through and
# write down what comes out of each box.

# %%
shapes = []
hooks = [
    layer.register_forward_hook(
        lambda _, inputs, output, name=name: shapes.append((name, inputs[0].shape))
    )
    for name, layer in model.named_children()
    if name != "blocks"
]
with torch.no_grad():
    model.unroll(torch.rand(1, 3, 64, 96), stages=1)
for hook in hooks:
    hook.remove()
for name, shape in shapes:
    print(f"{name:<8} takes {tuple(shape)}")

# %% [markdown]
# The head takes 6 channels: the rainy picture *and* the last result. The figure of the paper
# shows it as a small circle; here it is a fact.

# %% [markdown]
# **4. Each equation beside its line of code.** In the paper a stage is: a layer $f_\text{in}$ sees
# the last result $x^{t-1}$ and the rainy picture $y$; a recurrent layer turns this into a state
# $s^t$; residual blocks $f_\text{res}$ and a last layer $f_\text{out}$ make the next result $x^t$.
# In code:

# %%
import inspect

from derain_edu.models.prn import PRN

print(inspect.getsource(PRN.stage))

# %% [markdown]
# **5. What the code does that the paper does not say.** This is where re-implementations go
# wrong. All of it was read in the authors' released code:
#
# | question | answer in the released code |
# |---|---|
# | What is the input of stage 1? | the rainy picture, twice |
# | Is there a ReLU after the first layer? | yes |
# | Does a residual block end in a ReLU? | yes, twice: its branch can only add |
# | What does the last layer predict? | minus the rain: the rainy picture is added to it |
# | And in the variants PReNet_LSTM, _GRU, _x? | the clean picture itself: the addition is gone |
# | Is anything clamped between the stages? | no, only at the very end |
# | Which stages does the loss see? | the last one only |
# | How is the output measured? | cut down to 8 bits (not rounded), then only its luma Y |
#
# A public re-implementation has exactly the right number of parameters, 168,963, and still
# misses three of these lines: the ReLU after the first layer, the second ReLU of each
# block, and the added rainy picture. A parameter count proves nothing; outputs do.

# %%
parameters = sum(p.numel() for p in de.create_model("prenet").parameters())
print(f"PReNet has {parameters:,} parameters")
assert parameters == 168_963

# %% [markdown]
# **6. Run it and compare with a published number.** The paper says 37.48 dB for PReNet on the
# 100 pictures of Rain100L. With the authors' weights and the pictures in your cache, the first cell
# measures three of them. The second cell shows what our tests recorded: the largest difference
# between our outputs and the authors', over all stages.

# %%
from derain_edu.datasets.download import cached_files, cached_set

weights = "prenet_rain100l.pth"
ready = cached_set("rain100l") and weights in cached_files("official-weights")
if ready:
    benchmark = de.PairedFolder(cached_set("rain100l"), layout="rain100l")
    official = de.create_model("prenet", pretrained="official-rain100l")
    for pair in (benchmark[k] for k in range(3)):
        with torch.no_grad():
            output = official(pair["rainy"][None])[0]  # (1, 3, H, W) -> (3, H, W)
        wet, dry = (de.psnr(x, pair["clean"]) for x in (pair["rainy"], output))
        print(f"{pair['name']}: rainy {wet:.2f} dB, derained {dry:.2f} dB")
        assert dry > wet + 4
else:
    print("Not in the cache (research use only):")
    print("derain-edu download official-weights rain100l")

# %%
import csv

from derain_edu.files import data_folder

recorded = data_folder() / "results" / "parity.csv"
with open(recorded, newline="", encoding="utf-8") as file:
    parity = list(csv.DictReader(file))
differences = [float(row["largest_difference"]) for row in parity]
names = []
for row in parity:
    names.append(f"{row['model']}, {row['weights'].removeprefix('official-')}")
figure, axes = plots.new_figure(width=9, height=3.6)
axes[0, 0].plot(differences, names, "o", color=plots.COLOURS[0])
axes[0, 0].grid(alpha=0.25)
axes[0, 0].axvline(1 / 255, color="k", linestyle=":")
axes[0, 0].text(1 / 255, 5, " one grey level", fontsize=8)
axes[0, 0].set_xscale("log")
axes[0, 0].set_xlim(1e-8, 0.1)
axes[0, 0].set_xlabel("largest difference from the authors' outputs, six stages")
plots.show(figure, "Eleven networks: all differences lie far to the left of "
           "one grey level.")
largest = max(differences)
print(f"the largest is {largest:.1e}, or {255 * largest:.4f} grey levels")
assert largest < 1e-5

# %% [markdown]
# All eleven networks of the family agree with the authors' outputs to about one millionth, less than
# a thousandth of a grey level. `derain-edu evaluate --data rain100l --weights official-rain100l`
# runs all 100 pictures and prints the mean.
#
# **7. Ask what would break it.** More rain than it was trained on; less; a photo four times as
# large; another colour order. Here is the first: the same photo in heavy rain, and two PReNets of
# this course. One saw light rain only (`"open-light"`), the other one, ours, light and heavy rain.

# %%
storm = de.add_rain(clean, "heavy", seed=1).rainy
only_light = de.create_model("prenet", pretrained="open-light")
before_storm = de.psnr(storm, clean)
titles, gains = {f"rainy, {before_storm:.1f} dB": storm}, {}
for name, network in {"saw light rain only": only_light, "saw both": model}.items():
    picture = de.to_tensor(de.derain(storm, network))
    score = de.psnr(picture, clean)
    titles[f"{name}, {score:.1f} dB"] = picture
    gains[name] = score - before_storm
    print(f"{name:20} {gains[name]:+.1f} dB")
titles["clean"] = clean
plots.show(plots.picture_row(titles, width=11),
           "The same path in heavy rain: as it is, derained by a network that saw "
           "light rain only (much of the rain is left), by one that saw both, "
           "and clean.")
assert gains["saw both"] > gains["saw light rain only"] + 3

# %% [markdown]
# A network knows the rain it has seen. (The two differ in more than that: ours has six stages instead
# of four, and learned from more photos and far more patches, on a GPU.)

# %% [markdown]
# ## A map of the field, and why it has two sheets
#
# Since 2019 the scores have risen. But tables mix two regimes: *one model per data set*, trained
# on the same kind of rain as the test, and *one model for all*, trained on the 13,712 pairs of
# Rain13K. The same PReNet has 37.48 dB in the first and 32.44 dB in the second.

# %%
own = {"PRN_r": (36.11, 27.43), "PRN": (36.99, 28.07), "PReNet_r": (37.10, 28.98),
       "PReNet": (37.48, 29.46)}
one_for_all = {"RESCAN": (2018, 29.80, 26.36), "PReNet": (2019, 32.44, 26.77),
               "MPRNet": (2021, 36.40, 30.41), "Restormer": (2022, 38.99, 31.46)}
figure, axes = plots.new_figure(1, 2, width=11, height=3.8, sharey=True)
for k, data in enumerate(("Rain100L", "Rain100H")):
    scores = [row[k] for row in own.values()]
    axes[0, 0].plot(list(own), scores, "o", color=plots.COLOURS[k], label=data)
    years = [row[0] for row in one_for_all.values()]
    scores = [row[k + 1] for row in one_for_all.values()]
    axes[0, 1].plot(years, scores, "o-", color=plots.COLOURS[k], label=data)
for name, (year, score, _) in one_for_all.items():
    axes[0, 1].annotate(name, (year, score), (-4, 5), fontsize=8, ha="right",
                        textcoords="offset points")
axes[0, 0].set_title("a model per data set, all 2019", fontsize=10)
axes[0, 1].set_title("one model for all (Rain13K)", fontsize=10)
axes[0, 0].set_ylabel("PSNR on Y in dB")
axes[0, 1].set(xticks=range(2018, 2023), xlim=(2017.3, 2022.4), ylim=(25.5, 40))
axes[0, 0].margins(x=0.15)
axes[0, 0].legend(frameon=False, loc="center right")
plots.show(figure, "Published PSNR in two regimes; the same PReNet is 5 dB apart "
           "between them.")

# %% [markdown]
# Never draw a line from the left panel to the right one: 5 dB between them come from the training
# data, not from the network. (Numbers: the papers' tables and repositories, on luma Y.)
#
# How to find papers, and how to check a claim:
#
# | you want | go to |
# |---|---|
# | papers that cite this one | a citation search (Semantic Scholar, Google Scholar), sorted by year |
# | what the authors really ran | their repository at the commit of the release, not its newest state |
# | why others can't reproduce a number | the repository's closed issues: search for "PSNR", "reproduce" |
# | an independent number | a later paper's table, and its footnotes on training data |
# | certainty | run the released weights with the released metric, image by image |

# %% [markdown]
# ## The course
#
# Each lesson answers one question in at most an hour: reading, playing and exercises. The core path (★)
# is a course of its own. What you have done is kept on this machine, and shown here.

# %%
from derain_edu.course import progress

progress.course_map()

# %% [markdown]
# In each lesson: think first and write a number, then run the cell. Names that begin with `my_` are for
# you to change. If something does not work, ask the doctor:

# %%
from derain_edu.course import doctor

healthy = doctor.report()

# %% [markdown]
# ## How exercises work
#
# From lesson 01 on some cells are yours to write. Above each stands a **card**: how difficult it is
# (●○○○○ is a few lines, ●●●●● an evening), how important for the rest of the course, how many minutes
# to spend, the task, and a folded hint. The cell below it holds a **stub**, a function that ends in
# `return ...`. Put your code there and run the cell: its last line tries your function on small
# examples. There are three answers. This toy asks for half of x:

# %%
from derain_edu.course.exercises import checking


@checking.checker("00.1")
def check_half(answer):  # the lessons keep this part out of your sight
    half = checking.attempt(answer, 0.8)
    mistakes = {"this is the double": 1.6}
    checking.expect_close(half, 0.4, "the half", mistakes=mistakes)


def stub(x):
    return ...  # write your code here


answers = (stub, lambda x: 2 * x, lambda x: x / 2)
results = [checking.judge("00.1", answer) for answer in answers]
print(*results, sep="\n")
assert [result.state for result in results] == ["untouched", "wrong", "right"]

# %% [markdown]
# A wrong answer gets a reason, and an example with the numbers. Nothing later in a lesson needs your
# function, so an exercise may stay open. Below each one a solution is folded away: spend the minutes
# on the card first. The folder `notebooks/solutions` of the course has the same lessons with all
# exercises solved.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. Why does the mountain path get a score, and a photo of your own does not?**
#
# <details><summary>Answer</summary>
#
# PSNR compares with the clean truth. We know it for the path, because we made the rain ourselves: 26.9
# dB before, 39.7 dB after. Nobody has your photo without its rain, so you have to look: at what is
# left, and at what went away with it.
#
# </details>
#
# **2. A re-implementation of PReNet has exactly 168,963 parameters. What is proved?**
#
# <details><summary>Answer</summary>
#
# That its layers have the same sizes. A ReLU and an addition have no parameters, and just these were
# missing in the one of move 5. Only equal outputs, with the same weights, show that it is the same
# network.
#
# </details>
#
# **3. On Rain100L PReNet has 37.48 dB, and Restormer 38.99 dB. Is Restormer better by 1.5 dB?**
#
# <details><summary>Answer</summary>
#
# These two can't be compared: the first was trained for this data set alone, the second is one model
# for all (the two panels above). In the same regime, trained on Rain13K, PReNet has 32.44 dB: the
# distance is 6.5 dB.
#
# </details>
#
# **4. In heavy rain one PReNet gains 1.3 dB, and the other one 16.6 dB. Is this due to the rain that they
# saw?**
#
# <details><summary>Answer</summary>
#
# This can't be told from here. They differ in the rain, in the photos, in the number of stages and in
# the length of training. To find out, change one of the four and keep the others: train the same network
# on the same photos for the same time, once with heavy rain and once without.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - take the rain out of a photo, in Python and with `derain-edu derain street.jpg`
# - look at a result critically: rain left, texture lost, colours changed
# - read a paper in seven moves, with its code beside it
# - tell which published numbers may be compared
#
# Next: **01 · Paired data**. What is rain to a network?
