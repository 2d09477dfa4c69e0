import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { CommandError } from '../../aggregation/exit.ts';
import { keysIn } from '../../aggregation/folder-keys.ts';
import { createIdentity } from '../../aggregation/identity.ts';
import { makePlan, planDigest, planSchema } from '../../aggregation/plan.ts';
import { PlanRefused } from '../../aggregation/plan-refused.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import { SECURE_SUMS, type SumShape } from '../../aggregation/secure-sum.ts';
import { settingsSchema } from '../../aggregation/settings.ts';
import { parseSignedRead } from '../../aggregation/signed-read.ts';
import { inMemory } from '../../aggregation/stored-vector.ts';
import { verifyLedgerExport } from '../../aggregation/verify-ledger.ts';
import { WireRefused } from '../../aggregation/wire-check.ts';
import { readPlan } from '../../client/admission.ts';
import { readExport } from '../../client/ledger-commands.ts';
import { PolicyUnreadable, policySchema, readPolicy } from '../../client/policy.ts';
import { tokenIn } from '../../coordinator/access/new-token.ts';
import { readOidc } from '../../coordinator/access/oidc.ts';
import { readManifest } from '../../coordinator/keeping/backup.ts';
import { readSettings } from '../../coordinator/settings-file.ts';
import { readEntry } from '../../privacy/ledger.ts';
import { TransparencyRefused } from '../../privacy/transparency/canonical-text.ts';
import { parseCheckpoint } from '../../privacy/transparency/checkpoint.ts';
import { parseNote, parseSignatureLine } from '../../privacy/transparency/signed-note.ts';
import { parseBundle, parseTile, parseTilePath } from '../../privacy/transparency/tiles.ts';
import { parseProof } from '../../privacy/transparency/tlog-proof.ts';
import { parsePolicy } from '../../privacy/transparency/trust-policy.ts';
import { parseVerifierKey } from '../../privacy/transparency/verifier-key.ts';
import { recordedFiles, recordedFrames } from './corpus.ts';
import { havoc } from './havoc.ts';
import { temporary } from './lives.ts';
import { FUZZED } from './names.ts';
import { nearly } from './nearly.ts';
import { jsonSchemaOf, valuesOf } from './schema-values.ts';
import { mustHold, type Target } from './target.ts';

/**
 * Files that people hand in, and texts and blobs that are read like files. Each is read, or refused in the one way its reader
 * promises; whoever reads the refusal is not shown the file again.
 */
export const files = (): Target<Handed> => {
  const kinds = readers();
  return {
    name: 'files',
    inputs: fc.oneof(
      ...Object.keys(kinds).map((kind) => fc.record({ kind: fc.constant(kind), bytes: bytesFor(kind) })),
    ),
    open: async () => {
      const folder = join(temporary(), 'files');
      mkdirSync(folder);
      return {
        feed: async ({ kind, bytes }, saw) => saw(`${kind} ${await outcome(kinds[kind]!, bytes, folder)}`),
        close: async () => rmSync(folder, { recursive: true }),
      };
    },
  };
};

interface Handed {
  readonly kind: string;
  readonly bytes: Uint8Array;
}

interface Reader {
  /** @returns whether it was what it should be */
  readonly read: (bytes: Uint8Array, folder: string) => unknown;
  /** how it says no; else only by what it returns */
  readonly refuses?: readonly (new (
    ...args: never[]
  ) => Error)[];
}

/** A person reads it: a line for each thing that is wrong. */
const LONGEST = 20_000;

