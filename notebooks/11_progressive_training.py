# %% [markdown]
# # 11 · Progressive training
#
# **When does easy-to-hard help?**
#
# | | |
# |---|---|
# | **Goals** | train a network to obey an equation; build a condition into it; read sizes and angles of gradients, and know what they can't say; tell order from balance; give an easy-to-hard training its control |
# | **Before you start** | lesson 05 |
# | **Time** | 57 minutes, 24 of them for three exercises; the cells take 80 s on a CPU with two cores, and the same with a GPU (they stay on the CPU) |
# | **Papers** | Krishnapriyan et al., NeurIPS 2021 (why such networks fail, arXiv 2109.01050); Wu, Dyer & Neyshabur, ICLR 2021 (when do curricula work?, arXiv 2012.03107) |

# %% tags=["bootstrap"]
import derain_edu as de

# %% [markdown]
# "First the easy things, then the hard ones." It sounds so right that one forgets to test it.
# *Progressive training* means this: what a network is trained on becomes harder during the
# training. It is said to rescue trainings that fail.
#
# So we need a training that fails. Here is a small one, far away from rain. Lesson 12 goes back to
# rain.

# %%
print(f"derain_edu {de.__version__}")

import numpy as np
import torch

from derain_edu.course import exercises, pinn
from derain_edu.course.views import diagrams, plots, waves as views
from derain_edu.experiments.statistics import interval
from derain_edu.text import compare_guess

torch.set_num_threads(1)  # small tensors: two threads would wait for each other
de.choose_device("cpu", verbose=True)  # and a GPU would wait more than it works
de.set_seed(0)

# %% [markdown]
# ## 1 · A network that must obey an equation
#
# A wave $u(x, t)$ starts as $-\sin(\pi x)$ and moves by Burgers' equation,
#
# $$u_t + u\,u_x = \nu\,u_{xx}.$$
#
# High parts run into low ones, so the wave steepens into a step. The *viscosity* ν smooths it; here
# it is small, 0.003.
#
# <details><summary>Background: how to read the equation</summary>
#
# u is a function of the place x (from −1 to 1) and the time t (from 0 to 1). $u_t$ is its derivative
# over t: how fast u changes at one place. $u_x$ is its derivative over x, the slope of the wave at
# one moment, and $u_{xx}$ the slope of the slope. The equation says how fast u must change, from its
# value, slope and bend.
#
# </details>
#
# A *physics-informed network* (PINN) is a function $u(x, t)$ that never sees the solution. Its loss
# asks three things.

# %%
diagrams.pinn_terms()

# %% [markdown]
# - **equation**: at 400 points, is the equation obeyed?
# - **initial**: at t = 0, is $u = -\sin(\pi x)$?
# - **boundary**: at the walls x = ±1, is u = 0?
#
# The true solution comes from a formula (Cole and Hopf). It is for judging only.

# %% [markdown] tags=["exercise"]
# ### Exercise 11.1 · Does it obey?
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 8 minutes |
# | **Task** | write `residual(u, x, t, nu)`: $u_t + u\,u_x - \nu\,u_{xx}$ at each of N points. `u(x, t)` is any function, such as a network; x and t are (N,) and require gradients already. The first derivatives are there, $u_{xx}$ is missing. A loss made of your result must be able to train the network |
#
# <details><summary>Hint</summary>
#
# The second derivative is the derivative of `u_x` over x. `torch.autograd.grad` returns a *tuple*, also
# for one derivative. When the network learns, its result is differentiated once more:
# `create_graph=True` allows that.
#
# </details>

# %% tags=["exercise"]
def residual(u, x, t, nu):
    """Return what is left over of Burgers' equation at the points x and t: (N,)."""
    value = u(x, t)  # (N,)
    u_x, u_t = torch.autograd.grad(value.sum(), (x, t), create_graph=True)
    # BEGIN SOLUTION
    [u_xx] = torch.autograd.grad(u_x.sum(), x, create_graph=True)  # (N,)
    return u_t + value * u_x - nu * u_xx
    # END SOLUTION


exercises.check("11.1", residual)

