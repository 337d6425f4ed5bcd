"""Folders of pictures as people have them: mixed sizes, modes, turned photos, stray and broken files."""

import logging
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image, features

from fixmatch_lite import pictures
from fixmatch_lite.errors import FixMatchError
from fixmatch_lite.folders import load_folder


def gradient(height=10, width=12, seed=0):
    """A smooth color picture, so that small differences between readers stay small."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [rows * 200 // height + seed, columns * 200 // width, (rows + columns) * 100 // (height + width)]
    return np.stack(planes, axis=-1).astype(np.uint8)


def put(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)
    return path


@pytest.fixture
def tree(tmp_path):
    """Two classes, three pictures each to train, one each to test, all 10 x 12 pixels."""
    for number, name in enumerate(["cat", "dog"]):
        for i in range(3):
            put(tmp_path / "train" / name / f"{i}.png", gradient(seed=10 * number + i))
        put(tmp_path / "test" / name / "0.png", gradient(seed=50 + number))
    return tmp_path


def fails(root, *words, **more):
    with pytest.raises(FixMatchError) as caught:
        load_folder(root, **more)
    text = str(caught.value)
    for word in words:
        assert word in text
    assert "\n" not in text and text.endswith(".")
    return text


def test_classes_and_files_come_sorted_with_exact_pixels(tree):
    pool, images, targets, test_images, test_targets, names = load_folder(tree)
    assert names == ("cat", "dog") and torch.equal(pool, images)
    assert images.dtype == torch.uint8 and images.shape == (6, 3, 10, 12)  # not square, and two classes
    assert targets.dtype == torch.int64 and targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert test_targets.tolist() == [0, 1]
    for i, seed in enumerate([0, 1, 2, 10, 11, 12]):
        assert np.array_equal(images[i].permute(1, 2, 0).numpy(), gradient(seed=seed))
    assert np.array_equal(test_images[1].permute(1, 2, 0).numpy(), gradient(seed=51))


def test_unlabeled_pictures_are_found_at_any_depth_and_behind_links(tree):
    put(tree / "unlabeled" / "a" / "b" / "1.png", gradient(seed=3))
    put(tree / "unlabeled" / "0.png", gradient(seed=4))
    os.symlink(tree / "unlabeled", tree / "unlabeled" / "a" / "loop")  # must not make an endless walk
    elsewhere = put(tree / "elsewhere" / "2.png", gradient(seed=5)).parent
    os.symlink(elsewhere, tree / "unlabeled" / "c")
    pool, images, *_ = load_folder(tree)
    assert pool[:, 0, 0, 0].tolist() == [0, 1, 2, 10, 11, 12, 4, 3, 5]
    assert images.data_ptr() == pool.data_ptr() and len(images) == 6  # no picture is held twice


def test_gray_pictures_only_give_one_channel_whatever_their_file_says(tree, caplog):
    for number, path in enumerate(sorted(tree.rglob("*.png"))):
        gray = Image.fromarray(gradient()).convert("L")
        put(path, [gray, gray.convert("RGB"), gray.convert("LA"), gray.convert("P")][number % 4])
    with caplog.at_level(logging.INFO, "fixmatch_lite"):
        images = load_folder(tree)[0]
    assert images.shape == (6, 1, 10, 12)
    assert np.array_equal(images[1, 0].numpy(), np.asarray(Image.fromarray(gradient()).convert("L")))
    assert "8 images of 10 x 12 pixels" in caplog.text and "gray" in caplog.text


def test_large_pictures_are_worth_a_word_unless_a_size_was_chosen(tree, caplog):
    for path in sorted(tree.rglob("*.png")):
        put(path, np.full((160, 128, 3), 200, np.uint8))
    load_folder(tree)
    assert "about 20 times the work" in caplog.text and "--image-size" in caplog.text
    caplog.clear()
    load_folder(tree, image_size=(160, 128))
    assert caplog.text == ""


@pytest.mark.parametrize("bits, told", [(8, 0), (12, 15), (16, None)])
def test_sixteen_bits_of_which_few_are_used_come_in_nearly_black_and_it_is_said(tree, caplog, bits, told):
    brightest = 2**bits - 1
    for path in sorted(tree.rglob("*.png")):
        put(path, np.linspace(0, brightest, 120).reshape(10, 12).round().astype(np.uint16))
    assert load_folder(tree)[0].max() == (brightest >> 8)
    assert (f"no pixel of these pictures is brighter than {told} of 255" in caplog.text) is (told is not None)


def test_one_colored_picture_anywhere_gives_three_channels(tree):
    for path in sorted(tree.rglob("*.png"))[1:]:
        put(path, Image.fromarray(gradient()).convert("L"))
    images = load_folder(tree)[0]
    assert images.shape[1] == 3
    assert torch.equal(images[5, 0], images[5, 2])


def test_the_most_common_size_wins_and_the_rest_is_scaled_and_center_cropped(tree, caplog):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 18:42] = 200  # the middle 24 columns: exactly what a center crop to 10 : 12 keeps
    put(tree / "train" / "dog" / "1.png", wide)
    with caplog.at_level(logging.INFO, "fixmatch_lite"):
        images = load_folder(tree)[0]
    assert images.shape == (6, 3, 10, 12)
    assert images[4, :, 1:-1, 1:-1].min() == 200
    assert "as 7 of them are" in caplog.text


def test_a_size_that_is_asked_for_is_given(tree):
    assert load_folder(tree, image_size=16)[0].shape == (6, 3, 16, 16)
    assert load_folder(tree, image_size=(8, 20))[3].shape == (2, 3, 8, 20)
    fails(tree, "image size", image_size=0)


def test_large_photos_go_through_threads_and_keep_their_order(tree):
    for i, path in enumerate(sorted((tree / "train").rglob("*.png"))):
        noise = np.random.default_rng(i).integers(0, 25, (300, 400, 3))
        put(path.with_suffix(".jpg"), (40 * i + noise).astype(np.uint8), quality=95)
        path.unlink()
    images = load_folder(tree, image_size=8)[0]
    means = images.float().mean(dim=(1, 2, 3))
    assert torch.allclose(means, torch.arange(6) * 40.0 + 12, atol=4)
    assert torch.equal(images, load_folder(tree, image_size=8)[0])


@pytest.mark.parametrize("size", [(10, 12), (100, 120)])  # kept when first opened; opened twice
def test_turned_photos_are_set_upright(tree, size):
    upright = gradient(*size)
    turned = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees clockwise to see me"
    for path in list(tree.rglob("*.png")):
        put(path.with_suffix(".jpg"), turned, quality=95, exif=exif)
        path.unlink()
    images = load_folder(tree)[0]
    assert images.shape == (6, 3, *size)
    assert np.abs(images[0].permute(1, 2, 0).numpy().astype(int) - upright).mean() < 6


def one(tree, name, picture, **options):
    """Put one more picture into the tree and return it as it is read, (H, W, 3) ints."""
    put(tree / "train" / "cat" / name, picture, **options)
    return load_folder(tree)[0][3].permute(1, 2, 0).numpy().astype(int)


def test_transparent_pixels_become_white(tree):
    alpha = np.full((10, 12, 4), 255, np.uint8)
    alpha[..., :3] = gradient()
    alpha[:5, :, 3] = 0
    read = one(tree, "9.png", alpha)
    assert (read[:5] == 255).all() and np.array_equal(read[5:], gradient()[5:])


def test_a_palette_with_a_transparent_color(tree):
    palette = Image.fromarray(np.tile(np.arange(12, dtype=np.uint8) % 2, (10, 1)), "L").convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    read = one(tree, "9.gif", palette, transparency=1)
    assert read[0, 0].tolist() == [10, 20, 30] and read[0, 1].tolist() == [255, 255, 255]


def test_sixteen_bits_are_scaled_not_clipped(tree):
    levels = np.tile(np.linspace(0, 65535, 12).astype(np.uint16), (10, 1))
    read = one(tree, "9.png", levels)
    assert np.array_equal(read[0, :, 0], levels[0] >> 8)
    assert len(set(read[0, :, 0])) == 12


def test_cmyk_keeps_its_colors(tree):
    read = one(tree, "9.jpg", Image.fromarray(gradient()).convert("CMYK"), quality=95)
    assert np.abs(read - gradient()).mean() < 8


def test_of_a_moving_picture_the_first_counts(tree):
    frames = [Image.new("L", (12, 10), level) for level in (10, 200)]
    read = one(tree, "9.gif", frames[0], save_all=True, append_images=frames[1:])
    assert (read == 10).all()


def test_files_that_are_not_images_are_counted_and_ignored(tree, caplog):
    (tree / "train" / "cat" / "notes.txt").write_text("a cat")
    (tree / "train" / "cat" / ".DS_Store").write_text("x")
    (tree / "train" / "README.md").write_text("pictures")
    with caplog.at_level(logging.INFO, "fixmatch_lite"):
        assert len(load_folder(tree)[0]) == 6
    assert "ignored 2 files with other endings than pictures have" in caplog.text


def test_pictures_beside_the_known_folders_are_named(tree, caplog):
    load_folder(tree)
    assert "left alone" not in caplog.text
    put(tree / "unlabelled" / "a" / "0.png", gradient())
    put(tree / ".thumbnails" / "0.png", gradient())
    (tree / "runs").mkdir()  # holds no picture
    put(tree / "unlabeled" / "0.png", gradient())
    assert len(load_folder(tree)[0]) == 7
    assert "the pictures in unlabelled/ are left alone" in caplog.text and "put them into unlabeled/" in caplog.text


@pytest.mark.parametrize("ending", [".jfif", ".JPE", ".avif"])
def test_rarer_endings_are_pictures_too(tree, ending):
    if ending == ".avif" and not ("avif" in features.modules and features.check("avif")):
        pytest.skip("this Pillow reads no AVIF")
    read = one(tree, f"9{ending}", 255 - gradient(), quality=95)
    assert np.abs(read - (255 - gradient())).mean() < 8


@pytest.mark.parametrize("size", [None, 16])
def test_broken_pictures_are_named_and_counted(tree, size):
    photo = put(tree / "train" / "cat" / "7.jpg", gradient(200, 200))
    photo.write_bytes(photo.read_bytes()[:-400])
    text = fails(tree, str(photo), "Replace it", image_size=size)
    assert text.count(str(photo)) == 1
    more = [tree / "train" / "dog" / name for name in ("empty.png", "not-an-image.jpg")]
    more[0].write_bytes(b""), more[1].write_text("hello")
    if size is None:  # then all are opened first, to find the size, and the cut one still tells its own
        fails(tree, f"{more[0]} cannot be read", f"Nor can 1 more: {more[1]}. Replace them", image_size=size)
    else:
        fails(tree, f"{photo} cannot be read", f"Nor can 2 more: {more[0]}, {more[1]}. Replace them", image_size=size)
    for k in range(30):
        (tree / "train" / "dog" / f"z{k:02}.png").write_bytes(b"")
    text = fails(tree, "and so on. Replace them", "z10.png", image_size=size)
    assert "z25.png" not in text


@pytest.mark.parametrize("size", [None, 16])
def test_broken_pictures_without_a_label_are_left_out_and_told(tree, size, caplog):
    for k in range(6):
        put(tree / "unlabeled" / f"{k}.png", gradient(seed=20 + k))
    (tree / "unlabeled" / "2.png").write_bytes(b"no picture")
    before = load_folder(tree, image_size=size)
    assert caplog.messages == [f"1 picture without a label cannot be read and is left out, for example "
                               f"{tree / 'unlabeled' / '2.png'} (cannot identify image file)"]
    whole = (tree / "unlabeled" / "4.png").read_bytes()
    (tree / "unlabeled" / "4.png").write_bytes(whole[:-60])  # its size can be read, its pixels cannot
    pool, images, targets, test_images, *_ = load_folder(tree, image_size=size)
    assert "2 pictures without a label cannot be read and are left out" in caplog.text
    assert len(before[0]) == 11 and len(pool) == 10 and torch.equal(images, pool[:6]) and torch.equal(test_images, before[3])
    kept = [k for k in range(11) if k != 9]  # six of train/, then 0, 1, 3, 4, 5
    assert torch.equal(pool, before[0][kept]) and len(test_images) == 2
    (tree / "test" / "dog" / "0.png").write_bytes(b"no picture")
    fails(tree, f"{tree / 'test' / 'dog' / '0.png'} cannot be read", "Replace it", image_size=size)


def test_a_broken_link_is_named(tree):
    os.symlink(tree / "gone.png", tree / "train" / "cat" / "link.png")
    fails(tree, "link.png", "No such file")


def test_floating_point_pixels_are_refused(tree):
    put(tree / "train" / "cat" / "f.tiff", Image.fromarray(np.ones((10, 12), np.float32)))
    fails(tree, "f.tiff", "floating-point")


def test_missing_parts_are_named(tree):
    fails(tree / "nowhere", "There is no folder")
    (tree / "test").rename(tree / "val")
    fails(tree, "no folder test/", "rename it to test/")
    shutil.rmtree(tree / "train")
    fails(tree, "no folder train/")
    (tree / "train").mkdir()
    fails(tree, "no class folders")


def test_classes_that_do_not_fit_are_named(tree):
    (tree / "test" / "dog").rename(tree / "test" / "dgo")
    fails(tree, "only train/ has dog; only test/ has dgo")


def test_one_class_is_not_enough(tree):
    for part in ("train", "test"):
        shutil.rmtree(tree / part / "dog")
    fails(tree, "one class only (cat)")


def test_an_empty_class_is_named(tree):
    for path in (tree / "test" / "dog").iterdir():
        path.rename(path.with_suffix(".txt"))
    fails(tree, str(tree / "test" / "dog"), "no images", "files like 0.txt are not read here")
    shutil.rmtree(tree / "test" / "dog")
    (tree / "test" / "dog").mkdir()
    fails(tree, str(tree / "test" / "dog"), "no images: fill it or remove it")


def test_an_empty_pool_is_named(tree):
    (tree / "unlabeled").mkdir()
    fails(tree, "unlabeled", "holds no images")


def test_more_than_the_memory_is_refused_before_reading(tree, monkeypatch):
    monkeypatch.setattr(pictures.os, "sysconf", lambda _: 50)
    fails(tree, "smaller image size")
