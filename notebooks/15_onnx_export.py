# %% [markdown]
# # 15 · ONNX export
#
# **How does a network leave Python?**
#
# | | |
# |---|---|
# | **Goals** | tell eager code, graph and runtime apart; read what is inside an exported file; choose a tolerance, and say what it means in grey levels; catch a frozen size; keep a loop in the graph; ask of a speed-up where it comes from; say what a byte stands for, and which layer breaks with few bits; run a network where no PyTorch is |
# | **Before you start** | lessons 04 and 07 |
# | **Time** | 100 minutes, 55 of them for the exercises; the cells take 70 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Ren et al., CVPR 2019 (PReNet, arXiv 1901.09221); Jacob et al., CVPR 2018 (whole numbers instead of floats, arXiv 1712.05877) |

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

import json
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from derain_edu.course import exercises
from derain_edu.course.views import onnx_graph as views, plots
from derain_edu.datasets.held_out import validation_pairs
from derain_edu.evaluation.plain_prenet import as_plain_prenet
from derain_edu.evaluation.timing import interleave, machine_line, speedup
from derain_edu.inference.onnx_export import CHECKED, TOLERANCE, silence, sizes
from derain_edu.inference.onnx_int8 import calibration_pictures, quantize_onnx
from derain_edu.inference.onnx_stage import export_stage
from derain_edu.text import compare_guess, say, table as text_table

de.choose_device("cpu", verbose=True)  # a file for everyone is checked on what everyone has
torch.set_grad_enabled(False)  # nothing is trained here
de.set_seed(0)
temporary = tempfile.TemporaryDirectory()  # gone with the kernel
folder = Path(temporary.name)

# %% [markdown]
# ## 1 · Eager, graph, runtime
#
# A phone, a camera or a web page has no Python and no PyTorch. What would have to go there? Not the
# code. The *computation*: which operation reads what, and the weights. We start with a network of
# one line, which writes down each visit of Python to it.

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

# %% [markdown]
# This is **eager**: Python reads each line, each time, and starts the operations one by one. Now we
# export it. PyTorch sends one example through, and notes the operations: a **graph**. ONNX Runtime,
# a program in C++, then runs the file: that is the **runtime**.
#
# **Predict:** we run the file three times. How often does Python visit `forward` *then*?

# %%
my_guess = None  # write a number

# %%
del visits[:]
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
# None. The file holds three operations and two numbers, and nothing of our class, not even the line
# that wrote the visits.
#
# Look at the first line: one visit saw **letters** instead of sizes, and made
# the graph; a letter stands for any size (section 3). The visits with numbers came later: this package
# compares file and network at three other sizes before it keeps a file (section 2).
#
# Three nodes can be read. A real network has hundreds: first of all you count them.

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
# and says nothing.)
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

# %% [markdown] tags=["solution"]
# `collections.Counter(node.op_type for node in graph.node)` does it in one line. A count tells more
# than it seems: a `Loop` node, or a thousand nodes where you expected ten, shows at once.

# %% [markdown]
# Now PReNet, with this course's weights for light rain and T = 4 stages. The same photo goes through
# the Python code and through the file.

# %%
model = de.create_model("prenet", pretrained="open-light")
path = de.export_onnx(model, folder / "prenet.onnx")  # some seconds
network = de.load_onnx(path)
rainy, clean = validation_pairs(256)[-1]  # (1, 3, H, W) each
eager, outside = model(rainy), network(rainy)

figure, axes = plots.new_figure(1, 3, width=12, height=4)
for axis, (name, picture) in zip(axes[0], {"eager": eager, "ONNX": outside}.items(), strict=False):
    plots.draw_picture(axis, picture[0], f"{name}, {de.psnr(picture.clamp(0, 1), clean):.2f} dB")
difference = (eager - outside).abs()
plots.draw_map(axes[0, 2], 1e7 * difference[0].amax(dim=0), "difference × 10 million")
plots.show(figure, "The derained photo from Python, the same from the file, and their difference, "
           "which is dots and faint streaks of up to about two ten-millionths.")
print(f"rainy {de.psnr(rainy, clean):.2f} dB; largest difference {difference.max():.1e}")
assert difference.max() <= TOLERANCE

# %% [markdown]
# White is 1, and the largest difference is 2.4e-07: about four million times smaller. Faint streaks
# show in it.
#
# What is inside? In Python a stage is written once and runs four times. A stage has 16
# convolutions: a head, four gates, ten in the blocks, a tail.
#
# **Predict:** how many `Conv` nodes are in the graph?

# %%
my_guess = None  # write a number

# %%
graph = onnx.load(path).graph
counts = views.count_nodes(graph)
print(", ".join(f"{count} {name}" for name, count in counts.items()))
compare_guess(my_guess, counts["Conv"], "Conv nodes", decimals=0)
T = model.config.stages
assert counts["Conv"] == 16 * T - 1

# %% [markdown]
# The loop is gone: the graph has it **unrolled**, stage after stage. But 63 is not 4 × 16. Which one
# is missing? And if every stage has its own nodes, is every weight stored four times?
#
# **Predict:** PReNet has 168,963 parameters of 4 bytes. How many kB does the file have?

# %%
my_guess = None  # write a number of kB (1,000 bytes)

# %%
stored = views.stored_tensors(graph)  # name -> (shape, bytes)
parameters = sum(p.numel() for p in model.parameters())
inside = sum(count for _, count in stored.values())
compare_guess(my_guess, path.stat().st_size / 1000, "kB", decimals=0)
print(f"{parameters:,} parameters × 4 bytes = {4 * parameters:,}")
print(f"{len(stored)} stored tensors: {inside:,} bytes; the file: {path.stat().st_size:,}")
assert 0 <= inside - 4 * parameters < 100, "each weight is stored once"
assert path.stat().st_size < 1.1 * 4 * parameters

