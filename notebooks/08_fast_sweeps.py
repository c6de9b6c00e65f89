# %% [markdown]
# # 08 · Fast sweeps
#
# **How does a slow loop become fast, forward and backward?**
#
# | | |
# |---|---|
# | **Goals** | say where the time of a Python loop goes; write a loop that is cheap to train; turn a loop into a tree; derive a backward pass, and check it so that a wrong one fails; time several forms of the same numbers, and read the table with its spread |
# | **Before you start** | lesson 07 |
# | **Time** | 57 minutes, 30 of them for the exercises; the cells take 30 s on a CPU with two cores, and the same with a GPU (they stay on the CPU). The very first run compiles some loops for about 20 s more |
# | **Papers** | Hillis & Steele, Communications of the ACM 29, 1986 (the scan); Wang et al., CVPR 2019 (SPANet, arXiv 1904.01538) |

# %% tags=["bootstrap"]
import derain_edu as de

# %% [markdown]
# A sweep reads a row and takes a memory along:
# $h_t = \mathrm{relu}(\alpha\,h_{t-1} + \beta + x_t)$, and $h_1 = \mathrm{relu}(x_1)$. Each step waits
# for the one before, so it is a loop, and SPANet runs eight of them per attention map. Until the last
# section we take β = 0 and sweep to the right over N rows at once: x is (N, L).

# %%
print(f"derain_edu {de.__version__}")

import numba
import torch

from derain_edu.course import exercises
from derain_edu.course.views import diagrams, plots, speed
from derain_edu.evaluation import bench_sweeps
from derain_edu.evaluation.timing import interleave, machine_line, speedup
from derain_edu.models.irnn import irnn_stack
from derain_edu.models.irnn_scan import ClampedAffine, compose
from derain_edu.text import compare_guess, table as text_table

de.choose_device("cpu", verbose=True)
torch.set_num_threads(1)  # other programs disturb one thread less than two
de.set_seed(0)

# %% [markdown]
# ## 1 · What a step costs
#
# One step is three PyTorch operations: multiply, add, relu. We time a step over lines of 1 to 100,000
# numbers, in turn, and take the fastest of 15 runs, because other programs can only slow a run down.
#
# **Predict:** how many times as long as a step over 1 number takes a step over 1,000 numbers?

# %%
my_guess = None  # write a factor


# %%
def step(h, x):
    return torch.relu(0.5 * h + x)


ways = {}
for n in (100_000, 10_000, 1000, 100, 10, 1):
    h, x = torch.rand(n), torch.rand(n)
    ways[n] = lambda h=h, x=x: [step(h, x) for _ in range(100)]
seconds = interleave(ways, rounds=15)
cost = {n: min(runs) / 100 * 1e6 for n, runs in seconds.items()}  # µs per step
for n, microseconds in sorted(cost.items()):
    each = 1000 * microseconds / n
    print(f"{n:7,} numbers: {microseconds:6.1f} µs, {each:9.1f} ns each")
compare_guess(my_guess, cost[1000] / cost[1], "times")
assert cost[1000] < 10 * cost[1]

# %% [markdown]
# Each *call* has a fixed price: Python and PyTorch find out types and shapes, and reserve memory. The
# calculation itself is small beside it, until a line has some thousands of numbers. So a sweep is fast
# if it makes **few calls on long lines**: all rows, channels and pictures go into one step.
#
# ## 2 · The same loop, cheap to train
#
# The obvious loop takes a column by its index. Another one cuts the tensor into all its columns once,
# with `unbind`. Forward they do the same. Backward, each index makes a gradient of the size of the
# *whole* tensor: zeros but for one column.
#
# **Predict:** we double the height and the width of a picture, so it has four times as many pixels. How
# many times as many bytes do forward and backward of the *indexing* loop write?

# %%
my_guess = None  # write a factor


# %%
def by_index(x, alpha):
    """Sweep x (N, L) to the right."""
    h = [torch.relu(x[:, 0])]
    for t in range(1, x.shape[1]):
        h.append(torch.relu(alpha * h[-1] + x[:, t]))
    return torch.stack(h, dim=1)


def by_unbind(x, alpha):
    columns = x.unbind(dim=1)  # L views (N,)
    h = [torch.relu(columns[0])]
    for column in columns[1:]:
        h.append(torch.relu(alpha * h[-1] + column))
    return torch.stack(h, dim=1)


