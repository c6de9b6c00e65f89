# %% [markdown]
# # 15 · ONNX export
#
# **Does the file compute the same, at every size?**
#
# | | |
# |---|---|
# | **Goals** | read what is inside an exported file; choose a tolerance, and say what it means in grey levels; catch a size that froze; write a test that can fail; keep the contract of a file, in a program without PyTorch |
# | **Before you start** | lesson 04; lesson 06 helps (PReNet is PRN with a memory, h and c) |
# | **Time** | 60 minutes, 35 of them for the exercises; the cells take 60 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Ren et al., CVPR 2019 (PReNet, arXiv 1901.09221) |

# %% tags=["bootstrap"]
import derain_edu as de

# %%
print(f"derain_edu {de.__version__}")

import json
import subprocess
import sys
import tempfile
from functools import reduce
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from derain_edu.course import exercises
from derain_edu.course.views import diagrams, onnx_graph as views, plots
from derain_edu.datasets.held_out import validation_pairs
from derain_edu.inference.onnx_export import CHECKED, TOLERANCE, silence, sizes
from derain_edu.inference.onnx_stage import export_stage
from derain_edu.text import compare_guess, say, table as text_table

de.choose_device("cpu", verbose=True)  # a file for everyone: on what everyone has
torch.set_grad_enabled(False)  # nothing is trained here
de.set_seed(0)
temporary = tempfile.TemporaryDirectory()  # gone with the kernel
folder = Path(temporary.name)

# %% [markdown]
# ## 1 · From Python to a file
#
# A phone, a camera or a web page has no Python and no PyTorch. What has to go there? Not the code.
# The *computation*: which operation reads what, and the weights.

# %%
diagrams.from_code_to_runtime()

# %% [markdown]
# In Python a network is **eager**: each line is read each time, and starts one operation. The
# *export* sends one example through the code and notes the operations as a **graph**. The file
# (ONNX is the name of the format) holds the graph and the weights. A **runtime**, here ONNX Runtime, a
# program in C++, runs the file. The orange arrow is the question of this lesson.
#
# We start with a network of one line, which writes down each time that Python runs it.
#
# **Predict:** we export this toy and run the *file* three times. How often does Python visit
# `forward` during these three runs?

# %%
visits = []


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = nn.Parameter(torch.tensor(0.1))

    def forward(self, x):
        visits.append(str(list(x.shape)))
        return torch.relu(0.5 * x + self.b)


toy = Toy()
for width in (5, 6):
    toy(torch.rand(1, 3, 4, width))
print("visits so far:", ", ".join(visits))

# %%
my_guess = None  # write a number

# %%
visits.clear()
file = de.export_onnx(toy, folder / "toy.onnx")
say("visits of the export: " + ", ".join(visits))
tiny, before = de.load_onnx(file), len(visits)
for width in (5, 6, 7):
    tiny(torch.rand(1, 3, 4, width))
compare_guess(my_guess, len(visits) - before, "visits", decimals=0)
assert len(visits) == before and before >= 1

graph = onnx.load(file).graph
print("\nthe whole graph, from", sizes(graph.input[0]))
print("                   to", sizes(graph.output[0]))
for node in graph.node:
    print("   ", views.node_line(node))
print("stored:", ", ".join(views.stored_tensors(graph)))

# %% [markdown]
# None. The file holds three operations (*nodes*) and two numbers, and nothing of our class: the line
# that notes the visits is gone.
#
# Look at the first line of the output. One visit saw **letters** instead of sizes. That one made the
# graph, and a letter stands for any size. The visits with numbers came later: this package compares
# file and network at three other sizes before it keeps a file.
#
# Three nodes can be read. A real network has hundreds, so first you count them.

# %% [markdown] tags=["exercise"]
# ### Exercise 15.1 · Count the operations
#
# | | |
# |---|---|
# | **Difficulty** | ●○○○○ |
# | **Importance** | ●●●○○ |
# | **Spend** | 5 minutes |
# | **Task** | write `operations(graph)`: a dict of how many nodes of the graph do each operation, such as `{"Relu": 2, "Add": 1}` |
#
# <details><summary>Hint</summary>
#
# `graph.node` is a list. Each node has an `.op_type`, a string: what it does. (Its `.name` is its own
# and says nothing.) `counts.get(kind, 0)` is 0 as long as the kind is not there.
#
# </details>

