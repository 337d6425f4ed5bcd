"""The command ``fixmatch-lite``: train, evaluate, compare and download without writing Python.

Nothing here trains: the commands call `load_data`, `recipe` and `runs.record`, as a notebook does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

# Blank lines between the examples: rich joins the lines of a paragraph.
EXAMPLES = """Examples:

fixmatch-lite train digits --labels 40

fixmatch-lite evaluate runs/digits-40-seed0

fixmatch-lite runs"""

TRAIN_EXAMPLES = """Examples:

fixmatch-lite train cifar10 --labels 250 --root data --steps 20000

fixmatch-lite train folder --root pets --labels 40 --image-size 32

fixmatch-lite train folder --root pets --labels-from labels.csv

fixmatch-lite train digits --method uda --set temperature=0.5"""

app = typer.Typer(name="fixmatch-lite", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  epilog=EXAMPLES, help="Learn from a few labeled images and many unlabeled ones (FixMatch).")

# What an option is when it is left out stands in parentheses: for cifar10 the paper's value.
DATA, METHOD, RUN = "Data", "Method (in parentheses: what holds unless changed; for cifar10 the paper's values)", "Run"


def option(help, panel=RUN, *names):
    return typer.Option(*names, help=help, rich_help_panel=panel, show_default=False)


Root = Annotated[Optional[Path], option("Folder of the data (folder, imagenet: the one with train/; else data).",
                                        DATA)]
LabelsFrom = Annotated[Optional[Path], option("CSV file with the columns path and class that names the labeled pictures of a "
                                              "folder.", DATA)]
ImageSize = Annotated[Optional[int], option("Side in pixels to bring a folder's images to (their most common size).",
                                            DATA)]
Device = Annotated[Optional[str], option("cuda, mps or cpu (the fastest there is).")]
GivenRun = Annotated[Path, typer.Argument(help="Folder of the run, or name of a run that comes with the module.")]


def _tell_version(asked):
    if asked:
        from .version import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _before(version: Annotated[bool, typer.Option("--version", callback=_tell_version, is_eager=True,
                                                  help="Print the version and exit.")] = False):
    pass


@app.command(epilog=TRAIN_EXAMPLES, no_args_is_help=True)
def train(
    dataset: Annotated[str, typer.Argument(help="digits (included); cifar10, cifar100, svhn or stl10 (fetched once: "
                                           "170 MB, 169 MB, 246 MB, 2.6 GB); imagenet; or folder: your own "
                                           "pictures.")],
    labels: Annotated[Optional[int], option("Labeled images in all (digits 40, cifar10 and svhn 250, cifar100 400, "
                                            "stl10 1,000, imagenet 128,116, folder all).", DATA)] = None,
    split: Annotated[Optional[str], option("balanced over the classes, or proportional to them (balanced; svhn and "
                                           "imagenet proportional).", DATA)] = None,
    labeled: Annotated[Optional[Path], option("JSON file with the indices of the labeled images, instead of a draw.",
                                              DATA)] = None,
    labels_from: LabelsFrom = None,
    label_seed: Annotated[Optional[int], option("Which images are labeled; stl10: the fold (as --seed).", DATA)] = None,
    root: Root = None,
    image_size: ImageSize = None,
    flip: Annotated[Optional[bool], option("Whether a mirrored picture keeps its class (yes; digits, svhn no).", DATA,
                                           "--flip/--no-flip")] = None,
    method: Annotated[Optional[str], option("fixmatch, supervised (the labeled images alone), pi_model, mean_teacher, "
                                  "pseudo_label, vat, self_training, mixmatch, uda, remixmatch, flexmatch, freematch, "
                                  "softmatch, simclr or mistaken; some have their own mu, tau, lambda-u or lr (fixmatch).",
                                  METHOD)] = None,
    augment: Annotated[Optional[str], option("Strong view: fixmatch, paper, usb, imagenet, ctaugment, autoaugment, "
                                             "one_draw, cutout or none (fixmatch).", METHOD)] = None,
    alignment: Annotated[Optional[bool], option("Align pseudo-labels to the class shares of the labels (what the "
                                                "method does).", METHOD, "--alignment/--no-alignment")] = None,
    start: Annotated[Optional[Path], option("Run whose features the net begins with, under a new last layer; for instance one of "
                                            "simclr (none).", METHOD, "--start-from")] = None,  # torchrun would take --start for its own
    forward: Annotated[Optional[str], option("joint; or separate or kept, which are faster but not equivalent (joint).",
                                             METHOD)] = None,
    steps: Annotated[Optional[int], option("Updates of the net (1,048,576; digits 1,000, imagenet 75,000, folder 20,000).",
                                           METHOD)] = None,
    batch_size: Annotated[Optional[int], option("Labeled images a step (64; digits 32, imagenet 1,024).", METHOD)] = None,
    mu: Annotated[Optional[int], option("Unlabeled images for every labeled one (7; imagenet 5).", METHOD)] = None,
    tau: Annotated[Optional[float], option("Confidence that a pseudo-label needs (0.95; imagenet 0.7).", METHOD)] = None,
    lambda_u: Annotated[Optional[float], option("Weight of the unsupervised loss (1.0; imagenet 10.0).", METHOD)] = None,
    lr: Annotated[Optional[float], option("Learning rate at the start (0.03; digits 0.2, imagenet 0.4).", METHOD)] = None,
    set_: Annotated[Optional[list[str]], option("Any other value of the recipe, or option of the method, as NAME=VALUE "
                                                "(repeatable; for the same name the last counts).", METHOD, "--set")] = None,
    seed: Annotated[Optional[int], option("Seed of weights, batches, augmentation and the labeled set (0).")] = None,
    device: Device = None,
    precision: Annotated[Optional[str], option("auto, float32, bfloat16 or float16 (auto).")] = None,
    eval_every: Annotated[Optional[int], option("Steps between evaluations (1,024; digits 20, folder 500).")] = None,
    out: Annotated[Optional[Path], option("Folder of the run (runs/DATASET-LABELS-seedSEED; then -METHOD if it is not fixmatch).")] = None,
    resume: Annotated[bool, option("Go on with the unfinished run in the folder of the run.", RUN, "--resume")] = False,
    quiet: Annotated[bool, option("Print the result only.", RUN, "--quiet")] = False,
):
    """Train a net on a few labeled and many unlabeled images, and keep the run in a folder."""
    from .names import check_dataset
    from .training_command import recipe_of, run_training

    check_dataset(dataset)
    given = dict(labels=labels, split=split, flip=flip, augment=augment, alignment=alignment, forward=forward,
                 steps=steps, batch_size=batch_size, mu=mu, tau=tau, lambda_u=lambda_u, lr=lr, precision=precision,
                 eval_every=eval_every, method=method, seed=seed, label_seed=label_seed)
    if labeled and (split, label_seed) != (None, None):
        raise typer.BadParameter(f"{labeled} names the labeled images: leave out --label-seed and --split.")
    # before anything is read or fetched: a wrong value should not cost the reader a download
    recipe = recipe_of(dataset, {k: v for k, v in given.items() if v is not None}, set_ or [])
    run_training(recipe, out, dict(root=root, image_size=image_size, labels_from=labels_from), labeled=labeled,
                 labels=labels, start=start, device=device, resume=resume, quiet=quiet)


@app.command(no_args_is_help=True, epilog="Example:\n\nfixmatch-lite evaluate runs/digits-40-seed0")
def evaluate(
    run: GivenRun,
    root: Root = None,
    labels_from: LabelsFrom = None,
    image_size: ImageSize = None,
    test: Annotated[Optional[Path], option("Folder of other test pictures, with a subfolder for each class.", DATA)] = None,
    device: Device = None,
):
    """Measure the test accuracy of a run again, from its weights, class by class."""
    import fixmatch_lite as fm

    from .predicting import measure_again, measure_folder
    from .terminal import print_accuracies, print_unread, speaker

    speaker(quiet=test is None)
    recorded = fm.runs.load(run)
    if test is None:
        rows = measure_again(recorded, root=root, image_size=image_size, labels_from=labels_from, device=device)
        logged = recorded.metrics[-1].test_accuracy if recorded.metrics else None
        # weights in half precision may be an image or two off the log
        print_accuracies(rows, recorded.provenance.get("weights", {}).get("test_accuracy", logged))
    elif (root, image_size, labels_from) != (None, None, None):
        raise typer.BadParameter("--test names the pictures, and the run their size: leave out --root, --image-size and --labels-from.")
    else:
        rows, unread = measure_folder(recorded, test, device=device)
        print_unread(unread)
        print_accuracies(rows)


@app.command(no_args_is_help=True, epilog="Example:\n\nfixmatch-lite label runs/pets --root pets --out guesses.csv")
def label(
    run: GivenRun,
    root: Annotated[Path, option("Folder of the pictures to label, at any depth.", DATA)],
    out: Annotated[Path, option("CSV file to write: path, class, confidence.")],
    probabilities: Annotated[bool, option("Write the probability of each class, too.", RUN, "--probabilities")] = False,
    force: Annotated[bool, option("Replace the file if it exists.", RUN, "--force")] = False,
    device: Device = None,
):
    """Write a CSV file of path, predicted class and confidence for the pictures in a folder."""
    import fixmatch_lite as fm

    from .places import check_file
    from .predicting import label_folder
    from .terminal import print_unread, speaker

    check_file(out, force)
    speaker(quiet=False)
    labeled, unread = label_folder(fm.runs.load(run), root, out, probabilities=probabilities, device=device)
    print_unread(unread)
    print(f"Pictures labeled: {labeled:,}, in {out}")


@app.command(no_args_is_help=True, epilog="Example:\n\nfixmatch-lite export runs/pets --out pets.onnx")
def export(
    run: GivenRun,
    out: Annotated[Path, option("ONNX file to write.")],
    force: Annotated[bool, option("Replace the file if it exists.", RUN, "--force")] = False,
):
    """Write a trained net as an ONNX file that takes uint8 images and gives probabilities."""
    import fixmatch_lite as fm

    from .places import check_file
    from .predicting import export_onnx

    check_file(out, force)
    export_onnx(fm.runs.load(run), out)
    print(out)


@app.command(no_args_is_help=True, epilog="Example:\n\nfixmatch-lite download cifar10 --root data")
def download(
    dataset: Annotated[str, typer.Argument(help="cifar10, cifar100, svhn or stl10.")],
    root: Annotated[Path, option("Folder for what is fetched (data).", DATA)] = Path("data"),
    quiet: Annotated[bool, option("No progress.", RUN, "--quiet")] = False,
):
    """Fetch a data set now, so that training later needs no network; what has arrived is kept."""
    from .data import remote_files
    from .download import fetch
    from .errors import FixMatchError
    from .names import check_dataset

    check_dataset(dataset)
    files = remote_files(dataset)
    if dataset == "imagenet":
        raise FixMatchError("ImageNet is available after registration at image-net.org: unpack it into train/<class>/ and "
                            "val/<class>/, and train with --root.")
    if not files:
        raise FixMatchError(f"There is nothing to download for {dataset}: train with it right away.")
    for file in files:
        print(fetch(*file, root, quiet=quiet))


@app.command(epilog="Example:\n\nfixmatch-lite runs runs")
def runs(folder: Annotated[Path, typer.Argument(help="Folder that holds the run folders.")] = Path("runs")):
    """List the runs in a folder: what differs between them, and what each came to."""
    import fixmatch_lite as fm

    from .terminal import print_runs

    found = fm.runs.list_runs(folder)
    if not found:
        raise fm.FixMatchError(f"There are no runs in {folder}: give the folder that holds the run folders, "
                               "or train one.")
    print_runs(found, fm.runs.compare([run for run in found if run.metrics]))


def main():
    """The entry point: errors a user can mend become one line on stderr, everything else stays a traceback."""
    try:
        code = app(prog_name="fixmatch-lite", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        print("\nStopped.", file=sys.stderr)
        code = 130
    except Exception as error:
        from .errors import FixMatchError
        from .terminal import sentence

        told, process = sentence(error), os.environ.get("RANK", "0")
        if told is None:
            raise
        line, code = told
        everywhere = hasattr(error, "format_message") or isinstance(error, FixMatchError) and not error.alone
        if line and (process == "0" or not everywhere):  # what all processes say, one says
            print(line if process == "0" else f"Process {process}: {line}", file=sys.stderr)
    sys.exit(code or 0)
