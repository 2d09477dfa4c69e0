import { openLog } from '../aggregation/log.ts';
import { serve } from './serve.ts';

/** `parley coordinator`: runs until SIGINT or SIGTERM. */
export async function runCoordinator(
  options: { folder: string; host: string; port: number; logLevel: string; json?: boolean },
  version: string,
): Promise<void> {
  const log = openLog(options.logLevel, options.json === true);
  const serving = await serve({ ...options, version, log });
  console.log(JSON.stringify({ url: serving.url, pid: process.pid }));
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  log.info('coordinator stops');
  await serving.close();
}