# %%
gates = {f"memory.gates.{k}.weight": f"gate {name}" for k, name in enumerate("ifgo")}
plots.show(
    views.draw_stages(graph, gates),
    "Sixteen weights as bars, one row each, and four columns of dots: the convolutions of the four "
    "stages that use them. One ring: stage 1 does not use gate f. Arrows between stages: the "
    "picture from tail to head, and two tensors of memory from the last gate.",
)
print("stage 2 hands on:", ", ".join(views.carried_over(graph, 2)))
missing = {use.weight for use in views.weight_uses(graph) if use.stage == 2} - {
    use.weight for use in views.weight_uses(graph) if use.stage == 1}
print("used by stage 2, but not by stage 1:", ", ".join(missing))
assert len(views.carried_over(graph, 2)) == 3 and missing == {"memory.gates.1.weight"}

# %% [markdown]
# Weights once, uses many times: shared weights, seen from the file. And the ring: in stage 1 the
# memory is empty, so there is **nothing to forget**. This package leaves that gate out of the graph.
# (It also cuts the gates' weights there, `Slice`: the half that would multiply the empty memory.)
#
# Three tensors cross from stage to stage: the picture, joined with the rainy one, and the LSTM's h
# and c of lesson 04.

# %% [markdown]
# ## 2 · What does "the same" mean?
#
# Two pictures, the same weights, the same formula. The operations are not quite the same: the file
# leaves out what would multiply an empty memory, and a runtime may rewrite the graph (section 5).
# Above all, float numbers are rounded at every step, and the two programs add in different orders.
#
# **Predict:** in how many percent of the values do both agree to the *last bit*?

# %%
my_guess = None  # write a number from 0 to 100

# %%
terms = torch.rand(288) - 0.5  # a convolution adds up 32 channels × 9 pixels = 288 products
orders = {"forwards": terms, "backwards": terms.flip(0), "sorted": terms.sort().values}
for name, values in orders.items():
    total = values[0]
    for value in values[1:]:
        total = total + value
    print(f"288 numbers, added {name:9}: {total.item():.9f}")

equal = 100 * (eager == outside).float().mean().item()
compare_guess(my_guess, equal, "%", decimals=0)
as_bytes = [(255 * picture.clamp(0, 1)).round() for picture in (eager, outside)]
changed = (as_bytes[0] != as_bytes[1]).float().mean()
print(f"largest difference {difference.max():.1e}; as bytes, {changed:.2%} of the values differ")
print(f"the tolerance {TOLERANCE:.0e} is {255 * TOLERANCE:.4f} of a grey level")
assert equal < 100 and changed < 0.001

# %% [markdown]
# So we can't ask for equal bits: a test that does would fail on the next processor. We ask for
# 1e-5, less than three thousandths of a grey level: nobody can see it. In a file of 8 bits it shows
# rarely, and then as one grey level: a value near the middle between two levels may be rounded the
# other way. Above, 0.00 % of the bytes differ. Why not be generous, and ask for half a grey level?
#
# Because a tolerance has a second side. It should be **smaller than a mistake**. We make the
# smallest one that we can think of: one of the 168,963 weights is lost.

# %%
def mistake(layer, factor):
    """Return how much the picture changes if one middling weight of a layer is × factor."""
    weight = model.get_submodule(layer).weight.view(-1)
    k = weight.abs().argsort()[weight.numel() // 2]
    kept = weight[k].clone()
    weight[k] = factor * kept
    changes = (model(corner) - as_it_is).abs().max().item()
    weight[k] = kept
    return changes


corner = rainy[..., :96, :96]
as_it_is = model(corner)
layers = ("head", "memory.gate_conv", "blocks.2.conv1", "tail")
lost = {layer: mistake(layer, 0) for layer in layers}
one_percent = {layer: mistake(layer, 1.01) for layer in layers}
for layer in layers:
    print(f"{layer:16} lost: {lost[layer]:.0e}   1 % too large: {one_percent[layer]:.0e}")
print(f"rounding {difference.max():.0e}, tolerance {TOLERANCE:.0e}, half a level {0.5 / 255:.0e}")
seen = [layer for layer in layers if lost[layer] > TOLERANCE]
assert {"head", "blocks.2.conv1", "tail"} <= set(seen) and TOLERANCE > 10 * difference.max()
assert lost["blocks.2.conv1"] < 0.5 / 255, "half a grey level would not see it"

# %% [markdown]
# The tolerance lies far above rounding, and finds three of the four lost weights. Half a grey level
# would have found two. And 1e-5 does not find everything: the lost middling weight of the gates'
# 73,728 moves the picture less than that. A weight of the gates or of the block that is one percent
# too large stays below the tolerance, too.
#
# So smaller is better, as long as rounding stays below.
#
# One size proves one size. Three that neither this page nor the export has seen:

# %%
for size in ((1, 3, 33, 70), (2, 3, 48, 20), (1, 3, 1, 1)):
    assert size not in CHECKED
    some = torch.rand(size)
    apart = (model(some) - network(some)).abs().max().item()
    print(f"{size}: {apart:.1e}")
    assert apart <= TOLERANCE

# %% [markdown]
# ## 3 · The trap
#
# The export watches *one example*. Lesson 07 wrote a sweep as a Python loop over the columns. Here
# it is as a module, and we export it as any tutorial would, with an example of 19 columns. There are
# three ways to say that batch, height and width are free.

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
    with silence():  # PyTorch tells much while it works
        return torch.onnx.export(
            module, (torch.rand(2, 3, 21, 19),), dynamo=True, opset_version=18, verbose=False,
            dynamic_shapes=(dict(zip((0, 2, 3), free, strict=True)),),
            input_names=["rainy"], output_names=["derained"]).model_proto

# %% [markdown]
# **Predict:** the export with `Dim.AUTO` succeeds. We give the file a picture of 30 columns. How
# many columns come back?

# %%
my_guess = None  # write a number

# %%
graphs = {}
for name, free in words.items():
    try:
        graphs[name] = plain_export(Sweep(), free)
        start, end = (sizes(v[0]) for v in (graphs[name].graph.input, graphs[name].graph.output))
        print(f"{name:12} exported, no complaint:\n{'':12} in  {start}\n{'':12} out {end}")
    except Exception as error:
        while error.__cause__ is not None:
            error = error.__cause__
        say(f"{name:12} refused: …{str(error).splitlines()[-1][-64:]}")
say(str(views.count_nodes(graphs["Dim.AUTO"].graph)))


def run(proto, width):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # we print its errors ourselves
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"rainy": torch.rand(1, 3, 8, width).numpy()})[0]

