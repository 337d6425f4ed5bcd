"""SVHN, house numbers cut out of street pictures (Netzer et al. 2011), from its two files.

73,257 color images of 32 by 32 pixels to train and 26,032 to test, the digit in the middle is the class. The classes are
not balanced: there are nearly three times as many ones as nines. The 531,131 "extra" images are not used, as in FixMatch.
"""

import numpy as np
import torch

from .download import RemoteFile, fetch
from .errors import FixMatchError
from .hints import PathLike

HOME = "http://ufldl.stanford.edu/housenumbers/"
FILES = tuple(RemoteFile(name, (HOME + name,), md5, size) for name, md5, size in (
    ("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", 182_040_794),
    ("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", 64_275_384)))


def load_svhn(root: PathLike | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, tuple[str, ...]]:
    """``(train_images, train_targets, test_images, test_targets, class_names)``.

    Images are uint8 ``(N, 3, 32, 32)``, targets int64 with class k for the digit k. ``root`` is the folder of the two
    files, ``data`` unless given; they are fetched first if they are not there (246 MB).

    Raises:
        FixMatchError: a file cannot be fetched, or is not SVHN's.
    """
    parts = [read_mat(fetch(*file, "data" if root is None else root)) for file in FILES]
    return *parts[0], *parts[1], tuple("0123456789")


def read_mat(path: PathLike) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and targets of one file in MATLAB's format.

    Raises:
        FixMatchError: it cannot be read, or does not hold what SVHN's files hold.
    """
    from scipy.io import loadmat  # scikit-learn brings scipy

    try:
        content = loadmat(path)
        images, labels = content["X"], content["y"].reshape(-1).astype(np.int64)
        if images.dtype != np.uint8 or images.shape != (32, 32, 3, len(labels)) or not len(labels):
            raise ValueError(f"{images.dtype} images of shape {images.shape} for {len(labels)} labels")
        if labels.min() < 1 or labels.max() > 10:
            raise ValueError("a label outside 1 to 10")
    except MemoryError:  # nothing is wrong with the file
        raise
    except Exception as error:  # scipy's reader raises nearly every type on damaged files
        raise FixMatchError(f"{path} does not hold house numbers in SVHN's form ({error}): delete it and download it "
                            "again.") from error
    # the file counts height, width, channel, image; and writes the digit 0 as 10
    images = torch.from_numpy(np.ascontiguousarray(images.transpose(3, 2, 0, 1)))
    return images, torch.from_numpy(labels % 10)
