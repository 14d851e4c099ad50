"""Figures that shapes alone decide: each claim's number again, from a closed formula over tables.

The tables hold the papers' networks as (inputs, outputs, groups, kernel, size before, size after).
Nothing here is shared with `papers/`.
"""

import math
from functools import partial

import pytest

from ondevice_bench.papers.claims_file import load_published
from ondevice_bench.papers.counting import account_pass
from ondevice_bench.papers.judge_claims import judge_claims
from ondevice_bench.papers.published import PublishedClaims
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.queries.accounts import accounts_of

KIB, MIB, GIB = 2**10, 2**20, 2**30


def resnet(blocks):
    convs, size, inputs = [(3, 64, 1, 7, 224, 112)], 56, 64
    for stage, count in enumerate(blocks):
        outputs = 64 * 2**stage
        for block in range(count):
            after = size // (2 if stage and not block else 1)
            convs.append((inputs, outputs, 1, 3, size, after))
            convs.append((outputs, outputs, 1, 3, after, after))
            if after < size:
                convs.append((inputs, outputs, 1, 1, size, after))
            size, inputs = after, outputs
    return convs


def inverted(inputs, wide, outputs, kernel, size, after):
    first = [(inputs, wide, 1, 1, size, size)] if wide != inputs else []
    return [
        *first,
        (wide, wide, wide, kernel, size, after),
        (wide, outputs, 1, 1, after, after),
    ]


def mobilenet():
    convs, size, inputs = [(3, 32, 1, 3, 224, 112)], 112, 32
    groups = (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
        (6, 320, 1, 1),
    )  # fmt: skip
    for times, outputs, count, stride in groups:
        for block in range(count):
            after = size // (1 if block else stride)
            convs += inverted(inputs, inputs * times, outputs, 3, size, after)
            size, inputs = after, outputs
    return [*convs, (320, 1280, 1, 1, 7, 7)]