# %% [markdown] tags=["solution"]
# The sum is a trick: the value at one point depends on the x of that point only, so the derivative
# of the sum is the derivative of each. Without `create_graph` in the last line u_xx would be a mere
# number for autograd, and the term with the viscosity would never train the weights.

# %% [markdown]
# We train three networks, with the seeds 0, 1 and 2, for 1,200 steps. All three losses count from the
# first step on: *all at once*. The *relative error* is the size of u − truth, divided by the size of
# the truth.

# %%
solved = {"all at once": pinn.solve(pinn.WAYS["all at once"])}  # seeds 0, 1, 2
x, t = pinn.grid()  # 51 times and 129 places, (51 · 129,) each
truth = torch.from_numpy(pinn.reference(x.numpy(), t.numpy())).float()

u = solved["all at once"](x, t)[0]  # seed 0
waves = {"truth": truth, "all at once": u, "all at once − truth": u - truth}
plots.show(
    views.draw_waves(waves),
    "Three maps over x and, downwards, t: the true wave, which closes to a sharp "
    "step in the middle; that of the network, too flat; and their difference.",
)
errors = {"all at once": pinn.relative_error(solved["all at once"]).tolist()}
print("relative error by seed:", *(f"{e:.0%}" for e in errors["all at once"]))
assert min(errors["all at once"]) > 0.2

# %% [markdown]
# It fails, and not at the hard place only: the whole wave is too flat, *from the start on* (the top
# line of the maps). Here are the three losses over the steps. (The axes are logarithmic: equal
# distances are equal *factors*.)

# %%
def show_terms(name):
    """Show the three losses and the sizes of their gradients, mean of the seeds."""
    log = solved[name].log
    plots.show(
        views.draw_terms(log),
        f"{name}: left the three losses, right the sizes of their gradients, on "
        "logarithmic axes over the steps.",
    )
    for term, values in views.mean_of(log, "losses").items():
        print(f"{name}, at the end: loss of {term:8} {values[-1]:.2g}")


show_terms("all at once")

# %% [markdown]
# The losses of equation and initial condition soon settle, far above that of the boundary. What could
# help? Three ideas:
#
# - **Order.** The equation builds on the initial condition. Learn that first, then the rest.
# - **Balance.** One loss counts too little. Give it more weight.
# - **Constraint.** Make a loss unnecessary: with
#   $u = -\sin(\pi x) + t\,(1 - x^2)\cdot\text{network}$ the initial and the boundary condition hold
#   whatever the network says (a *hard constraint*). Only the equation is left to learn.

# %% [markdown] tags=["exercise"]
# ### Exercise 11.2 · A string that can't be wrong
#
# | | |
# |---|---|
# | **Difficulty** | ●●○○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 8 minutes |
# | **Task** | a guitar string is held at x = 0 and at x = 1. At t = 0 it has the form `start(x)`, which is 0 at both ends, and it is let go *at rest*: $u_t = 0$. Write `plucked(network, start, x, t)`: a u made of `network(x, t)` that obeys all this, whatever the weights are, and is free everywhere else. x and t are (N,) |
#
# <details><summary>Hint</summary>
#
# Begin with the form above, and change the factor of the network. Where must it be zero? "At rest"
# asks for more than a zero at t = 0: the *slope* of the factor over t must be zero there, too.
#
# </details>

# %% tags=["exercise"]
def plucked(network, start, x, t):
    """Return u (N,): held at both ends; at t = 0 of the form `start`, at rest."""
    # BEGIN SOLUTION
    return start(x) + t**2 * x * (1 - x) * network(x, t)
    # END SOLUTION


exercises.check("11.2", plucked)

# %% [markdown] tags=["solution"]
# With the factor t alone the string would start with a velocity, that of the network: t² has the slope
# zero at t = 0. Any factor will do that is zero where a condition holds and nowhere else.

# %% [markdown]
# ## 2 · Order, balance, constraint
#
# Same networks, same points, 1,200 steps each:
#
# - *initial first*: the first 20 % of the steps ask for the initial condition only, then all losses;
# - *initial × 10* and *initial × 100*: all losses from the first step on, the initial one with this
#   weight;
# - *hard constraint*: only the equation is left.
#
# **Predict:** all at once ended at 43 %. Where does *initial first* end?

# %%
my_guess = None  # write a number of percent