written = {}
for name, sweep in {"by index": by_index, "by unbind": by_unbind}.items():
    for size in (48, 96):
        x = torch.rand(size, size, requires_grad=True)
        with speed.BytesWritten() as counter:
            sweep(x, 0.5).sum().backward()
        written[name, size] = counter.total
    small, large = written[name, 48], written[name, 96]
    print(f"{name:9}  48 × 48: {small / 1e6:4.1f} MB   "
          f"96 × 96: {large / 1e6:4.1f} MB   × {large / small:.1f}")
compare_guess(my_guess, written["by index", 96] / written["by index", 48], "times")
assert written["by index", 96] > 6 * written["by index", 48]
assert written["by unbind", 96] < 5 * written["by unbind", 48]

# %% [markdown]
# Not four, but nearly eight: for each of the L columns one gradient of L × L. The formula is the same,
# and autograd is not to blame; it does what the index says. The backward pass of `unbind` puts all
# columns into one tensor, once.
#
# ## 3 · Two steps are one
#
# Can we do without waiting? A step is a *map*: a rule that turns the h before into the h after.
# relu(α · h + x) is
#
# $$h \mapsto \mathrm{clamp}(a\,h + b,\ lo,\ hi)\quad\text{with}\quad
# a = \alpha,\ b = x,\ lo = 0,\ hi = \infty$$
#
# `clamp` cuts a number off: what is below lo becomes lo, what is above hi becomes hi. Two such maps in a
# row are **one of the same kind**. By hand: first relu(.5 h + 1), then relu(3 − h). The slopes
# multiply, −1 · .5 = −.5. The constants: −1 · 1 + 3 = 2. The bounds of the first go through the
# second: 0 becomes −1·0 + 3 = 3, and ∞ becomes −1·∞ + 3 = −∞, which the ReLU cuts to 0. The negative slope has *swapped* them.

# %%
BIG = torch.finfo(torch.float32).max  # stands for ∞: 0 · ∞ would not be a number


def act(map, h):
    """Let a map (4, …), its rows are a, b, lo, hi, act on h."""
    a, b, lo, hi = map
    return (a * h + b).clamp(lo, hi)


first = torch.tensor([0.5, 1.0, 0.0, BIG])  # relu(.5 h + 1)
second = torch.tensor([-1.0, 3.0, 0.0, BIG])  # relu(3 − h)
both = torch.tensor([-0.5, 2.0, 0.0, 3.0])  # by hand
h = torch.linspace(-6, 6, 241)
assert torch.allclose(act(second, act(first, h)), act(both, h))
maps = {"first": first, "second": second, "first, then second": both}
curves = {name: act(map, h) for name, map in maps.items()}
plots.show(speed.draw_maps(h, curves), "The first map rises from 0, the second "
           "falls to 0. One after the other: flat at 3, falling, flat at 0.")

# %% [markdown] tags=["exercise"]
# ### Exercise 08.1 · Two steps as one
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 10 minutes |
# | **Task** | write `join(second, first)`: the one map that does what `first` and then `second` do. Maps are tensors (4, …) with the rows a, b, lo, hi, and so is the result. They may hold many maps at once, so each row may have any shape |
#
# <details><summary>Hint</summary>
#
# Write `a1 * h + b1` in place of h into the second map: this gives a and b. What `first` can give lies
# between its lo and hi; where does `second` send these two ends (`act`)? And which of the two is
# then the lower one (`torch.minimum`, `torch.maximum`)? At the end `torch.stack((a, b, lo, hi))`.
#
# </details>

# %% tags=["exercise"]
def join(second, first):
    """Return the map h ↦ second(first(h)): (4, …), rows a, b, lo, hi."""
    # BEGIN SOLUTION
    a1, b1, lo1, hi1 = first
    a2, b2, lo2, hi2 = second
    end1 = (a2 * lo1 + b2).clamp(lo2, hi2)
    end2 = (a2 * hi1 + b2).clamp(lo2, hi2)
    lo, hi = torch.minimum(end1, end2), torch.maximum(end1, end2)
    return torch.stack((a2 * a1, a2 * b1 + b2, lo, hi))
    # END SOLUTION


if exercises.check("08.1", join):
    a, b, lo, hi = join(first, second)  # the other way round
    print("first relu(3 − h), then relu(.5 h + 1): "
          f"max({a:.1f} h + {b:.1f}, {lo:.0f})")

# %% [markdown] tags=["solution"]
# A slope below zero turns the bounds round; minimum and maximum put them right for each of many maps.
# The order of two maps matters, but how you put brackets around three does not: this is all that a
# tree needs.

# %% [markdown]
# ## 4 · From a loop to a tree
#
# So two neighbouring steps can be joined before anybody knows the h that comes in. All pairs at the
# same time; then pairs of pairs, and so on.

