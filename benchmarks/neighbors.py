"""Does a picture's nearest neighbor belong to the same class, when nearness is measured on raw pixels?

    python benchmarks/neighbors.py --data digits
    python benchmarks/neighbors.py --data cifar10-jpeg --root FOLDER_OR_ARCHIVE

For each test picture (the first --queries of them) the nearest of all training pictures is sought, by the Euclidean
distance of the pixels. Chapter 3 quotes the result. Prints a line and one JSON line, and with --out writes that to a file.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from sklearn.neighbors import NearestNeighbors  # noqa: E402

import fixmatch_lite as fm  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--root", help="folder or archive of the data")
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--out", type=Path, help="a JSON file; the line is added to what it holds")
    options = parser.parse_args()
    data = fm.load_data(options.data, labels=40, seed=0, root=options.root)
    flat = lambda images: images.flatten(1).float().div(255).numpy()
    queries = flat(data.x_test[:options.queries])
    index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(flat(data.u))
    nearest = index.kneighbors(queries, return_distance=False)[:, 0]
    agrees = (data.u_true[nearest] == data.y_test[:len(queries)]).float().mean().item()
    print(f"{options.data}: the nearest of {len(data.u):,} training pictures has the class of the test picture in "
          f"{agrees:.1%} of {len(queries):,} cases")
    row = {"benchmark": "neighbors", "data": options.data, "training": len(data.u), "queries": len(queries),
           "same_class": round(agrees, 4)}
    print(json.dumps(row))
    if options.out:
        held = json.loads(options.out.read_text()) if options.out.exists() else []
        held = [other for other in held if other["data"] != row["data"]] + [row]
        options.out.write_text(json.dumps(held, indent=1) + "\n")


if __name__ == "__main__":
    main()
