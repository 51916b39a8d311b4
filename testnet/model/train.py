"""Train a small digit classifier by federated averaging and write v1/ and v2/.

    python -B train.py

Four fictional members hold disjoint, unequal parts of the training data. In
each round every member trains the shared model on its own part, and the
results are averaged, each weighted by its member's number of examples.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

from evaluate import LABELS, Params, count_correct, evaluate, forward, hash_order, load_split

MEMBERS = {"northfield": 40, "lakeside": 30, "hilltop": 20, "riverbend": 10}
SKEWED_PERCENT = 50  # the part of the data handed out sorted by label
INPUT_SCALE = 0.0625  # pixels are 0 to 16
HIDDEN = 32


def cut(indices: list[int]) -> list[list[int]]:
    """Cut a list into consecutive pieces in the members' proportions."""
    bounds = [round(len(indices) * p / 100) for p in np.cumsum([0, *MEMBERS.values()])]
    return [indices[a:b] for a, b in zip(bounds, bounds[1:])]


def member_parts(labels: np.ndarray, train: list[int]) -> dict[str, list[int]]:
    """Give each member a disjoint part: some even, some sorted by label."""
    order = hash_order(train, "members")
    skewed_count = round(len(order) * SKEWED_PERCENT / 100)
    skewed = sorted(order[:skewed_count], key=lambda i: labels[i])
    pieces = zip(cut(skewed), cut(order[skewed_count:]))
    return {name: a + b for name, (a, b) in zip(MEMBERS, pieces)}


def initial_params(inputs: int, seed: int) -> Params:
    """Draw the starting weights (He initialisation; biases zero)."""
    rng = np.random.default_rng(seed)
    return {
        "hidden.weight": rng.normal(0, np.sqrt(2 / inputs), (HIDDEN, inputs)),
        "hidden.bias": np.zeros(HIDDEN),
        "output.weight": rng.normal(0, np.sqrt(2 / HIDDEN), (LABELS, HIDDEN)),
        "output.bias": np.zeros(LABELS),
    }


def gradients(params: Params, x: np.ndarray, labels: np.ndarray) -> Params:
    """Return the gradients of the mean cross-entropy over one batch."""
    hidden, logits = forward(params, x)
    delta = np.exp(logits - logits.max(axis=1, keepdims=True))
    delta /= delta.sum(axis=1, keepdims=True)
    delta[np.arange(len(labels)), labels] -= 1
    delta /= len(labels)
    back = (delta @ params["output.weight"]) * (hidden > 0)
    return {
        "hidden.weight": back.T @ x,
        "hidden.bias": back.sum(axis=0),
        "output.weight": delta.T @ hidden,
        "output.bias": delta.sum(axis=0),
    }


def train_locally(
    params: Params, x: np.ndarray, labels: np.ndarray, rng: np.random.Generator,
    args: argparse.Namespace,
) -> Params:
    """Run one member's part of a round: plain SGD over its own examples."""
    params = {name: value.copy() for name, value in params.items()}
    for _ in range(args.local_epochs):
        order = rng.permutation(len(labels))
        for start in range(0, len(order), args.batch_size):
            batch = order[start : start + args.batch_size]
            for name, gradient in gradients(params, x[batch], labels[batch]).items():
                params[name] -= args.learning_rate * gradient
    return params


def average(results: list[Params], weights: list[int]) -> Params:
    """Average the members' results, weighted by their example counts."""
    total = sum(weights)
    return {
        name: sum(w / total * result[name] for w, result in zip(weights, results))
        for name in results[0]
    }


def save_model(path: Path, params: Params, metadata: dict[str, str]) -> None:
    """Write float32 safetensors with a sorted header.

    The library writes metadata keys in random order, so the header is
    rewritten in sorted order to make the file reproducible byte for byte.
    """
    tensors = {name: value.astype(np.float32) for name, value in params.items()}
    raw = save(tensors, metadata=metadata)
    data_start = 8 + int.from_bytes(raw[:8], "little")
    header = json.dumps(json.loads(raw[8:data_start]), sort_keys=True, separators=(",", ":"))
    encoded = header.encode()
    encoded += b" " * (-len(encoded) % 8)
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + raw[data_start:])


def write_json(path: Path, value: dict) -> None:
    """Write indented JSON with a final newline."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8", newline="\n")


def model_card(version: str, config: dict, counts: dict[str, int], base: str | None,
               result: dict, args: argparse.Namespace) -> str:
    """Return the model card, filled in with the measured result."""
    rows = "\n".join(f"| {name} | {count} |" for name, count in counts.items())
    origin = f"Warm-started from {base}. " if base else "Started from random weights. "
    return f"""---