# %%
for name in ("initial first", "initial × 10", "initial × 100", "hard constraint"):
    solved[name] = pinn.solve(pinn.WAYS[name])
    errors[name] = pinn.relative_error(solved[name]).tolist()
mean = {name: float(np.mean(values)) for name, values in errors.items()}
compare_guess(my_guess, 100 * mean["initial first"], "%", decimals=0)
plots.show(views.draw_errors(errors), views.errors_in_words(errors))
waves = {"truth": truth, "all at once": u}
for name in ("initial first", "hard constraint"):
    waves[name] = solved[name](x, t)[0]
plots.show(
    views.draw_waves(waves),
    "Four maps over x and t: the truth; all at once and initial first, both too "
    "flat; and the hard constraint, closest to the truth.",
)
assert mean["initial first"] > mean["all at once"] > mean["hard constraint"]
assert min(errors["initial first"]) > max(errors["hard constraint"])
assert mean["initial × 10"] < min(mean["initial × 100"], mean["all at once"])

# %% [markdown]
# The sensible order is the *worst* of the five, on all seeds. The hard constraint is the best, and it
# needs no number to be chosen.
#
# The weight does. 10 helps; 100 gives about what 1 gives (*all at once*). We know which is best only
# because we know the solution. Without it one would have to guess, so don't read the 10 as a rule.
#
# Why does the sensible order fail? Look at step 240, when the other losses come in.

# %%
show_terms("initial first")
log = {row["step"]: row for row in solved["initial first"].log}
for step in (180, 240, 300, 1199):
    loss = np.mean(log[step]["losses"]["initial"])
    size = {k: np.mean(v) for k, v in log[step]["gradients"].items()}
    print(f"step {step:4}: initial loss {loss:.4f}; size of the gradient: "
          f"equation {size['equation']:5.2f}, initial {size['initial']:.2f}")
pull = {k: np.mean(log[240]["gradients"][k]) for k in ("equation", "initial")}
print(f"at step 240 that is {pull['equation'] / pull['initial']:.0f} to 1")
assert pull["equation"] > 20 * pull["initial"]
first, last = (np.mean(log[k]["losses"]["initial"]) for k in (240, 1199))
assert last > 5 * first

# %% [markdown]
# The initial condition was learned well: its loss is 0.003 at step 240. But *away* from t = 0 nobody
# asked for anything. What the network says there is arbitrary, and breaks the equation badly. So the
# gradient of the equation is about 250 times as large, and what was learned is undone: 60 steps later
# the initial loss is 0.115. It ends at 0.082, higher than in *all at once* (0.05).
#
# **A solution of the easy task need not be a good start for the hard one.**

# %% [markdown]
# ## 3 · What gradients say, and what they don't
#
# A popular diagnosis compares the sizes of the gradients: if one is much larger, change the weights.
# Look at the right-hand curves of *all at once* again. At the end equation and initial condition pull
# about **equally hard**. Is the balance perfect, then? We look at the angle between them, too.

# %% [markdown] tags=["exercise"]
# ### Exercise 11.3 · Do they agree?
#
# | | |
# |---|---|
# | **Difficulty** | ●●●○○ |
# | **Importance** | ●●●●○ |
# | **Spend** | 8 minutes |
# | **Task** | write `cosine(network, one, other)`: the cosine of the angle between the gradients of two losses. `one(network)` and `other(network)` return a loss each. A gradient is *one* long vector, over all weights |
#
# <details><summary>Hint</summary>
#
# For each loss: `torch.autograd.grad(loss, list(network.parameters()))` returns one tensor for each
# weight matrix and each bias. `flatten` each, `torch.cat` them. Last, `torch.cosine_similarity(a, b,
# dim=0)`.
#
# </details>

# %% tags=["exercise"]
def cosine(network, one, other):
    """Return the cosine of the angle between the gradients of two losses."""
    # BEGIN SOLUTION
    weights, vectors = list(network.parameters()), []
    for loss in (one, other):
        parts = torch.autograd.grad(loss(network), weights)
        vectors.append(torch.cat([part.flatten() for part in parts]))
    return torch.cosine_similarity(*vectors, dim=0).item()
    # END SOLUTION


