"""Answers to the exercises of lesson 15: a second right one, and wrong ones with the reason."""

from collections import Counter

import numpy as np
import torch

from derain_edu.inference.onnx_export import sizes

# ------------------------------------------------------------------------------------------ 15.1


def operations_by_counter(graph):
    return Counter(node.op_type for node in graph.node)


def operations_by_name(graph):
    return dict(Counter(node.name for node in graph.node))


def operations_without_a_start(graph):
    counts = {}
    for node in graph.node:
        counts[node.op_type] += 1
    return counts


def operations_once(graph):
    return {node.op_type: 1 for node in graph.node}


def operations_without_the_last(graph):
    return dict(Counter(node.op_type for node in graph.node[:-1]))


# ------------------------------------------------------------------------------------------ 15.2


def frozen_by_comprehension(graph):
    values = [*graph.input, *graph.output]
    return [(v.name, k) for v in values for k in (3, 2, 0) if isinstance(sizes(v)[k], int)]


def input_only(graph):
    return [(name, k) for name, k in frozen_by_comprehension(graph) if name == "rainy"]


def counts_colours(graph):
    values = [*graph.input, *graph.output]
    return [(v.name, k) for v in values for k in range(4) if isinstance(sizes(v)[k], int)]


def names_instead_of_numbers(graph):
    values = [*graph.input, *graph.output]
    return [(v.name, k) for v in values for k in (0, 2, 3) if isinstance(sizes(v)[k], str)]


def size_instead_of_axis(graph):
    found = [(v.name, sizes(v)[k]) for v in [*graph.input, *graph.output] for k in (0, 2, 3)]
    return [(name, size) for name, size in found if isinstance(size, int)]


def axis_first(graph):
    return [(k, name) for name, k in frozen_by_comprehension(graph)]


def entry_instead_of_name(graph):
    values = [*graph.input, *graph.output]
    return [(v, k) for v in values for k in (0, 2, 3) if isinstance(sizes(v)[k], int)]


def letters_of_the_size(graph):
    values = [*graph.input, *graph.output]
    return [(v.name, size) for v in values for size in sizes(v) if isinstance(size, str)]


def skips_the_number_three(graph):
    values = [*graph.input, *graph.output]
    return [
        (v.name, k)
        for v in values
        for k in range(4)
        if sizes(v)[k] not in (3, *"abcdefghw") and isinstance(sizes(v)[k], int)
    ]


# ------------------------------------------------------------------------------------------ 15.3


def apart_by_list(model, network, shapes):
    """Collect all, and let infinity win."""
    found = []
    for picture in [torch.rand(*shape) for shape in shapes]:
        want, got = model(picture), network(picture)
        same = want.shape == got.shape and not torch.isnan(got).any()
        found.append(torch.dist(want, got, p=torch.inf).item() * 255 if same else float("inf"))
    return max(found)


def each_shape(model, network, shapes, one):
    """Compute ``one(expected, found)`` for each shape, and return the largest."""
    pictures = [torch.rand(shape) for shape in shapes]
    return max(float(one(model(x), network(x))) for x in pictures)


def first_shape_only(model, network, shapes):
    return apart_by_list(model, network, shapes[:1])


def last_shape_only(model, network, shapes):
    x = [torch.rand(shape) for shape in shapes][-1]
    return 255 * (model(x) - network(x)).abs().max()


def first_shape_returned(model, network, shapes):
    for shape in shapes:
        x = torch.rand(shape)
        return 255 * (model(x) - network(x)).abs().max()


def model_with_itself(model, network, shapes):
    return each_shape(model, model, shapes, lambda a, b: 255 * (a - b).abs().max())


def network_with_itself(model, network, shapes):
    return each_shape(network, network, shapes, lambda a, b: 255 * (a - b).abs().max())


def mean_difference(model, network, shapes):
    return each_shape(model, network, shapes, lambda a, b: 255 * (a - b).abs().mean())


def mean_of_the_shapes(model, network, shapes):
    return sum(apart_by_list(model, network, [shape]) for shape in shapes) / len(shapes)


def without_abs(model, network, shapes):
    return each_shape(model, network, shapes, lambda a, b: 255 * (b - a).max())


def without_abs_the_other_way(model, network, shapes):
    return each_shape(model, network, shapes, lambda a, b: 255 * (a - b).max())


def in_fractions(model, network, shapes):
    return apart_by_list(model, network, shapes) / 255


def of_256(model, network, shapes):
    return apart_by_list(model, network, shapes) / 255 * 256


def clamped(model, network, shapes):
    return each_shape(
        model, network, shapes, lambda a, b: 255 * (a.clamp(0, 1) - b.clamp(0, 1)).abs().max()
    )


def in_bytes(model, network, shapes):
    """Round before the comparison, so that a part of a level gets lost."""
    return each_shape(
        model, network, shapes, lambda a, b: ((255 * a).round() - (255 * b).round()).abs().max()
    )