# %%
def package_join(second, first):
    """What `join` does, from the course's package."""
    return torch.stack(compose(ClampedAffine(*second), ClampedAffine(*first)))


def maps_of(x, alpha):
    """Return the steps of rows x (N, L) as maps (4, L, N)."""
    b = x.T  # (L, N)
    a = torch.full_like(b, alpha)
    a[0] = 0  # the first pixel has no memory
    return torch.stack((a, b, torch.zeros_like(b), torch.full_like(b, BIG)))


x8 = torch.tensor([[1.0, 0.5, -1.5, 2.0, 0.0, -0.4, 1.0, 0.2]])  # a row of eight
h8 = by_index(x8, 0.5)
diagrams.scan_tree(x8[0].tolist(), h8[0].tolist())

# %% [markdown]
# Each box names the pixels whose steps it holds. Round 1 joins each map with its neighbour, round 2
# with the one 2 places to the left, round 3 with the one 4 places to the left. Orange: what the last h
# is made of. This is called a *scan*.

# %% [markdown] tags=["exercise"]
# ### Exercise 08.2 · The scan
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●● |
# | **Spend** | 10 minutes |
# | **Task** | write `scan(maps, join)`. `maps` is (4, L) or (4, L, N), pixel t is `maps[:, t]`. Return the same shape, where pixel t holds the map of all steps from the first to t. `join` joins as many pairs as you give it; call it once per round. The checker's maps may have fewer than four rows |
#
# <details><summary>Hint</summary>
#
# With a distance d, `maps[:, d:]` are the later ones, and `maps[:, :-d]` the earlier ones that belong
# to them. The first d maps have no partner and stay as they are: put them in front with
# `torch.cat((…, …), dim=1)`. Then double d, as long as it is smaller than L.
#
# </details>

# %% tags=["exercise"]
def scan(maps, join):
    """Join each map (4, L, …) with all before it, in log2(L) rounds."""
    # BEGIN SOLUTION
    d = 1
    while d < maps.shape[1]:
        joined = join(maps[:, d:], maps[:, :-d])
        maps = torch.cat((maps[:, :d], joined), dim=1)
        d = 2 * d
    return maps
    # END SOLUTION


if exercises.check("08.2", scan):
    rows = torch.randn(3, 1024)
    swept = act(scan(maps_of(rows, 0.9), package_join), torch.tensor(0.0)).T
    worst = (swept - by_index(rows, 0.9)).abs().max()
    print(f"1,024 pixels in 10 rounds; it differs from the loop by {worst:.1e}")

# %% [markdown] tags=["solution"]
# The function never looks into a map: it works for all that can be joined and does not mind where the
# brackets are. With join = addition it is a running sum.

# %% [markdown]
# For 1,024 pixels a loop takes 1,023 steps that wait for each other, and the tree 10 rounds. But a
# round is up to 1,023 joins, and a join is several multiplications: the tree is **shallow, and does
# more work**.

# %%
L = 1024
joins = sum(L - 2**k for k in range(10))
print(f"{L - 1:,} steps of the loop, {joins:,} joins of the tree: "
      f"{joins / (L - 1):.1f} times as many")

# %% [markdown]
# ## 5 · Compiled code
#
# The price of section 1 is paid per *call*. So the most direct remedy is a loop without calls: Numba
# reads a Python function and translates it into machine code for your processor, when it first runs.
# Inside, a step is a few instructions on two numbers.

# %%
@numba.njit
def compiled_loop(x, alpha, h):
    """Sweep the arrays x (N, L) to the right, into h (N, L)."""
    for n in range(x.shape[0]):
        memory = max(x[n, 0], 0)
        h[n, 0] = memory
        for t in range(1, x.shape[1]):
            memory = max(alpha * memory + x[n, t], 0)
            h[n, t] = memory


def compiled(x, alpha):
    h = torch.empty_like(x)
    compiled_loop(x.numpy(), alpha, h.numpy())  # arrays that share the memory
    return h


x = torch.randn(4096, 512)
assert torch.allclose(compiled(x, 0.5), by_unbind(x, 0.5), atol=1e-5)  # compiles it
forms = {"by index": by_index, "by unbind": by_unbind, "compiled": compiled}
ways = {name: lambda form=form: form(x, 0.5) for name, form in forms.items()}
for name, runs in interleave(ways, rounds=5).items():
    print(f"{name:11} {speed.spread(runs)} ms")

