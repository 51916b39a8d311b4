"""Measure the accuracy of one model version on the held-out test set.

    python -B evaluate.py v2

The file stands alone: it needs only the version directory it is given and
the packages in requirements.txt.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

Params = dict[str, np.ndarray]

TEST_PERCENT = 20
LABELS = 10


def hash_order(indices: list[int], purpose: str) -> list[int]:
    """Shuffle indices by the SHA-256 of each one: the same order everywhere."""
    return sorted(indices, key=lambda i: hashlib.sha256(f"{purpose}:{i}".encode()).digest())


def load_split() -> tuple[np.ndarray, np.ndarray, list[int], list[int]]:
    """Return the pixels (0 to 16), the labels, and the train and test indices."""
    pixels, labels = load_digits(return_X_y=True)
    order = hash_order(list(range(len(labels))), "split")
    test_count = round(len(order) * TEST_PERCENT / 100)
    return pixels, labels, order[test_count:], order[:test_count]


def forward(params: Params, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the hidden activations and the logits of the two-layer network."""
    hidden = np.maximum(x @ params["hidden.weight"].T + params["hidden.bias"], 0)
    return hidden, hidden @ params["output.weight"].T + params["output.bias"]


def count_correct(params: Params, x: np.ndarray, labels: np.ndarray) -> int:
    """Count the examples whose highest logit is the right label."""
    return int((forward(params, x)[1].argmax(axis=1) == labels).sum())


def load_version(directory: Path) -> tuple[Params, dict]:
    """Load the tensors and the configuration, and check that they agree."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    params = load_file(directory / "model.safetensors")
    inputs, hidden, labels = (config[k] for k in ("input_size", "hidden_size", "num_labels"))
    expected = {
        "hidden.weight": (hidden, inputs),
        "hidden.bias": (hidden,),
        "output.weight": (labels, hidden),
        "output.bias": (labels,),
    }
    found = {name: tensor.shape for name, tensor in params.items()}
    if found != expected:
        raise SystemExit(f"tensors do not match config.json: {found}, expected {expected}")
    return params, config


def evaluate(directory: Path) -> dict[str, int | float]:
    """Evaluate the version in a directory on the held-out test set."""
    params, config = load_version(directory)
    pixels, labels, _, test = load_split()
    x = (pixels[test] * config["input_scale"]).astype(np.float32)
    correct = count_correct(params, x, labels[test])
    return {
        "rounds": config["rounds"],
        "test_examples": len(test),
        "correct": correct,
        "accuracy": round(correct / len(test), 4),
    }


def main() -> None:
    """Parse the command line and print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", type=Path, help="a version directory, such as v2")
    print(json.dumps(evaluate(parser.parse_args().version)))


if __name__ == "__main__":
    main()
