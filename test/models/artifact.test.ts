import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Model, readModel, toLayersJson, writeModel } from '../../models/artifact.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { assignments, centresOf, nextCentres } from '../../models/k-means.ts';
import { initialParameters, type ModelSpec, networkOf, parameterCount } from '../../models/model.ts';
import { scores } from '../../models/network.ts';
import { encodedOf, gaussianFrom, schema, uniformFrom } from './tables.ts';

let backend: Backend;
let folder: string;
beforeAll(async () => {
  backend = await startBackend('wasm');
  folder = await mkdtemp(join(tmpdir(), 'parley-artifact-'));
});
afterAll(() => rm(folder, { recursive: true }));

function modelOf(spec: ModelSpec, seed = 1): Model {
  const gaussian = gaussianFrom(seed);
  const parameters = Float64Array.from({ length: parameterCount(spec, 4) }, gaussian);
  return { spec, schema, parameters, taskHash: 'ab'.repeat(32), guarantee: { epsilon: [1, 2], unit: 'customer' } };
}

const someRows = (count: number) => {
  const uniform = uniformFrom(2);
  return Array.from({ length: count }, () => [0, 0, 0, 0].map(() => 2 * uniform() - 1));
};

/** Loads as any application would: TensorFlow.js, nothing of ours. */
async function predictWithLayers(model: Model, rows: number[][]): Promise<Float32Array> {
  const { model: json, weights } = toLayersJson(model);
  const loaded = await tf.loadLayersModel(
    tf.io.fromMemory({
      modelTopology: json.modelTopology,
      weightSpecs: json.weightsManifest.flatMap((group) => group.weights) as tf.io.WeightsManifestEntry[],
      weightData: weights.buffer,
    }),
  );
  const input = tf.tensor2d(rows);
  const output = loaded.predict(input) as tf.Tensor;
  const values = (await output.data()) as Float32Array;
  tf.dispose([input, output]);
  loaded.dispose();
  return values;
}

const mlp: ModelSpec = { kind: 'mlp', hidden: [6, 3], seed: 1 };

describe('layers format', () => {
  test.each([{ kind: 'logistic' } as const, mlp])('TensorFlow.js scores with $kind as we do', async (spec) => {
    const model = modelOf(spec);
    const rows = someRows(50);
    const theirs = await predictWithLayers(model, rows);
    const ours = await scores(backend, networkOf(spec, 4), model.parameters, Float32Array.from(rows.flat()));
    expect(theirs).toHaveLength(50);
    for (const [i, score] of ours.entries()) expect(Math.abs(theirs[i]! - score)).toBeLessThan(1e-6);
  });

  test('the largest output of a segmentation is the nearest centre', async () => {
    const spec: ModelSpec = { kind: 'k-means', clusters: 3 };
    const shape = { clusters: 3, width: 4, labelled: false };
    const gaussian = gaussianFrom(4);
    const sums = new Float64Array(18 * 5).map(() => 50 + 30 * gaussian());
    const parameters = nextCentres(sums, initialParameters(spec, 4), shape, 1);
    const rows = someRows(60);
    const outputs = await predictWithLayers({ ...modelOf(spec), parameters }, rows);
    const nearest = assignments(
      centresOf(parameters, shape),
      encodedOf(
        rows,
        rows.map(() => 0),
      ),
    );
    for (const [i, cluster] of nearest.entries()) {
      const output = [...outputs.subarray(3 * i, 3 * i + 3)];
      expect(output.indexOf(Math.max(...output))).toBe(cluster);
    }
  });

  test('the metadata holds the schema, the task, and the hash of the exact parameters', () => {
    const { userDefinedMetadata } = toLayersJson(modelOf(mlp)).model;
    expect(userDefinedMetadata.parley).toMatchObject({ format: 1, schema, taskHash: 'ab'.repeat(32), spec: mlp });
  });

  test('parameters of another length are refused', () => {
    const model = { ...modelOf(mlp), parameters: new Float64Array(3) };
    expect(() => toLayersJson(model)).toThrow('55 parameters needed, got 3');
  });
});