# %%
for name, proto in graphs.items():
    for width in (19, 30, 12):
        try:
            print(f"{name:12} width {width}: gives {run(proto, width).shape[-1]} columns")
        except Exception as error:
            reason = str(error).splitlines()[0].rpartition(" : ")[2]
            print(f"{name:12} width {width}: fails, {reason[:48]}…")
compare_guess(my_guess, run(graphs["Dim.AUTO"], 30).shape[-1], "columns", decimals=0)
assert run(graphs["Dim.AUTO"], 30).shape[-1] == 19 and "plain names" not in graphs

# %% [markdown]
# It gave 19. The loop was watched for 19 columns: 19 `Mul`, 19 `Add`, 19 `Relu`, a program for one width.
# With `Dim` objects the graph at least says so, if somebody reads it. With `Dim.AUTO` the input looks
# free, a wider picture comes back **cut off, without any error**, and a narrower one fails. Only
# plain names made the export refuse.
#
# The graph knows, in its sizes. Someone must look: you.

# %% [markdown] tags=["exercise"]
# ### Exercise 15.2 · Catch the frozen size
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 10 minutes |
# | **Task** | write `frozen_sizes(graph)`: a list of (name, axis) for each size of an input or output that is a number and should be free. Axis 1, the three colours, may be a number |
#
# <details><summary>Hint</summary>
#
# `graph.input` and `graph.output` are lists; each entry has a `.name`. `sizes(entry)` gives its four
# sizes, strings where they are free: look at what the cell above printed.
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

# %% [markdown] tags=["solution"]
# If you look at the input only, you miss what `Dim.AUTO` does.

# %% [markdown]
# `de.export_onnx` looks, too. But sizes are not all that can go wrong. It also *runs* the graph at
# three other sizes, compares, and writes the file only then. Four modules that can't be exported:

# %%
class IfWidth(nn.Module):
    def forward(self, x):  # a decision by the size: the example's 19 columns decide for all
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
        refused = False
    except de.DerainError as error:
        refused = True
        say(f"{type(module).__name__}: {error}")
    assert refused and not (folder / "refused.onnx").exists()

# %% [markdown]
# Each time one sentence, and no file. `IfWidth` shows why reading is not enough: all its sizes are
# free, and for pictures of up to 10 columns it computes the wrong branch.
#
# (The messages can only guess the reason. A Python `if` looks at a *size* in `IfWidth`, and in
# `Noise` there is no `if` at all: there it is the random numbers.)

# %% [markdown] tags=["exercise"]
# ### Exercise 15.3 · A test that can fail
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 15 minutes |
# | **Task** | write `levels_apart(model, network, shapes)`. For each shape make one random picture, with values in [0, 1], and give it to both. Return the largest difference of any value of any picture, in grey levels (one is 1/255). Return infinity if an output of `network` has another shape than the model's, or holds a value that is not a number |
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
    """Return the largest difference in grey levels over pictures of these shapes."""
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
    plain = plain_export(IfWidth(), words["Dim objects"]).SerializeToString()
    session = onnxruntime.InferenceSession(plain, providers=["CPUExecutionProvider"])
    broken = lambda x: torch.from_numpy(session.run(None, {"rainy": x.numpy()})[0])  # noqa: E731
    for tried in ([(2, 3, 21, 19)], [(2, 3, 21, 19), *CHECKED]):
        print(f"IfWidth, {len(tried)} shapes: {levels_apart(IfWidth(), broken, tried):.1f} levels")
    print(f"PReNet, 4 shapes: {levels_apart(model, network, tried):.5f} levels")

# %% [markdown] tags=["solution"]
# The first line of `IfWidth` is what a test with the export's own example says: perfect. Only a
# narrow picture (`CHECKED` has one of 9 columns) can make the test fail, and a test that can't fail
# says nothing.

# %% [markdown]
# ## 4 · A loop in the graph
#
# SPANet *is* sweeps over columns and rows. How can it be exported at all? ONNX has a loop of its own:
# `Scan` carries a state along an axis, however long the axis is. This package translates each sweep
# into one.
#
# **Predict:** SPANet has four stages. Each runs the attention module once, with two rounds of four
# sweeps. How many `Scan` nodes are there?

# %%
my_guess = None  # write a number

# %%
spanet = de.create_model("spanet", pretrained="open")
spa_path = de.export_onnx(spanet, folder / "spanet.onnx")  # some seconds
spa_graph = onnx.load(spa_path).graph
scans = views.scan_nodes(spa_graph)
compare_guess(my_guess, len(scans), "Scan nodes", decimals=0)
assert len(scans) == 32
print("the first one, a sweep up:\n")
print("\n".join(views.scan_lines(scans[0])))

# %% [markdown]
# Compare with lesson 07, h = relu(α·h + β + x): `a` is α, and `bias` is the β. The first pixel has
# none, so the bias is a part of the state: it starts as zeros, and is β (`return_val1`, a stored
# tensor) from the second step on.
#
# "From the last one to the first" is what makes this the sweep *up*.
#
# The unrolled sweep above has 98 nodes for 19 columns. This one has the same few for any width:

# %%
spa = de.load_onnx(spa_path)
for width in (23, 64):
    some = torch.rand(1, 3, 20, width)
    apart = (spa(some) - spanet(some)).abs().max().item()
    print(f"width {width}: {tuple(spa(some).shape)}, largest difference {apart:.1e}")
    assert apart <= TOLERANCE
body = next(a.g for a in scans[0].attribute if a.name == "body")
print(f"{len(body.node)} nodes in the loop; reach: {spa.halo or 'the whole picture'}")

