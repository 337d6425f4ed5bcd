"""The figures' own functions: what they draw, and what they say to what cannot be drawn."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import fixmatch_lite as fm
from fixmatch_lite import plots


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    plt.close("all")


def rows(values, **more):
    return [{"step": 20 * (k + 1), "test_accuracy": value, **more} for k, value in enumerate(values)]


def test_images_are_drawn_pixel_for_pixel_with_their_titles():
    images = torch.arange(3 * 16, dtype=torch.uint8).reshape(3, 1, 4, 4)
    figure = plots.show_images(images, titles=["a", "b", "c"], colors=["kept", "wrong", "black"], columns=2)
    assert len(figure.axes) == 4  # two rows of two, the last place empty
    for ax, image, title, color in zip(figure.axes, images, "abc", (plots.COLORS["kept"], plots.COLORS["wrong"], "black")):
        assert np.array_equal(ax.images[0].get_array(), image[0]) and ax.get_title() == title
        assert ax.title.get_color() == color
    assert not figure.axes[3].images


@pytest.mark.parametrize("images, more, says", [
    (torch.zeros(0, 1, 4, 4, dtype=torch.uint8), {}, "at least one image"),
    (torch.zeros(1, 4, 4, dtype=torch.uint8), {}, "makes a batch"),
    (torch.rand(2, 1, 4, 4), {}, "float32"),
    (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), {"titles": ["a"]}, "2 images and 1 titles"),
    (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), {"titles": "ab", "colors": ["kept"] * 3}, "2 images and 3 colors"),
])
def test_what_is_no_batch_of_images_is_not_drawn(images, more, says):
    with pytest.raises(fm.FixMatchError, match=says):
        plots.show_images(images, **more)


def test_curves_are_the_runs_and_their_median_up_to_the_shortest():
    ax = plots.plot_curves([rows([0.1, 0.5, 0.9]), rows([0.3, 0.7]), rows([0.2, None])], label="three")
    *thin, thick = [line.get_xydata() for line in ax.lines]
    assert [len(line) for line in thin] == [3, 2, 2] and np.isnan(thin[2][1, 1])
    assert thick.tolist() == [[20, 0.2], [40, 0.6]]  # where one run has no value, the median of the others
    assert ax.get_legend_handles_labels()[1] == ["three"] and ax.get_ylabel() == "test accuracy"


def test_the_median_is_over_one_step_and_not_over_one_place():
    often, seldom = rows([20, 40, 60, 80]), [{"step": step, "test_accuracy": step} for step in (40, 80, 120)]
    ax = plots.plot_curves([often, seldom])
    assert ax.lines[-1].get_xydata().tolist() == [[40, 40], [80, 80]]


def test_an_image_may_be_one_pixel_wide_or_one_pixel():
    for shape in ((1, 3, 1, 8), (1, 3, 1, 1), (1, 1, 8, 1)):
        shown = plots.show_images(torch.zeros(shape, dtype=torch.uint8)).axes[0].images[0].get_array()
        assert shown.shape[:2] == shape[2:]


def test_where_no_run_has_a_value_the_median_has_a_gap_and_nobody_is_warned():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plots.plot_curves([rows([0.1, None]), rows([0.3, None])])
    assert np.isnan(ax.lines[-1].get_ydata()[1])


@pytest.mark.parametrize("histories", [[], [[]], rows([0.1]), [None]])
def test_one_run_in_place_of_a_list_of_runs_is_told(histories):
    with pytest.raises(fm.FixMatchError, match="list of runs"):
        plots.plot_curves(histories)