license: apache-2.0
library_name: numpy
pipeline_tag: image-classification
tags:
- digits
- mlp
- federated-averaging
- safetensors
- demo
metrics:
- accuracy
model-index:
- name: federated-digits-{version}
  results:
  - task:
      type: image-classification
    dataset:
      name: scikit-learn digits, held-out part
      type: digits
      split: test
    metrics:
    - type: accuracy
      value: {result["accuracy"]}
---

# Federated digits, {version}

A network with one hidden layer ({config["input_size"]} inputs, {config["hidden_size"]} hidden units,
{config["num_labels"]} labels) that reads 8x8 images of handwritten digits. Four members trained
it together by federated averaging.

## Intended use

A demonstration of a model that several organisations own together. It is not
meant for reading digits in practice.

## Data

The digits data set that ships with scikit-learn: a copy of the test set of
"Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI
Machine Learning Repository). The members are fictional. Their parts are
disjoint, of unequal size, and skewed by label: {SKEWED_PERCENT} % of the training data was
handed out sorted by label, the rest evenly mixed.

| Member | Training examples |
| --- | ---: |
{rows}

Pixels (0 to 16) are multiplied by {INPUT_SCALE}.

## Training

{origin}In each round every member trained on its own part by
plain SGD, and the results were averaged, weighted by example count. The
members were simulated in one process.

| Setting | Value |
| --- | ---: |
| Rounds, from the start | {config["rounds"]} |
| Epochs per member and round | {args.local_epochs} |
| Batch size | {args.batch_size} |
| Learning rate | {args.learning_rate} |
| Seed | {args.seed} |

## Evaluation

| Test examples | Correct | Accuracy |
| ---: | ---: | ---: |
| {result["test_examples"]} | {result["correct"]} | {result["accuracy"]} |

The test examples were drawn pseudo-randomly and used by no member for training.
`evaluate.py` repeats the measurement.

## Limitations

- The split is by image, not by writer, so the accuracy on new writers may be
  lower.
- It expects images prepared as in the data set: 8x8, normalised, one digit.
  It gives a label to any input, including images of no digit.
- The averaging is plain: no secure aggregation and no differential privacy.
"""


def write_version(out: Path, version: str, base: str | None, params: Params, rounds: int,
                  counts: dict[str, int], args: argparse.Namespace) -> dict:
    """Write one version directory and return its measured result."""
    directory = out / version
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "mlp",
        "version": version,
        "base_version": base,
        "rounds": rounds,
        "input_size": params["hidden.weight"].shape[1],
        "input_scale": INPUT_SCALE,
        "hidden_size": HIDDEN,
        "activation": "relu",
        "num_labels": LABELS,
        "dtype": "float32",
    }
    metadata = {"format": "np", "version": version, "rounds": str(rounds)}
    save_model(directory / "model.safetensors", params, metadata)
    write_json(directory / "config.json", config)
    members = [{"name": name, "examples": count} for name, count in counts.items()]
    write_json(directory / "contributions.json", {"round": rounds, "members": members})
    result = evaluate(directory)
    card = model_card(version, config, counts, base, result, args)
    (directory / "README.md").write_text(card, encoding="utf-8", newline="\n")
    return result


def main() -> None:
    """Train both versions; v2 continues from the file written as v1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--v1-rounds", type=int, default=5, help="the last round of v1")
    parser.add_argument("--v2-rounds", type=int, default=30, help="the last round of v2")
    parser.add_argument("--local-epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    pixels, labels, train, _ = load_split()
    x = pixels * INPUT_SCALE
    parts = member_parts(labels, train)
    counts = {name: len(part) for name, part in parts.items()}
    for name, part in parts.items():
        per_label = np.bincount(labels[part], minlength=LABELS).tolist()
        print(json.dumps({"member": name, "examples": len(part), "per_label": per_label}))

    params, done, base = initial_params(x.shape[1], args.seed), 0, None
    for version, last in (("v1", args.v1_rounds), ("v2", args.v2_rounds)):
        for number in range(done + 1, last + 1):
            results = [
                train_locally(params, x[part], labels[part],
                              np.random.default_rng([args.seed, number, member]), args)
                for member, part in enumerate(parts.values())
            ]
            params = average(results, list(counts.values()))
            seen = count_correct(params, x[train], labels[train]) / len(train)
            print(json.dumps({"round": number, "train_accuracy": round(seen, 4)}))
        result = write_version(args.out, version, base, params, last, counts, args)
        print(json.dumps({"version": version, **result}))
        params = {name: tensor.astype(np.float64) for name, tensor
                  in load_file(args.out / version / "model.safetensors").items()}
        done, base = last, version


if __name__ == "__main__":
    main()
