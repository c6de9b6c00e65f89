"""The recurrence in four directions: every form against the plain loop, and the loop by hand."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from derain_edu.errors import DerainError
from derain_edu.evaluation.timing import LiveMemory
from derain_edu.models import irnn as module
from derain_edu.models.irnn import DIRECTIONS, METHODS, irnn, irnn_stack
from derain_edu.models.irnn_scan import ClampedAffine, compose, prefix_maps

FAST = [name for name in METHODS if name != "loop"]
TRAINABLE = ["rows", "numba", "scan"]  # with the backward pass of our own


def example(
    shape: tuple[int, ...] = (2, 3, 6, 7), dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """Features and factors in which sweeps die, live, and change sign."""
    generator = torch.Generator().manual_seed(sum(shape))
    x = torch.randn(shape, generator=generator, dtype=dtype)
    alpha = torch.rand(4, shape[1], generator=generator, dtype=dtype) * 2 - 0.8
    return x, alpha, torch.randn(4, shape[1], generator=generator, dtype=dtype) / 2


def by_hand(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Pixel by pixel in Python numbers: (B, 4, C, H, W)."""
    out = torch.zeros(x.shape[0], 4, *x.shape[1:], dtype=x.dtype)
    height, width = x.shape[2:]
    steps = {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}
    for n, c in itertools.product(range(x.shape[0]), range(x.shape[1])):
        for k, (di, dj) in enumerate(steps.values()):
            rows = range(height)[:: di or 1]
            columns = range(width)[:: dj or 1]
            for i, j in itertools.product(rows, columns):
                value = x[n, c, i, j].item()
                if 0 <= i - di < height and 0 <= j - dj < width:
                    before = out[n, k, c, i - di, j - dj].item()
                    value += alpha[k, c].item() * before + beta[k, c].item()
                out[n, k, c, i, j] = max(value, 0.0)
    return out


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (8, 1), (5, 4), (3, 17)])
def test_every_form_is_the_recurrence_by_hand(method, size):
    x, alpha, beta = example((2, 3, *size))
    assert torch.allclose(irnn_stack(x, alpha, beta, method), by_hand(x, alpha, beta), atol=1e-12)


def test_the_directions_have_their_names():
    """One bright pixel in the middle: α = 1 carries it to one side, to the last pixel."""
    x = torch.zeros(1, 1, 5, 5)
    x[..., 2, 2] = 1
    expected = {"up": (slice(0, 3), 2), "right": (2, slice(2, 5)), "down": (slice(2, 5), 2)}
    expected["left"] = (2, slice(0, 3))
    for name, swept in zip(DIRECTIONS, irnn(x, torch.ones(4, 1), torch.zeros(4, 1)), strict=True):
        trace = torch.zeros(5, 5)
        trace[expected[name]] = 1
        assert torch.equal(swept[0, 0], trace), name


@pytest.mark.parametrize("method", FAST)
@pytest.mark.parametrize("layout", ["contiguous", "channels-last", "neither"])
def test_layouts(method, layout):
    x, alpha, beta = example((2, 5, 9, 35), torch.float32)
    expected = irnn_stack(x, alpha, beta, "loop")
    if layout == "channels-last":
        x = x.contiguous(memory_format=torch.channels_last)
    elif layout == "neither":
        x = x.flip(3).transpose(2, 3).contiguous().transpose(2, 3).flip(3).expand(2, -1, -1, -1)
        x = torch.cat((x, x), dim=3)[..., :35]
    assert torch.allclose(irnn_stack(x, alpha, beta, method), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (38, 1), (2, 3), (37, 70)])
def test_all_forms_agree_on_narrow_and_uneven_pictures(size):
    """Odd heights, one line, more lines than a block of the compiled loops."""
    x, alpha, beta = example((2, 3, *size), torch.float32)
    for memory in (torch.contiguous_format, torch.channels_last):
        outs = {m: irnn_stack(x.contiguous(memory_format=memory), alpha, beta, m) for m in METHODS}
        for (one, a), (other, b) in itertools.combinations(outs.items(), 2):
            assert torch.allclose(a, b, atol=1e-5), (one, other)


