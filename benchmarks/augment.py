"""How many strong views a second? The batch pipeline of this module against the same pipeline image by image.

    python benchmarks/augment.py                 # on the best device there is
    python benchmarks/augment.py --device cpu --rounds 5

A strong view: mirror, shift by up to 4 of 32 pixels, two RandAugment operations, Cutout, another draw for each image.
Measured in turns, so that a busy machine slows all alike; the table shows the median of the rounds, and each rate as a
multiple of one Pillow process, the popular way. torchvision and kornia are measured where they are installed, each with
its own RandAugment.
"""

import argparse
import json
import random
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image, ImageEnhance, ImageOps  # noqa: E402

import fixmatch_lite as fm  # noqa: E402
from fixmatch_lite.operations import GRAY, OPERATIONS  # noqa: E402


def photos(count):
    """Patches of two real photographs, uint8 (count, 3, 32, 32): equalizing noise would cost something else."""
    from sklearn.datasets import load_sample_images

    patches = [picture[top:top + 32, left:left + 32] for picture in load_sample_images().images
               for top in range(0, 395, 12) for left in range(0, 600, 12)]
    patches = torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2)
    return patches[torch.arange(count) * 7 % len(patches)].contiguous()


# ------------------------------------------------------------------------------------------ image by image, in Pillow

def pillow_operation(name, image, level):
    signed = level if random.random() < 0.5 else -level
    move = dict(resample=Image.NEAREST, fillcolor=(GRAY,) * 3)
    if name in ("Brightness", "Color", "Contrast", "Sharpness"):
        return getattr(ImageEnhance, name)(image).enhance(0.1 + 0.18 * level)
    if name == "Rotate":
        return image.rotate(3 * signed, **move)
    if name.startswith(("Shear", "Translate")):
        amount = 0.03 * signed if name.startswith("Shear") else signed
        matrix = {"ShearX": (1, amount, 0, 0, 1, 0), "ShearY": (1, 0, 0, amount, 1, 0),
                  "TranslateX": (1, 0, amount, 0, 1, 0), "TranslateY": (1, 0, 0, 0, 1, amount)}[name]
        return image.transform(image.size, Image.AFFINE, matrix, **move)
    if name == "Posterize":
        return ImageOps.posterize(image, 4 - 4 * level // 10)
    if name == "Solarize":
        return ImageOps.solarize(image, 256 - int(25.6 * level))
    return {"AutoContrast": ImageOps.autocontrast, "Equalize": ImageOps.equalize, "Identity": lambda i: i}[name](image)


def pillow_view(array, strong=True):
    """A view of an image, uint8 (H, W, 3); without ``strong`` the weak one."""
    image = Image.fromarray(array)
    if random.random() < 0.5:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    padded = np.pad(np.asarray(image), ((4, 4), (4, 4), (0, 0)), mode="reflect")
    top, left = random.randint(0, 8), random.randint(0, 8)
    image = Image.fromarray(padded[top:top + 32, left:left + 32])
    if not strong:
        return np.array(image)
    for _ in range(2):
        name, level = random.choice(OPERATIONS), random.randint(1, 9)
        if random.random() < 0.5:
            image = pillow_operation(name, image, level)
    view = np.array(image)
    row, column = random.randint(0, 31), random.randint(0, 31)
    view[max(0, row - 8):row + 8, max(0, column - 8):column + 8] = GRAY
    return view


def pillow(images):
    views = [pillow_view(array) for array in images.permute(0, 2, 3, 1).numpy()]
    return torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)


# ------------------------------------------------------------------------------------------------ the other libraries

def by_torchvision():
    from fixmatch_lite.vision import torchvision

    torchvision()
    from torchvision.transforms import v2

    transform = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(32, padding=4, padding_mode="reflect"),
                            v2.RandAugment(2, 9), v2.RandomErasing(1.0, (0.19, 0.19), (1, 1), value=GRAY)])
    return lambda images: torch.stack([transform(image) for image in images])


def by_kornia(device):
    import kornia.augmentation as K

    transform = K.AugmentationSequential(
        K.RandomHorizontalFlip(), K.RandomCrop((32, 32), padding=4, padding_mode="reflect"),
        K.auto.RandAugment(n=2, m=9), K.RandomErasing((0.19, 0.19), (1.0, 1.0), value=0.5, p=1.0))
    return lambda images: transform(images.to(device).float() / 255)


def ours(device):
    where = "cpu" if device.type == "mps" else device
    generator = torch.Generator(where).manual_seed(0)
    strong, cutout = fm.RandAugment(), fm.Cutout()

    def views(images):
        weak = fm.weak_augment(images, generator=generator)
        return cutout(strong(weak, generator=generator), generator=generator)

    return views


def rate(transform, images, seconds, device):
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        transform(images)
        done += len(images)
        wait()
    return done / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each pipeline in each round")
    options = parser.parse_args()
    device = fm.choose_device(options.device)
    step, large = photos(448), photos(4480 if device.type == "cpu" else 65536)
    ways = {"Pillow, one process": (pillow, step)}
    for name, make in (("torchvision v2, image by image", by_torchvision), ("kornia, a batch of 448", lambda: by_kornia(device))):
        try:
            ways[name] = (make(), step)
        except ImportError as error:
            print(f"left out: {name.split(',')[0]} ({error})")
    for images in (step, large):
        ways[f"fixmatch_lite, a batch of {len(images)}"] = (ours(device), images.to(device))
    rates = {name: [] for name in ways}
    for name, (transform, images) in ways.items():
        transform(images)  # the first call loads code
    for _ in range(options.rounds):
        for name, (transform, images) in ways.items():
            rates[name].append(rate(transform, images, options.seconds, device))
    rows = [{"pipeline": name, "images_per_second": statistics.median(values),
             "times_pillow": statistics.median(a / b for a, b in zip(values, rates["Pillow, one process"])),
             "rounds": [round(value) for value in values]} for name, values in rates.items()]
    print(f"strong views a second on {device} ({torch.get_num_threads()} threads), median of {options.rounds} rounds")
    for row in rows:
        print(f"{row['pipeline']:34} {row['images_per_second']:>12,.0f} {row['times_pillow']:>8.1f} times Pillow")
    print(json.dumps({"benchmark": "augment", "device": str(device), "threads": torch.get_num_threads(),
                      "torch": torch.__version__, "rows": rows}))


if __name__ == "__main__":
    main()
