import type { Logger } from 'pino';
import { loadKernels } from './load-kernels.ts';

/** Loads the kernels before the first task does, and says so where plain TypeScript must do their work: the same sums, several times slower. */
export async function readyKernels(log: Pick<Logger, 'info' | 'warn'>): Promise<void> {
  const { name, reason } = await loadKernels();
  if (reason === undefined) log.info({ kernels: name }, 'kernels are ready');
  else log.warn({ kernels: name, reason }, 'the WebAssembly kernels cannot be had; sums will be slower');
}