# %% [markdown]
# So a loop can end up in a graph in two ways. **Unrolled** if its length is known when you export (T
# stages): fast, and as long as T. As a **loop operator** if the picture decides its length.

# %% [markdown]
# ## 5 · Speed and size
#
# Is the file faster, too? It computes the same. We race four ways on one picture: PReNet written as
# in the released code (a convolution per gate), this package's model, the file in ONNX Runtime, and
# the file with 8-bit whole numbers, which section 6 explains.
#
# **Predict:** how many times as fast as the plain way is the float file? And the int8 file?

# %%
my_guess = None  # write a number for float32
my_guess_int8 = None  # and one for int8

# %%
int8_path = quantize_onnx(path, folder / "int8.onnx", calibration_pictures(8))  # some seconds
int8 = de.load_onnx(int8_path)
ways = {
    "plain PyTorch": as_plain_prenet(model).eval(),
    "this package": model,
    "ONNX Runtime, float32": network,
    "ONNX Runtime, int8": int8,
}
pairs = validation_pairs(192)
scores = {name: np.mean([de.psnr(way(rain).clamp(0, 1), truth) for rain, truth in pairs])
          for name, way in ways.items()}
picture = torch.rand(1, 3, 192, 192)
seconds = interleave({name: lambda way=way: way(picture) for name, way in ways.items()}, 3)

# %%
megabytes = {name: f"{way.path.stat().st_size / 1e6:.2f}"
             for name, way in ways.items() if hasattr(way, "path")}
slow, rows = seconds["plain PyTorch"], []
for name, runs in seconds.items():
    cells = f"{np.median(runs):.3f}", f"{speedup(slow, runs):.2f}×", megabytes.get(name, "")
    loss = scores["this package"] - scores[name]
    rows.append([name, *cells, f"{scores[name]:.2f}", f"{round(loss, 3) + 0.0:.3f}"])
print(machine_line())
print(f"T = {T}, 192 × 192, ways in turn; PSNR on {len(pairs)} validation photos")
print(text_table(["way", "s", "times as fast", "MB", "PSNR", "loss, dB"], rows))
compare_guess(my_guess, speedup(slow, seconds["ONNX Runtime, float32"]), "times")
compare_guess(my_guess_int8, speedup(slow, seconds["ONNX Runtime, int8"]), "times")
assert scores["this package"] - scores["ONNX Runtime, int8"] < 0.2, "int8 costs less than .2 dB"
assert abs(scores["this package"] - scores["ONNX Runtime, float32"]) < 1e-3
assert int8_path.stat().st_size < 0.6 * path.stat().st_size

# %% [markdown]
# ("Times as fast" is the median of the ratios of all rounds, so it does not quite match the seconds
# beside it.)
#
# Your numbers depend on your processor, and on what else it does. For comparison, a quiet machine
# with two cores that know AVX512, two threads, T = 6, 512 × 512 (`derain-edu bench onnx` measures
# this for you):
#
# | way | s | times as fast | MB | loss, dB |
# |---|---|---|---|---|
# | plain PyTorch | 1.88 | 1 | | |
# | this package | 1.67 | 1.13 | | 0.000 |
# | this package, channels-last | 1.56 | 1.26 | | 0.000 |
# | ONNX Runtime, float32 | 1.21 | 1.58 | .72 | 0.000 |
# | ONNX Runtime, int8 | .78 | 2.43 | .35 | 0.001 |
#
# The same machine in a busier hour took 7.1 s, 6.3, 5.1 and 2.6 for the first four: ONNX Runtime
# was 2.7 times as fast. So a ratio, too, depends on the neighbours.
#
# Two stages more, and the file is hardly larger: nodes are cheap, weights are stored once.

# %% [markdown]
# Where does it come from? "No Python between the operations", people say. A runtime reads the whole
# graph before it runs, and may rewrite it. We let it do so in three steps, and time each.
#
# **Predict:** without any rewriting, how many times as fast as the plain PyTorch is it?

# %%
my_guess = None  # write a number

# %%
Level = onnxruntime.GraphOptimizationLevel
levels = {"as exported": Level.ORT_DISABLE_ALL, "nodes joined": Level.ORT_ENABLE_EXTENDED,
          "and blocks in memory": Level.ORT_ENABLE_ALL}
sessions, rewritten = {}, {}
for name, level in levels.items():
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level, options.log_severity_level = level, 4
    options.intra_op_num_threads = torch.get_num_threads()
    options.optimized_model_filepath = str(folder / "rewritten.onnx")
    sessions[name] = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rewritten[name] = onnx.load(folder / "rewritten.onnx").graph
race = {name: lambda s=s: s.run(None, {"rainy": picture.numpy()}) for name, s in sessions.items()}
race = interleave({"plain PyTorch": lambda: ways["plain PyTorch"](picture), **race}, 3)

# %%
rows = [["plain PyTorch", f"{np.median(race['plain PyTorch']):.3f}", "1.00×", "", ""]]
for name, inside in rewritten.items():
    kinds = Counter(f"{node.domain or 'onnx'}:{node.op_type}" for node in inside.node)
    turns = sum(count for kind, count in kinds.items() if "Reorder" in kind)
    faster = f"{speedup(race['plain PyTorch'], race[name]):.2f}×"
    rows.append([name, f"{np.median(race[name]):.3f}", faster, str(len(inside.node)), str(turns)])
print(text_table(["ONNX Runtime", "s", "times as fast", "nodes", "turns"], rows))
compare_guess(my_guess, speedup(race["plain PyTorch"], race["as exported"]), "times")
print(Counter(node.domain or "onnx" for node in rewritten["and blocks in memory"].node))
assert len(rewritten["nodes joined"].node) < len(rewritten["as exported"].node)

