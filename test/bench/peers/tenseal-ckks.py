"""One homomorphic sum with TenSEAL as NVFlare uses it: CKKS, one key shared by all clients.

Prints one JSON object. Milliseconds are CPU time of this process, the least of several runs after one to warm up.
The parameters are NVFlare's (its TenSEAL provisioning: degree 8192, moduli of 60, 40 and 40 bits, scale 2^40). The calls
are those of its HEModelEncryptor, HEInTimeAccumulateWeightedAggregator and HEModelDecryptor (app_opt/he), for one layer of
all values. Its weighting and its division by the number of steps are left out: what is timed is the sum.
"""

import json
import platform
import sys
import time

import numpy
import tenseal

VALUES = int(sys.argv[1])
RUNS = int(sys.argv[2])
CLIENTS = 3


def main():
    keys = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, poly_modulus_degree=8192, coeff_mod_bit_sizes=[60, 40, 40], n_threads=1
    )
    keys.global_scale = 2**40
    client = tenseal.context_from(keys.serialize(save_secret_key=True), 1)
    server = tenseal.context_from(keys.serialize(), 1)

    values = numpy.random.default_rng(1).uniform(-1, 1, VALUES)
    encrypt_ms, upload = least(lambda: tenseal.ckks_vector(client, values).serialize())

    total = tenseal.ckks_vector_from(server, upload)
    for _ in range(CLIENTS - 2):
        total = total + tenseal.ckks_vector_from(server, upload)
    add_ms, total = least(lambda: total + tenseal.ckks_vector_from(server, upload))

    download = total.serialize()
    decrypt_ms, opened = least(lambda: tenseal.ckks_vector_from(client, download).decrypt())
    error = numpy.abs(numpy.array(opened) - CLIENTS * values).max()
    if error > 1e-5:
        sys.exit(f"the sum is off by {error}")

    print(
        json.dumps(
            {
                "peer": "TenSEAL as NVFlare uses it",
                "versions": {
                    "tenseal": tenseal.__version__,
                    "numpy": numpy.__version__,
                    "python": platform.python_version(),
                },
                "threads": 1,
                "values": VALUES,
                "clientMs": encrypt_ms,
                "serverMsPerClient": add_ms,
                "openMs": decrypt_ms,
                "bytesPerValue": round(len(upload) / VALUES, 2),
                "parts": {"encrypt and serialize": encrypt_ms, "load and add": add_ms, "load and decrypt": decrypt_ms},
                "note": "all clients share the secret key; each of them decrypts",
            }
        )
    )


def least(work):
    """CPU milliseconds of the fastest of RUNS, and what `work` returned."""
    work()
    spent = []
    for _ in range(RUNS):
        start = time.process_time()
        result = work()
        spent.append(round(1000 * (time.process_time() - start), 2))
    return min(spent), result


main()