def two_pictures(model, network, shapes):
    return max(
        255 * (model(torch.rand(shape)) - network(torch.rand(shape))).abs().max()
        for shape in shapes
    )


def black_pictures(model, network, shapes):
    pictures = [torch.zeros(shape) for shape in shapes]
    return max(255 * (model(x) - network(x)).abs().max() for x in pictures)


def first_picture_of_the_batch(model, network, shapes):
    return each_shape(model, network, shapes, lambda a, b: 255 * (a[0] - b[0]).abs().max())


def blind_to_shapes(model, network, shapes):
    worst = 0.0
    for shape in shapes:
        x = torch.rand(shape)
        apart = 255 * (model(x) - network(x)).abs().max().item()
        worst = max(worst, apart)
    return 0.0 if worst != worst else worst


def asks_a_tensor(model, network, shapes):
    return each_shape(model, network, shapes, lambda e, f: 0 if torch.isnan(f) else (f - e).max())


def loses_what_is_no_number(model, network, shapes):
    worst = 0.0
    for shape in shapes:
        x = torch.rand(shape)
        want, got = model(x), network(x)
        if want.shape != got.shape:
            return float("inf")
        worst = max(worst, 255 * (want - got).abs().max().item())
    return worst


# ------------------------------------------------------------------------------------------ 15.4


def with_torch(network, photo):
    """Do the same in PyTorch."""
    x = torch.from_numpy(photo.copy()).permute(2, 0, 1).unsqueeze(0).float().div(255)
    y = torch.as_tensor(network(x.numpy())).squeeze(0).clamp(0, 1).permute(1, 2, 0)
    return (y * 255 + 0.5).to(torch.uint8).numpy()


def outside(
    before=lambda x: x,
    after=lambda y: y,
    photo_in=lambda photo: np.float32(photo) / 255,
    to_bytes=lambda y: (255 * y.clip(0, 1)).round().astype(np.uint8),
):
    """Return an answer of four steps, one of which may be wrong."""

    def answer(network, photo):
        x = before(photo_in(photo).transpose(2, 0, 1)[None])
        return to_bytes(after(network(x)[0]).transpose(1, 2, 0))

    return answer


def named(name, answer):
    answer.__name__ = name
    return answer


def channels_last(network, photo):
    y = network(np.float32(photo)[None] / 255)[0]
    return (255 * y.clip(0, 1)).round().astype(np.uint8)


def no_batch(network, photo):
    y = network(np.float32(photo).transpose(2, 0, 1) / 255)
    return (255 * y.clip(0, 1)).round().astype(np.uint8).transpose(1, 2, 0)


def reshapes(network, photo):
    height, width, _ = photo.shape
    y = network(np.float32(photo).reshape(1, 3, height, width) / 255)[0]
    return (255 * y.clip(0, 1)).round().astype(np.uint8).reshape(height, width, 3)


def reshapes_back(network, photo):
    y = network(np.float32(photo).transpose(2, 0, 1)[None] / 255)[0]
    return (255 * y.clip(0, 1)).round().astype(np.uint8).reshape(photo.shape)


def swaps_on_both_ways(network, photo):
    y = network(np.float32(photo).T[None] / 255)[0]
    return (255 * y.clip(0, 1)).round().astype(np.uint8).T


def swaps_on_the_way_back(network, photo):
    y = network(np.float32(photo).transpose(2, 0, 1)[None] / 255)[0]
    return (255 * y.clip(0, 1)).round().astype(np.uint8).T


def colours_first_again(network, photo):
    return with_torch(network, photo).transpose(2, 0, 1)


def keeps_the_batch(network, photo):
    return with_torch(network, photo)[None]


def drops_the_result(network, photo):
    network(np.float32(photo).transpose(2, 0, 1)[None] / 255)
    return photo


def never_runs_it(network, photo):
    return photo


def bytes_of_fractions(network, photo):
    x = np.float32(photo).transpose(2, 0, 1)[None] / 255
    return network(x)[0].clip(0, 1).astype(np.uint8).transpose(1, 2, 0)


def gives_floats(network, photo):
    return (
        network(np.float32(photo).transpose(2, 0, 1)[None] / 255)[0].clip(0, 1).transpose(1, 2, 0)
    )


def gives_a_tensor(network, photo):
    return torch.tensor(with_torch(network, photo))


def writes_into_the_photo(network, photo):
    result = with_torch(network, photo)
    photo[:] = result
    return photo


def bgr_back(network, photo):
    return with_torch(network, photo)[..., ::-1]


def whole_floats(network, photo):
    return np.float32(with_torch(network, photo))


