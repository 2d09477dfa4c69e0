"""One masked sum with Flower's own SecAgg+ functions: 100 clients, 32 neighbours each, 30 of the clients gone.

Prints one JSON object. Milliseconds are CPU time of this process, the least of several runs after one to warm up; the
server's unmasking, which takes seconds, once. The vector arithmetic is timed, not key agreement, encrypted shares and their
recovery: what Flower needs is more than this. Its pseudo_rand_gen folds a seed to 32 bits for numpy's MT19937, which is
faster than a cipher, and no secret from whoever tries all seeds.
"""

import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
import time
import types

import numpy

VALUES = int(sys.argv[1])
RUNS = int(sys.argv[2])
CLIENTS, NEIGHBOURS, GONE = 100, 32, 30
CLIPPING_RANGE = 8.0  # Flower's default
TARGET_RANGE = 2**16  # 16-bit values; Flower's default is 2**22
MOD_RANGE = 2**32  # Flower's default


def flower(name):
    """A module of the installed wheel, without the __init__ of the packages above it: they import gRPC and twenty more."""
    if "flwr" not in sys.modules:
        folder = os.path.dirname(importlib.util.find_spec("flwr").origin)
        for package, path in (("flwr", folder), ("flwr.common", os.path.join(folder, "common"))):
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].__path__ = [path]
        typing = importlib.import_module("flwr.compat.common.typing")
        sys.modules["flwr.common"].NDArrayInt = typing.NDArrayInt
        sys.modules["flwr.common"].NDArrayFloat = typing.NDArrayFloat
    return importlib.import_module(name)


arithmetic = flower("flwr.common.secure_aggregation.ndarrays_arithmetic")
quantization = flower("flwr.common.secure_aggregation.quantization")
pseudo_rand_gen = flower("flwr.common.secure_aggregation.secaggplus_utils").pseudo_rand_gen
parameter = flower("flwr.compat.common.parameter")


def neighbours(client):
    """As SecAggPlusWorkflow.setup_stage arranges them: a ring, half of them to each side."""
    half = NEIGHBOURS // 2
    return [(client + offset) % CLIENTS for offset in range(-half, half + 1) if offset != 0]


def pair_seed(one, other):
    """Stands for generate_shared_key: 44 bytes, the same for both."""
    return f"{min(one, other):022d}{max(one, other):022d}".encode()


def own_seed(client):
    return f"{client:032d}".encode()


def quantise(values):
    return arithmetic.factor_combine(1, quantization.quantize([values], CLIPPING_RANGE, TARGET_RANGE))


def mask(client, vector):
    """What secaggplus_mod._collect_masked_vectors adds."""
    shapes = arithmetic.get_parameters_shape(vector)
    vector = arithmetic.parameters_addition(vector, pseudo_rand_gen(own_seed(client), MOD_RANGE, shapes))
    for other in neighbours(client):
        pairwise = pseudo_rand_gen(pair_seed(client, other), MOD_RANGE, shapes)
        combine = arithmetic.parameters_addition if client > other else arithmetic.parameters_subtraction
        vector = combine(vector, pairwise)
    return vector


def upload(vector):
    return [parameter.ndarray_to_bytes(array) for array in arithmetic.parameters_mod(vector, MOD_RANGE)]


def add(total, uploaded):
    return arithmetic.parameters_addition(total, [parameter.bytes_to_ndarray(array) for array in uploaded])


def unmask(total, gone):
    """What SecAggPlusWorkflow.unmask_stage takes away, and how many masks it expands for that."""
    shapes = arithmetic.get_parameters_shape(total)
    expanded = 0
    for client in range(CLIENTS):
        if client not in gone:
            total = arithmetic.parameters_subtraction(total, pseudo_rand_gen(own_seed(client), MOD_RANGE, shapes))
            expanded += 1
            continue
        for other in neighbours(client):  # those that are gone, too: Flower adds and takes away the same mask
            pairwise = pseudo_rand_gen(pair_seed(client, other), MOD_RANGE, shapes)
            combine = arithmetic.parameters_addition if client > other else arithmetic.parameters_subtraction
            total = combine(total, pairwise)
            expanded += 1
    return arithmetic.parameters_mod(total, MOD_RANGE), expanded


def check():
    """The whole of it on short vectors: the same functions must open the sum of those who are left."""
    gone = set(range(0, CLIENTS, 3)[:GONE])
    values = numpy.random.default_rng(1).uniform(-1, 1, (CLIENTS, 100))
    vectors = [quantise(row) for row in values]
    left = [client for client in range(CLIENTS) if client not in gone]
    total = [parameter.bytes_to_ndarray(array) for array in upload(mask(left[0], vectors[left[0]]))]
    for client in left[1:]:
        total = add(total, upload(mask(client, vectors[client])))
    opened, _ = unmask(arithmetic.parameters_mod(total, MOD_RANGE), gone)
    expected = sum(vectors[client][1].astype(numpy.int64) for client in left)
    if not numpy.array_equal(opened[1], expected):
        sys.exit("the sum that is opened is not that of the clients that are left")


def main():
    check()
    values = numpy.random.default_rng(2).uniform(-1, 1, VALUES)
    quantise_ms, quantised = least(lambda: quantise(values))
    masks_ms, masked = least(lambda: mask(0, quantised))
    upload_ms, uploaded = least(lambda: upload(masked))
    total = [parameter.bytes_to_ndarray(array) for array in uploaded]
    add_ms, _ = least(lambda: add(total, uploaded))
    open_ms, (_, expanded) = timed(lambda: unmask(total, set(range(GONE))))

    print(
        json.dumps(
            {
                "peer": "Flower SecAgg+",
                "versions": {
                    "flwr": importlib.metadata.version("flwr"),
                    "numpy": numpy.__version__,
                    "python": platform.python_version(),
                },
                "threads": 1,
                "values": VALUES,
                "clientMs": round(quantise_ms + masks_ms + upload_ms, 2),
                "serverMsPerClient": add_ms,
                "openMs": open_ms,
                "bytesPerValue": round(sum(map(len, uploaded)) / VALUES, 2),
                "parts": {"quantise": quantise_ms, "33 masks": masks_ms, "mod and serialize": upload_ms},
                "note": f"{CLIENTS} clients, {NEIGHBOURS} neighbours, {GONE} gone: {expanded} masks expanded to open, all run; "
                "masks are MT19937 with seeds of 32 bits; no key agreement counted",
            }
        )
    )


def least(work):
    """CPU milliseconds of the fastest of RUNS, and what `work` returned."""
    work()
    runs = [timed(work) for _ in range(RUNS)]
    return min(ms for ms, _ in runs), runs[0][1]


def timed(work):
    start = time.process_time()
    result = work()
    return round(1000 * (time.process_time() - start), 2), result


main()