def mcunet():
    convs, size, inputs = [(3, 16, 1, 3, 224, 112)], 112, 16
    blocks = (
        (16, 8, 3, 1), (32, 16, 3, 2), (48, 16, 3, 1), (48, 24, 7, 2), (120, 24, 3, 1),
        (120, 40, 3, 2), (160, 40, 7, 1), (160, 48, 5, 1), (144, 48, 3, 1), (192, 48, 3, 1),
        (240, 96, 7, 2), (384, 96, 5, 1), (384, 96, 5, 1), (576, 160, 3, 1),
    )  # fmt: skip
    for wide, outputs, kernel, stride in blocks:
        convs += inverted(inputs, wide, outputs, kernel, size, size // stride)
        size, inputs = size // stride, outputs
    return convs


RESNET18, RESNET34 = resnet((2, 2, 2, 2)), resnet((3, 4, 6, 3))
NETWORKS = {
    "mobilenet": (mobilenet(), 1280),
    "resnet18": (RESNET18, 512),
    "mcunet": (mcunet(), 160),
}


def gradients(conv, radius=None):
    """`C C' (t P + P - 1) + C' (H W + P)`."""
    inputs, outputs, groups, kernel, _, size = conv
    taps = kernel**2 if radius is None else 1
    patches = size**2 if radius is None else math.ceil(size / radius) ** 2
    pairs = inputs * outputs // groups
    return pairs * (taps * patches + patches - 1) + outputs * (size**2 + patches)


def passed_on(conv, radius=None):
    """`C H W (2 t C' - 1)`; on patches also the sums over the kernel."""
    inputs, outputs, groups, kernel, _, size = conv
    reads = outputs // groups
    if radius is None:
        return inputs * size**2 * (2 * kernel**2 * reads - 1)
    patches = math.ceil(size / radius) ** 2
    return inputs * patches * (2 * reads - 1) + inputs * reads * (kernel**2 - 1)


def backward(convs, radius=None, frozen=1):
    """The first `frozen` ones pass no gradient on."""
    whole = sum(gradients(conv, radius) for conv in convs)
    return whole + sum(passed_on(conv, radius) for conv in convs[frozen:])


def stored(convs, radius=None):
    """Bytes of the inputs, or of their patches."""
    return 4 * sum(
        c * (before**2 if radius is None else math.ceil(after / radius) ** 2)
        for c, _, _, _, before, after in convs
    )


def without_residuals(convs):
    return [conv for conv in convs if conv[3] > 1]


def of_table_2():
    for name, (convs, features) in NETWORKS.items():
        head = 3 * features * 1000
        for count in (2, 4):
            last = (without_residuals(convs) if name == "resnet18" else convs)[-count:]
            for how, radius in (("vanilla", None), ("filter", 2)):
                flops = backward(last, radius) + head
                large = (name, how, count) == ("resnet18", "vanilla", 4)
                yield f"gf-{name}-{how}-{count}-flops", flops / (1e9 if large else 1e6)
                if (how, count) != ("filter", 4) or name == "resnet18":
                    yield f"gf-{name}-{how}-{count}-memory", stored(last, radius) / KIB
        flops = backward(convs) + head
        yield f"gf-{name}-all-flops", flops / (1e6 if name == "mcunet" else 1e9)
        yield f"gf-{name}-all-memory", stored(convs) / MIB


def of_the_text():
    last, four = RESNET18[-1:], without_residuals(RESNET34)[-4:]
    yield "gf-cifar10-vanilla-1-flops", (backward(last) + 3 * 512 * 10) / 1e6
    yield "gf-cifar10-filter-1-flops", (backward(last, 2) + 3 * 512 * 10) / 1e6
    yield "gf-resnet34-vanilla-4-flops", backward(four) / 1e9
    yield "gf-resnet34-filter-4-flops", backward(four, 2) / 1e6
    yield "gf-resnet34-flops-ratio", backward(four) / backward(four, 2)
    yield "gf-backward", backward(four) / backward(four, 2)
    before, after = stored(RESNET18[-4:]), stored(RESNET18[-4:], 2)
    yield "gf-memory", 100 * (1 - after / before)


def one(inputs, outputs, kernel, size, groups=1):
    return inputs, outputs, groups, kernel, size, size


MAP = 64  # of 512x512 images, divided by 8
STAGE3 = [one(256, 256, 3, MAP)] * 2
BLOCK0, RESIDUAL = [one(256, 512, 3, MAP), one(512, 512, 3, MAP)], one(256, 512, 1, MAP)
BLOCK1 = [one(512, 512, 3, MAP)] * 2
BLOCK17 = [one(160, 960, 1, MAP), one(960, 960, 3, MAP, groups=960), one(960, 320, 1, MAP)]


def pooling(inputs, width):
    return [one(inputs, width, 1, size) for size in (1, 2, 3, 6)]


def atrous(inputs):
    return [one(inputs, 128, 1, MAP), *[one(inputs, 128, 3, MAP)] * 3]


def of_segmentation():
    """Networks: the last 5 and 10 in order, those that pass no gradient on first."""
    psp, psp_m = (
        [*pooling(512, 128), one(1024, 128, 3, MAP)],
        [*pooling(320, 128), one(832, 128, 3, MAP)],
    )
    fcn = [one(512, 128, 3, MAP), one(128, 128, 3, MAP), one(640, 128, 3, MAP)]
    fused = one(640, 128, 3, MAP)
    pyramid = [one(512, 512, 3, size) for size in (128, 64, 32)] + [one(2048, 512, 3, 128)]
    lateral = [one(wide, 512, 1, size) for wide, size in ((64, 128), (128, 64), (256, 32))]
    networks = {
        "pspnet": ((psp, 4), ([*BLOCK0, *BLOCK1, *psp], 1)),
        "pspnet-m": (
            (psp_m, 4),
            ([one(960, 960, 3, MAP, groups=960), one(960, 160, 1, MAP), *BLOCK17, *psp_m], 1),
        ),
        "fcn": (([*BLOCK1, *fcn], 1), ([*STAGE3, *BLOCK0, RESIDUAL, *BLOCK1, *fcn], 1)),
        "deeplabv3": (
            ([*atrous(512), fused], 4),
            ([BLOCK0[1], RESIDUAL, *BLOCK1, one(512, 128, 1, 1), *atrous(512), fused], 2),
        ),
        "deeplabv3-m": (
            ([*atrous(320), fused], 4),
            ([one(960, 160, 1, MAP), *BLOCK17, one(320, 128, 1, 1), *atrous(320), fused], 1),
        ),
        "upernet": (
            ([lateral[2], *pyramid], 1),
            ([*pooling(512, 512)[2:], *lateral, one(2560, 512, 3, 16), *pyramid], 5),
        ),
    }
    for name, pair in networks.items():
        for count, (convs, frozen) in zip((5, 10), pair, strict=True):
            for how, radius in (("vanilla", None), ("filter", 4)):
                yield f"gf-{name}-{how}-{count}-flops", backward(convs, radius, frozen) / 1e9
    convs, frozen = networks["upernet"][1]
    ratio = backward(convs, None, frozen) / backward(convs, 4, frozen)
    yield "gf-upernet-flops-ratio", ratio


def of_other_papers():
    yield "hosvd-vanilla-all-memory", 128 * stored(mcunet()) / GIB
    widths = [(768, 768)] * 4 + [(768, 3072), (3072, 768)]
    inputs = 12 * sum(128 * 50 * i for i, _ in widths) * 4 / MIB
    weights = 12 * sum(i * o for i, o in widths) * 4 / MIB
    yield "wasi-vit-vanilla-training", inputs + weights
    yield "wasi-vit-vanilla-inference", weights


EXPECTED = dict([*of_table_2(), *of_the_text(), *of_segmentation(), *of_other_papers()])


@pytest.fixture(scope="module")
def judged():
    """Every claim without runs; the accounts are made in this process."""
    host = FakeHost(reply_to=lambda _, request: account_pass.answer(request))
    claims = [claim for claim in load_published().claims if not claim.needs]
    published = PublishedClaims(load_published().papers, tuple(claims))
    found = judge_claims(published, (), partial(accounts_of, host))
    return {each.claim.id: each for each in found if each.accounts}


def test_every_figure_of_shapes_alone_is_recomputed_here(judged):
    assert {name: each.accounts[0].published for name, each in judged.items()} == {
        name: pytest.approx(value, rel=1e-12) for name, value in EXPECTED.items()
    }


def test_what_differs_from_print_says_by_how_much_and_the_likely_reason(judged):
    verdicts = {name: each.verdict for name, each in judged.items()}
    for name, each in judged.items():
        value = EXPECTED[name]
        assert verdicts[name] != "not testable here"
        apart = abs(value - each.claim.value)
        meets = apart <= each.claim.half_digit or (
            each.claim.reach == "about" and apart <= 0.05 * each.claim.value
        )
        if name == "gf-backward":
            meets = value >= 18.5
        assert (verdicts[name] == "not reproduced") != meets, name
        if not meets:
            assert each.claim.remark, name
            near = apart < each.claim.value / 2
            assert ("% more" in each.because or "% less" in each.because) == near, name


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("gf-cifar10-vanilla-1-flops", "128.25"),
        ("gf-cifar10-filter-1-flops", "8.18"),
        ("gf-resnet18-vanilla-2-flops", "489.20"),
        ("gf-resnet34-filter-4-flops", "64.07"),
        ("gf-mcunet-vanilla-2-memory", "220.50"),
        ("gf-resnet18-filter-4-memory", "112.00"),
        ("gf-memory", "77.1"),
        ("wasi-vit-vanilla-training", "2349.00"),
    ],
)
def test_the_formulas_of_this_file_give_the_digits_in_print(name, digits):
    assert f"{EXPECTED[name]:.{len(digits.partition('.')[2])}f}" == digits
