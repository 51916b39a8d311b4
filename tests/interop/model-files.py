#!/usr/bin/env python3
"""Model files of both formats, whole and broken, and what the formats' own readers say of each.

Makes them with the packages of requirements.txt (`safetensors` and `gguf`), breaks them one place at a time, and asks the
packages' readers: `python3 model-files.py OUT` writes the files to OUT, and a line of JSON for each to standard output.
The test `formats` (tests/it/formats.rs) holds allod's reader against these.
"""
import json
import logging
import re
import signal
import struct
import sys
import warnings
from collections import Counter
from pathlib import Path

import gguf
import numpy as np
import safetensors
import safetensors.numpy
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFEndian, GGUFValueType

# Of this process's own time: the reader of `gguf` has no bound, and an array that claims 2^60 numbers keeps it at work.
ANSWER_SECONDS = 0.2
OUT = Path(sys.argv[1])
ORDERS = {"<": GGUFEndian.LITTLE, ">": GGUFEndian.BIG}


class NoAnswer(BaseException):
    """The reader is still at work."""


def read_gguf(path):
    reader = gguf.GGUFReader(path)
    numbers = Counter()
    for tensor in reader.tensors:
        numbers[tensor.tensor_type.name] += tensor.n_elements
    return len(reader.tensors), numbers


def read_safetensors(path):
    # The whole package is asked: what opens a file, and what reads bytes.
    with safetensors.safe_open(path, framework="numpy") as file:
        names = list(file.keys())
    tensors = safetensors.deserialize(path.read_bytes())
    assert sorted(names) == sorted(name for name, _ in tensors)
    numbers = Counter()
    for _, tensor in tensors:
        numbers[tensor["dtype"]] += int(np.prod(tensor["shape"], dtype=object))
    return len(tensors), numbers


def ask(path):
    def stop(*_):
        raise NoAnswer

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, ANSWER_SECONDS)
    try:
        tensors, numbers = (read_gguf if path.suffix == ".gguf" else read_safetensors)(path)
        return {"verdict": "read", "tensors": tensors, "dtypes": numbers, "parameters": sum(numbers.values())}
    except NoAnswer:
        return {"verdict": "no answer"}
    except Exception as error:  # whatever it is, the file is refused
        return {"verdict": "refused", "error": f"{type(error).__name__}: {error}"}
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


count = 0


def case(what, extension, content, slow=False):
    """Keeps a file and what the reader says of it. What is `slow` is large, and gets its time."""
    global count, ANSWER_SECONDS
    count += 1
    path = OUT / f"{count:05}.{extension}"
    path.write_bytes(content)
    usual = ANSWER_SECONDS
    ANSWER_SECONDS = 20 if slow else usual
    said = ask(path)
    ANSWER_SECONDS = usual
    if what.startswith("whole:") and said["verdict"] != "read":
        sys.exit(f"{path}, {what}: made by the package, and its reader says {said}")
    print(json.dumps({"file": path.name, "what": what, **said}))


def break_bytes(what, extension, content, places):
    """Every byte in turn is another one."""
    for at in places:
        for value in {0, 0xFF, content[at] ^ 1, content[at] ^ 0x20, (content[at] + 1) % 256} - {content[at]}:
            case(f"{what}, byte {at} is {value}", extension, content[:at] + bytes([value]) + content[at + 1 :])


def cut(what, extension, content, places):
    for end in places:
        case(f"{what}, cut at {end}", extension, content[:end])


# --- GGUF -------------------------------------------------------------------------------------------------------------


def written(fill, order="<", alignment=None):
    """A file as the package writes it, without the padding behind its last tensor."""
    path = OUT / "written"
    writer = gguf.GGUFWriter(path, "llama", endianess=ORDERS[order])
    if alignment is not None:
        writer.add_custom_alignment(alignment)
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    content = path.read_bytes()
    tensors = gguf.GGUFReader(path).tensors
    end = max((int(tensor.data_offset) + int(tensor.n_bytes) for tensor in tensors), default=len(content))
    path.unlink()
    return content[:end]