describe('model folder', () => {
  test.each([{ kind: 'logistic' } as const, mlp, { kind: 'k-means', clusters: 2 } as const])(
    'a $kind comes back to the last bit',
    async (spec) => {
      const model = modelOf(spec);
      await writeModel(join(folder, spec.kind), model);
      expect(await readModel(join(folder, spec.kind))).toEqual(model);
    },
  );

  test('writing again replaces the model and leaves nothing else behind', async () => {
    const inside = join(folder, 'replaced');
    await writeModel(join(inside, 'model'), modelOf(mlp, 1));
    await writeModel(join(inside, 'model'), modelOf(mlp, 2));
    expect((await readModel(join(inside, 'model'))).parameters).toEqual(modelOf(mlp, 2).parameters);
    expect(await readdir(inside)).toEqual(['model']);
  });

  test('a model that cannot be written leaves the one that is there', async () => {
    const inside = join(folder, 'kept');
    await writeModel(join(inside, 'model'), modelOf(mlp));
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    await expect(writeModel(join(inside, 'model'), { ...modelOf(mlp, 2), guarantee: cyclic })).rejects.toThrow();
    expect(await readModel(join(inside, 'model'))).toEqual(modelOf(mlp));
    expect(await readdir(inside)).toEqual(['model']);
  });

  type Metadata = { userDefinedMetadata: { parley: Record<string, unknown> } };
  const metadata = (change: (parley: Record<string, unknown>) => void) => async (at: string) => {
    const json = JSON.parse(await readFile(join(at, 'model.json'), 'utf8')) as Metadata;
    change(json.userDefinedMetadata.parley);
    await writeFile(join(at, 'model.json'), JSON.stringify(json));
  };
  const flip = (file: string, byte: number) => async (at: string) => {
    const bytes = await readFile(join(at, file));
    bytes[byte]! ^= 1;
    await writeFile(join(at, file), bytes);
  };
  test.each<[string, (at: string) => Promise<void>, RegExp]>([
    ['no JSON', (at) => writeFile(join(at, 'model.json'), '{'), /model\.json: is not JSON/],
    ['no metadata', (at) => writeFile(join(at, 'model.json'), '{}'), /model\.json: userDefinedMetadata: /],
    [
      'a later format',
      metadata((p) => {
        p.format = 2;
      }),
      /model\.json: userDefinedMetadata\.parley\.format: /,
    ],
    [
      'a task that is no hash',
      metadata((p) => {
        p.taskHash = 'x';
      }),
      /parley\.taskHash: must be 64 hexadecimal/,
    ],
    [
      'a schema that is none',
      metadata((p) => {
        p.schema = { features: [] };
      }),
      /parley\.schema/,
    ],
    [
      'another spec',
      metadata((p) => {
        p.spec = { kind: 'logistic' };
      }),
      /parameters\.f64: 40 bytes needed, has 440/,
    ],
    ['one bit of a parameter', flip('parameters.f64', 0), /parameters\.f64: does not have the hash/],
    ['a parameter that is not finite', (at) => flipToNaN(at), /parameters\.f64: parameter 0 is not finite/],
    ['one bit of a weight', flip('weights.bin', 5), /weights\.bin: does not hold the parameters/],
    ['no weights', (at) => rm(join(at, 'weights.bin')), /ENOENT.*weights\.bin/],
  ])('%s is refused, file and field named', async (name, tamper, message) => {
    const at = join(folder, `tampered ${name}`);
    await writeModel(at, modelOf(mlp));
    await tamper(at);
    await expect(readModel(at)).rejects.toThrow(message);
  });

  async function flipToNaN(at: string): Promise<void> {
    const bytes = await readFile(join(at, 'parameters.f64'));
    bytes.writeDoubleLE(Number.NaN, 0);
    await writeFile(join(at, 'parameters.f64'), bytes);
  }
});