if exercises.check("11.3", cosine):
    points, found = pinn.training_points(), []
    terms = [lambda n, k=k: pinn.losses(n, pinn.Way(), points, pinn.NU)[k].sum()
             for k in (0, 1)]  # equation, initial
    for seed in (0, 1, 2):
        found.append(f"{float(cosine(pinn.Networks((seed,)), *terms)):+.2f}")
    print("three fresh networks, equation and initial condition:", *found)

# %% [markdown] tags=["solution"]
# One vector over all weights, because one step moves all weights at once. A mean of the cosines of
# single layers would count a layer of three weights as much as one of three thousand.

# %% [markdown]
# In fresh networks this cosine is anything: −0.88, −0.16 and +0.19 for the three seeds.
#
# **Predict:** the cosine between the same two gradients at the *end* of all at once (1: same
# direction, 0: nothing to do with each other, −1: opposite).

# %%
my_guess = None  # write a number from -1 to 1

# %%
names = ("all at once", "initial first", "initial × 10", "initial × 100")
angles = {n: np.mean(solved[n].log[-1]["cosine"]) for n in names}  # at the end
compare_guess(my_guess, angles["all at once"], decimals=2)
for name in names:
    row = solved[name].log[-1]
    a, b, c = (np.mean(size) for size in row["gradients"].values())
    weight = row["initial"][0]
    weighted = f"{weight:3.0f} · {b:.3f} = {weight * b:5.2f}"
    print(f"{name:14} equation {a:4.2f}, initial {weighted}, boundary {c:4.2f}; "
          f"cosine {angles[name]:+.3f}; error {mean[name]:.0%}")
    assert angles[name] < -0.9 and 0.5 < a / (weight * b) < 2

# %% [markdown]
# The two weighted gradients are about equally large, and opposite. That looks like a discovery, but it
# had to come out. Where a training stands still, the weighted gradients add up to zero. The one of the
# boundary is small beside them, so two are left. Two vectors that add up to zero, and are not zero
# themselves, have **equal sizes and a cosine of −1**. It holds for any weights: the four ways look alike
# here, and their errors differ. So neither number is a diagnosis.
#
# What does say something: at the end **neither gradient is near zero**. Where a goal is met, its
# gradient is zero. So the training has come to rest at a compromise that meets neither goal. Which cure
# helps, only the experiment of section 2 can tell.

# %% [markdown]
# ## 4 · Easy to hard, with a control
#
# "Initial first" changed which *losses* count. Another idea changes how hard the *task* is. The sharp
# step makes this equation hard, and viscosity smooths it. So: begin with 32 times the viscosity, halve
# it five times, and spend the last 40 % of the steps on the true one. We call this *viscosity falls*.
#
# If it helps, is it the order? Its control is *viscosity shuffled*: the same steps of the first 60 %, in
# **random order**, for each seed another one, and then the same last 40 % on the true task. The two
# differ in nothing but the order.
#
# **Predict:** *viscosity falls* ends at 36 % (all at once: 43). Where does *viscosity shuffled* end?

# %%
my_guess = None  # write a number of percent

# %%
for name in ("viscosity falls", "viscosity shuffled"):
    solved[name] = pinn.solve(pinn.WAYS[name])
    errors[name] = pinn.relative_error(solved[name]).tolist()
    mean[name] = float(np.mean(errors[name]))
compare_guess(my_guess, 100 * mean["viscosity shuffled"], "%", decimals=0)
plots.show(views.draw_errors(errors), views.errors_in_words(errors))
for other in ("viscosity shuffled", "all at once", "hard constraint"):
    pairs = zip(errors[other], errors["viscosity falls"], strict=True)
    gain = [100 * (theirs - ours) for theirs, ours in pairs]
    middle, half = interval(gain)
    print(f"viscosity falls beats {other:18} by", *(f"{g:+.1f}" for g in gain),
          f"points; mean {middle:+.1f} ± {half:.1f}")
assert max(errors["viscosity falls"]) < min(errors["viscosity shuffled"])
assert mean["hard constraint"] < mean["viscosity falls"] < mean["all at once"]