# %% [markdown]
# Look at the first two lines of ONNX Runtime. On a quiet machine, leaving Python alone gained nothing
# (1.0×), and joining a convolution with its ReLU (fewer nodes) no more: for pictures of this size
# Python's share is small.
#
# On our processor the gain came with the last line: features lie in memory in **blocks**
# of 8 or 16 channels, as wide as one instruction is.
#
# "Turns" counts where a tensor is turned from one
# layout into the other. This is why the package exports the gates one by one: a split of a joint
# convolution would need dozens of turns. (On a processor without such blocks the last two lines are
# alike.)
#
# And int8? One byte instead of four: a quarter of the memory traffic, and instructions (VNNI on
# newer processors) that multiply four bytes where a float takes one. Without them int8 gains less.
#
# And there is a trap. Such an older processor adds products of bytes in pairs, in 16 bits, and 255 · 127
# + 255 · 127 is more than 32,767: the sum is **cut off, and nothing is said**. The first version of this
# course's export fell into it. On a processor with VNNI all was well. On one without, the authors'
# network lost 4.6 dB in heavy rain (mean of ten pictures; 10.9 at worst). So the weights have seven bits
# now: 255 · 64 + 255 · 64 fits, and the same ten pictures lose .16 dB. A number that is fine on your
# machine is a number of your machine.

# %% [markdown]
# ## 6 · What a byte stands for
#
# A float x becomes a whole number q, and x ≈ scale · (q − zero). The *scale* is the width of one
# step, and *zero* the q that means 0. With 8 bits q runs from 0 to 255, so 255 steps go from the
# lowest value to the highest.
#
# These two are measured before, on other photos (the *calibration*). A value beyond them gets the
# last step.

# %% [markdown] tags=["exercise"]
# ### Exercise 15.4 · Into bytes and back
#
# | | |
# |---|---|
# | **Difficulty** | ●●●●○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 20 minutes |
# | **Task** | write `bytes_and_back(x, low, high)`: return q, a tensor of `torch.uint8`, and what it stands for, scale · (q − zero). Round zero to a whole number, so that x = 0 comes back as 0. `low` and `high` are tensors with low ≤ 0 < high: one number, or a range for each channel, in a shape such as (C, 1, 1, 1) |
#
# <details><summary>Hint</summary>
#
# From x = low to x = 0 there are −low / scale steps: rounded, this is zero. From zero to x there are
# x / scale more. Then: round, clamp, and only then `.to(torch.uint8)`, because this cuts off decimals,
# and turns 256 into 0. On the way back `q.float()` comes first: bytes can't be negative. With plain
# `*`, `/` and `+` a range for each channel works by itself.
#
# </details>

# %% tags=["exercise"]
def bytes_and_back(x, low, high):
    """Return x as bytes q, and the floats that q stands for."""
    # BEGIN SOLUTION
    scale = (high - low) / 255
    zero = (-low / scale).round()  # the q of x = 0
    q = ((x / scale).round() + zero).clamp(0, 255).to(torch.uint8)
    return q, scale * (q.float() - zero)
    # END SOLUTION


if exercises.check("15.4", bytes_and_back):
    weight = model.memory.gate_conv.weight  # (128, 64, 3, 3)
    for name, dims in (("one range", (0, 1, 2, 3)), ("a range per channel", (1, 2, 3))):
        low, high = weight.amin(dims, keepdim=True), weight.amax(dims, keepdim=True)
        _, back = bytes_and_back(weight, low, high)
        print(f"{name:20} mean error of a gate's weight: {(back - weight).abs().mean():.1e}")

# %% [markdown] tags=["solution"]
# A rounding error is at most half a step, and the widest channel makes the step of all, if they share
# it. So the file gives each output channel of a weight its own. Why must 0 come back as exactly 0? It
# is the value that ReLU and padding make, again and again: an error there would not average out.

# %% [markdown]
# **Predict:** the features lie between −0.28 and 1.13. How wide is a step with **4** bits?

# %%
my_guess = None  # write a number

# %%
def rounded(x, bits, dims=None):
    """Return x as `bits` can hold it; one scale for all of x, or for what is left without dims."""
    low, high = (x.amin, x.amax)
    options = {} if dims is None else {"dim": dims, "keepdim": True}
    low, high = low(**options).clamp(max=0), high(**options).clamp(min=0)  # 0 must have a q
    scale = (high - low).clamp(min=1e-12) / (2**bits - 1)
    zero = (-low / scale).round()
    q = (x / scale + zero).round().clamp(0, 2**bits - 1)  # what is stored: whole numbers
    return (q - zero) * scale


few = torch.tensor([-0.28, 0.0, 0.02, 0.30, 0.31, 1.13])
for bits in (8, 4, 2):
    print(f"{bits} bits:", " ".join(f"{v:6.3f}" for v in rounded(few, bits)))
compare_guess(my_guess, (1.13 + 0.28) / 15, decimals=3)
assert (rounded(few, 8) - few).abs().max() <= 0.5 * 1.41 / 255 + 1e-6

# %% [markdown]
# Where does a picture break? We don't need ONNX to find out: a hook rounds what a convolution
# reads, and its weights are rounded, too (with a scale per output channel, as in the file). This is
# *fake* quantization: floats that take only the values a byte could.
#
# We keep it simple: the ranges come from the very crops that are judged, so the losses may look a
# little too small. And it is one network on four crops of 80 × 80 pixels. First every convolution
# at once:

# %%
convolutions = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}


