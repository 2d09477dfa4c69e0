import { compiledKernels, WORKSHOP, type Workshop } from './compile.ts';
import type { Kernels } from './kernels.ts';
import { typescriptKernels } from './typescript/kernels.ts';
import { wasmKernels } from './wasm/kernels.ts';

let shared: Promise<Kernels> | undefined;

/**
 * The kernels of this process: WebAssembly where it can be had, else plain TypeScript, whose `reason` says why and is
 * worth one line of log. The very first call on a machine compiles and keeps the thread for a second or two; before
 * starting several processes make one such call.
 */
export function loadKernels(): Promise<Kernels> {
  shared ??= kernelsOf(WORKSHOP);
  return shared;
}

/** For the log, at the start: which they are, and why it is not WebAssembly, with which sums are several times as fast. */
export async function kernelsUsed(): Promise<{ readonly kernels: Kernels['name']; readonly notWasm?: string }> {
  const { name, reason } = await loadKernels();
  return { kernels: name, ...(reason === undefined ? {} : { notWasm: reason }) };
}

/** The same, new, from another cache or compiler. */
export async function kernelsOf(workshop: Workshop): Promise<Kernels> {
  try {
    return (await wasmKernels(await compiledKernels(workshop))).kernels;
  } catch (cause) {
    return typescriptKernels(cause instanceof Error ? cause.message : String(cause));
  }
}