# %% tags=["exercise"]
def operations(graph):
    """Return a dict: operation -> number of nodes that do it."""
    # BEGIN SOLUTION
    counts = {}
    for node in graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return counts
    # END SOLUTION


if exercises.check("15.1", operations):
    print("the toy:", operations(graph))

# %% [markdown]
# Now PReNet, with this course's weights for light rain and T = 4 stages. In Python a stage is written
# once and runs four times. It has 16 convolutions: a head, four gates, ten in the blocks, a tail.
#
# **Predict:** how many `Conv` nodes are in the graph? And each weight takes 4 bytes, 168,963 of them
# 676 kB. How many kB does the file have?

# %%
my_nodes = None  # write a number of Conv nodes
my_size = None  # and a number of kB (1,000 bytes)

# %%
model = de.create_model("prenet", pretrained="open-light")
path = de.export_onnx(model, folder / "prenet.onnx")  # some seconds
network = de.load_onnx(path)
graph = onnx.load(path).graph
counts = views.count_nodes(graph)
print(", ".join(f"{count} {name}" for name, count in counts.items()))
T = model.config.stages
compare_guess(my_nodes, counts["Conv"], "Conv nodes", decimals=0)
compare_guess(my_size, path.stat().st_size / 1000, "kB", decimals=0)

parameters = sum(p.numel() for p in model.parameters())
inside = sum(count for _, count in views.stored_tensors(graph).values())
print(f"stored: {inside:,} bytes; {parameters:,} × 4 = {4 * parameters:,} bytes")
assert counts["Conv"] == 16 * T - 1
assert 0 <= inside - 4 * parameters < 100, "each weight is stored once"

names = {f"memory.gates.{k}.weight": f"gate {g}" for k, g in enumerate("ifgo")}
plots.show(
    views.draw_stages(graph, names),
    "Sixteen weights as bars, a row each, and four columns of dots: the stages "
    "that use them. One ring: stage 1 does not use gate f. Arrows between stages: "
    "the picture, and two tensors of memory.",
)
print("stage 2 hands on:", ", ".join(views.carried_over(graph, 2)))
assert len(views.carried_over(graph, 2)) == 3

# %% [markdown]
# The loop is gone: the graph is **unrolled**, stage after stage. But each weight is stored *once*,
# and used by four nodes. These are the shared weights of lesson 04, seen from the file. The rest of
# the file, some 30 kB, describes the nodes.
#
# Why 63 and not 64? The ring shows it: in stage 1 the memory is empty, so there is nothing to forget,
# and this package leaves gate f out there. Three tensors go from stage to stage: the picture, and the
# memory's h and c.

# %% [markdown]
# ## 2 · What does "the same" mean?
#
# Float numbers are rounded after every addition, and two programs may add in two orders. One pixel of
# a convolution adds up 32 channels × 9 neighbours = 288 products. We add 288 numbers forwards and
# backwards, and then compare the whole network on a photo.

# %%
terms = torch.rand(288) - 0.5
for name, values in {"forwards": terms, "backwards": terms.flip(0)}.items():
    print(f"288 numbers, {name:9}: {reduce(torch.add, values):.9f}")

rainy, clean = validation_pairs(256)[-1]  # (1, 3, H, W) each
eager, outside = model(rainy), network(rainy)
difference = (eager - outside).abs()
rounding = difference.max().item()

figure, axes = plots.new_figure(1, 3, width=12, height=4)
pictures = {"eager": eager, "ONNX": outside}
for axis, (name, picture) in zip(axes[0], pictures.items(), strict=False):
    title = f"{name}, {de.psnr(picture.clamp(0, 1), clean):.2f} dB"
    plots.draw_picture(axis, picture[0], title)