@contextmanager
def rounding(names, bits, how=rounded):
    """Inside of it the named convolutions read and weigh with few bits."""
    hooks, kept = [], {name: convolutions[name].weight.data for name in names}
    for name in names:
        layer = convolutions[name]
        layer.weight.data = rounded(layer.weight.data, bits, dims=(1, 2, 3))
        hooks.append(layer.register_forward_pre_hook(lambda _, x: (how(x[0], bits),)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for name in names:
            convolutions[name].weight.data = kept[name]


crops = [torch.cat([one[..., :80, :80] for one in some]) for some in zip(*pairs, strict=True)]


def score():
    """Return the mean PSNR on a piece of each validation photo."""
    found = model(crops[0]).clamp(0, 1)  # (4, 3, 80, 80)
    return np.mean([de.psnr(*pair) for pair in zip(found, crops[1], strict=True)])

# %%
caught = []
hook = model.memory.gate_conv.register_forward_pre_hook(lambda _, x: caught.append(x[0]))
own = score()
hook.remove()
z, h = caught[-1].chunk(2, dim=1)  # what the gates of the last stage read, (4, 32, 80, 80)
few_z, few_h = (np.histogram(part, 120, (-0.4, 1.2))[0] for part in (z, h))
frames, fall = {}, {}
for bits in (8, 7, 6, 5, 4, 3, 2):
    with rounding(convolutions, bits):
        fall[bits] = own - score()
        shown = model(crops[0][3:])[0].clamp(0, 1)
    figure, axis = plots.chart(420, 320)
    for part, label in ((few_z + few_h, "features z"), (few_h, "memory h")):
        axis.stairs(part, np.linspace(-0.4, 1.2, 121), fill=True, label=label)
    step = (z.max() - h.min()).item() / (2**bits - 1)
    values = rounded(torch.linspace(h.min(), z.max(), 2000), bits).unique() if bits < 7 else []
    for value in values:
        axis.axvline(value, color="black", linewidth=0.5)
    axis.set(yscale="log", xlabel=f"what the gates read; a step is {step:.3f}")
    axis.legend(fontsize=7, framealpha=1, edgecolor="none")  # white, above the lines
    title = f"{bits} bits: loses {fall[bits]:.2f} dB"
    frames[f"{bits}"] = plots.strip_png({title: plots.enlarged(shown, 4),
                                         "its values and the steps": figure})
views.frames_slider("bits", frames)

# %%

for bits in ("8", "4", "2"):
    alt = f"The photo with {bits} bits everywhere, and the histogram with the values that remain."
    plots.show_png(frames[bits], alt)
for bits, value in fall.items():
    print(f"{bits} bits: −{value:5.2f} dB")
assert fall[8] < 0.2 < 1 < fall[3] and len(set(frames.values())) == 7

# %% [markdown]
# (Black lines: the values that remain, drawn from 6 bits down.) Eight bits cost next to nothing; with
# three the rain is back, or the photo is gone. Who is to blame?
#
# **Predict:** we round one convolution at a time to 4 bits. Which of the 13 suffers most? 1 is the
# head, 2 the four gates, 3 to 12 the blocks, 13 the tail.

# %%
my_guess = None  # write a number from 1 to 13

# %%
losses = {}
for bits in (8, 4):
    losses[bits] = []
    for name in convolutions:
        with rounding([name], bits):
            losses[bits].append(own - score())
compare_guess(my_guess, 1 + int(np.argmax(losses[4])), "is the number", decimals=0)
figure, axes = plots.new_figure(1, 2, width=12, height=3.4)
short = [name.replace("memory.gate_conv", "gates").replace("blocks.", "").replace("conv", "")
         for name in convolutions]
for axis, (bits, values) in zip(axes[0], losses.items(), strict=True):
    axis.bar(short, values, color=plots.COLOURS[0], width=0.65)
    axis.axhline(0, color="grey", linewidth=0.8)
    axis.set_ylabel(f"dB lost with {bits} bits")
    axis.tick_params(axis="x", labelsize=8)
plots.show(figure, "Decibels lost when one convolution is rounded. With 8 bits: nearly nothing, "
           "the head most. With 4 bits: the gates by far, then head, first block and tail.")
middle = max(losses[4][4:12])
assert losses[4][1] == max(losses[4]) and min(losses[4][0], losses[4][12]) > middle
assert int(np.argmax(losses[8])) == 0

# %% [markdown]
# "The ends suffer, because they touch the picture": that was our own guess. With 8 bits nothing can
# be said: hundredths of a decibel on four crops are noise. (The losses of all convolutions
# together, 0.02, 0.07, 0.11 and 0.01 dB from 8 to 5 bits, are not even in order.)
#
# With 4 bits both ends lose more than
# the middle of the blocks (so does the first block's first convolution, which reads the memory). But
# the **gates** lose far more than the ends. Why?
#
# Look at the histogram. The gates read two things at once: features z, up to 1.1, and the memory h,
# which is small. They share one scale.
#
# **Predict:** z and h get a scale each, still 4 bits. How many dB do the gates lose now?

# %%
my_guess = None  # write a number

# %%
def two_scales(x, bits):
    return torch.cat((rounded(x[:, :32], bits), rounded(x[:, 32:], bits)), dim=1)


with rounding(["memory.gate_conv"], 4):
    shared_scale = own - score()
with rounding(["memory.gate_conv"], 4, two_scales):
    own_scales = own - score()
compare_guess(my_guess, own_scales, "dB", decimals=2)
step = (z.max() - h.min()).item() / 15
zeros = (h.abs() < step / 2).float().mean()
print(f"one scale: −{shared_scale:.2f} dB; a scale each: −{own_scales:.2f} dB")
print(f"the shared step is {step:.3f}; of the memory, {zeros:.0%} lies within half a step of 0")
assert own_scales < shared_scale / 2 and zeros > 0.8

# %% [markdown]
# With the shared step about nine tenths of the memory are rounded to zero: the network *forgets*.
# Its step was made by somebody else's largest value. With 8 bits the step is .0055, and the memory
# survives: this is why the file's gates may be bytes.
#
# The real file (`quantize_onnx`) leaves the head and the tail as floats: they are two percent of
# the work. In the last stage the gates compute in float as well: no later stage corrects them. Its
# ranges come from training photos in heavy and light rain, **never** from photos that it is judged
# on.
#
# (In the next cell a cost below zero means that int8 happens to score higher. A few thousandths of
# a decibel are noise.)
#
# All this matters more in heavy rain. With the authors' weights int8 loses .07 dB on Rain100L and
# .22 dB on Rain100H (mean of 20 pictures each; 1.3 dB at worst. With weights of eight bits, which only
# VNNI computes correctly, it was .02, .19 and .5 dB). Calibrated without heavy rain, a picture of heavy
# rain lost up to 1.9 dB: what lies beyond the range is cut off.

# %%
info = int8.info
print(f"{info.precision}; against the float file {info.metadata['fidelity_dB']} dB")
costs = scores["this package"] - scores["ONNX Runtime, int8"]
print(f"int8 costs {costs:.3f} dB on validation photos")
kinds = Counter(onnx.TensorProto.DataType.Name(t.data_type)
                for t in onnx.load(int8_path).graph.initializer if len(t.dims) == 4)
print("its convolution weights:", dict(kinds))
assert kinds["FLOAT"] == 2, "head and tail"

# %% [markdown]
# ## 7 · Outside
#
# A graph takes numbers and gives numbers. It can't say what they mean: RGB or BGR? 0 to 1 or 0 to
# 255? That is a **contract**, and this package writes it into the file, as metadata that any program
# can read.

# %%
for name, rule in json.loads(network.info.metadata["preprocessing"]).items():
    print(f"{name:8} {rule}")
print(f"halo     {network.halo} px: how far a pixel can reach, to cut large photos into tiles")
say("also in the file: "
          + ", ".join(sorted(set(network.info.metadata) - {"preprocessing"})))

# %% [markdown]
# Five rules: enough to write the program that obeys them. In the browser or on a phone it would be
# another language, but the same steps.

# %% [markdown] tags=["exercise"]
# ### Exercise 15.5 · Keep the contract
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
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


if exercises.check("15.5", derain_bytes):
    photo = np.asarray(de.to_pil(rainy))
    onnx_only = lambda x: network.session.run(None, {"rainy": x})[0]  # noqa: E731
    derained = de.to_tensor(derain_bytes(onnx_only, photo))
    print(f"through your function: {de.psnr(derained, clean[0]):.2f} dB")

# %% [markdown] tags=["solution"]
# Most mistakes here raise no error. The end of this section measures what some of them cost.

# %% [markdown]
# Now without PyTorch. We write a program that knows NumPy, Pillow and ONNX Runtime only, and run it
# in a process of its own.

# %%
PROGRAM = """
import sys
import numpy as np, onnxruntime
from PIL import Image

network, source, target = sys.argv[1:]
photo = np.asarray(Image.open(source).convert("RGB"))             # (H, W, 3) bytes, RGB
x = np.float32(photo).transpose(2, 0, 1)[None] / 255              # (1, 3, H, W) in 0 to 1
session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
(y,) = session.run(None, {session.get_inputs()[0].name: x})
y = (y[0].clip(0, 1) * 255).round().astype(np.uint8)              # clamp, then bytes
Image.fromarray(y.transpose(1, 2, 0)).save(target)
assert "torch" not in sys.modules and "derain_edu" not in sys.modules
print(len(sys.modules), "modules, and no torch")
"""
(folder / "outside.py").write_text(PROGRAM, encoding="utf-8")
de.to_pil(rainy).save(folder / "rainy.png")
command = [sys.executable, "outside.py", "prenet.onnx", "rainy.png", "derained.png"]
done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
print(done.stdout or done.stderr)
assert done.returncode == 0

# %%
from_outside = de.to_tensor(folder / "derained.png")
saved = de.to_tensor(folder / "rainy.png")[None]  # the photo as the file holds it
in_python = de.to_tensor(de.to_pil(model(saved)))
levels_apart = (255 * (from_outside - in_python).abs()).max().item()
inner, outer = (de.psnr(picture, clean[0]) for picture in (in_python, from_outside))
print(f"inside {inner:.2f} dB, outside {outer:.2f} dB; apart by {levels_apart:.0f} grey levels")
assert levels_apart <= 1.01

# %% [markdown]
# The same picture, up to one grey level: a value near the middle between two levels may be rounded
# the other way. Now we break the contract on purpose. None of these mistakes raises an error.
#
# **Predict:** a program gives BGR instead of RGB (and turns the result back). How many dB does that
# cost, on the mean of four photos?

# %%
my_guess = None  # write a number; minus means better

# %%
def wrapped(y):
    return (255 * y).round().to(torch.int64) % 256 / 255  # a byte without a clamp: 256 becomes 0


contracts = {
    "as in the contract": lambda x: network(x),
    "BGR": lambda x: network(x.flip(1)).flip(1),
    "rows and columns swapped": lambda x: network(x.mT).mT,
    "−1 to 1": lambda x: (network(2 * x - 1) + 1) / 2,
    "0 to 255": lambda x: network(255 * x) / 255,
    "not clamped": lambda x: wrapped(network(x)),
    "nothing done": lambda x: x,
}
kept = {name: np.mean([de.psnr(way(x).clamp(0, 1), truth) for x, truth in pairs])
        for name, way in contracts.items()}
right = kept["as in the contract"]
for name, value in kept.items():
    print(f"{name:25} {value:6.2f} dB   {value - right:+6.2f}")
compare_guess(my_guess, right - kept["BGR"], "dB", decimals=2)
assert kept["0 to 255"] < right - 3 and kept["not clamped"] < right and kept["−1 to 1"] < right

# %% [markdown]
# Of a gain of about 7 dB the range 0 to 255 leaves next to nothing, and −1 to 1 a third. Rows and columns
# swapped leave *nothing*: this network knows streaks that fall, not streaks that lie. A missing clamp
# ruins a few pixels, which are then black or white.
#
# Mixed-up colours cost a few tenths of a decibel: rain is grey. **That is the dangerous kind**, a mistake
# that nobody notices until other weights or photos make it costly. So a contract is checked by numbers
# that must agree, never by looking at a picture.
#
# And a swap that the shape can see, channels last, is refused at once:

# %%
try:
    network.session.run(None, {"rainy": saved.permute(0, 2, 3, 1).contiguous().numpy()})
    refused = False
except Exception as error:
    refused = True
    say(str(error).splitlines()[0])
assert refused

# %% [markdown]
# A C++, C#, Java or JavaScript program needs the same five lines as ours: decode the photo, put it
# into (1, 3, H, W) floats from 0 to 1, run, clamp, encode. ONNX Runtime exists for all of them, also
# for phones and for the browser.
#
# Large photos are cut into tiles that overlap by the halo; a network
# whose halo is `null`, such as SPANet, must see the photo whole.
#
# From the shell, without a line of Python:
#
# ```
# derain-edu export prenet -o prenet.onnx
# derain-edu export prenet -o prenet_int8.onnx --int8
# derain-edu derain street.jpg --model prenet_int8.onnx
# ```

# %% [markdown]
# ## 8 · The same file in two worlds
#
# In our file the stages are unrolled: T is fixed, and only the last picture comes out. The page
# [Try it](https://github.com/derain-edu/derain-edu/blob/main/book/demo/page.md)
# of the book shows every stage, and goes on to the twelfth. So it needs another file: **one stage**,
# (rainy, x, h, c) → (x, h, c). The loop stays outside.
#
# **Predict:** four stages have 63 `Conv` nodes. How many has one?

# %%
my_guess = None  # write a number

# %%
stage_path = export_stage(model, folder / "stage.onnx")  # some seconds
stage_graph = onnx.load(stage_path).graph
compare_guess(my_guess, views.count_nodes(stage_graph)["Conv"], "Conv nodes", decimals=0)
print("from", ", ".join(f"{v.name} {sizes(v)}" for v in stage_graph.input))
one, four = (file.stat().st_size / 1000 for file in (stage_path, path))
print(f"one stage: {one:.0f} kB, four stages: {four:.0f} kB")
assert views.count_nodes(stage_graph)["Conv"] == 16

# %% [markdown]
# Sixteen: a memory that may be empty needs all four gates. Now the loop, three lines in any language.
# We run it eight times, twice as often as this network was trained for.

# %%
stage = onnxruntime.InferenceSession(stage_path, providers=["CPUExecutionProvider"])
picture = rainy.numpy()  # (1, 3, H, W)
x, memory = picture, np.zeros((1, 32, *picture.shape[2:]), np.float32)
h, c = memory, memory
for t, expected in enumerate(model.unroll(rainy, stages=8), 1):
    x, h, c = stage.run(None, {"rainy": picture, "x": x, "h": h, "c": c})
    apart = np.abs(x - expected.numpy()).max()
    print(f"stage {t}: largest difference {apart:.1e}")
    assert apart <= TOLERANCE

# %% [markdown]
# The page holds such a file, with the weights for all rains, and these lines in JavaScript. A test
# opens it in a real Chromium, gives it a picture of 481 × 321 pixels, and compares with Python:
#
# | stage | 1 | 2 | 3 | 4 | 5 | 6 |
# |---|---|---|---|---|---|---|
# | largest difference, × 1 million | 0.95 | 1.3 | 1.2 | 1.2 | 1.4 | 1.3 |
#
# As bytes, no value is apart by more than one grey level: where Python has 99.5000001, the browser
# may have 99.4999999.
#
# From the shell: `derain-edu export prenet -o stage.onnx --stage`.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. A test compares file and network on the picture of the export, and finds 2e-7. What has it
# shown, and what not?**
#
# <details><summary>Answer</summary>
#
# At this size the weights are right, and the rest is rounding. It says nothing of other sizes:
# `IfWidth` passes this test, and computes the wrong branch for up to 10 columns (exercise 15.3). It
# says nothing of the contract either: whether a program sends RGB or BGR is not part of the graph.
#
# </details>
#
# **2. You export PReNet with T = 12 instead of 4. How many `Conv` nodes are there, and how large is
# the file?**
#
# <details><summary>Answer</summary>
#
# 16 · 12 − 1 = 191: every stage has its 16 nodes, and the first one still needs no gate f. The file
# grows only by the nodes' text, because each weight is stored once: for T = 4 the weights are 676 of
# its 707 kB (section 1), and with T = 6 it has .72 MB (section 5).
#
# </details>
#
# **3. Why is the tolerance 1e-5, and not 0, and not half a grey level?**
#
# <details><summary>Answer</summary>
#
# 0 asks for equal bits, and only some of the values agree to the last bit (section 2: other orders of
# adding). Half a grey level, 2e-3, lies above mistakes: the middling weight that we lost in
# `blocks.2.conv1` moves the picture by 4e-5 only. 1e-5 lies between rounding (2e-7) and three of our
# four lost weights.
#
# </details>
#
# **4. With 4 bits the gates lose most. Would ten times as many calibration photos help?**
#
# <details><summary>Answer</summary>
#
# No. Calibration finds the range, and the range was right. It was *shared*: features up to 1.1 made a
# step of .09, and about nine tenths of the memory lies within half a step of 0. More photos can only
# make the range wider. A scale for each of the two helps: section 6 shows the loss fall to less than
# half.
#
# </details>
#
# **5. A web page with your file makes pictures that look right, but its mean PSNR is .3 dB lower. What
# do you suspect, and how do you find it?**
#
# <details><summary>Answer</summary>
#
# BGR instead of RGB costs about that much (section 7), and nobody sees it. Don't look at pictures:
# print the first numbers that go into the network, on both sides, for the same photo. Then those that
# come out, before the clamp and after it. The first pair that differs is where the contract breaks.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - tell eager code, graph and runtime apart, and say what is left behind: everything that is Python;
# - read a file: nodes per stage, weights once, three tensors from stage to stage;
# - choose a tolerance: above rounding, and as far below a mistake as you can. 1e-5 is .0026 of a
#   grey level, and tells "added in another order" from three of our four lost weights;
# - catch a frozen size before your users do, and say what can't be exported: decisions by sizes or
#   values in Python, Python loops over the picture, random numbers;
# - keep a loop in the graph, as `Scan`, where the picture decides how long it is;
# - ask of a speed-up where it comes from, by switching its parts off;
# - say what a byte stands for, and find out which layer breaks with few bits, and why;
# - run a network without PyTorch, and write down the contract that goes with it;
# - choose what stands in the file and what stays outside, such as the loop over the stages.
#
# **Next:** in lesson 13 a part of a network changes its place: the attention module of SPANet is
# built into other networks, and we will see why a good module can lose points there.