def add_tensor(writer, name, dtype, rows=2, blocks=1):
    block, size = GGML_QUANT_SIZES[dtype]
    native = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I8": np.int8, "I16": np.int16, "I32": np.int32,
              "I64": np.int64}.get(dtype.name)
    if native is None:
        writer.add_tensor(name, np.ones((rows, blocks * size), dtype=np.uint8), raw_dtype=dtype)
    else:
        writer.add_tensor(name, np.ones((rows, blocks * block), dtype=native))


def text(order, value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack(order + "Q", len(value)) + value


def built(order="<", version=3, entries=(), tensors=(), data=64, counts=None, alignment=32):
    """A file byte by byte: entries are (name, type, bytes), tensors (name, shape, type, offset)."""
    number = lambda form, *values: struct.pack(order + form, *values)
    content = b"GGUF" + number("I", version) + number("QQ", *(counts or (len(tensors), len(entries))))
    for name, kind, value in entries:
        content += text(order, name) + number("I", kind) + value
    for name, shape, kind, offset in tensors:
        content += text(order, name) + number("I", len(shape)) + number(f"{len(shape)}Q", *shape) + number("IQ", kind, offset)
    return content + bytes(-len(content) % alignment) + bytes(data)


def every_entry(writer):
    for kind in GGUFValueType:
        name = kind.name.lower()
        if kind not in (GGUFValueType.ARRAY, GGUFValueType.STRING):
            writer.add_key_value(f"a.{name}", 1, kind)
            writer.add_key_value(f"some.{name}", [1, 0, 1], GGUFValueType.ARRAY, sub_type=kind)
    writer.add_string("a.string", "ä text")
    writer.add_string("an.empty.string", "")
    writer.add_array("some.strings", ["a", "", "ä"])
    writer.add_array("nested", [[1, 2], [3]])
    writer.add_array("nested.more", [[["a"], ["b", "c"]], [["d"]]])


def whole_gguf():
    for order in ORDERS:
        for dtype in GGML_QUANT_SIZES:
            content = written(lambda writer: (add_tensor(writer, "first", GGMLQuantizationType.F32),
                                              add_tensor(writer, "last", dtype, 3, 2)), order)
            case(f"whole: {dtype.name} last, {order}", "gguf", content)
            case(f"whole: {dtype.name} last and padded, {order}", "gguf", content + bytes(-len(content) % 32))
            case(f"whole: {dtype.name} last, something behind it, {order}", "gguf", content + bytes(100))
            case(f"{dtype.name} last and cut, {order}", "gguf", content[:-1])
        for alignment in [1, 2, 4, 8, 16, 32, 64, 4096, 65536]:
            content = written(lambda writer: add_tensor(writer, "one", GGMLQuantizationType.Q4_0), order, alignment)
            case(f"whole: aligned to {alignment}, {order}", "gguf", content)
            case(f"aligned to {alignment} and cut, {order}", "gguf", content[:-1])
        case(f"whole: every type of metadata, {order}", "gguf", written(every_entry, order))
        case(f"whole: every type of metadata, a tensor, {order}", "gguf",
             written(lambda writer: (every_entry(writer), add_tensor(writer, "one", GGMLQuantizationType.IQ4_XS)), order))
        case(f"whole: no tensor, {order}", "gguf", written(lambda _: None, order))
        case(f"whole: nothing, {order}", "gguf", built(order, data=0))
        for version in range(6):
            whole = "whole: " if version in (2, 3) else ""
            case(f"{whole}version {version}, {order}", "gguf", built(order, version, [("a", 4, bytes(4))], [("t", [4], 0, 0)]))
    for dimensions in [0, 1, 2, 3, 4, 5, 8, 9, 63, 64, 65, 200]:
        for kind in [0, 30]:
            case(f"{dimensions} dimensions of type {kind}", "gguf", built(tensors=[("t", [1] * dimensions, kind, 0)]))
    for depth in [1, 2, 8, 63, 64, 65, 900]:
        value = struct.pack("<IQ", 9, 1) * (depth - 1) + struct.pack("<IQB", 0, 1, 1)
        case(f"arrays {depth} deep", "gguf", built(entries=[("a", 9, value)]))
    words = [f"token{number}" for number in range(20_000)]
    case("whole: a big header", "gguf", written(lambda writer: (
        writer.add_array("tokenizer.ggml.tokens", words),
        writer.add_array("tokenizer.ggml.scores", [0.5] * len(words)),
        *(add_tensor(writer, f"blk.{number}.ffn_down.weight", GGMLQuantizationType.Q4_K) for number in range(2_000)),
    )), slow=True)


def broken_gguf():
    fill = lambda writer: (
        writer.add_uint32("a", 7), writer.add_array("tokens", ["x", "yz"]), writer.add_array("ids", [1, 2, 3]),
        add_tensor(writer, "one", GGMLQuantizationType.MXFP4), add_tensor(writer, "two", GGMLQuantizationType.F32),
    )
    # Aligned to less, so that no padding hides where it ends.
    small, big = written(fill, "<", 8), written(fill, ">", 8)
    cut("two tensors", "gguf", small, range(len(small)))
    cut("two tensors, other order", "gguf", big, range(0, len(big), 3))
    data = min(int(tensor.data_offset) for tensor in read_back(small).tensors)
    break_bytes("two tensors", "gguf", small, range(data))
    break_bytes("two tensors, other order", "gguf", big, range(0, data, 5))
    entries = [("a", 4, bytes(4)), ("b", 8, text("<", "words")), ("c", 9, struct.pack("<IQ2H", 2, 2, 1, 1))]
    for last in range(3):
        without = built(entries=entries[:last + 1], data=0, alignment=1)
        cut("no tensor", "gguf", without, range(len(without)))
    one = [("t", [4], 0, 0)]
    for value in [0, 1, 3, 5, 24, 31, 33, 48, 2**31, 2**31 + 1, 2**32 - 1]:
        entry = [("general.alignment", 4, struct.pack("<I", value))]
        case(f"alignment {value}", "gguf", built(entries=entry, tensors=one, alignment=max(1, min(value, 4096))))
        case(f"alignment {value}, no tensor", "gguf", built(entries=entry, data=0))
    for kind, form in enumerate("BbHhIif?"):
        case(f"alignment of type {kind}", "gguf", built(entries=[("general.alignment", kind, struct.pack("<" + form, 1))], tensors=one))
    for kind, value in [(8, text("<", "32")), (9, struct.pack("<IQI", 4, 1, 32)), (10, struct.pack("<Q", 32)), (11, struct.pack("<q", 32))]:
        case(f"alignment of type {kind}", "gguf", built(entries=[("general.alignment", kind, value)], tensors=one))
    for name in ["a", "", "general.alignment", "ä"]:
        case(f"entries named {name!r} twice", "gguf", built(entries=[(name, 4, struct.pack("<I", 32))] * 2, tensors=one))
        case(f"whole: an entry named {name!r}", "gguf", built(entries=[(name, 4, struct.pack("<I", 32))], tensors=one))
        case(f"tensors named {name!r} twice", "gguf", built(tensors=[(name, [4], 0, 0), (name, [4], 0, 32)]))
    for name in ["GGUF.version", "GGUF.tensor_count", "GGUF.kv_count"]:
        case(f"an entry named {name}", "gguf", built(entries=[(name, 4, bytes(4))], tensors=one))
    for name in [b"\xff", b"\xed\xa0\x80", b"a\xc3", b"\xf4\x90\x80\x80"]:
        case(f"an entry named {name}", "gguf", built(entries=[(name, 4, bytes(4))], tensors=one))
        case(f"a tensor named {name}", "gguf", built(tensors=[(name, [4], 0, 0)]))
        case(f"whole: an entry that is {name}", "gguf", built(entries=[("a", 8, text("<", name))], tensors=one))
    for kind in [13, 14, 255, 2**16, 2**31, 2**32 - 1]:
        case(f"an entry of type {kind}", "gguf", built(entries=[("a", kind, bytes(8))], tensors=one))
        case(f"an array of type {kind}", "gguf", built(entries=[("a", 9, struct.pack("<IQQ", kind, 1, 0))], tensors=one))
        case(f"an empty array of type {kind}", "gguf", built(entries=[("a", 9, struct.pack("<IQ", kind, 0))], tensors=one))
    known = {int(dtype) for dtype in GGML_QUANT_SIZES}
    for kind in sorted(set(range(max(known) + 10)) - known) + [255, 2**16, 2**31, 2**32 - 1]:
        case(f"a tensor of type {kind}", "gguf", built(tensors=[("t", [256], kind, 0)]))
        case(f"a tensor of type {kind} that has no bytes", "gguf", built(tensors=[("t", [256], kind, 0)], data=0))
        case(f"a tensor of type {kind}, another after it", "gguf", built(tensors=[("t", [256], kind, 0), ("u", [4], 0, 32)]))
    for kind, block in [(2, 32), (12, 256), (23, 256), (39, 32), (40, 64), (41, 128)]:
        for row in [0, 1, block - 1, block, block + 1, block * 2]:
            case(f"rows of {row} of type {kind}", "gguf", built(tensors=[("t", [row, 2], kind, 0)], data=1024))
            case(f"rows of {row} of type {kind}, the other way round", "gguf", built(tensors=[("t", [2, row], kind, 0)], data=1024))
    for shape in [[0], [0, 2], [2, 0], [2**32, 2**32], [2**63], [2**64 - 1], [2**62], [0, 2**40, 2**40], [0, 2**63], [2**40, 0, 2**20], [2**31, 2**31]]:
        case(f"shape {shape}", "gguf", built(tensors=[("t", shape, 0, 0)]))
        case(f"shape {shape}, no bytes", "gguf", built(tensors=[("t", shape, 0, 0)], data=0, alignment=1))
    for offset in [1, 3, 31, 32, 48, 49, 64, 100, 2**20, 2**32, 2**63, 2**63 - 1, 2**64 - 32]:
        case(f"offset {offset}", "gguf", built(tensors=[("t", [4], 0, offset)]))
        case(f"offset {offset} of nothing", "gguf", built(tensors=[("t", [0], 0, offset)]))
    case("tensors on each other", "gguf", built(tensors=[("t", [8], 0, 0), ("u", [8], 0, 0)]))
    case("tensors across each other", "gguf", built(tensors=[("t", [8], 0, 0), ("u", [8], 0, 16)]))
    case("tensors with a hole", "gguf", built(tensors=[("t", [4], 0, 0), ("u", [4], 0, 48)]))
    case("tensors out of order", "gguf", built(tensors=[("t", [4], 0, 32), ("u", [4], 0, 0)]))
    for huge in [2, 3, 1000, 2**31, 2**32, 2**60, 2**63, 2**64 - 1]:
        entry = [("a", 4, bytes(4))]
        case(f"{huge} tensors claimed", "gguf", built(entries=entry, tensors=one, counts=(huge, 1)))
        case(f"{huge} entries claimed", "gguf", built(entries=entry, tensors=one, counts=(1, huge)))
        case(f"an array of {huge} strings claimed", "gguf", built(entries=[("a", 9, struct.pack("<IQ", 8, huge) + text("<", "x"))], tensors=one))
        case(f"an entry of {huge} letters claimed", "gguf", built(entries=[("a", 8, struct.pack("<Q", huge) + b"x")], tensors=one))
        case(f"{huge} dimensions claimed", "gguf", built(tensors=[("t", [4], 0, 0)])[:33] + struct.pack("<I", huge % 2**32) + bytes(80))
    case("an array of 2^60 numbers claimed", "gguf", built(entries=[("a", 9, struct.pack("<IQ", 0, 2**60) + b"x")], tensors=one))
    for magic in [b"GGML", b"gguf", b"FUGG", b"", b"GGU", b"version https://git-lfs.github.com/spec/v1\n", bytes(4096), b"PK\x03\x04"]:
        case(f"begins with {magic[:8]}", "gguf", magic + (b"" if len(magic) < 4 else bytes(64)))


def read_back(content):
    path = OUT / "read"
    path.write_bytes(content)
    return gguf.GGUFReader(path)


# --- safetensors ------------------------------------------------------------------------------------------------------


def packed(header, data=0):
    header = header if isinstance(header, bytes) else header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + bytes(data)


def tensor(dtype="F32", shape=(2,), start=0, end=8):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def dtypes():
    """The types that the package names itself when it meets another."""
    try:
        safetensors.deserialize(packed({"t": tensor("?")}, 8))
    except safetensors.SafetensorError as error:
        return re.findall(r"`(\w+)`", str(error).split("expected one of")[1])
    sys.exit("a type ? is refused by no reader")


def bits(dtype):
    """Found out by asking: the length of eight numbers that the package takes."""
    for eighth in range(1, 129):
        try:
            safetensors.deserialize(packed({"t": tensor(dtype, [8], 0, eighth)}, eighth))
            return eighth
        except safetensors.SafetensorError:
            pass
    sys.exit(f"no length of type {dtype} is right")


def whole_safetensors():
    for dtype in dtypes():
        size = bits(dtype)
        for shape, length in [([8], size), ([2, 4, 3], size * 3), ([0], 0), ([8, 0], 0)]:
            content = packed({"t": tensor(dtype, shape, 0, length)}, length)
            case(f"whole: {dtype} {shape}", "safetensors", content)
            case(f"{dtype} {shape} and cut", "safetensors", content[:-1])
            case(f"{dtype} {shape} and more", "safetensors", content + b"x")
        for number in range(1, 8):
            case(f"{number} of {dtype}", "safetensors", packed({"t": tensor(dtype, [number], 0, (size * number + 7) // 8)}, (size * number + 7) // 8))
        case(f"scalar of {dtype}", "safetensors", packed({"t": tensor(dtype, [], 0, (size + 7) // 8)}, (size + 7) // 8))
    for kind in [np.float64, np.float32, np.float16, np.int64, np.int8, np.uint16, np.bool_]:
        saved = safetensors.numpy.save({"a": np.ones((2, 3), kind), "b": np.ones(5, kind)}, metadata={"format": "np"})
        case(f"whole: saved {kind.__name__}", "safetensors", saved)
    case("whole: nothing", "safetensors", packed({}))
    case("whole: metadata alone", "safetensors", packed({"__metadata__": {"a": "b"}}))
    case("whole: spaces behind the header", "safetensors", packed(json.dumps({"t": tensor()}) + " " * 40, 8))
    case("whole: spaces before the header", "safetensors", packed(" \n\t" + json.dumps({"t": tensor()}), 8))
    many = {f"model.layers.{number}.mlp.experts.weight": tensor("F16", [2], number * 4, number * 4 + 4) for number in range(30_000)}
    case("whole: a big header", "safetensors", packed(many, 120_000), slow=True)
    case("whole: a long text", "safetensors", packed({"__metadata__": {"a": "x" * 3_000_000}}), slow=True)


def broken_safetensors():
    two = packed({"__metadata__": {"format": "pt"}, "a": tensor("F32", [2, 3], 0, 24), "b": tensor("BF16", [5], 24, 34)}, 34)
    cut("two tensors", "safetensors", two, range(len(two)))
    break_bytes("two tensors", "safetensors", two, range(len(two) - 34))
    for claimed in [0, 1, 7, 2**20, 99_999_999, 100_000_001, 2**31, 2**32, 2**63, 2**64 - 1]:
        case(f"a header of {claimed} bytes claimed", "safetensors", struct.pack("<Q", claimed) + two[8:])
    for dtype in ["F7", "f32", "", "F8", "F128", "MXFP4", "U4", "I4", "E8M0", "x" * 1000]:
        case(f"type {dtype[:9]}", "safetensors", packed({"a": tensor(dtype)}, 8))
        case(f"type {dtype[:9]}, another after it", "safetensors", packed({"a": tensor(dtype), "b": tensor("F32", [1], 8, 12)}, 12))
        case(f"type {dtype[:9]} and cut", "safetensors", packed({"a": tensor(dtype)}, 7))
    for value in [1, None, True, [], {}, {"F32": None}, {"F32": 1}, ["F32"]]:
        case(f"the type is {value}", "safetensors", packed({"a": tensor(value)}, 8))
    for metadata in [None, {}, {"a": 1}, {"a": None}, {"a": {}}, {"a": []}, {"a": True}, [], "", 1, {"a": "b", "c": 2.5}]:
        case(f"metadata {metadata}", "safetensors", packed({"__metadata__": metadata, "a": tensor()}, 8))
    one = json.dumps(tensor())
    for header in [
        f'{{"a": {one}, "a": {one}}}',
        f'{{"a": {one}, "a": {json.dumps(tensor("F16", [4]))}}}',
        f'{{"a": {json.dumps(tensor("F16", [5], 0, 10))}, "a": {one}}}',
        f'{{"__metadata__": {{}}, "__metadata__": {{}}, "a": {one}}}',
        f'{{"__metadata__": {{"a": "b", "a": "c"}}, "a": {one}}}',
        '{"a": {"dtype": "F32", "dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}',
        '{"a": {"dtype": "F32", "shape": [2], "shape": [2], "data_offsets": [0, 8]}}',
        '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], "more": 1}}',
        '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], "more": ' + "[" * 200 + "]" * 200 + "}}",
        '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], "more": 1e999}}',
        '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], "more": "\\ud800"}}',
        '{"a": {"dtype": "F32", "shape": [2]}}',
        '{"a": {"dtype": "F32", "data_offsets": [0, 8]}}',
        '{"a": {"shape": [2], "data_offsets": [0, 8]}}',
        '{"a": ["F32", [2], [0, 8]]}',
        '{"a": null}', '{"a": 1}', "[]", "null", '"text"', "1", "", "{", "{}}", "{} {}", "{}\0\0", "{'a': 1}", '{"a": }', "\ufeff{}",
        f'{{"": {one}}}',
        f'{{"\\u0061": {one}}}',
        f'{{"\\u005f_metadata__": {{"a": "b"}}, "b": {one}}}',
        f'{{"\\ud800": {one}}}',
        f'{{"a": {one},}}',
        f'{{"a": {one} /* text */}}',
    ]:
        case(f"header {header[:90]}", "safetensors", packed(header, 8))
    case("a name that is no text", "safetensors", packed(b'{"\xff": ' + one.encode() + b"}", 8))
    for shape in ["[2.0]", "[-2]", "[\"2\"]", "[2e0]", "[null]", "2", "{}", "[[2]]", "[18446744073709551616]", "[-0]", "[02]",
                  "[4294967296, 4294967296]", "[0, 9223372036854775808, 4]", "[9223372036854775808, 4, 0]", "[1,1,1,1,1,1,1,1,1,1,2]"]:
        case(f"shape {shape}", "safetensors", packed(f'{{"a": {{"dtype": "F32", "shape": {shape}, "data_offsets": [0, 8]}}}}', 8))
        case(f"shape {shape} of nothing", "safetensors", packed(f'{{"a": {{"dtype": "F32", "shape": {shape}, "data_offsets": [0, 0]}}}}', 0))
    for offsets in ["[0]", "[0, 8, 8]", "[]", "[8, 0]", "[1, 9]", "[0, 7]", "[0, 9]", "[-1, 7]", "[0.0, 8.0]", "[0, 18446744073709551615]", "null", "{}"]:
        case(f"offsets {offsets}", "safetensors", packed(f'{{"a": {{"dtype": "F32", "shape": [2], "data_offsets": {offsets}}}}}', 8))
    for first, second, size in [((0, 8), (0, 8), 8), ((0, 8), (4, 12), 12), ((0, 8), (9, 17), 17), ((8, 16), (0, 8), 16), ((0, 8), (8, 16), 24), ((4, 12), (12, 20), 20)]:
        case(f"tensors at {first} and {second}", "safetensors", packed({"a": tensor("F32", [2], *first), "b": tensor("F32", [2], *second)}, size))
    for empty in [0, 4, 8, 12, 16, 17]:
        case(f"nothing at {empty}", "safetensors", packed({"a": tensor(), "b": tensor("F32", [0], empty, empty), "c": tensor("F32", [2], 8, 16)}, 16))
    for begin in [b"", b"\x80\x04", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", b"<!DOCTYPE html>", bytes(4096), b"PK\x03\x04" + bytes(60)]:
        case(f"begins with {begin[:8]}", "safetensors", begin)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")  # of sums that wrap
    OUT.mkdir(parents=True, exist_ok=True)
    whole_gguf()
    broken_gguf()
    whole_safetensors()
    broken_safetensors()