# %% [markdown]
# The same steps, sorted, beat the same steps shuffled by 13 points, on all three seeds. Nothing else
# differs, so here it *is* the order. And the shuffled run is worse than *all at once*: easy tasks in
# the wrong order do harm, though its last 480 steps are all spent on the true task.
#
# Against *all at once*, the comparison that a paper would print, the gain is smaller: 5 to 10 points,
# and with three seeds its 95 % interval only just leaves out zero. The hard constraint, no curriculum
# at all, is 16 points better still.
#
# Why does falling viscosity help where *initial first* harms? A wave with a little more viscosity is
# nearly the wave that we want: most of the way is done. A network that knows u at t = 0 only
# knows nothing of the rest. That is a plausible reading, and our two cases don't prove it.
#
# All this holds for this equation and 1,200 steps; with more steps the ranking may be another one.

# %% [markdown]
# ## 5 · When to try it
#
# Everything in one picture. It asks the cheap questions first, and each of them can end the story.

# %%
plots.show(
    views.draw_flow_chart(),
    "A flow chart. Does plain training fail? Does every simpler cure fail? Does a "
    "solution of the easy task start the hard one well? Does it beat the same "
    "steps in random order? Each no ends in don't; four times yes: use it, and say "
    "what it cost.",
)

# %% [markdown]
# Our wave gets "yes" at the first question, and at 1,200 steps a "no" at the second: the hard constraint
# is the simpler cure. *Initial first* would have stopped at the third. *Viscosity falls* passes the third
# and the fourth.
#
# Others found similar things. For PINNs, Krishnapriyan et al. report that an easy-to-hard path can
# rescue a training that fails. Over 25,000 image classifiers Wu, Dyer and Neyshabur saw "only marginal
# benefits", except with little training time or noisy labels.

# %% [markdown] tags=["quiz"]
# ## Check yourself
#
# **1. At the end of *all at once* the gradients of equation and initial condition are equally large. A
# friend says: "So the weights are well balanced." What do you answer?**
#
# <details><summary>Answer</summary>
#
# Equal sizes are what any standstill of two losses looks like: two vectors add up to zero only if
# they are equally large and opposite. With the weights 10 and 100 the weighted sizes were about equal,
# too, and the errors were others: 34 % and 40 % instead of 43 %. The cosine of −1 is forced in the same
# way. What counts is that neither gradient is near zero: neither goal is met.
#
# </details>
#
# **2. Why did the initial condition, learned to a loss of 0.003, not last?**
#
# <details><summary>Answer</summary>
#
# Away from t = 0 nothing had been asked, so the equation was broken badly there. Its gradient was about
# 250 times as large when it came in, and the steps that followed served it. A solution of the easy task
# was no good start for the hard one.
#
# </details>
#
# **3. *Viscosity falls* ends at 36 %, *all at once* at 43 %. Does this show that the order helps?**
#
# <details><summary>Answer</summary>
#
# Not yet: easier tasks in *any* order might do it. The control tells them apart. The same steps
# shuffled, with the same end on the true task, reach 49 %. So the order matters here. It does not follow
# that a curriculum is the best cure: the hard constraint reaches 20 %.
#
# </details>
#
# **4. You want u = 1 at t = 0, and nothing at the walls. Write a u that can't be wrong.**
#
# <details><summary>Answer</summary>
#
# u = 1 + t · network(x, t). The factor is zero where the condition holds, and nowhere else.
#
# </details>

# %% [markdown]
# ## You can now …

# %%
for name, values in sorted(errors.items(), key=lambda item: np.mean(item[1])):
    seeds = " ".join(f"{value:.0%}" for value in values)
    print(f"{name:18} {np.mean(values):4.0%}   (seeds: {seeds})")

# %% [markdown]
# - train a network to obey an equation, and build a condition into it;
# - test *order*, *balance* and *constraint* when a training fails, by experiment: sizes and angles of
#   gradients at a standstill are forced, and diagnose nothing;
# - give an easy-to-hard training its control: the same steps in random order, with the same end;
# - leave it out when a cheap question says no.
#
# For this wave and 1,200 steps: easy-to-hard helps if the easy task's solution is a good start for the
# next one (viscosity), and harms if not (initial first). A built-in condition helps more.
#
# **Next: 12 · Curricula.** Does it help a deraining network?