# %% [markdown]
# (Median of five runs; in brackets the fastest and the slowest.) Each row is finished before the next
# one begins, and its memory stays in the processor. Autograd, however, sees nothing of such a loop.
# Its gradient has to be written by hand.
#
# ## 6 · The way back, in three lines
#
# Call the loss ℓ. Let $G_t$ be the gradient that arrives at $h_t$ from outside. $h_t$ also goes into $h_{t+1}$, with
# weight α. So what arrives in total, behind the ReLU, is $g_t$:
#
# $$g_t = [h_t > 0]\,(G_t + \alpha\,g_{t+1}), \qquad
# \frac{\partial\ell}{\partial x_t} = g_t, \qquad
# \frac{\partial\ell}{\partial\alpha} = \sum_{t>1} g_t\,h_{t-1}$$
#
# ($[h_t > 0]$ is 1 or 0, the slope of the ReLU.) It is a recurrence again, read from the end. The sum
# runs over all uses of α, as in lesson 05; the first pixel has none.
#
# **Predict** by hand: x = 1 1 1 1 and α = 1, so h = 1 2 3 4. The loss ℓ is the last h. What
# is $\partial\ell/\partial\alpha$?

# %%
my_guess = None  # write a number

# %% [markdown]
# <details><summary>Background: torch.autograd.Function</summary>
#
# A class with which you tell autograd the gradient of your own code. `forward` computes the result, and
# keeps in `ctx` what the way back will need. `backward` gets the gradient that arrives at the output,
# and returns one gradient per input of `forward`, in the same order. You call it as
# `Sweep.apply(x, alpha)`.
#
# </details>

# %%
class Sweep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha):  # x (N, L), alpha one number
        h = by_unbind(x, alpha)
        ctx.save_for_backward(h, alpha)  # no x: the outputs are enough
        return h

    @staticmethod
    def backward(ctx, G):
        h, alpha = ctx.saved_tensors
        g = torch.zeros_like(h)
        after = 0  # behind the last pixel comes nothing
        for t in reversed(range(h.shape[1])):
            after = (h[:, t] > 0) * (G[:, t] + alpha * after)
            g[:, t] = after
        return g, (g[:, 1:] * h[:, :-1]).sum()


four = torch.ones(1, 4, dtype=torch.float64)
one = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
Sweep.apply(four, one)[0, -1].backward()
compare_guess(my_guess, one.grad.item(), decimals=0)
assert one.grad == 6

# %% [markdown]
# Here g = 1 1 1 1, so the sum is 1 + 2 + 3 = 6. One example proves little. `gradcheck` moves each input
# a bit, and compares the change of each output with the formula. Would it notice a mistake? We make a
# natural one.

# %%
class Wrong(Sweep):
    @staticmethod
    def backward(ctx, G):
        g, _ = Sweep.backward(ctx, G)
        h, _ = ctx.saved_tensors
        return g, (g * h).sum()  # h_t in place of h_{t−1}


x = torch.randn(3, 9, dtype=torch.float64, requires_grad=True)
a = torch.tensor(-0.6, dtype=torch.float64, requires_grad=True)
ways = {"autograd": by_unbind, "three lines": Sweep.apply, "wrong": Wrong.apply}
for name, way in ways.items():
    passed = torch.autograd.gradcheck(way, (x, a), raise_exception=False)
    print(f"{name:12} gradient check {'passed' if passed else 'FAILED'}")
    assert passed == (name != "wrong")

# %% [markdown] tags=["exercise"]
# ### Exercise 08.3 · The way back, with an α per pixel
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 10 minutes |
# | **Task** | each pixel has an α of its own now: $h_t = \mathrm{relu}(\alpha_t\,h_{t-1} + x_t)$. Write `way_back(h, alpha, G)` for one row, (L,) each: return g (L,), the derivative by x. No autograd |
#
# <details><summary>Hint</summary>
#
# Begin with `Sweep.backward`. Which α weighed $h_t$ on its way into pixel t + 1?
#
# </details>

# %% tags=["exercise"]
def way_back(h, alpha, G):
    """Return g (L,): how much the loss changes with each x."""
    # BEGIN SOLUTION
    g = torch.zeros_like(h)
    back = 0  # behind the last pixel comes nothing
    for t in reversed(range(len(h))):
        g[t] = (h[t] > 0) * (G[t] + back)
        back = alpha[t] * g[t]  # goes on to pixel t - 1
    return g
    # END SOLUTION


if exercises.check("08.3", way_back):
    last = torch.eye(8)[7]  # the loss is the last h of eight
    g = way_back(h8[0], torch.full((8,), 0.5), last)
    for name, values in {"h": h8[0], "by x": g}.items():
        print(f"{name:5}", " ".join(f"{v + 0:6.3f}" for v in values))

