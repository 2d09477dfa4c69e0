import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import util from 'node:util';
import * as tfCore from '@tensorflow/tfjs-core';

/** TensorFlow.js without layers or converter: what the kernels here need, loaded in a third of the time. */
export type TensorFlow = typeof tfCore;

/** Where tensors are computed, fastest first. The first two are optional packages. */
export const backendNames = ['tfjs-node-gpu', 'webgpu', 'wasm', 'cpu'] as const;
export type BackendName = (typeof backendNames)[number];

export interface Backend {
  readonly name: BackendName;
  readonly tf: TensorFlow;
  /** the faster ones that were not used, and why; for the log */
  readonly passedOver: readonly { readonly name: BackendName; readonly reason: string }[];
}

/** How long a GPU may take to answer before it is passed over. */
const gpuTimeoutMs = 15_000;

/**
 * Starts the fastest backend this machine has, or exactly the one wanted. Each must multiply two small matrices
 * correctly before it is used. Absence of a GPU or of its package is normal and silent.
 *
 * TensorFlow.js has one active backend per process: starting another one replaces it for everybody.
 *
 * @throws Error saying how to install it, when the wanted backend cannot be used
 */
export async function startBackend(wanted?: BackendName): Promise<Backend> {
  tfCore.enableProdMode();
  const passedOver: { name: BackendName; reason: string }[] = [];
  for (const name of wanted === undefined ? backendNames : [wanted]) {
    try {
      const registered = await open[name](wanted !== undefined);
      await withTimeout(probe(registered), name);
      return { name, tf: tfCore, passedOver };
    } catch (error) {
      const reason = firstLine(error);
      if (wanted !== undefined) throw new Error(`backend ${name} cannot be used: ${reason}; ${wayOut[name]}`);
      passedOver.push({ name, reason });
    }
  }
  throw new Error(`no backend works: ${passedOver.map(({ name, reason }) => `${name}: ${reason}`).join('; ')}`);
}

const wayOut: Record<BackendName, string> = {
  'tfjs-node-gpu': 'npm install @tensorflow/tfjs-node-gpu on a machine with CUDA, or choose another backend',
  webgpu: 'npm install webgpu @tensorflow/tfjs-backend-webgpu, or choose another backend',
  wasm: 'reinstall @tensorflow/tfjs-backend-wasm, or choose cpu',
  cpu: 'reinstall @tensorflow/tfjs',
};

/** Loads a backend's package. Gives the name under which TensorFlow.js knows it. */
const open: Record<BackendName, (forced: boolean) => Promise<string>> = {
  'tfjs-node-gpu': openCuda,
  webgpu: openWebGpu,
  wasm: openWasm,
  cpu: openCpu,
};

async function openCuda(): Promise<string> {
  // TensorFlow's native library takes seconds to load: not when there is nothing to gain
  if (process.platform === 'linux' && !hasDevice(['/dev/nvidiactl', '/dev/dxg'])) throw new Error('no NVIDIA device');
  process.env.NVIDIA_TF32_OVERRIDE = '0'; // TF32 keeps 10 bits of a float32's 23
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  shimNodeUtil();
  await importOptional('@tensorflow/tfjs-node-gpu');
  const { isUsingGpuDevice } = tfCore.backend() as unknown as { isUsingGpuDevice?: boolean };
  if (isUsingGpuDevice !== true) throw new Error('CUDA found no device');
  return 'tensorflow';
}

async function openWebGpu(forced: boolean): Promise<string> {
  // Dawn prints a warning when it cannot load a driver: not on a machine without a device
  if (process.platform === 'linux' && !forced && !hasDevice(['/dev/dri', '/dev/nvidiactl', '/dev/dxg'])) {
    throw new Error('no GPU device');
  }
  const { create, globals } = await importOptional('webgpu');
  const gpu = create([]);
  const adapter = await withTimeout<{ info?: { description?: string } } | null>(gpu.requestAdapter(), 'webgpu');
  if (adapter === null) throw new Error('no GPU adapter');
  const description = adapter.info?.description ?? '';
  if (!forced && /llvmpipe|swiftshader|software/i.test(description)) throw new Error(`software adapter ${description}`);
  Object.assign(globalThis, globals);
  const navigator = { gpu, userAgent: 'node' };
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true, writable: true });
  await importOptional('@tensorflow/tfjs-backend-webgpu');
  return 'webgpu';
}

async function openWasm(): Promise<string> {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  const main = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${dirname(main)}/`);
  return 'wasm';
}

async function openCpu(): Promise<string> {
  await importOptional('@tensorflow/tfjs-backend-cpu');
  return 'cpu';
}

/** Sets the backend and has it multiply [1 2; 3 4] by [5 6; 7 8]. */
async function probe(registered: string): Promise<void> {
  if (!(await tfCore.setBackend(registered))) throw new Error('it does not start');
  await tfCore.ready();
  const product = tfCore.tidy(() =>
    tfCore.matMul(tfCore.tensor2d([1, 2, 3, 4], [2, 2]), tfCore.tensor2d([5, 6, 7, 8], [2, 2])),
  );
  const values = await product.data();
  product.dispose();
  if (values.join() !== '19,22,43,50') throw new Error('it multiplies wrongly');
}

/** An import the compiler does not resolve: the package may be absent. */
// biome-ignore lint/suspicious/noExplicitAny: optional packages bring no types when they are absent
async function importOptional(name: string): Promise<any> {
  try {
    return await import(name);
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    throw absent ? new Error(`package ${name} is not installed`) : error;
  }
}

/** tfjs-node calls functions that Node 23 removed from `util`. */
function shimNodeUtil(): void {
  const legacy = util as unknown as Record<string, unknown>;
  legacy.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  legacy.isArray ??= Array.isArray;
}

async function withTimeout<T>(work: Promise<T>, name: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} did not answer within ${gpuTimeoutMs} ms`)), gpuTimeoutMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function hasDevice(paths: readonly string[]): boolean {
  return paths.some((path) => existsSync(path));
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0]!.trim();
}
