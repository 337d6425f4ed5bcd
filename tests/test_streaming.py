"""ImageNet from a made miniature in its layout: pictures stay on the disk, threads cut them, a resumed run is the same."""

import numpy as np
import pytest
import torch
from PIL import Image

import fixmatch_lite as fm
from fixmatch_lite.models import ResNet50
from fixmatch_lite.streaming import Pictures, _cut, middle
from fixmatch_lite.training import learning_rate
from test_cli import program, refused


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """Three classes of different sizes, JPEGs of different shapes, one of them gray."""
    root = tmp_path_factory.mktemp("imagenet")
    draw = np.random.default_rng(0)
    for number, name in enumerate(("n01440764", "n01443537", "n01484850")):
        for part, count in (("train", 6 + 4 * number), ("val", 4)):
            (root / part / name).mkdir(parents=True)
            for k in range(count):
                size = (int(draw.integers(40, 90)), int(draw.integers(40, 90)), 3)
                noise = draw.integers(0, 60, size) + np.array([60 * number, 30, 150 - 60 * number])
                picture = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
                (picture.convert("L") if k == 0 else picture).save(root / part / name / f"{name}_{k}.JPEG")
    return root


def small(**changes):
    return fm.recipe("imagenet", **{"labels": 9, "batch_size": 4, "mu": 2, "steps": 4, "eval_every": 2, "tau": 0.3,
                                    "net": "wide_resnet", "depth": 10, "width": 1, "precision": "float32", **changes})


def load(imagenet, **changes):
    return fm.load_data("imagenet", **{"labels": 9, "root": imagenet, "split": "proportional", "image_size": 32,
                                       **changes})


def test_pictures_stay_on_the_disk(imagenet):
    data = load(imagenet)
    assert isinstance(data.u, Pictures) and data.u.shape == (30, 3, 32, 32) and data.channels == 3
    assert len(data.x) == 9 and torch.bincount(data.y).tolist() == [2, 3, 4]  # in proportion to 6, 10, 14
    assert set(data.x.paths) <= set(data.u.paths) and data.class_names[1] == "n01443537"
    assert sum(value.numel() for value in vars(data).values() if isinstance(value, torch.Tensor)) < 100
    decoded = data.x_test.decoded()
    assert decoded.shape == (12, 3, 32, 32) and decoded.dtype == torch.uint8
    assert torch.equal(decoded[:1].expand(-1, 3, -1, -1)[:, 0], decoded[:1, 1])  # the gray one
    assert fm.load_data("imagenet", labels=9, root=imagenet, split="proportional").x.shape == (9, 3, 224, 224)


def test_views_are_cut_by_their_seeds_alone(imagenet):
    data = load(imagenet)
    seeds = torch.arange(60).view(30, 2)
    first, second = data.u.views(seeds)()
    again = data.u.views(seeds)()
    assert first.shape == (30, 3, 32, 32) and torch.equal(first, again[0]) and torch.equal(second, again[1])
    assert not torch.equal(first, second)
    assert torch.equal(data.u[torch.tensor([7])].views(seeds[7:8])()[0], first[7:8])


def test_weak_view_is_a_part_of_the_picture_in_the_usual_ranges():
    import random

    ramp = np.stack(np.broadcast_arrays(np.arange(200)[None, :], np.arange(160)[:, None], np.zeros((1, 1))), -1)
    picture = Image.fromarray(ramp.astype(np.uint8))  # red tells the column, green the row
    shares, shapes, mirrored = [], [], 0
    for seed in range(400):
        view = np.asarray(_cut(picture, 32, random.Random(seed))).astype(float)
        across, down = (view[:, -1, 0] - view[:, 0, 0]).mean() * 32 / 31, (view[-1, :, 1] - view[0, :, 1]).mean() * 32 / 31
        mirrored += across < 0
        shares.append(abs(across) * down / (200 * 160))
        shapes.append(abs(across) / down)
    assert 0.06 < min(shares) < 0.12 and 0.8 < max(shares) <= 1.05 and 0.35 < np.mean(shares) < 0.6
    assert 0.7 < min(shapes) < 0.8 and 1.25 < max(shapes) < 1.42 and 150 < mirrored < 250
    seen = np.asarray(middle(picture, 32)).astype(float)
    assert seen[:, :, 0].mean() == pytest.approx(99.5, abs=1) and seen[:, :, 1].mean() == pytest.approx(79.5, abs=1)


def test_a_view_is_mirrored_every_other_time_or_never(imagenet):
    data = load(imagenet)
    seeds = torch.arange(60).view(30, 2)
    turned = []
    for with_mirror, without in zip(data.u.views(seeds)(), data.u.views(seeds, flip=False)()):
        for a, b in zip(with_mirror, without):
            assert torch.equal(a, b) or torch.equal(a, b.flip(2))
            turned.append(not torch.equal(a, b))
    assert 0.3 < np.mean(turned) < 0.7


def test_no_flip_reaches_the_pictures(imagenet, monkeypatch):
    asked = []
    plain = Pictures.views
    monkeypatch.setattr(Pictures, "views", lambda self, seeds, flip=True: asked.append(flip) or plain(self, seeds, flip))
    next(fm.fit(small(flip=False, steps=2), load(imagenet), device="cpu"))
    assert asked and not any(asked)


