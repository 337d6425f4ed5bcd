"""Augmentation: Pillow's pixels for every operation, and the draws of the original."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from sklearn.datasets import load_sample_images

import fixmatch_lite as fm
from fixmatch_lite import augment, operations
from fixmatch_lite.augment import GRAY, OPERATIONS, PRESETS, Cutout, RandAugment, apply, weak_augment

RANGES = {  # each operation's whole range, over all presets
    "AutoContrast": [0.0], "Equalize": [0.0], "Identity": [0.0],
    "Brightness": np.linspace(0.05, 1.95, 20), "Color": np.linspace(0.05, 1.95, 20),
    "Contrast": np.linspace(0.05, 1.95, 20), "Sharpness": np.linspace(0.05, 1.95, 20),
    "Posterize": range(1, 9), "Solarize": range(0, 257, 8), "Rotate": np.linspace(-30, 30, 41),
    "ShearX": np.linspace(-0.3, 0.3, 25), "ShearY": np.linspace(-0.3, 0.3, 25),
    "TranslateX": range(-10, 11), "TranslateY": range(-10, 11),
}


def pillow(name, image, value, fill):
    """The same operation, one image at a time, in Pillow."""
    rotated = dict(resample=Image.NEAREST, fillcolor=(fill,) * 3 if image.mode == "RGB" else fill)
    matrix = {"ShearX": (1, value, 0, 0, 1, 0), "ShearY": (1, 0, 0, value, 1, 0),
              "TranslateX": (1, 0, value, 0, 1, 0), "TranslateY": (1, 0, 0, 0, 1, value)}
    if name in matrix:
        return image.transform(image.size, Image.AFFINE, matrix[name], **rotated)
    if name in ("Brightness", "Color", "Contrast", "Sharpness"):
        return getattr(ImageEnhance, name)(image).enhance(value)
    return {
        "AutoContrast": lambda: ImageOps.autocontrast(image), "Equalize": lambda: ImageOps.equalize(image),
        "Identity": lambda: image, "Posterize": lambda: ImageOps.posterize(image, int(value)),
        "Solarize": lambda: ImageOps.solarize(image, int(value)), "Rotate": lambda: image.rotate(value, **rotated),
    }[name]()


@pytest.fixture(scope="module")
def photos():
    """Patches of two real photographs, at full contrast and, every other one, pale."""
    patches = []
    for picture in load_sample_images().images:
        for top in range(0, 395, 57):
            for left in range(0, 600, 83):
                patches.append(picture[top:top + 32, left:left + 32])
    patches = np.stack(patches)
    patches[::2] = 90 + patches[::2] // 4
    return torch.from_numpy(patches).permute(0, 3, 1, 2).contiguous()


def by_pillow(name, images, values, fill=GRAY):
    out = []
    for image, value in zip(images, values):
        array = image.permute(1, 2, 0).numpy().squeeze()
        out.append(torch.from_numpy(np.array(pillow(name, Image.fromarray(array), float(value), fill))))
    out = torch.stack(out)
    return out.unsqueeze(1) if out.ndim == 3 else out.permute(0, 3, 1, 2)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("kind", ["rgb", "gray", "wide"])
def test_T28_every_operation_equals_pillow_over_its_whole_range(name, kind, photos):
    values = torch.tensor(list(RANGES[name]), dtype=torch.float32)
    images = photos[torch.arange(len(values) * 3) % len(photos)]
    values = values.repeat(3)
    if kind == "gray":
        images = images[:, :1]
    if kind == "wide":
        images = images[:, :, 3:24]
    ours, theirs = apply(name, images, values), by_pillow(name, images, values)
    off = (ours.int() - theirs.int()).abs()
    # One gray level is what the book promises; on a CPU not a single pixel differs.
    assert off.max() == 0, f"{(off > 0).sum()} pixels of {off.numel()} differ, by up to {off.max()}"


def test_T28_autocontrast_equals_pillow_for_every_range_of_values():
    """The stretch is a division whose last bit decides where a product lands next to a whole number."""
    low, high = torch.triu_indices(256, 256, offset=1)
    share = torch.linspace(0, 1, 64)
    images = (low[:, None] + share * (high - low)[:, None]).round().to(torch.uint8).view(-1, 1, 8, 8)
    ours = apply("AutoContrast", images, 0)
    theirs = torch.stack([torch.from_numpy(np.array(ImageOps.autocontrast(Image.fromarray(image[0].numpy()))))
                          for image in images])
    assert torch.equal(ours[:, 0], theirs)


def test_T28_operations_do_change_the_picture(photos):
    """The parity test would also pass if nothing happened on either side."""
    extreme = {"Posterize": 1, "Solarize": 64, "Rotate": 27, "TranslateX": 5, "TranslateY": 5, "ShearX": 0.3,
               "ShearY": 0.3}
    for name in OPERATIONS:
        out = apply(name, photos[:8], extreme.get(name, 0.3))
        assert torch.equal(out, photos[:8]) == (name == "Identity"), name


def test_T23_weak_shift_reflects_and_takes_every_offset():
    image = torch.arange(32 * 32, dtype=torch.int64).view(1, 1, 32, 32)
    images = (image % 251).to(torch.uint8).repeat(4000, 1, 1, 1)
    out = weak_augment(images, generator=torch.Generator().manual_seed(0), flip=False)
    padded = torch.nn.functional.pad(images[:1].float(), (4, 4, 4, 4), mode="reflect").to(torch.uint8)[0, 0]
    crops = {padded[i:i + 32, j:j + 32].numpy().tobytes(): (i, j) for i in range(9) for j in range(9)}
    seen = [crops[view[0].numpy().tobytes()] for view in out]  # a KeyError: not a crop of the reflected image
    counts = np.bincount([9 * i + j for i, j in seen], minlength=81)
    assert len(set(seen)) == 81 and counts.min() > 20 and counts.max() < 90


def test_T23_shift_is_an_eighth_of_any_side():
    images = torch.randint(0, 256, (300, 3, 96, 64), dtype=torch.uint8)
    assert weak_augment(images).shape == images.shape
    rows = torch.arange(96, dtype=torch.uint8).view(1, 1, 96, 1).expand(500, 1, 96, 64)
    first = weak_augment(rows, flip=False)[:, 0, 48, 0].int() - 48
    assert first.min() == -12 and first.max() == 12


def test_T22_no_flip_where_the_data_forbid_it():
    assert not fm.load_data("digits").flip
    columns = torch.arange(32, dtype=torch.uint8).expand(400, 1, 32, 32)
    middle = lambda out: out[:, 0, 0, 17].int() - out[:, 0, 0, 14].int()
    assert (middle(weak_augment(columns, flip=False)) > 0).all()
    share = (middle(weak_augment(columns, flip=True)) < 0).float().mean()
    assert 0.4 < share < 0.6


def test_T6_two_weak_views_of_one_image_are_independent():
    generator = torch.Generator().manual_seed(1)
    columns = torch.arange(32, dtype=torch.uint8).expand(2000, 1, 32, 32)
    flipped = [(weak_augment(columns, generator=generator)[:, 0, 0, 17].int()
                < 16).float() for _ in range(2)]
    assert torch.corrcoef(torch.stack(flipped))[0, 1].abs() < 0.08


def test_T24_cutout_covers_what_the_original_covers():
    images = torch.full((20000, 1, 32, 32), 255, dtype=torch.uint8)
    covered = (Cutout(0.5, fill=0)(images, generator=torch.Generator().manual_seed(0)) == 0).flatten(1).sum(1)
    assert covered.max() == 256 and covered.min() == 64  # a corner: a quarter of the square is left
    assert abs(covered.float().mean() / 1024 - (14 / 32) ** 2) < 0.002  # exact mean of the clipped square


def test_T25_levels_probability_and_replacement():
    draws = [RandAugment().draw(60000, (32, 32), generator=torch.Generator().manual_seed(k)) for k in range(2)]
    names = list(OPERATIONS)
    chosen, magnitude = draws[0]
    assert abs((chosen < 0).float().mean() - 0.5) < 0.01
    pixels = magnitude[chosen == names.index("TranslateX")].abs().unique().tolist()
    assert pixels == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    nothing = lambda c: (c < 0) | (c == names.index("Identity"))
    assert abs((nothing(chosen) & nothing(draws[1][0])).float().mean() - (0.5 + 0.5 / 14) ** 2) < 0.01  # .287
    same = (chosen == draws[1][0])[(chosen >= 0) & (draws[1][0] >= 0)].float().mean()
    assert abs(same - 1 / 14) < 0.01


LEVELS = torch.arange(1, 10, dtype=torch.float32)


@pytest.mark.parametrize("preset, name, expected", [
    ("fixmatch", "Posterize", [4, 4, 3, 3, 2, 2, 2, 1, 1]),
    ("paper", "Posterize", [4, 4, 5, 5, 6, 6, 6, 7, 7]),
    ("fixmatch", "Brightness", [0.28, 0.46, 0.64, 0.82, 1.0, 1.18, 1.36, 1.54, 1.72]),
    ("paper", "Brightness", [0.14, 0.23, 0.32, 0.41, 0.5, 0.59, 0.68, 0.77, 0.86]),
    ("fixmatch", "Rotate", [3, 6, 9, 12, 15, 18, 21, 24, 27]),
    ("fixmatch", "Solarize", [231, 205, 180, 154, 128, 103, 77, 52, 26]),
    ("fixmatch", "TranslateX", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ("paper", "TranslateX", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
])
def test_T26_magnitudes_of_the_presets(preset, name, expected):
    assert torch.allclose(PRESETS[preset].magnitude(name, LEVELS, 32), torch.tensor(expected, dtype=torch.float32))


def test_T26_translation_scales_with_the_image():
    assert PRESETS["fixmatch"].magnitude("TranslateX", LEVELS, 96).tolist() == [3 * k for k in range(1, 10)]


def test_T26_usb_preset_draws_three_continuous_operations():
    strong = RandAugment("usb")
    chosen, magnitude = strong.draw(20000, (32, 32), generator=torch.Generator().manual_seed(0))
    assert strong.num_ops == 3 and (chosen >= 0).all()
    angle = magnitude[chosen == list(OPERATIONS).index("Rotate")]
    assert angle.min() < -29 and angle.max() > 29 and len(angle.unique()) > 1000


def test_T27_every_image_has_its_own_draw(photos):
    same = photos[:1].repeat(200, 1, 1, 1)
    for transform in (RandAugment(), Cutout(), weak_augment):
        out = transform(same, generator=torch.Generator().manual_seed(0))
        assert len({view.numpy().tobytes() for view in out}) > 40


def test_T44_scaling_and_the_gray_of_erased_pixels():
    values = augment.to_float(torch.tensor([0, 255, GRAY], dtype=torch.uint8))
    assert values[0] == -1 and values[1] == 1 and abs(values[2]) <= 0.5 / 127.5 + 1e-6  # half a gray level
    images = torch.full((8, 3, 32, 32), 200, dtype=torch.uint8)
    for out in (apply("TranslateX", images, 32), Cutout(2.0)(images)):
        assert (out == GRAY).all()


@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (3, 3, 17, 29), (1, 3, 2, 2), (2, 1, 1, 5), (4, 3, 96, 96)])
@pytest.mark.parametrize("preset", PRESETS)
def test_T37_any_size_and_one_or_three_channels(shape, preset):
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        out = Cutout()(RandAugment(preset)(weak_augment(images, generator=generator), generator=generator),
                       generator=generator)
        assert out.shape == images.shape and out.dtype == torch.uint8


def test_T30_the_generator_decides_everything(photos):
    pipeline = lambda seed: [
        (g := torch.Generator().manual_seed(seed), weak_augment(photos, generator=g),
         RandAugment()(photos, generator=g), Cutout()(photos, generator=g))[1:]][0]
    torch.manual_seed(5)
    first = pipeline(3)
    torch.manual_seed(6)
    assert all(torch.equal(a, b) for a, b in zip(first, pipeline(3)))
    assert not any(torch.equal(a, b) for a, b in zip(first, pipeline(4)))


def test_input_is_never_changed(photos):
    before = photos.clone()
    for transform in (RandAugment("usb"), Cutout(), weak_augment):
        transform(photos)
    assert torch.equal(photos, before)


def test_unknown_names_are_told_apart():
    with pytest.raises(fm.FixMatchError, match="no operation 'Spin'.*use one of"):
        apply("Spin", torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 1)
    with pytest.raises(fm.FixMatchError, match="no RandAugment preset 'kek'.*use one of"):
        RandAugment("kek")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("channels", [1, 3])
def test_T28_a_mixed_batch_gets_what_each_operation_gives_alone(preset, channels, photos):
    """In groups (CPU) and all at once (devices that must not wait): the same pixels as one operation at a time."""
    images, strong = photos[:, :channels].repeat(3, 1, 1, 1), RandAugment(preset, probability=0.8)
    for seed in range(3):
        chosen, magnitude = strong.draw(len(images), (32, 32), generator=torch.Generator().manual_seed(seed))
        alone = images.clone()
        for k, name in enumerate(strong.operations):
            alone[chosen == k] = apply(name, images[chosen == k], magnitude[chosen == k])
        assert len(chosen.unique()) == len(strong.operations) + 1 and not torch.equal(alone, images)
        assert torch.equal(operations._all_at_once(images, strong.operations, chosen, magnitude, GRAY), alone)
        assert torch.equal(operations.apply_each(images, strong.operations, chosen, magnitude), alone)


def test_T28_a_choice_of_operations_may_be_any(photos):
    for names in (("Identity",), ("Rotate",), ("Color", "Equalize"), ("Identity", "Sharpness")):
        chosen = torch.arange(64) % (len(names) + 1) - 1
        level = torch.full((64,), 1.5)
        here = operations.apply_each(photos[:64], names, chosen, level)
        assert torch.equal(here, operations._all_at_once(photos[:64], names, chosen, level, GRAY))
        assert torch.equal(here[chosen < 0], photos[:64][chosen < 0])


@pytest.mark.gpu
def test_gpu_gives_the_pixels_of_the_cpu(photos):
    for name in OPERATIONS:
        values = torch.tensor(list(RANGES[name]), dtype=torch.float32)
        images = photos[torch.arange(len(values)) % len(photos)]
        there = apply(name, images.cuda(), values.cuda()).cpu()
        assert (there.int() - apply(name, images, values).int()).abs().max() <= 1, name


@pytest.mark.gpu
def test_T35_gpu_augmentation_never_waits_for_the_device(photos):
    images, generator = photos[:64].cuda(), torch.Generator("cuda").manual_seed(0)
    strong, cutout = RandAugment(), Cutout()
    pipeline = lambda: cutout(strong(weak_augment(images, generator=generator), generator=generator), generator=generator)
    pipeline()  # the first call brings its tables to the device
    torch.cuda.set_sync_debug_mode("error")
    try:
        views = pipeline()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert views.shape == images.shape and not torch.equal(views, images)
