"""Strong views beside RandAugment's three presets: ImageNet's, CTAugment, AutoAugment, Cutout alone, none."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter, ImageOps
from sklearn.datasets import load_sample_images

import fixmatch_lite as fm
from fixmatch_lite import operations
from fixmatch_lite.augment import PRESETS, Cutout, RandAugment, apply
from fixmatch_lite.batches import make_strong
from fixmatch_lite.comparators.autoaugment import AutoAugment
from fixmatch_lite.comparators.ctaugment import BINS, NAMES, CTAugment
from fixmatch_lite.comparators.resampling import FILTERS, rescale
from fixmatch_lite.recipes import AUGMENTATIONS


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def photos():
    patches = np.stack([picture[top:top + 32, left:left + 32] for picture in load_sample_images().images
                        for top in range(0, 395, 57) for left in range(0, 600, 83)])
    patches[::2] = 90 + patches[::2] // 4
    return torch.from_numpy(patches).permute(0, 3, 1, 2).contiguous()


def by_pillow(images, do):
    out = [np.array(do(Image.fromarray(image.permute(1, 2, 0).numpy().squeeze()), k)) for k, image in enumerate(images)]
    out = torch.from_numpy(np.stack(out))
    return out.unsqueeze(1) if out.ndim == 3 else out.permute(0, 3, 1, 2)


# More operations -------------------------------------------------------------------------------------------------

SHARES = torch.linspace(0, 1, 21)
PILLOWS = {
    "Invert": (torch.zeros(21), lambda image, value: ImageOps.invert(image)),
    "SolarizeAdd": (torch.arange(0, 111, 5.5)[:21].floor(), lambda image, value: image.point(
        lambda v: min(255, v + int(value)) if v < 128 else v)),
    "AutoContrastBlend": (SHARES, lambda image, value: Image.blend(image, ImageOps.autocontrast(image), value)),
    "EqualizeBlend": (SHARES, lambda image, value: Image.blend(image, ImageOps.equalize(image), value)),
    "InvertBlend": (SHARES, lambda image, value: Image.blend(image, ImageOps.invert(image), value)),
    "Blur": (SHARES, lambda image, value: Image.blend(image.filter(ImageFilter.BLUR), image, value)),
}


def test_every_further_operation_is_compared():
    assert set(PILLOWS) == set(operations.MORE)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PILLOWS)
def test_T28_further_operations_equal_pillow(name, channels, photos):
    values, do = PILLOWS[name]
    values = values.repeat(4)
    images = photos[torch.arange(len(values)) % len(photos), :channels]
    theirs = by_pillow(images, lambda image, k: do(image, values[k].item()))
    assert torch.equal(apply(name, images, values), theirs)
    assert not torch.equal(theirs, images)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("shape", ["square", "wide", "gray"])
def test_T28_rescaling_equals_pillow_for_every_crop_and_filter(name, shape, photos):
    images = {"square": photos, "wide": photos[:, :, 4:24], "gray": photos[:, :1]}[shape][:66]
    level = torch.stack([torch.linspace(0, 0.999, 66), torch.full((66,), (list(FILTERS).index(name) + 0.5) / 6)], 1)

    def do(image, k):
        width, height = image.size
        across, down = (round(0.25 * side * level[k, 0].item()) for side in (width, height))
        return image.crop((across, down, width - across, height - down)).resize(image.size, getattr(Image, name))

    assert torch.equal(rescale(images, level, torch.ones(66, dtype=torch.bool)), by_pillow(images, do))


def test_rescaling_leaves_the_others_alone(photos):
    chosen = torch.arange(len(photos)) % 3 == 0
    level = torch.full((len(photos), 2), 0.9)
    out = rescale(photos, level, chosen)
    changed = (out != photos).flatten(1).any(1)
    assert torch.equal(changed, chosen)


# Presets ---------------------------------------------------------------------------------------------------------

def test_draws_of_the_presets_never_change():
    """Recorded runs can be repeated only while the same seed gives the same operations and levels."""
    expected = {"fixmatch": (10801, 24990.76004), "paper": (10801, 25309.32002), "usb": (21882, 25546.48264)}
    for preset, (total, magnitudes) in expected.items():
        chosen, magnitude = RandAugment(preset).draw(3000, (32, 32), generator=seeded(5))
        assert (chosen + 1).sum() == total, preset
        assert magnitude.double().sum().item() == pytest.approx(magnitudes, abs=1e-4), preset


def test_shares_and_images_that_cannot_be_are_refused():
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    for make, says in ((lambda: Cutout(16), "size = 16 .*a share of the side"), (lambda: RandAugment(probability=7), "probability"),
                       (lambda: RandAugment(num_ops=-1), "num_ops"), (lambda: RandAugment(num_ops=1.5), "whole number"),
                       (lambda: Cutout(fill=127.5), "whole number"), (lambda: RandAugment(fill=300), "gray level"),
                       (lambda: fm.weak_augment(images, pad=4), "pad = 4 .*0.125 is 4 pixels of 32"),
                       *((lambda work=work: work(images / 255), "uint8") for work in (
                           RandAugment(), Cutout(), fm.weak_augment, fm.augment.to_float, lambda i: operations.apply("Color", i, 1))),
                       (lambda: RandAugment()(images[0]), "uint8 \\(N, C, H, W\\)")):
        with pytest.raises(fm.FixMatchError, match=says):
            make()
    assert fm.weak_augment(images[:0]).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("height, width", [(32, 128), (128, 32), (32, 32)])
def test_a_shift_is_a_share_of_its_own_side(height, width):
    white = torch.full((3000, 1, height, width), 255, dtype=torch.uint8)
    for name in ("TranslateX", "TranslateY"):
        for strong in (RandAugment(num_ops=1, probability=1, fill=0, operations=(name,)),
                       RandAugment("usb", num_ops=1, fill=0, operations=(name,))):
            covered = (strong(white, generator=seeded()) == 0).float().mean().item()
            assert covered == pytest.approx(0.155, abs=0.02), (name, covered)


def test_imagenet_preset_has_sixteen_operations_and_eleven_levels():
    strong = RandAugment("imagenet")
    assert len(strong.operations) == 16 and {"Invert", "SolarizeAdd"} < set(strong.operations)
    levels = torch.arange(0.0, 11)
    value = lambda name: PRESETS["imagenet"].magnitude(name, levels, 224).tolist()
    assert value("Posterize") == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4] and value("TranslateX")[-1] == 100
    assert value("Brightness")[0] == pytest.approx(0.1) and value("Brightness")[-1] == pytest.approx(1.9)
    assert value("SolarizeAdd")[-1] == 110 and value("Solarize")[0] == 0
    chosen, magnitude = strong.draw(20000, (224, 224), generator=seeded())
    assert (chosen < 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    shift = magnitude[chosen == strong.operations.index("TranslateX")]
    assert sorted(shift.abs().unique().tolist()) == [10.0 * k for k in range(11)]
    assert make_strong(fm.recipe("cifar10", augment="imagenet")).cutout.size == 0


# CTAugment -------------------------------------------------------------------------------------------------------

def test_T29_nineteen_operations_and_their_bins():
    learned = CTAugment()
    bins = dict(zip(NAMES, learned.bins.tolist()))
    assert len(bins) == 19 and bins["posterize"] == [8, 1] and bins["rescale"] == [17, 6] and bins["identity"] == [1, 1]
    assert sum(first == 17 for first, _ in bins.values()) == 17
    assert learned.rates.sum() == learned.bins.sum()  # 1 in every bin that there is


def test_T29_bins_below_the_threshold_are_never_drawn(photos):
    learned = CTAugment()
    with torch.no_grad():
        learned.rates[NAMES.index("rotate"), 0, :8] = 0.7  # 0.71 / 1.01 < 0.8
        learned.rates[NAMES.index("rotate"), 0, 8:16] = 0.9
    shares = learned.shares()[NAMES.index("rotate"), 0]
    assert shares[:8].sum() == 0 and shares[8:16].tolist() == pytest.approx([0.91 / 1.01] * 8) and shares[16] == 1
    seen = []
    learned._operate = lambda images, chosen, level, place: seen.append((chosen, level)) or images
    learned(photos[:1].expand(20000, -1, -1, -1), generator=seeded())
    chosen, level = (torch.cat(parts) for parts in zip(*seen))
    bin = (level[chosen == NAMES.index("rotate"), 0] * 17).long()
    counts = torch.bincount(bin, minlength=17) / len(bin)
    assert counts[:8].sum() == 0 and (counts - shares / shares.sum()).abs().max() < 0.02
    assert torch.bincount(chosen).min() > 0.8 * len(chosen) / 19 and len(seen) == 2


def test_T29_rates_follow_the_rule_one_image_after_the_other():
    learned, rng = CTAugment(), np.random.default_rng(0)
    expected = learned.rates.numpy().astype(float).copy()
    for _ in range(3):
        chosen, level = rng.integers(0, 4, (2, 50)), rng.random((2, 50, 2)).astype(np.float32)
        proximity = rng.random(50).astype(np.float32)
        for image in range(50):
            for layer in range(2):
                for parameter in range(2):
                    operation = chosen[layer, image]
                    bins = learned.bins[operation, parameter].item()
                    slot = operation, parameter, int(level[layer, image, parameter] * bins * 0.999)
                    expected[slot] = 0.99 * expected[slot] + 0.01 * proximity[image]
        learned.update(torch.from_numpy(chosen), torch.from_numpy(level), torch.from_numpy(proximity))
    np.testing.assert_allclose(learned.rates.numpy(), expected, rtol=2e-5)
    assert (learned.rates[:4] < 1).any() and (learned.rates[4:][learned.rates[4:] > 0] == 1).all()


def test_T29_rate_stays_one_where_the_net_is_always_right():
    learned = CTAugment()
    learned.update(torch.zeros(2, 30, dtype=torch.long), torch.rand(2, 30, 2, generator=seeded()), torch.ones(30))
    assert learned.rates[0].sum() == pytest.approx(18, rel=1e-6)


def test_T29_translation_really_moves_and_scales(photos):
    learned = CTAugment()
    for name, axis in (("translate_x", 3), ("translate_y", 2)):
        chosen = torch.full((len(photos),), NAMES.index(name))
        level = torch.full((len(photos), 2), 0.999)
        out = learned._operate(photos, chosen, level, torch.zeros(len(photos), 2))
        assert torch.equal(out.narrow(axis, 0, 22), photos.narrow(axis, 10, 22))  # 0.3 of 32 pixels
        assert out.narrow(axis, 22, 10).max() == 0
        still = learned._operate(photos, chosen, torch.full((len(photos), 2), 0.5), torch.zeros(len(photos), 2))
        assert torch.equal(still, photos)


def test_T29_cutout_is_one_of_them_and_grows_with_the_level(photos):
    learned, chosen = CTAugment(), torch.full((len(photos),), NAMES.index("cutout"))
    place = torch.full((len(photos), 2), 0.5)
    for level, side in ((0.0, 0), (0.15, 2), (0.999, 16)):  # as there: twice half a side, rounded down
        out = learned._operate(photos, chosen, torch.full((len(photos), 2), level), place)
        assert ((out == 127).all(1).sum((1, 2)) >= side * side).all()
        assert ((out != photos).any(1).sum((1, 2)) <= side * side).all()


def test_T29_probe_is_judged_by_the_moving_average_in_evaluation_mode():
    data = fm.load_data("digits", labels=40, seed=0)
    training = fm.fit(fm.recipe("digits", augment="ctaugment", steps=4, eval_every=2, batch_size=8, mu=1), data,
                      device="cpu")
    judged, teacher = [], training.teacher
    training.teacher = lambda images, train=False: judged.append((images, train)) or teacher(images, train)
    next(training)
    learned = training.batches.strong.operations
    assert [(images.shape, train) for images, train in judged] == [((8, 1, 8, 8), False)] * 2
    assert ((learned.rates < 1) & (learned.rates > 0)).any()


def test_T33_rates_are_saved_and_a_resumed_run_is_the_same(tmp_path):
    data = fm.load_data("digits", labels=40, seed=0)
    recipe = fm.recipe("digits", augment="ctaugment", steps=6, eval_every=2, batch_size=8, mu=2, tau=0.5)
    whole = fm.fit(recipe, data, device="cpu")
    list(whole)
    begun = fm.fit(recipe, data, device="cpu", checkpoint=tmp_path / "c")
    next(begun)
    resumed = fm.fit(recipe, data, device="cpu", checkpoint=tmp_path / "c", resume=True)
    assert torch.equal(resumed.batches.strong.operations.rates, begun.batches.strong.operations.rates)
    list(resumed)
    for one, two in ((whole.model, resumed.model), (whole.batches.strong, resumed.batches.strong)):
        assert all(torch.equal(v, two.state_dict()[k]) for k, v in one.state_dict().items())
    assert whole.batches.strong.state_dict()


# AutoAugment -----------------------------------------------------------------------------------------------------

def test_autoaugment_does_what_torchvisions_does(photos):
    """Pair by pair and step by step, with the sign given; sampling is nearest and the fill the same on both sides."""
    from fixmatch_lite.vision import torchvision

    torchvision()
    from torchvision.transforms.autoaugment import AutoAugment as Theirs
    from torchvision.transforms.autoaugment import AutoAugmentPolicy, InterpolationMode, _apply_op

    ours, theirs = AutoAugment(), Theirs(AutoAugmentPolicy.CIFAR10)
    space, table, seen = theirs._augmentation_space(10, (32, 32)), ours.table((32, 32), torch.device("cpu")), set()
    images = photos[:24]
    for pair, steps in enumerate(theirs.policies):
        for step, (name, probability, level) in enumerate(steps):
            number, chance, plus, minus = table[step, pair].tolist()
            assert ours.names[int(number)] == name and chance == pytest.approx(probability)
            magnitudes, signed = space[name]
            size = 0.0 if level is None else magnitudes[level].item()
            for magnitude, value in ((size, plus), (-size if signed else size, minus)):
                expected = by_pillow(images, lambda image, k: _apply_op(
                    image, name, magnitude, InterpolationMode.NEAREST, [127, 127, 127]))
                assert torch.equal(apply(name, images, value, fill=127), expected), (name, magnitude)
                seen.add(name)
    assert len(seen) >= 12


def test_autoaugment_draws_every_pair_with_its_probabilities(photos):
    ours = AutoAugment()
    out = ours(photos, generator=seeded())
    assert out.shape == photos.shape and out.dtype == torch.uint8 and not torch.equal(out, photos)
    assert torch.equal(out, ours(photos, generator=seeded())) and not torch.equal(out, ours(photos, generator=seeded(1)))
    assert ours.table((32, 32), torch.device("cpu")).shape == (2, 25, 4)


# All of them -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_every_strong_view_has_a_name_and_trains(augment, photos):
    data = fm.load_data("digits", labels=40, seed=0)
    recipe = fm.recipe("digits", augment=augment, steps=2, eval_every=2, batch_size=4, mu=2)
    metrics = next(fm.fit(recipe, data))
    assert np.isfinite(metrics.loss)
    strong = make_strong(fm.recipe("cifar10", augment=augment))
    before = photos.clone()
    out = strong(photos, generator=seeded())
    assert out.shape == photos.shape and out.dtype == torch.uint8 and torch.equal(photos, before)
    changed = (out != photos).flatten(1).any(1).float().mean()
    assert changed == 0 if augment == "none" else changed > 0.5
    if augment == "cutout":
        assert ((out == photos) | (out == 127)).all()


def test_what_an_augmentation_does_not_take_is_refused():
    with pytest.raises(fm.FixMatchError, match="operations must be None with the augmentation ctaugment"):
        fm.recipe("cifar10", augment="ctaugment", operations=("Rotate",))
    with pytest.raises(fm.FixMatchError, match="probability must be None with the augmentation cutout"):
        fm.recipe("cifar10", augment="cutout", probability=0.3)
    with pytest.raises(fm.FixMatchError, match="augment must be one of fixmatch, paper, usb, imagenet, ctaugment"):
        fm.recipe("cifar10", augment="kek")