def test_T33_resumed_run_over_streamed_pictures_is_the_same(imagenet, tmp_path):
    data, path = load(imagenet), tmp_path / "c"
    whole = fm.fit(small(), data, device="cpu")
    list(whole)
    begun = fm.fit(small(), data, device="cpu", checkpoint=path)
    next(begun)  # three more batches are being read when the checkpoint is written
    resumed = fm.fit(small(), data, device="cpu", checkpoint=path, resume=True)
    list(resumed)
    state = resumed.model.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in whole.model.state_dict().items())


def test_two_methods_see_the_same_pictures_whatever_views_they_ask_for(imagenet):
    data, orders = load(imagenet), []
    for views in (("weak",), ("weak", "strong"), ("weak", "strong", "strong")):
        batches = fm.fit(small(), data, device="cpu").batches
        orders.append([batches.next(views).ids.tolist() for _ in range(9)])
    assert orders[0] == orders[1] == orders[2]


def test_T30_every_picture_comes_before_any_comes_again(imagenet):
    training = fm.fit(small(), load(imagenet), device="cpu")
    ids = torch.cat([training.batches.next(("weak", "strong")).ids for _ in range(15)])
    assert (torch.bincount(ids, minlength=30) == 4).all()


def test_T43_recipe_is_the_papers_and_weight_decay_is_torchs():
    recipe = fm.recipe("imagenet")
    assert (recipe.net, recipe.tau, recipe.lambda_u, recipe.mu, recipe.batch_size) == ("resnet50", 0.7, 10.0, 5, 1024)
    assert recipe.weight_decay == 6e-4  # Keras' l2(3e-4) is w * ||v||^2, torch's decay is w / 2 * ||v||^2
    assert recipe.steps * recipe.mu * recipe.batch_size == pytest.approx(300 * 1_281_167, rel=0.01)


def test_rate_warms_up_and_falls_in_steps():
    recipe = fm.recipe("imagenet", steps=600)
    rates = [learning_rate(recipe, step) for step in range(600)]
    assert rates[:10] == pytest.approx([0.4 * k / 10 for k in range(1, 11)]) and rates[99] == 0.4
    assert [rates[step] for step in (100, 200, 300, 400, 500, 599)] == pytest.approx(
        [0.04, 0.004, 4e-4, 4e-5, 4e-6, 4e-6])
    with pytest.raises(fm.FixMatchError, match="decays must be rising shares"):
        fm.recipe("cifar10", decays=(0.5,))
    with pytest.raises(fm.FixMatchError, match="schedule must be cosine or steps"):
        fm.recipe("cifar10", schedule="linear")


def test_resnet50_is_torchvisions_with_weights_from_the_generator():
    first, second, other = (ResNet50(1000, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert sum(p.numel() for p in first.parameters()) == 25_557_032
    assert torch.equal(first.body.conv1.weight, second.body.conv1.weight)
    assert not torch.equal(first.body.conv1.weight, other.body.conv1.weight)
    logits, features = first.eval()(torch.zeros(1, 3, 64, 64), with_features=True)
    assert logits.shape == (1, 1000) and features.shape == (1, 2048)
    with pytest.raises(fm.FixMatchError, match="takes images of 3 channels, not 1"):
        fm.fit(fm.recipe("digits", net="resnet50"), fm.load_data("digits"))


def test_imagenet_trains_from_the_command_line(imagenet, tmp_path):
    words = f"--root {imagenet} --image-size 32 --device cpu --out {tmp_path}/run"
    code, out, err = program(
        *f"train imagenet {words} --labels 9 --steps 2 --batch-size 2 --mu 2 --precision float32".split(), cwd=tmp_path)
    assert code == 0, err
    assert "9 labeled and 30 unlabeled images" in err and "resnet50" in err
    assert fm.runs.load(tmp_path / "run").recipe.net == "resnet50"
    code, out, err = program("evaluate", tmp_path / "run", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and "(as recorded)" in out, err


def test_pictures_are_labeled_as_they_are_evaluated(imagenet, tmp_path):
    from fixmatch_lite.predicting import label_pictures
    from fixmatch_lite.training import evaluate

    data = load(imagenet)
    list(fm.runs.record(tmp_path / "run", small(), data, device="cpu"))
    run = fm.runs.load(tmp_path / "run")
    told = {path: kind for path, kind, *_ in label_pictures(run, imagenet / "val", device="cpu")}
    assert len(told) == 12
    right = sum(path.split("/")[0] == kind for path, kind in told.items())
    assert right / 12 == evaluate(run.model(), data.x_test, data.y_test) == run.metrics[-1].test_accuracy
    images = data.x_test.decoded()
    sure = {path: confidence for path, _, confidence in label_pictures(run, imagenet / "val", device="cpu")}
    with torch.no_grad():
        expected = run.model()(fm.augment.to_float(images)).softmax(1).max(1).values
    by_name = [sure[path.relative_to(imagenet / "val").as_posix()] for path in data.x_test.paths]
    assert by_name == pytest.approx(expected.tolist(), abs=1e-5)


def test_imagenet_that_is_not_there_gets_one_sentence(imagenet, tmp_path):
    refused(*"train imagenet --root nowhere --labels 9".split(), cwd=tmp_path, says="registration")
    refused(*"download imagenet".split(), cwd=tmp_path, says="registration")
    (tmp_path / "a" / "train").mkdir(parents=True)
    with pytest.raises(fm.FixMatchError, match="no class folders"):
        fm.load_data("imagenet", root=tmp_path / "a")