def test_channels_last_stays_channels_last():
    """So that the convolution after the concatenation needs no copy."""
    x, alpha, beta = example((2, 5, 9, 6), torch.float32)
    x = x.contiguous(memory_format=torch.channels_last)
    out = irnn_stack(x, alpha, beta, "numba").flatten(1, 2)
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels_last", [False, True])
def test_threads_share_the_work_and_change_nothing(channels_last):
    x, alpha, beta = example((3, 5, 41, 67), torch.float32)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    arriving, before, results = torch.randn(3, 4, 5, 41, 67), torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            inputs = [t.clone().requires_grad_() for t in (x, alpha, beta)]
            out = irnn_stack(*inputs, "numba")
            results.append([out, *torch.autograd.grad(out, inputs, arriving)])
    finally:
        torch.set_num_threads(before)
    for one, three in zip(*results, strict=True):
        assert torch.allclose(one, three, rtol=1e-5, atol=1e-4)
    assert torch.equal(results[0][0], results[1][0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_sweeps_too():
    """A worker that loads data is a fork: it has none of the threads of its parent."""
    code = """if True:
        import os, torch
        from derain_edu.models.irnn import irnn_stack
        torch.set_num_threads(2)
        x, one = torch.ones(1, 2, 3, 4), torch.ones(4, 2)
        expected = irnn_stack(x, one, one, "numba")
        child = os.fork()
        if child == 0:
            os._exit(0 if torch.equal(irnn_stack(x, one, one, "numba"), expected) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "0", done.stderr


@pytest.mark.parametrize("method", [*TRAINABLE, "loop"])
@pytest.mark.parametrize("size", [(4, 5), (1, 6), (3, 1)])
def test_gradients_against_finite_differences(method, size):
    inputs = [t.requires_grad_() for t in example((2, 2, *size))]
    # Away from the corner of the ReLU, where no derivative exists.
    assert torch.autograd.gradcheck(lambda *args: irnn_stack(*args, method), inputs)


@pytest.mark.parametrize("method", TRAINABLE)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (17, 40), (33, 2)])
def test_gradients_against_the_loop(method, channels_last, size):
    arriving = torch.randn(2, 4, 3, *size)
    gradients = {}
    for name in ("loop", method):
        x, alpha, beta = example((2, 3, *size), torch.float32)
        if channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        inputs = [t.requires_grad_() for t in (x, alpha, beta)]
        out = irnn_stack(*inputs, name)
        gradients[name] = torch.autograd.grad(out, inputs, arriving, allow_unused=True)
    for ours, plain in zip(gradients[method], gradients["loop"], strict=True):
        plain = torch.zeros_like(ours) if plain is None else plain  # of a 1×1 picture: no α, no β
        assert torch.allclose(ours, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", TRAINABLE)
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_gradient_may_lie_in_memory_as_it_likes(method, channels_last):
    """``.sum()`` sends one number seen from everywhere, a permuted output a transposed gradient."""
    x, alpha, beta = example((2, 3, 9, 8), torch.float32)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    weights = torch.randn(8, 9, 3, 4, 2)
    losses = {
        "expanded": lambda out: out.sum(),
        "transposed": lambda out: (out.permute(4, 3, 2, 1, 0) * weights).sum(),
        "every second": lambda out: out[..., ::2].square().sum(),
    }
    for name, loss in losses.items():
        found = {}
        for way in ("loop", method):
            inputs = [t.clone().requires_grad_() for t in (x, alpha, beta)]
            found[way] = torch.autograd.grad(loss(irnn_stack(*inputs, way)), inputs)
        for ours, plain in zip(found[method], found["loop"], strict=True):
            assert torch.allclose(ours, plain, rtol=1e-4, atol=1e-4), name


def test_the_export_form_is_what_a_captured_graph_holds():
    x, alpha, beta = example((1, 2, 4, 5), torch.float32)

    class Sweeper(torch.nn.Module):
        def forward(self, x):
            return irnn_stack(x, alpha, beta)

    sizes = {"x": {2: torch.export.Dim("height"), 3: torch.export.Dim("width")}}
    graph = torch.export.export(Sweeper(), (x,), dynamic_shapes=sizes)
    assert sum(str(node.target) == "scan" for node in graph.graph.nodes) == 4
    other = torch.randn(1, 2, 11, 3)
    assert torch.allclose(
        graph.module()(other), irnn_stack(other, alpha, beta, "loop"), atol=1e-6
    )


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_comes_back_as_it_went_in_and_is_summed_in_float32(method):
    """α = 1 adds up 600 pixels: bfloat16 would stand still at 256, the sum does not."""
    x = torch.ones(1, 1, 1, 600, dtype=torch.bfloat16)
    right = irnn(x, torch.ones(4, 1), torch.zeros(4, 1), method)[1]
    assert right.dtype == torch.bfloat16
    assert right[0, 0, 0, -1] == 600


@pytest.mark.parametrize("method", [*TRAINABLE, None])
def test_bfloat16_under_autocast(method):
    x, alpha, beta = example((2, 4, 9, 8), torch.float32)
    conv = torch.nn.Conv2d(4, 4, 3, padding=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = conv(x)
        out = irnn_stack(features, alpha.requires_grad_(), beta, method)
        assert features.dtype == out.dtype == torch.bfloat16
        out.float().square().mean().backward()
    exact = irnn_stack(features.detach().float(), alpha.detach(), beta, "loop")
    assert torch.allclose(out.float(), exact, rtol=1e-2, atol=1e-2)
    assert conv.weight.grad.isfinite().all() and alpha.grad.abs().max() > 0


@pytest.mark.parametrize("method", METHODS)
def test_a_nan_is_not_swept_under_the_carpet(method):
    x, alpha, beta = example((1, 1, 3, 9), torch.float32)
    x[..., 1, 4] = float("nan")
    assert irnn_stack(x, alpha, beta, method).isnan().any()


def test_memory_grows_with_the_outputs_only():
    """Numbers alive at once: the four outputs; and going back, their gradient and that of x."""
    x, alpha, beta = example((1, 8, 64, 48), torch.float32)
    x.requires_grad_()
    with LiveMemory() as memory:
        out = irnn_stack(x, alpha, beta, "numba")
        assert memory.peak <= 1.01 * 4 * x.nbytes
        out.sum().backward()
    assert memory.peak <= 1.05 * (4 + 4 + 1) * x.nbytes + 4 * x.nbytes


def test_two_clamped_affine_maps_are_one():
    generator = torch.Generator().manual_seed(0)
    draw = torch.randn(2, 3, 1000, generator=generator, dtype=torch.float64)
    first, second = (
        ClampedAffine(a, b, lo, lo + 1) for (a, b, lo) in draw.unbind(0)
    )
    h = torch.linspace(-5, 5, 41, dtype=torch.float64)[:, None]
    assert (first.a < 0).any() and (second.a < 0).any()
    assert torch.allclose(second(first(h)), compose(second, first)(h), atol=1e-12)


def test_prefix_maps_are_compositions_of_all_before():
    a, b = torch.randn(2, 13, dtype=torch.float64).unbind(0)
    maps = ClampedAffine(a, b, torch.zeros(13).double(), torch.full((13,), 2.0).double())
    prefix = prefix_maps(maps)
    h = torch.tensor(0.7, dtype=torch.float64)
    for t in range(13):
        h = ClampedAffine(*(part[t] for part in maps))(h)
        assert torch.allclose(ClampedAffine(*(part[t] for part in prefix))(torch.tensor(0.7)), h)


def test_without_numba_the_rows_run(monkeypatch):
    monkeypatch.setattr(module, "_numba_kernels", lambda: None)
    x, alpha, beta = example()
    assert module.choose_method(x) == "rows"
    assert torch.allclose(irnn_stack(x, alpha, beta), irnn_stack(x, alpha, beta, "loop"))
    with pytest.raises(DerainError, match="numba is not installed"):
        irnn_stack(x, alpha, beta, "numba")


def test_the_loops_run_where_no_folder_can_be_written():
    """They are compiled all the same, and the doctor says that they are not kept."""
    code = (
        "from numba.core import caching\n"
        "def fail(self): raise OSError(30, 'Read-only file system')\n"
        "caching._CacheLocator.ensure_cache_path = fail\n"
        "import torch\n"
        "from derain_edu.course.doctor import check_loops\n"
        "from derain_edu.models.irnn import choose_method, irnn_stack\n"
        "x, alpha, beta = torch.rand(1, 2, 3, 4), torch.full((4, 2), 0.5), torch.zeros(4, 2)\n"
        "print(choose_method(x))\n"
        "loop = irnn_stack(x, alpha, beta, 'loop')\n"
        "print(torch.allclose(irnn_stack(x, alpha, beta, 'numba'), loop))\n"
        "print(*check_loops())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    method, same, note = done.stdout.split("\n", 2)
    assert (method, same) == ("numba", "True")
    assert note.startswith("[note] loops") and "NUMBA_CACHE_DIR" in note


def test_the_chooser_looks_at_the_device():
    assert module.choose_method(torch.zeros(1)) == "numba"
    assert module.choose_method(torch.zeros(1, device="meta")) == "scan"


def test_numba_is_loaded_only_when_it_runs():
    code = "import sys, derain_edu.models.irnn; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("x", "alpha", "message"),
    [
        (torch.zeros(3, 4, 4), torch.zeros(4, 3), r"x must be \(B, C, H, W\)"),
        (torch.zeros(1, 3, 0, 4), torch.zeros(4, 3), "with H, W ≥ 1"),
        (torch.zeros(1, 3, 4, 4), torch.zeros(3), r"alpha must be \(4, 3\)"),
        (torch.zeros(1, 3, 4, 4), torch.zeros(4, 2), r"alpha must be \(4, 3\)"),
        (torch.zeros(1, 2, 4, 4), torch.zeros(4, 2), r"beta must be \(4, 2\)"),
    ],
)
def test_bad_input(x, alpha, message):
    with pytest.raises(DerainError, match=message):
        irnn(x, alpha, torch.zeros(4, 3))


def test_the_compiled_loops_say_where_they_run():
    x = torch.zeros(1, 3, 4, 4, device="meta")
    with pytest.raises(DerainError, match="runs on the CPU, and x is on meta: take 'scan'"):
        METHODS["numba"](x, torch.zeros(4, 3), torch.zeros(4, 3))


def test_unknown_method():
    with pytest.raises(DerainError, match="unknown method 'magic': choose one of loop, rows"):
        irnn(torch.zeros(1, 3, 4, 4), torch.zeros(4, 3), torch.zeros(4, 3), "magic")
