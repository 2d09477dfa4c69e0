import { mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { layersModel, type WeightEntry } from './layers-model.ts';
import { type ModelSpec, modelSpec, parameterBytes, parameterCount, parameterHash } from './model.ts';
import { type FeatureSchema, featureSchema, inputWidth } from './schema.ts';

/**
 * A trained model and what it is for. As files, a folder that TensorFlow.js, its converter, and `readModel` can load.
 *
 *   model.json       TensorFlow.js layers format; `userDefinedMetadata.parley` holds what follows
 *   weights.bin      float32, what `model.json` names
 *   parameters.f64   the exact parameters, little-endian doubles; their hash is in the metadata and the ledger
 */
export interface Model {
  readonly spec: ModelSpec;
  readonly schema: FeatureSchema;
  readonly parameters: Float64Array;
  /** the task that trained it, hex */
  readonly taskHash: string;
  /** what its privacy report says; kept as given, JSON */
  readonly guarantee: unknown;
}

/** Version of the metadata. A change that old readers would misread is a new number. */
const format = 1;

const metadata = z.strictObject({
  format: z.literal(format),
  spec: modelSpec,
  schema: featureSchema,
  taskHash: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits'),
  parametersHash: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits'),
  guarantee: z.unknown(),
});

/** A model in TensorFlow.js layers format, for an HTTP server: `model` is `model.json`, `weights` the `weights.bin` it names. */
export interface LayersJson {
  readonly model: LayersModelJson;
  readonly weights: Uint8Array<ArrayBuffer>;
}

export interface LayersModelJson {
  readonly format: 'layers-model';
  readonly generatedBy: string;
  readonly convertedBy: null;
  readonly modelTopology: object;
  readonly weightsManifest: readonly { readonly paths: readonly string[]; readonly weights: readonly WeightEntry[] }[];
  readonly userDefinedMetadata: { readonly parley: object };
}

/**
 * The model as TensorFlow.js loads it. A predictor's output is the probability of the positive label; a segmentation's
 * output j is 2·c_j·x − ‖c_j‖², largest for the nearest centre.
 *
 * @throws RangeError when the parameters are not as many as the spec and schema ask for, or not finite
 */
export function toLayersJson(artifact: Model): LayersJson {
  const { spec, schema, parameters, taskHash, guarantee } = artifact;
  const needed = parameterCount(spec, inputWidth(schema));
  if (parameters.length !== needed) throw new RangeError(`${needed} parameters needed, got ${parameters.length}`);
  const { topology, weights, values } = layersModel(spec, inputWidth(schema), parameters);
  const parley = { format, spec, schema, taskHash, parametersHash: parameterHash(parameters), guarantee };
  const model: LayersModelJson = {
    format: 'layers-model',
    generatedBy: 'Parley',
    convertedBy: null,
    modelTopology: topology,
    weightsManifest: [{ paths: ['weights.bin'], weights }],
    userDefinedMetadata: { parley },
  };
  return { model, weights: float32Bytes(values) };
}

/**
 * Writes a model's folder, replacing one that is there. Written beside it and renamed when complete, so that a crash
 * leaves the old model, the new one, or (between two renames) the old one under `<folder>.old`; never half of one.
 */
export async function writeModel(folder: string, artifact: Model): Promise<void> {
  const { model, weights } = toLayersJson(artifact);
  const parent = dirname(folder);
  await mkdir(parent, { recursive: true });
  const fresh = await mkdtemp(join(parent, `.${basename(folder)}-`));
  try {
    await writeDurably(join(fresh, 'model.json'), `${JSON.stringify(model, undefined, 2)}\n`);
    await writeDurably(join(fresh, 'weights.bin'), weights);
    await writeDurably(join(fresh, 'parameters.f64'), parameterBytes(artifact.parameters));
    await replace(fresh, folder);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Reads a model's folder and checks all of it: fields, lengths, hash, and that the three files are of one model.
 *
 * @throws Error naming the file and the field that does not hold
 */
export async function readModel(folder: string): Promise<Model> {
  const file = join(folder, 'model.json');
  const { spec, schema, taskHash, parametersHash, guarantee } = parseMetadata(file, await readFile(file, 'utf8'));
  const parameters = parseParameters(folder, await readFile(join(folder, 'parameters.f64')), spec, schema);
  if (parameterHash(parameters) !== parametersHash) {
    throw new Error(`${join(folder, 'parameters.f64')}: does not have the hash that model.json names`);
  }
  const artifact = { spec, schema, parameters, taskHash, guarantee };
  const weights = await readFile(join(folder, 'weights.bin'));
  if (!weights.equals(toLayersJson(artifact).weights)) {
    throw new Error(`${join(folder, 'weights.bin')}: does not hold the parameters of parameters.f64`);
  }
  return artifact;
}

function parseMetadata(file: string, text: string): z.infer<typeof metadata> {
  const whole = z.looseObject({ userDefinedMetadata: z.looseObject({ parley: metadata }) });
  const parsed = whole.safeParse(parseJson(file, text));
  if (parsed.success) return parsed.data.userDefinedMetadata.parley;
  const issue = parsed.error.issues[0]!;
  throw new Error(`${file}: ${issue.path.join('.')}: ${issue.message}`);
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${file}: is not JSON`);
  }
}

function parseParameters(folder: string, bytes: Buffer, spec: ModelSpec, schema: FeatureSchema): Float64Array {
  const file = join(folder, 'parameters.f64');
  const count = parameterCount(spec, inputWidth(schema));
  if (bytes.length !== count * 8) throw new Error(`${file}: ${count * 8} bytes needed, has ${bytes.length}`);
  const parameters = Float64Array.from({ length: count }, (_, i) => bytes.readDoubleLE(i * 8));
  const bad = parameters.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new Error(`${file}: parameter ${bad} is not finite`);
  return parameters;
}

function float32Bytes(values: Float64Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) view.setFloat32(index * 4, value, true);
  return bytes;
}

async function writeDurably(file: string, content: string | Uint8Array): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A folder cannot be renamed over one that is not empty: the old one steps aside first. */
async function replace(fresh: string, folder: string): Promise<void> {
  const old = `${folder}.old`;
  await rm(old, { recursive: true, force: true });
  await rename(folder, old).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rename(fresh, folder);
  await rm(old, { recursive: true, force: true });
}
