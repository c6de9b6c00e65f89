"""Answers to the exercises of lesson 06: second right ones, and wrong ones with the reason."""

import torch

# ------------------------------------------------------------------------------------------- 06.1


def four_parts(conv, z, h, c):
    raw = conv(torch.cat([z, h], 1)).unflatten(1, (4, -1))  # (B, 4, C, H, W)
    i, f, o = (1 / (1 + (-raw[:, k]).exp()) for k in (0, 1, 3))
    written = raw[:, 2].tanh()
    c = torch.addcmul(f * c, i, written)
    return [o * c.tanh(), c]


def lstm(rule, before=lambda z, h, c: (z, h, c), both=lambda z, h: (z, h)):
    """Make an answer of a rule (raw i, f, g, o, the old h and c)."""

    def step(conv, z, h, c):
        z, h, c = before(z, h, c)
        return rule(*conv(torch.cat(both(z, h), dim=1)).chunk(4, dim=1), h, c)

    return step


def cell(i, f, g, o, h, c):
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def raw_gates(i, f, g, o, h, c):
    c = f * c + i * g.tanh()
    return o * c.tanh(), c


def sigmoid_everywhere(i, f, g, o, h, c):
    c = f.sigmoid() * c + i.sigmoid() * g.sigmoid()
    return o.sigmoid() * c.tanh(), c


def shows_c(i, f, g, o, h, c):
    c = cell(i, f, g, o, h, c)[1]
    return o.sigmoid() * c, c


def shows_the_old_c(i, f, g, o, h, c):
    return o.sigmoid() * c.tanh(), cell(i, f, g, o, h, c)[1]


def tied(i, f, g, o, h, c):
    c = (1 - i.sigmoid()) * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def remembers_h(i, f, g, o, h, c):
    return cell(i, f, g, o, c, h)


def never_forgets(i, f, g, o, h, c):
    c = c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def no_past(i, f, g, o, h, c):
    return cell(i, f, g, o, h, 0 * c)


def only_the_gates_see_h(conv, z, h, c):
    return cell(*conv(z).chunk(4, dim=1), h, c)


def splits_the_batch(conv, z, h, c):
    i, f, g, o = conv(torch.cat((z, h), dim=1)).chunk(4, dim=0)
    return cell(i, f, g, o, h, c)


def three_channels(conv, z, h, c):
    return cell(*conv(torch.cat((z, h), dim=1)).split(3, dim=1), h, c)


def in_place(conv, z, h, c):
    i, f, g, o = conv(torch.cat((z, h), dim=1)).chunk(4, dim=1)
    c *= f.sigmoid()
    c += i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def forgets_where_it_keeps(i, f, g, o, h, c):
    c = (1 - f.sigmoid()) * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def squashed(i, f, g, o, h, c):
    c = cell(i, f, g, o, h, c)[1].tanh()
    return o.sigmoid() * c, c


def no_tuple(conv, z, h, c):
    return torch.cat(z, h, dim=1)


def two_arguments(conv, z, h, c):
    return cell(*conv(z, h).chunk(4, dim=1), h, c)


def matrix_product(conv, z, h, c):
    i, f, g, o = conv(torch.cat((z, h), dim=1)).chunk(4, dim=1)
    c = f.sigmoid() @ c + i.sigmoid() @ g.tanh()
    return o.sigmoid() @ c.tanh(), c


LSTM_WRONG = [
    (lstm(lambda i, f, g, o, h, c: cell(i, f, o, g, h, c)), "and you took i, f, o, g"),
    (lstm(lambda i, f, g, o, h, c: cell(f, i, g, o, h, c)), "and you exchanged them"),
    (lstm(sigmoid_everywhere), "tanh, not a sigmoid"),
    (lstm(raw_gates), "the gates i, f and o are sigmoids"),
    (lstm(shows_c), "you left out the tanh"),
    (lstm(shows_the_old_c), "h shows the new c, and you took the old one"),
    (lstm(tied), "a gate of its own, not 1 - i"),
    (lstm(remembers_h), "the memory is c"),
    (lstm(never_forgets), "multiplied by the forget gate f"),
    (lstm(no_past), "the old c counts, too"),
    (lstm(lambda *gates: cell(*gates)[::-1]), "the two results are swapped: first h, then c"),
    (lstm(cell, both=lambda z, h: (h, z)), "the convolution wants z first and h second"),
    (lstm(cell, before=lambda z, h, c: (z, h, c.detach())), "no gradient comes back to c"),
    (lstm(cell, before=lambda z, h, c: (z, h.detach(), c)), "no gradient comes back to h"),
    (lstm(lambda *gates: tuple(x.detach() for x in cell(*gates))), "no gradient comes back to z"),
    (lstm(lambda *gates: cell(*gates)[0]), "return two tensors, the new h and the new c"),
    (only_the_gates_see_h, r"raised ValueError in line \d+: the convolution takes \(B, 2, H, W\)"),
    (splits_the_batch, r"without `dim` it cuts the batch.*raised ValueError in line \d+"),
    (three_channels, "raised TypeError|raised ValueError|raised RuntimeError"),
    (in_place, "changed the tensor it was given"),
    (lstm(forgets_where_it_keeps), "f = 1 keeps everything"),
    (lstm(squashed), "c itself meets no tanh"),
    (no_tuple, "`torch.cat` takes one tuple"),
    (two_arguments, "`conv` takes one tensor"),
    (matrix_product, "@ is a matrix product"),
]

# ------------------------------------------------------------------------------------------- 06.2


def from_the_last_stage(forget):
    parts = [torch.ones_like(forget[0])]
    for gate in reversed(forget[1:]):
        parts.insert(0, parts[0] * gate)
    return parts