# %% [markdown] tags=["solution"]
# Going back, the weight is the one of the step that is undone: $h_t$ went into pixel t + 1, so it is
# $\alpha_{t+1}$. Where h is zero the way is cut, and all pixels before it get nothing.

# %% [markdown]
# ## 7 · The race
#
# The package has all these forms for four directions, with β; the last two with the three lines as
# their backward pass. First: are they the same?
#
# **Predict:** forward and backward, how many times as fast as the indexing loop is the compiled one?

# %%
my_guess = None  # write a factor

# %%
forms = {"by index": bench_sweeps.indexed_sweeps}
methods = {"by unbind": "loop", "tree": "scan", "compiled": "numba"}
for name, method in methods.items():
    forms[name] = lambda x, a, b, method=method: irnn_stack(x, a, b, method)

x = torch.randn(1, 8, 192, 192, requires_grad=True)  # (B, C, H, W)
a = torch.rand(4, 8, requires_grad=True)  # (direction, channel)
b = torch.rand(4, 8, requires_grad=True)
expected = forms["by index"](x, a, b)
for name, form in forms.items():
    assert torch.allclose(form(x, a, b), expected, rtol=1e-4, atol=1e-4), name

ways = {}
for name, form in forms.items():
    ways[name, 1] = torch.no_grad()(lambda form=form: form(x, a, b))
    ways[name, 2] = lambda form=form: form(x, a, b).sum().backward()
seconds = interleave(ways, rounds=7)  # all eight in turn
forward = {name: seconds[name, 1] for name in forms}
both_ways = {name: seconds[name, 2] for name in forms}

# %%
lines = []
for name in forms:
    factor = speedup(both_ways["by index"], both_ways[name])
    lines.append([name, speed.spread(forward[name]), speed.spread(both_ways[name]),
                  f"{factor:.1f}×"])
print(machine_line())
print("8 channels of 192 × 192, one thread; ms: median (fastest–slowest) of 7 runs")
print(text_table(["form", "forward", "with backward", "times as fast"], lines))
gain = speedup(both_ways["by index"], both_ways["compiled"])
compare_guess(my_guess, gain, "times")
plots.show(speed.draw_race(forward, both_ways), "Every run of the four forms as a "
           "dot, logarithmic: the compiled form is far faster than the others.")
for name in list(forms)[:-1]:
    assert speedup(both_ways[name], both_ways["compiled"]) > 1.5, name
assert speedup(forward["tree"], forward["by unbind"]) > 1

# %% [markdown]
# "Times as fast" is the median ratio within the rounds, forward and backward together. The compiled
# form wins by far. Between the others, look at the brackets and the dots: **if two clouds overlap
# much, seven runs don't decide between them.** From the first line to the second nothing changed but
# how a picture is taken apart.
#
# Forward, the tree is slower than the loop over `unbind`: it does many times the work, and a processor
# with few cores has to do all of it. It may pay where thousands of cores compute at once; this course
# has not measured that.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. A loop makes 500 steps on lines of 100 numbers. You have 8 pictures. Do you run the loop 8 times?**
#
# <details><summary>Answer</summary>
#
# No: once, on lines of 800 numbers. Most of a step's time is the fixed price of its calls, so a step
# over 800 numbers takes hardly longer than one over 100 (section 1).
#
# </details>
#
# **2. Two loops give the same h to the last bit. Why may one of them be much slower to train?**
#
# <details><summary>Answer</summary>
#
# Their backward passes differ. Each index makes a gradient as large as the whole picture. For a picture
# of twice the side, that loop writes nearly eight times as many bytes, and `unbind` about four.
#
# </details>
#
# **3. The tree needs 10 rounds for 1,024 pixels, the loop 1,023 steps. Why does the loop over `unbind`
# still win the race forward?**
#
# <details><summary>Answer</summary>
#
# A round is not a step: it joins up to 1,023 pairs, and a join is several multiplications. In all that
# is nine times as many joins as the loop has steps. A few cores have to do them one after the other.
#
# </details>
#
# **4. Your own backward pass gives the right gradient for one example. What do you do next?**
#
# <details><summary>Answer</summary>
#
# Run `gradcheck` on random inputs in float64, and make sure that it *fails* for a mistake that you
# put in: a check that can't fail proves nothing. In section 6, h_t in place of h_{t−1} failed.
#
# </details>

# %% [markdown]
# ## You can now …
#
# - say where the time of a loop goes: a fixed price per call, gradients as large as the whole picture;
# - join two steps into one, and all steps in a tree;
# - derive a backward pass, and check it so that a wrong one fails;
# - time several forms in turn, and say which differences are real.
#
# **Next: 09 · Spatial attention.** A module that sees the whole picture can ask: where is the rain?
