import { existsSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import { fingerprint, type Identity } from '../aggregation/identity.ts';
import { kernelsUsed } from '../aggregation/kernels/load-kernels.ts';
import { openLog } from '../aggregation/log.ts';
import type { Plan } from '../aggregation/plan.ts';
import type { SecretOptions } from '../aggregation/secret.ts';
import { PROTECTING_SUMS } from '../aggregation/secure-sum.ts';
import { unitOf } from '../aggregation/settings.ts';
import { toldToEnd } from '../aggregation/told-to-end.ts';
import { writeModel } from '../models/artifact.ts';
import { type BackendName, startBackend } from '../models/backend.ts';
import { readEntry } from '../privacy/ledger.ts';
import { threadedNoise } from '../privacy/noise-supply.ts';
import { secureRandom } from '../privacy/random.ts';
import { type ClientStore, openClientStore } from './client-store.ts';
import { customersOf, policyOf } from './command-input.ts';
import { stayConnected } from './connect.ts';
import { enrol } from './enrol.ts';
import { modelsFolder, openedKeys, policyFile, storeFile } from './folder.ts';
import { readExport } from './ledger-commands.ts';
import { hasNextKey } from './next-key.ts';
import { type ClientEvent, createParticipant, type Finished, type Participant } from './participant.ts';
import { type Policy, policySchema, readContract } from './policy.ts';
import { asTenant } from './reader.ts';

/** `parley tenant fingerprint` */
export async function showFingerprint(options: SecretOptions & { folder: string; json?: boolean }): Promise<void> {
  const { identity } = await openedKeys(options.folder, options);
  const print = fingerprint(identity.publicKey);
  console.log(options.json ? JSON.stringify({ fingerprint: print }) : print);
}

export interface InitOptions extends SecretOptions {
  readonly tenant: string;
  readonly coordinator: string | string[];
  readonly fingerprint: string;
  /** PEM file with a private CA */
  readonly tlsCa?: string;
  readonly data: string;
  readonly schema: string;
  readonly maxCustomers: number;
  readonly to: string;
  readonly json?: boolean;
}

/** `parley client init`: a policy that accepts little, to be widened by hand. */
export async function initClient(options: InitOptions): Promise<void> {
  const file = policyFile(options.to);
  if (existsSync(file))
    throw new CommandError(EXIT.usage, `${file} exists already; edit it, or choose another folder with --to`);
  const { identity } = await openedKeys(options.to, options);
  const print = fingerprint(identity.publicKey);
  const contract = readContract(options.schema); // unreadable now is better than unreadable later
  writeFileSync(join(options.to, 'schema.json'), `${JSON.stringify(contract, null, 2)}\n`, { flag: 'wx' });
  const policy: z.input<typeof policySchema> = {
    tenant: options.tenant,
    coordinator: {
      ...{ url: options.coordinator, fingerprint: options.fingerprint },
      ...(options.tlsCa === undefined ? {} : { tls: { ca: relative(options.to, resolve(options.tlsCa)) } }),
    },
    data: relative(options.to, resolve(options.data)),
    schema: 'schema.json',
    maxCustomers: options.maxCustomers,
    peers: {},
    accept: {
      work: ['train', 'segment', 'evaluate'],
      secureSum: [...PROTECTING_SUMS],
      mode: ['record-distributed'],
      maxEpsilon: 2,
      maxDelta: 1e-5,
      minCohort: 3,
      minColluders: 1,
      minUploadEveryMs: 10,
    },
    budget: { training: { epsilon: 4, delta: 1e-5 }, 'held-out': { epsilon: 4, delta: 1e-5 } },
  };
  const parsed = policySchema.safeParse(policy);
  if (!parsed.success)
    throw new CommandError(
      EXIT.usage,
      parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('\n'),
    );
  writeFileSync(file, `${JSON.stringify(policy, null, 2)}\n`, { flag: 'wx' });
  console.log(
    options.json
      ? JSON.stringify({ policy: file, fingerprint: print })
      : `${file} is written. Your fingerprint, for the others:\n  ${print}\nAdd theirs under "peers" (compare them by voice), then: parley client --folder ${options.to} --code CODE`,
  );
}

export interface ClientOptions extends SecretOptions {
  readonly folder: string;
  readonly code?: string;
  readonly backend?: BackendName;
  /** serves `/metrics` and `/healthz` on 127.0.0.1 */
  readonly metricsPort?: number;
  readonly shutdownSeconds: number;
  readonly logLevel: string;
  readonly json?: boolean;
}

/** `parley client`: takes part until it is told to end, or refused for good. What it has in hand it finishes writing. */
export async function runClient(options: ClientOptions, version: string): Promise<void> {
  const policy = policyOf(options.folder);
  const { identity, storeKey } = await openedKeys(options.folder, options);
  const log = openLog(options.logLevel, options.json === true).child({ tenant: policy.tenant });
  const told = toldToEnd(options.shutdownSeconds, log);
  const snapshot = await customersOf(policy);
  const backend = await startBackend(options.backend);
  log.info(
    {
      backend: backend.name,
      fingerprint: fingerprint(identity.publicKey),
      ...passedOver(backend),
      ...(await kernelsUsed()),
    },
    'client starts',
  );
  const store = openClientStore(storeFile(options.folder), storeKey);
  if (options.code !== undefined) await enrol(identity, options.code, policy);
  await refuseLostStore(store, policy, identity);
  const metrics = await metricsOf(options, store, policy);
  if (metrics !== undefined) log.info({ url: `${metrics.url}/metrics` }, 'metrics are served');
  const noise = threadedNoise();
  const participant = createParticipant({
    identity,
    policy,
    store,
    backend,
    random: secureRandom(),
    noise,
    clock: Date.now,
    sleep: (ms) => sleep(ms),
    snapshot: async () => snapshot,
    version,
    keep: (finished) => keepModel(finished, options.folder, log),
    onEvent: (event) => {
      follow(event, log);
      metrics?.follow(event);
    },
  });
  const taking: Participant = {
    ...participant,
    take: (...connection) => participant.take(...connection).finally(() => metrics?.disconnected()),
  };
  const refused = await stayConnected(taking, policy.coordinator.url, {
    signal: told,
    sleep: (ms) => sleep(ms, undefined, { signal: told }).catch(() => {}),
    onRetry: (inMs, why) => log.warn({ coordinator: policy.coordinator.url, inMs, why }, 'no connection; trying again'),
  });
  await participant.idle();
  participant.forget();
  await noise.close();
  await metrics?.close();
  store.close();
  if (refused === undefined) return;
  const hint = hasNextKey(options.folder)
    ? `\nA change of key was begun and not finished: \`parley client rekey --folder ${options.folder}\` goes on with it`
    : '';
  throw new CommandError(EXIT.refused, `${refused}${hint}`);
}

/** Loaded only where it is asked for. */
async function metricsOf({ metricsPort }: ClientOptions, store: ClientStore, policy: Policy) {
  if (metricsPort === undefined) return undefined;
  const { serveClientMetrics } = await import('./client-metrics.ts');
  return serveClientMetrics({ port: metricsPort, store, policy, clock: Date.now });
}

/**
 * A new store beside a name that accepted tasks before is a store that was lost: with it the customers' budget would be new.
 * Asked before any plan is, so that nothing is set aside in it. A coordinator that does not answer, or does not
 * know this key yet, is caught later (`own-word.ts`).
 */
async function refuseLostStore(store: ClientStore, { tenant, coordinator }: Policy, identity: Identity): Promise<void> {
  if (store.ledgerHead().size > 0) return;
  const found = await readExport(undefined, coordinator.url, asTenant(identity, coordinator.fingerprint)).catch(
    () => undefined,
  );
  const accepted = (found?.entries ?? [])
    .map(readEntry)
    .filter((entry) => typeof entry === 'object' && entry.kind === 'accept');
  if (accepted.some((entry) => entry.tenant === tenant))
    throw new CommandError(
      EXIT.refused,
      `${tenant} has accepted tasks before, and its store is new: put the lost one back, or count from the ledger with \`parley client restore-budget\``,
    );
}

const passedOver = (backend: { passedOver?: unknown }): object =>
  backend.passedOver === undefined ? {} : { passedOver: backend.passedOver };

function follow(event: ClientEvent, log: Logger): void {
  switch (event.type) {
    case 'accepted':
      return log.info(
        { task: event.task, name: event.plan.settings.name, epsilon: event.plan.derived.epsilon },
        'task accepted',
      );
    case 'declined':
      return log.warn({ task: event.task, because: event.because, reason: event.reason }, 'task declined');
    case 'round-opened':
      return log.debug({ task: event.task, round: event.round }, 'round opened');
    case 'finished':
      return; // said with where the model is
    case 'refused':
      return log.warn({ about: event.about, reason: event.reason }, 'refused');
    case 'interrupted':
      return log.warn({ reason: event.reason }, 'connection given up; it will be taken up again');
    case 'left':
      return log.error({ reason: event.reason }, 'takes no further part');
    default:
      return log.info(event, event.type);
  }
}

/** The released model, as this tenant computed it itself. An evaluation releases none. */
async function keepModel({ task, plan, parameters }: Finished, folder: string, log: Logger): Promise<void> {
  const spec = specOf(plan);
  if (spec === undefined) return log.info({ task }, 'task finished');
  const { privacy, features, name } = plan.settings;
  const guarantee = {
    ...plan.derived.epsilon,
    delta: privacy.delta,
    unit: unitOf(plan.settings),
    neighbouring: privacy.neighbouring,
  };
  const target = resolve(modelsFolder(folder), `${name}-${task.slice(0, 8)}`);
  await writeModel(target, { spec, schema: features, parameters, taskHash: task, guarantee });
  return log.info({ task, model: target }, 'task finished');
}

function specOf({ settings: { work } }: Plan) {
  if (work.kind === 'train') return work.model;
  return work.kind === 'segment' ? ({ kind: 'k-means', clusters: work.clusters } as const) : undefined;
}