def parts(rule):
    """Make an answer of a rule (forget, k) for what stage k + 1 wrote."""
    return lambda forget: torch.stack([rule(forget, k) for k in range(len(forget))])


right = parts(lambda f, k: f[k + 1 :].prod(dim=0))

def a_plain_one(forget):
    found = [1]
    for gate in reversed(forget[1:]):
        found.insert(0, found[0] * gate)
    return torch.stack(found)


def one_number_each(forget):
    found = torch.zeros(len(forget))
    for k in range(len(forget)):
        found[k] = forget[k + 1 :].prod(dim=0)
    return found


PARTS_WRONG = [
    (parts(lambda f, k: f[k:].prod(dim=0)), "own forget gate works on what was there before"),
    (parts(lambda f, k: f[:k].prod(dim=0)), "you took the gates before the stage"),
    (lambda forget: forget.cumprod(dim=0), "you took the gates up to the stage"),
    (parts(lambda f, k: (1 - f)[k + 1 :].prod(dim=0)), "not 1 - f"),
    (parts(lambda f, k: f[k + 1 :].sum(dim=0)), "you added them up"),
    (lambda forget: right(forget).flip(0), "the order is from stage 1 to stage T"),
    (lambda forget: right(forget)[0], "of stage 1 alone"),
    (lambda forget: forget.prod(dim=0), "return a part for each stage"),
    (lambda forget: forget.flip(0).cumprod(dim=0).flip(0) / forget, "what stays is not right"),
    (a_plain_one, "`torch.stack` takes tensors only"),
    (one_number_each, "the result has its shape, torch.zeros_like"),
    (parts(lambda f, k: f[k + 1 :].prod()), "channels and pixels were multiplied"),
    (parts(lambda f, k: f[k] ** (len(f) - 1 - k)), "each stage has its own gate"),
    (parts(lambda f, k: f[k + 2 :].prod(dim=0)), "the very next gate counts"),
    (lambda forget: right(forget)[:-1], "the last stage is missing"),
]

# ------------------------------------------------------------------------------------------- 06.3


def with_zeros(model, rainy, wipe):
    x, pictures = rainy, []
    state = None
    for t in range(model.config.stages):
        if t + 1 in wipe and state is not None:
            state = tuple(0 * part for part in state)
        x, state = model.stage(rainy, x, state)
        pictures.append(x)
    return tuple(pictures)


def loop(first=1, number=None, before=True, state_of=lambda wiped, state: None if wiped else state,
         draft_of=lambda wiped, rainy, x: x, rainy_of=lambda rainy, x: rainy):
    """Make an answer that runs the stages in this way."""

    def run(model, rainy, wipe):
        x, state, pictures = rainy, None, []
        for t in range(first, first + (number or model.config.stages)):
            wiped = t in wipe
            if before:
                state = state_of(wiped, state)
            x = draft_of(wiped, rainy, x)
            x, state = model.stage(rainy_of(rainy, x), x, state)
            if not before:
                state = state_of(wiped, state)
            pictures.append(x)
        return pictures

    return run


def keeps_both(model, rainy, wipe):
    return [model.stage(rainy, rainy, None) for _ in range(model.config.stages)]


def stays_empty(model, rainy, wipe):
    x, state, pictures = rainy, None, []
    for t in range(1, model.config.stages + 1):
        x, state = model.stage(rainy, x, state)
        if wipe and t + 1 >= min(wipe):
            state = None
        pictures.append(x)
    return pictures


def exchanged(model, rainy, wipe):
    x, state, pictures = rainy, None, []
    for t in range(1, model.config.stages + 1):
        x, state = model.stage(x, rainy, None if t in wipe else state)
        pictures.append(x)
    return pictures


def without_rainy(model, rainy, wipe):
    return [model.stage(rainy, None)[0]]


def stages_of_the_model(model, rainy, wipe):
    return [rainy] * model.stages


def never_unpacks(model, rainy, wipe):
    x, pictures = rainy, []
    for _ in range(model.config.stages):
        x = model.stage(rainy, x, None)
        pictures.append(x)
    return pictures


WIPES_WRONG = [
    (loop(state_of=lambda wiped, state: state), "the memory was never emptied"),
    (loop(state_of=lambda wiped, state: None), "hand the state on"),
    (loop(before=False), "one stage too late"),
    (loop(first=0), "one stage too late: count from 1"),
    (loop(state_of=lambda wiped, state: state if wiped else None), "all the other stages"),
    (loop(draft_of=lambda wiped, rainy, x: rainy if wiped else x), "only the memory is emptied"),
    (loop(draft_of=lambda wiped, rainy, x: rainy), "goes on from the picture of the stage before"),
    (loop(rainy_of=lambda rainy, x: x), "always the rainy picture"),
    (loop(number=6), "this network has 4 stages: model.config.stages"),
    (lambda *given: [given[1], *loop()(*given)], "the rainy picture is not one of them"),
    (lambda *given: loop()(*given)[-1], "not one picture"),
    (loop(state_of=lambda wiped, state: 0 if wiped else state), "the state is None"),
    (keeps_both, "the list holds pictures alone"),
    (never_unpacks, "it got two things"),
    (stays_empty, "once emptied, your memory stays empty"),
    (exchanged, "you exchanged the first two"),
    (without_rainy, "a stage takes three things"),
    (stages_of_the_model, "the number of stages is model.config.stages"),
]

ANSWERS = {
    "06.1": {"second": four_parts, "wrong": LSTM_WRONG},
    "06.2": {"second": from_the_last_stage, "wrong": PARTS_WRONG},
    "06.3": {"second": with_zeros, "wrong": WIPES_WRONG},
}
