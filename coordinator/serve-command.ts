import type { Secret } from '../aggregation/at-rest.ts';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import { keysIn, protectionOf } from '../aggregation/folder-keys.ts';
import { kernelsUsed } from '../aggregation/kernels/load-kernels.ts';
import { openLog } from '../aggregation/log.ts';
import { type SecretOptions, secretFor } from '../aggregation/secret.ts';
import { endWithin, toldToEnd } from '../aggregation/told-to-end.ts';
import { serve } from './serve.ts';
import { SQLITE_SCHEMA } from './store/sqlite-schema.ts';
import { StoreDamaged } from './store/store-damaged.ts';
import type { TlsFiles } from './tls.ts';

/** `parley coordinator`: runs until SIGINT or SIGTERM, and then opens what can be opened and leaves the rest on disk. */
export async function runCoordinator(
  options: SecretOptions & {
    folder: string;
    store?: string;
    host: string;
    port: number;
    tlsCert?: string;
    tlsKey?: string;
    trustProxy?: string;
    insecurePlaintext?: boolean;
    shutdownSeconds: number;
    openReading?: boolean;
    newOperator?: string;
    logLevel: string;
    json?: boolean;
  },
  version: string,
): Promise<void> {
  const tls = tlsFiles(options);
  const secret = await secretFor(protectionOf(options.folder), options);
  const log = openLog(options.logLevel, options.json === true);
  log.info(await kernelsUsed(), 'kernels are ready');
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  // from a timer or a socket, where nobody catches: its code says what kind it is, as that of any other failure
  process.once('uncaughtException', failed.reject);
  const told = toldToEnd(options.shutdownSeconds, log);
  const { store: storeUrl, trustProxy, ...rest } = options;
  const tell = (url: string, leads: boolean): void =>
    console.log(JSON.stringify({ url, pid: process.pid, ...(leads ? {} : { standby: true }) }));
  const serving = await serve({
    ...{ ...rest, storeUrl, secret, version, log, signal: told, tls },
    trustProxy: trustProxy?.split(',').map((address) => address.trim()),
    onFailure: failed.reject,
    onStandby: (url) => tell(url, false),
  }).catch(async (error: unknown) => {
    if (told.aborted) return undefined; // told to end while it stood by
    throw error instanceof StoreDamaged ? await diagnosed(error, options, secret) : error;
  });
  if (serving === undefined) return;
  tell(serving.url, true);
  process.on('SIGHUP', serving.lookAtCertificate);
  try {
    // what is broken here (a full disk, above all) ends the process: everything acknowledged is on disk, a restart goes on
    await Promise.race([ended(told), failed.promise]);
  } finally {
    log.info('coordinator stops');
    if (!told.aborted) endWithin(options.shutdownSeconds, EXIT.failed, log);
    await serving.close();
  }
}

/** What does not hold, a line each, and what to do. */
async function diagnosed(
  error: StoreDamaged,
  options: { folder: string; store?: string },
  secret?: Secret,
): Promise<StoreDamaged> {
  const { identity } = keysIn(options.folder, secret);
  const { checkFolder, table } = await import('./keeping/keeping-commands.ts');
  const lines = await checkFolder(options, identity).then(table, ({ message }: Error) => message);
  return new StoreDamaged(`${error.message}\n${lines}\n${SQLITE_SCHEMA.wayOut}`);
}

function tlsFiles({ tlsCert: cert, tlsKey: key }: { tlsCert?: string; tlsKey?: string }): TlsFiles | undefined {
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert === undefined && key === undefined) return undefined;
  throw new CommandError(EXIT.usage, '--tls-cert and --tls-key belong together: give both');
}

const ended = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