async function outcome({ read, refuses = [] }: Reader, bytes: Uint8Array, folder: string): Promise<string> {
  try {
    return (await read(bytes, folder)) === false ? 'refused' : 'read';
  } catch (error) {
    if (!refuses.some((kind) => error instanceof kind)) throw error;
    mustHold((error as Error).message.length < LONGEST, `a refusal as long as the file: ${(error as Error).name}`);
    return 'refused';
  }
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const T = [TransparencyRefused];

function readers(): Readonly<Record<string, Reader>> {
  const coordinator = createIdentity();
  const written = (name: string, bytes: Uint8Array, folder: string): string => {
    const file = join(folder, name);
    writeFileSync(file, bytes);
    return file;
  };
  return {
    policy: {
      refuses: [PolicyUnreadable],
      read(bytes, folder) {
        written('schema.json', Buffer.from(recordedFiles()['schema']!), folder);
        return readPolicy(written('policy.json', bytes, folder));
      },
    },
    settings: {
      refuses: [CommandError, PlanRefused],
      read: (bytes, folder) =>
        makePlan(readSettings(written('task.json', bytes, folder)), planRoster(), '0'.repeat(64), 1).settings,
    },
    export: {
      refuses: [CommandError],
      read: async (bytes, folder) =>
        verifyLedgerExport(await readExport(written('ledger.json', bytes, folder), 'http://127.0.0.1:1')).verified,
    },
    plan: {
      refuses: [WireRefused, PlanRefused],
      read: (bytes) =>
        readPlan({ plan: text(bytes), signature: coordinator.sign(planDigest(text(bytes))) }, coordinator.publicKey),
    },
    manifest: {
      refuses: [CommandError],
      read(bytes, folder) {
        const backup = join(folder, 'backup');
        mkdirSync(backup, { recursive: true });
        written('manifest.json', bytes, backup);
        return readManifest(backup);
      },
    },
    identity: {
      refuses: [CommandError],
      read(bytes, folder) {
        const keys = join(folder, 'keys');
        mkdirSync(keys, { recursive: true });
        written('identity.pem', bytes, keys);
        return keysIn(keys);
      },
    },
    oidc: { refuses: [CommandError], read: (bytes, folder) => readOidc(written('oidc.json', bytes, folder)) },
    entry: { read: (bytes) => typeof readEntry(json(bytes)) !== 'string' },
    note: { refuses: T, read: (bytes) => parseNote(text(bytes)) },
    checkpoint: { refuses: T, read: (bytes) => parseCheckpoint(text(bytes)) },
    line: { refuses: T, read: (bytes) => parseSignatureLine(text(bytes)) },
    proof: { refuses: T, read: (bytes) => parseProof(text(bytes)) },
    trust: { refuses: T, read: (bytes) => parsePolicy(text(bytes)) },
    log: { refuses: T, read: (bytes) => parseVerifierKey(text(bytes)) },
    path: { refuses: T, read: (bytes) => parseTilePath(text(bytes)) },
    tile: { refuses: T, read: (bytes) => parseTile(bytes, 1 + (bytes.length % 256)) },
    bundle: { refuses: T, read: (bytes) => parseBundle(bytes, 1 + (bytes.length % 256)) },
    token: { read: (bytes) => tokenIn(text(bytes)) !== undefined },
    read: { read: (bytes) => parseSignedRead(text(bytes)) !== undefined },
    ...Object.fromEntries(SECURE_SUMS.map((name) => [`sum ${name}`, { read: malformedBy(name) }])),
  };
}

/** Whatever is no JSON at all is none of the reader's business. */
function json(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(text(bytes));
  } catch {
    return undefined;
  }
}

const planRoster = () => FUZZED.map((tenant) => ({ tenant, key: createHash('sha256').update(tenant).digest('hex') }));

const SHAPE: SumShape = {
  ...{ dimension: 2, tenants: 5, threshold: 4, minCohort: 4, colluders: 1 },
  maxMagnitude: 2 ** 40,
};

/** What a tenant says in a stage, its vector beside it: of every stage at once. */
function malformedBy(name: (typeof SECURE_SUMS)[number]): Reader['read'] {
  const protocol = protocolNamed(name);
  let side: ReturnType<typeof protocol.coordinator> | undefined;
  return async (bytes) => {
    side ??= protocol.coordinator({ shape: SHAPE, members: [...FUZZED], transcript: new Uint8Array(32) });
    const { malformed } = await side;
    const said = [...protocol.keying, ...protocol.summing].map((stage) => {
      const length = protocol.vectorBytes(stage.name, SHAPE);
      // half of them as long as they should be: the others are refused for that alone
      const vector = new Uint8Array(bytes.length % 2 === 0 ? length : bytes.length);
      vector.set(bytes.subarray(0, vector.length));
      const sealed = new Map(FUZZED.slice(0, bytes.length % 6).map((tenant) => [tenant, bytes]));
      const why = malformed(stage, { open: bytes, sealed, ...(length > 0 ? { vector: inMemory(vector) } : {}) });
      mustHold(why === undefined || why.length < 300, 'a refusal of a statement as long as the statement');
      return why === undefined;
    });
    return said.includes(true);
  };
}

function bytesFor(kind: string): fc.Arbitrary<Uint8Array> {
  const recorded = recordedFiles();
  const own = recorded[kind];
  const said = recordedFrames('client').map(({ body }) => body);
  if (kind.startsWith('sum '))
    return havoc([...said, new Uint8Array(0), ...[32, 64, 1000].map((n) => new Uint8Array(n))]);
  const seeds = own === undefined ? Object.values(recorded).filter(({ length }) => length < 5000) : [own];
  const changed = havoc(seeds.map((one) => Buffer.from(one)));
  const parsed = own === undefined ? undefined : json(Buffer.from(own));
  const schema = { settings: settingsSchema, policy: policySchema, plan: planSchema }[kind];
  const drawn = [
    ...(parsed === undefined ? [] : [nearly(fc.constant(parsed))]),
    ...(schema === undefined ? [] : [valuesOf(jsonSchemaOf(schema)), nearly(valuesOf(jsonSchemaOf(schema)))]),
  ];
  if (drawn.length === 0) return changed;
  return fc.oneof(changed, ...drawn.map((one) => one.map((value) => Buffer.from(JSON.stringify(value) ?? ''))));
}