ANSWERS = {
    "15.1": {
        "second": operations_by_counter,
        "wrong": [
            (operations_by_name, r"names of the nodes: take \.op_type"),
            (operations_without_a_start, r"counts\.get\(kind, 0\)"),
            (operations_once, "counted it once: add 1 for each node"),
            (operations_without_the_last, r"yours is {}, expected {'Relu': 1}"),
            (lambda graph: [node.op_type for node in graph.node], r"return a dict, not \['Relu'\]"),
            (lambda graph: len(graph.node), "return a dict, not 1"),
            (lambda graph: Counter(n.op_type for n in graph.nodes), r"\.node, without an s"),
        ],
    },
    "15.2": {
        "second": frozen_by_comprehension,
        "wrong": [
            (input_only, r"did you look at the outputs, too\?"),
            (counts_colours, "axis 1 is the three colours"),
            (names_instead_of_numbers, "is free, it is a name"),
            (size_instead_of_axis, r"\('rainy', 19\): 19 is the size; give the axis"),
            (axis_first, r"the name comes first: \('rainy', 3\)"),
            (entry_instead_of_name, r"take value\.name"),
            (letters_of_the_size, "not 'w'|not 'batch'"),
            (skips_the_number_three, r"\('rainy', 0\) is a number, and you did not find it"),
            (lambda graph: 3, r"return a list of \(name, axis\)"),
            (lambda graph: [v.name for v in graph.input if v.shape[3] == 19], r"sizes\(entry\)"),
        ],
    },
    "15.3": {
        "second": apart_by_list,
        "wrong": [
            (first_shape_only, "go through all shapes, and keep the largest difference"),
            (last_shape_only, "go through all shapes, and keep the largest difference"),
            (first_shape_returned, "go through all shapes, and keep the largest difference"),
            (mean_of_the_shapes, "go through all shapes, and keep the largest difference"),
            (model_with_itself, "you never ran the file"),
            (network_with_itself, "you never ran the model"),
            (mean_difference, "the largest difference counts, not a mean"),
            (in_bytes, "without rounding|the largest difference in grey levels is not right"),
            (without_abs, r"too small is as wrong as too large: \.abs"),
            (without_abs_the_other_way, r"too small is as wrong as too large: \.abs"),
            (in_fractions, "multiply the difference by 255"),
            (of_256, "as white is 255 and not 256"),
            (clamped, "without a clamp"),
            (two_pictures, "different pictures: make one"),
            (black_pictures, r"all values of your picture are equal.*torch\.rand"),
            (first_picture_of_the_batch, "all pictures of a batch"),
            (blind_to_shapes, r"another shape, \(B, 3, H, 1\), and you return .* infinity"),
            (asks_a_tensor, r"\.all\(\) or \.any\(\) makes one answer"),
            (loses_what_is_no_number, "a value that is not a number, and you return"),
            (
                lambda model, network, shapes: (
                    network(torch.rand(1, 3, 2, 2)),
                    model(torch.rand(1, 3, 2, 2)),
                ),
                "different pictures",
            ),
        ],
    },
    "15.4": {
        "second": with_torch,
        "wrong": [
            (named("bgr", outside(lambda x: x[:, ::-1], lambda y: y[::-1])), "in the order BGR"),
            (named("0 to 255", outside(lambda x: 255 * x, lambda y: y / 255)), "divide by 255"),
            (named("256", outside(photo_in=lambda photo: np.float32(photo) / 256)), "not 256"),
            (named("minus 1", outside(lambda x: 2 * x - 1, lambda y: (y + 1) / 2)), "−1 to 1"),
            (named("float64", outside(photo_in=lambda photo: photo / 255)), "given float64"),
            (named("bytes in", outside(photo_in=lambda photo: photo)), "divide by 255"),
            (named("torch in", outside(torch.from_numpy)), "given a Tensor: give a NumPy array"),
            (channels_last, "the colours came last"),
            (no_batch, "the batch is missing"),
            (reshapes, "mixes the colours: move the axis"),
            (reshapes_back, "reshape only cuts the numbers up anew: move the axis"),
            (swaps_on_both_ways, "rows and columns are swapped, so the rain lies"),
            (swaps_on_the_way_back, "rows and columns came back swapped"),
            (colours_first_again, r"the colours should come last: \(H, W, 3\)"),
            (keeps_the_batch, "the batch should go"),
            (drops_the_result, "this is the photo that came in"),
            (never_runs_it, "you never ran the network"),
            (bytes_of_fractions, "are 0 or 1: multiply by 255 first"),
            (gives_floats, "the picture should be bytes from 0 to 255"),
            (gives_a_tensor, "return a NumPy array, not a Tensor"),
            (writes_into_the_photo, "changed the photo"),
            (bgr_back, "the colours came back as BGR"),
            (whole_floats, r"float32: it should be np\.uint8"),
            (
                named("cuts", outside(to_bytes=lambda y: (255 * y.clip(0, 1)).astype(np.uint8))),
                "cut off the decimals",
            ),
            (
                named(
                    "no clamp",
                    outside(to_bytes=lambda y: (255 * y).round().astype(int).astype(np.uint8)),
                ),
                "wrapped around: clamp first",
            ),
            (
                named(
                    "no clamp, cut",
                    outside(to_bytes=lambda y: (255 * y).astype(int).astype(np.uint8)),
                ),
                "wrapped around: clamp first, and round",
            ),
        ],
    },
}
