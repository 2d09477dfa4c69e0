import { protectionOf } from '../aggregation/folder-keys.ts';
import { kernelsUsed } from '../aggregation/kernels/load-kernels.ts';
import { openLog } from '../aggregation/log.ts';
import { type SecretOptions, secretFor } from '../aggregation/secret.ts';
import { serve } from './serve.ts';

/** `parley coordinator`: runs until SIGINT or SIGTERM. */
export async function runCoordinator(
  options: SecretOptions & { folder: string; host: string; port: number; logLevel: string; json?: boolean },
  version: string,
): Promise<void> {
  const secret = await secretFor(protectionOf(options.folder), options);
  const log = openLog(options.logLevel, options.json === true);
  log.info(await kernelsUsed(), 'kernels are ready');
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  const serving = await serve({ ...options, secret, version, log, onFailure: failed.reject });
  console.log(JSON.stringify({ url: serving.url, pid: process.pid }));
  const told = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  try {
    // what is broken here (a full disk, above all) ends the process: everything acknowledged is on disk, a restart goes on
    await Promise.race([told, failed.promise]);
  } finally {
    log.info('coordinator stops');
    await serving.close();
  }
}
