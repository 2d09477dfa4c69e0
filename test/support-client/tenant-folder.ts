import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { vi } from 'vitest';
import type { Secret } from '../../aggregation/at-rest.ts';
import { keysIn } from '../../aggregation/folder-keys.ts';
import { fingerprint, type Identity } from '../../aggregation/identity.ts';
import { policyFile } from '../../client/folder.ts';
import type { FeatureSchema } from '../../models/schema.ts';
import { enrol } from '../support/federation-on-disk.ts';
import { temporaryFolder } from '../support/folder.ts';
import { type Server, startServer } from '../support/serving.ts';
import type { PolicyFile } from './processes.ts';
import { toyFeatures } from './toy-task.ts';

export const limits = { training: { epsilon: 4, delta: 1e-5 }, 'held-out': { epsilon: 4, delta: 1e-5 } };

export interface TenantFolder {
  readonly server: Server;
  readonly folder: string;
  readonly identity: Identity;
}

/** The folder of ada, as its people would have made it, enrolled at a coordinator that listens. */
export async function enrolledFolder({
  secret,
  csv = 'months,left\n7,yes\n',
  schema = toyFeatures,
}: {
  secret?: Secret;
  csv?: string;
  schema?: FeatureSchema;
} = {}): Promise<TenantFolder> {
  const server = await startServer();
  const folder = join(temporaryFolder(), 'ada');
  mkdirSync(folder);
  const { identity } = keysIn(folder, secret);
  enrol(server.coordinator.enrolment, 'ada', identity);
  writeFileSync(join(folder, 'customers.csv'), csv);
  writeFileSync(join(folder, 'schema.json'), JSON.stringify(schema));
  const policy: PolicyFile = {
    tenant: 'ada',
    coordinator: { url: server.url, fingerprint: fingerprint(server.coordinator.publicKey) },
    data: 'customers.csv',
    schema: 'schema.json',
    maxCustomers: 100,
    peers: {},
    accept: {
      work: ['train', 'evaluate'],
      secureSum: ['plain'],
      mode: ['record-local'],
      maxEpsilon: 2,
      maxDelta: 1e-5,
      minCohort: 1,
      minColluders: 0,
      minUploadEveryMs: 1,
    },
    budget: limits,
  };
  writeFileSync(policyFile(folder), JSON.stringify(policy));
  return { server, folder, identity };
}

/** What a command prints. */
export async function saying(work: () => Promise<void>): Promise<string> {
  const lines: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  await work().finally(() => log.mockRestore());
  return lines.join('\n');
}