plots.draw_map(axes[0, 2], 1e7 * difference[0].amax(dim=0), "difference × 10⁷")
plots.show(figure, "The derained photo from Python, the same from the file, and "
           "their difference: dots and faint streaks.")
equal = 100 * (eager == outside).float().mean().item()
print(f"rainy {de.psnr(rainy, clean):.2f} dB; equal to the last bit: {equal:.0f} %")
print(f"largest difference {rounding:.1e}; tolerance {TOLERANCE:.0e}, which is "
      f"{255 * TOLERANCE:.4f} of a grey level")
assert rounding <= TOLERANCE / 10 and equal < 100

# %% [markdown]
# We can't ask for equal bits: such a test may fail on the next processor. We ask for 1e-5, less than
# three thousandths of a grey level. Nobody can see that. (Saved with 8 bits, a value near the middle
# between two levels may still be rounded the other way, by one level.)
#
# Why not be generous, and allow half a grey level? Because a tolerance has a second side: it should
# be **smaller than a mistake**. We make four small ones: in one layer, one weight of middling size
# is lost.

# %%
def lose_one_weight(layer):
    """Return the largest change of the picture if one weight of a layer is 0."""
    weight = model.get_submodule(layer).weight.view(-1)
    k = weight.abs().argsort()[weight.numel() // 2]  # the median
    kept = weight[k].clone()
    weight[k] = 0
    change = (model(corner) - as_it_is).abs().max().item()
    weight[k] = kept
    return change


corner = rainy[..., :96, :96]
as_it_is = model(corner)
lost = {}
for layer in ("head", "memory.gate_conv", "blocks.2.conv1", "tail"):
    lost[layer] = lose_one_weight(layer)
    print(f"{layer:16} {lost[layer]:.0e}")
half_a_level = 0.5 / 255
by_tolerance = sum(change > TOLERANCE for change in lost.values())
by_half = sum(change > half_a_level for change in lost.values())
print(f"rounding {rounding:.0e}; {TOLERANCE:.0e} finds {by_tolerance} of 4, "
      f"half a level ({half_a_level:.0e}) finds {by_half}")
assert (by_tolerance, by_half) == (3, 2)

# %% [markdown]
# 1e-5 finds three of the four, half a grey level two. One of the 73,728 weights of the gates moves
# the picture so little that neither finds it. So take a tolerance that is as small as rounding
# allows, and don't believe that it finds everything.

# %% [markdown]
# ## 3 · The trap: every size
#
# All of this was *one* size. The export watches one example, too. Here is a sweep over the columns,
# as in lesson 07, written as a Python loop. We export it as a tutorial would, with an example of 19
# columns. PyTorch has three ways to say that batch, height and width are free: objects `Dim`, plain
# names, or `Dim.AUTO`, with which PyTorch finds out by itself which sizes are free.
#
# **Predict:** the export with `Dim.AUTO` succeeds. We give the file a picture of 30 columns. How
# many columns come back?

# %%
class Sweep(nn.Module):
    def forward(self, x):  # (B, 3, H, W)
        h, swept = torch.zeros_like(x[..., 0]), []
        for t in range(x.shape[-1]):  # a Python loop over the columns
            h = torch.relu(0.5 * h + x[..., t])
            swept.append(h)
        return torch.stack(swept, dim=-1)


Dim = torch.export.Dim
words = {
    "Dim objects": (Dim("batch"), Dim("height"), Dim("width")),
    "Dim.AUTO": (Dim.AUTO, Dim.AUTO, Dim.AUTO),
    "plain names": ("batch", "height", "width"),
}


def plain_export(module, free):
    """Return a graph, made without the checks of this package."""
    with silence():  # PyTorch prints much while it works
        return torch.onnx.export(
            module, (torch.rand(2, 3, 21, 19),),
            dynamo=True, opset_version=18, verbose=False,
            dynamic_shapes=(dict(zip((0, 2, 3), free, strict=True)),),
            input_names=["rainy"], output_names=["derained"]).model_proto

# %%
my_guess = None  # write a number

# %%
graphs = {}
for name, free in words.items():
    try:
        graphs[name] = plain_export(Sweep(), free)
        start, end = graphs[name].graph.input[0], graphs[name].graph.output[0]
        print(f"{name:12} exported: {sizes(start)} -> {sizes(end)}")
    except Exception as error:  # the innermost one says why
        while error.__cause__ is not None:
            error = error.__cause__
        say(f"{name:12} refused: …{str(error).splitlines()[-1][-64:]}")
print(views.count_nodes(graphs["Dim.AUTO"].graph), "\n")

for name, proto in graphs.items():
    for width in (19, 30, 12):
        try:
            columns = views.run_graph(proto, torch.rand(1, 3, 8, width)).shape[-1]
            print(f"{name:12} {width} columns: gives {columns}")
        except Exception as error:
            reason = str(error).splitlines()[0].rpartition(" : ")[2]
            print(f"{name:12} {width} columns: fails, {reason[:48]}…")
wide = views.run_graph(graphs["Dim.AUTO"], torch.rand(1, 3, 8, 30)).shape[-1]
compare_guess(my_guess, wide, "columns", decimals=0)
assert wide == 19 and "plain names" not in graphs

# %% [markdown]
# 19. The loop was unrolled for 19 columns: 19 `Mul`, 19 `Add`, 19 `Relu`, a program for one width.
# With `Dim.AUTO` the input looks free, a wider picture comes back **cut off, without any error**, and
# a narrower one fails. With `Dim` objects the graph at least says 19 at its input. Only plain names
# made the export refuse.
#
# The frozen size stands in the graph. Someone must look: you.

# %% [markdown] tags=["exercise"]
# ### Exercise 15.2 · Catch the frozen size
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 10 minutes |
# | **Task** | write `frozen_sizes(graph)`: a list of (name, axis) for each size of an input or output that is a number and should be free, for example `[("derained", 3)]` for a frozen width. Axis 1, the three colours, may be a number |
#
# <details><summary>Hint</summary>
#
# `graph.input` and `graph.output` are lists; each entry has a `.name`. `sizes(entry)` gives its four
# sizes, strings where they are free: look at what the cell above printed. `enumerate` counts the axes.
#
# </details>

# %% tags=["exercise"]
def frozen_sizes(graph):
    """Return (name, axis) for each frozen batch (0), height (2) or width (3)."""
    # BEGIN SOLUTION
    found = []
    for value in (*graph.input, *graph.output):
        for axis, size in enumerate(sizes(value)):
            if axis != 1 and not isinstance(size, str):
                found.append((value.name, axis))
    return found
    # END SOLUTION


if exercises.check("15.2", frozen_sizes):
    for name, proto in graphs.items():
        print(f"{name:12} frozen: {frozen_sizes(proto.graph)}")

# %% [markdown]
# Is a graph without frozen sizes right at every size? Three more modules:

# %%
class IfWidth(nn.Module):
    def forward(self, x):  # a decision by the size: the example's 19 columns decide
        return 2 * x if x.shape[-1] > 10 else 3 * x


class IfBright(nn.Module):
    def forward(self, x):  # a decision by the values
        return 2 * x if float(x.mean()) > 0.5 else x


class Noise(nn.Module):
    def forward(self, x):  # never the same twice
        return x + torch.rand_like(x)


for module in (Sweep(), IfWidth(), IfBright(), Noise()):
    try:
        de.export_onnx(module, folder / "refused.onnx")
    except de.DerainError as error:
        say(f"{type(module).__name__}: {error}")
    assert not (folder / "refused.onnx").exists()

# %% [markdown]
# `de.export_onnx` reads the sizes *and runs* the graph at three other sizes, before it writes the
# file. Each time there is one sentence, and no file. (The sentence can only guess the reason.)
#
# `IfWidth` shows why running is needed: all its sizes are free, and for pictures of up to 10 columns
# its graph computes the wrong branch. So we need a test that runs, and that **can fail**.

# %% [markdown] tags=["exercise"]
# ### Exercise 15.3 · A test that can fail
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 12 minutes |
# | **Task** | write `levels_apart(model, network, shapes)`. For each shape make one random picture, with values in [0, 1], and give it to both. Return the largest difference of any value of any picture, in grey levels (one is 1/255). Return infinity if an output of `network` has another shape than the model's, or holds a value that is not a number (NaN) |
#
# <details><summary>Hint</summary>
#
# `torch.rand(shape)` makes a picture. Look at the shapes of the two outputs before you subtract:
# PyTorch stretches (1, 3, 8, 1) to (1, 3, 8, 30) without a word. `nan > 3` is False, and so is
# `nan < 3`: a maximum may lose it. `found.isfinite().all()` does not. Infinity is `float("inf")`.
#
# </details>

# %% tags=["exercise"]
def levels_apart(model, network, shapes):
    """Return the largest difference in grey levels, over all shapes."""
    # BEGIN SOLUTION
    worst = 0.0
    for shape in shapes:
        rainy = torch.rand(shape)
        expected, found = model(rainy), network(rainy)
        if found.shape != expected.shape or not found.isfinite().all():
            return float("inf")
        worst = max(worst, 255 * (found - expected).abs().max().item())
    return worst
    # END SOLUTION


if exercises.check("15.3", levels_apart):
    own, unseen = (2, 3, 21, 19), [(1, 3, 33, 70), (2, 3, 48, 7), (1, 3, 1, 1)]
    proto = plain_export(IfWidth(), words["Dim objects"])
    broken = lambda x: views.run_graph(proto, x)  # noqa: E731
    for tried in ([own], [own, *unseen]):
        apart = levels_apart(IfWidth(), broken, tried)
        print(f"IfWidth, {len(tried)} shapes: {apart:.1f} levels")
    print(f"PReNet, unseen: {levels_apart(model, network, unseen):.5f} levels")

# %%
for shape in ((1, 3, 33, 70), (2, 3, 48, 7), (1, 3, 1, 1)):
    assert shape not in CHECKED, "the export has not tried this one"
    some = torch.rand(shape)
    apart = (model(some) - network(some)).abs().max().item()
    print(f"PReNet, {shape}: {apart:.1e}")
    assert apart <= TOLERANCE

# %% [markdown]
# With the export's own example `IfWidth` looks perfect: your test gives 0.0 levels. Only the narrow
# pictures make it fail. A test that can't fail says nothing.
#
# At these sizes, too, our file computes the same. That is not yet "at every size": a test of some sizes can
# only find a mistake, not exclude one. Choose them so that they would hurt: odd, narrow, one pixel, a
# batch.
#
# <details><summary>Background: what if the picture decides how long a loop is?</summary>
#
# PReNet has T = 4 stages, known when you export: unrolling is right. SPANet sweeps over columns and
# rows, as many as the photo has. ONNX has a loop of its own for this, `Scan`: it carries a state along
# an axis, however long it is. `de.export_onnx` translates each sweep into one (SPANet has 32 of
# them: 4 stages × 2 rounds × 4 directions), so SPANet's file takes any size, too.
#
# </details>

# %% [markdown]
# ## 4 · The contract
#
# A graph takes numbers and gives numbers. It can't say what they mean: RGB or BGR? 0 to 1 or 0 to
# 255? That is a **contract**, and this package writes it into the file, as text that any program
# can read.

# %%
for name, rule in json.loads(network.info.metadata["preprocessing"]).items():
    print(f"{name:8} {rule}")

# %% [markdown] tags=["exercise"]
# ### Exercise 15.4 · Keep the contract
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 8 minutes |
# | **Task** | write `derain_bytes(network, photo)` with NumPy. `photo` is an array (H, W, 3) of bytes (`np.uint8`), RGB. `network` takes an array as the contract says, (1, 3, H, W), and gives such an array back. Return the derained photo as `photo` came: (H, W, 3), bytes, RGB |
#
# <details><summary>Hint</summary>
#
# `transpose(2, 0, 1)` moves the colours to the front (`reshape` would mix them up), `[None]` adds the
# batch. `np.float32(photo)` makes floats of four bytes. Back: the last rule of the contract, then
# `.round()`, then `.astype(np.uint8)`, which cuts off decimals.
#
# </details>

# %% tags=["exercise"]
def derain_bytes(network, photo):
    """Return the derained photo, (H, W, 3) bytes in and out."""
    # BEGIN SOLUTION
    x = np.float32(photo).transpose(2, 0, 1)[None] / 255  # (1, 3, H, W) in 0 to 1
    y = network(x)[0].clip(0, 1)  # (3, H, W)
    return (255 * y).round().astype(np.uint8).transpose(1, 2, 0)  # (H, W, 3)
    # END SOLUTION


if exercises.check("15.4", derain_bytes):
    photo = np.asarray(de.to_pil(rainy))
    run = lambda x: network.session.run(None, {"rainy": x})[0]  # noqa: E731
    derained = de.to_tensor(derain_bytes(run, photo))
    print(f"through your function: {de.psnr(derained, clean[0]):.2f} dB")

# %% [markdown]
# Now really without PyTorch: a program that knows NumPy, Pillow and ONNX Runtime only, in a process
# of its own. In C++, Java or JavaScript it would have the same five steps.

# %%
PROGRAM = """
import sys
import numpy as np, onnxruntime
from PIL import Image

network, source, target = sys.argv[1:]
photo = np.asarray(Image.open(source).convert("RGB"))  # (H, W, 3) bytes, RGB
x = np.float32(photo).transpose(2, 0, 1)[None] / 255  # (1, 3, H, W) in 0 to 1
session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
(y,) = session.run(None, {session.get_inputs()[0].name: x})
y = (y[0].clip(0, 1) * 255).round().astype(np.uint8)  # clamp, then bytes
Image.fromarray(y.transpose(1, 2, 0)).save(target)
print("PyTorch is loaded:", "torch" in sys.modules)
"""
(folder / "outside.py").write_text(PROGRAM, encoding="utf-8")
de.to_pil(rainy).save(folder / "rainy.png")
command = [sys.executable, "outside.py", "prenet.onnx", "rainy.png", "derained.png"]
done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
print(done.stdout or done.stderr)
saved = de.to_tensor(folder / "rainy.png")[None]  # the photo as the file holds it
in_python = de.to_tensor(de.to_pil(model(saved)))
from_outside = de.to_tensor(folder / "derained.png")
levels = (255 * (from_outside - in_python).abs()).max().item()
print(f"with and without PyTorch, as bytes: at most {levels:.0f} grey levels apart")
assert "loaded: False" in done.stdout and levels <= 1.01

# %% [markdown]
# Now we break the contract on purpose. None of these mistakes raises an error.
#
# **Predict:** a program gives BGR instead of RGB (and turns the result back). How many dB does that
# cost, on the mean of four photos?

# %%
my_guess = None  # write a number; minus means better

# %%
def wrapped(y):
    return (255 * y).round().to(torch.int64) % 256 / 255  # no clamp: 256 becomes 0


contracts = {
    "as in the contract": lambda x: network(x),
    "BGR": lambda x: network(x.flip(1)).flip(1),
    "rows and columns swapped": lambda x: network(x.mT).mT,
    "−1 to 1": lambda x: (network(2 * x - 1) + 1) / 2,
    "0 to 255": lambda x: network(255 * x) / 255,
    "not clamped": lambda x: wrapped(network(x)),
    "nothing done": lambda x: x,
}
pairs, kept = validation_pairs(192), {}
for name, way in contracts.items():
    kept[name] = np.mean([de.psnr(way(x).clamp(0, 1), truth) for x, truth in pairs])
right = kept["as in the contract"]
print(text_table(["", "dB", "against the contract"],
                 [[n, f"{v:.2f}", f"{v - right:+.2f}"] for n, v in kept.items()]))
compare_guess(my_guess, right - kept["BGR"], "dB", decimals=2)
assert 0 < right - kept["BGR"] < 1 and kept["0 to 255"] < right - 3
assert kept["not clamped"] < right and kept["−1 to 1"] < right

# %% [markdown]
# The large losses would be noticed. Mixed-up colours cost a few tenths of a decibel: rain is grey.
# **That is the dangerous kind**, a mistake that no eye notices. So a contract is checked by numbers
# that must agree, never by looking at a picture.

# %% [markdown]
# ## 5 · One stage per call
#
# In our file T is fixed, and only the last picture comes out. The page
# [Try it](https://github.com/derain-edu/derain-edu/blob/main/book/demo/page.md)
# of the book shows every stage in your browser. So it needs another file: **one stage**,
# (rainy, x, h, c) → (x, h, c), and the loop stays outside. Does that compute the same, too? We run it
# eight times, twice as often as this network was trained for.

# %%
stage_path = export_stage(model, folder / "stage.onnx")  # some seconds
stage_graph = onnx.load(stage_path).graph
print("from", ", ".join(f"{v.name} {sizes(v)}" for v in stage_graph.input))
print(views.count_nodes(stage_graph)["Conv"], "Conv nodes")
stage = onnxruntime.InferenceSession(stage_path, providers=["CPUExecutionProvider"])

picture = rainy.numpy()  # (1, 3, H, W)
x, empty = picture, np.zeros((1, 32, *picture.shape[2:]), np.float32)
h, c = empty, empty
for t, expected in enumerate(model.unroll(rainy, stages=8), 1):
    x, h, c = stage.run(None, {"rainy": picture, "x": x, "h": h, "c": c})
    apart = np.abs(x - expected.numpy()).max()
    print(f"stage {t}: largest difference {apart:.1e}")
    assert apart <= TOLERANCE

# %% [markdown]
# Within the tolerance at every stage. All four gates are there, 16 convolutions: this graph can't know
# that its first memory is empty. The page runs these three lines in JavaScript, with the weights for
# all rains.
#
# From the shell, without a line of Python:
#
# ```
# derain-edu export prenet -o prenet.onnx
# derain-edu export prenet -o stage.onnx --stage
# derain-edu export prenet -o prenet_int8.onnx --int8
# derain-edu derain street.jpg --model prenet.onnx
# ```
#
# (`--int8` stores numbers of 8 bits: a smaller and often faster file, which by design does *not*
# compute the same. `derain-edu bench onnx` measures time, size and loss on your machine.)

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. A test compares file and network on the picture of the export, and finds 2e-7. What has it
# shown, and what not?**
#
# <details><summary>Answer</summary>
#
# At this size the two agree up to rounding. It says nothing of other sizes: `IfWidth` passes this
# test, and computes the wrong branch for up to 10 columns. It says nothing of the contract either:
# whether a program sends RGB or BGR is not part of the graph.
#
# </details>
#
# **2. You export PReNet with T = 12 instead of 4. How many `Conv` nodes are there, and how much
# larger are the stored weights?**
#
# <details><summary>Answer</summary>
#
# 16 · 12 − 1 = 191: every stage has its 16 nodes, and the first one needs no gate f. The weights are
# not larger at all: each is stored once. The file grows only by the text of the nodes.
#
# </details>
#
# **3. Why is the tolerance 1e-5, and not 0, and not half a grey level?**
#
# <details><summary>Answer</summary>
#
# 0 asks for equal bits, and other orders of adding give other last bits (section 2). Half a grey
# level, 2e-3, is larger than a mistake: it missed two of our four lost weights. 1e-5 lies above
# rounding and missed one.
#
# </details>
#
# **4. A web page with your file makes pictures that look right, but its mean PSNR is a few tenths of
# a decibel lower. What do you suspect, and how do you find it?**
#
# <details><summary>Answer</summary>
#
# For example BGR instead of RGB (section 4). Don't look at pictures: print the first numbers that go
# into the network, on both sides, for the same photo. Then those that come out, before the clamp and
# after it. The first pair that differs is where the contract breaks.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - read a file: nodes per stage, each weight once, three tensors from stage to stage;
# - choose a tolerance: above rounding, and below a mistake;
# - catch a size that froze, and a decision that froze with it;
# - write a test that can fail: several sizes, one that is narrow, shapes and NaN looked at;
# - run a network without PyTorch, and keep the contract that goes with it.
#
# **Next:** **16 · Build your own**. A network of yours, and a score that others can trust.
