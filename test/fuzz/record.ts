import { readFileSync, writeFileSync } from 'node:fs';
import { brotliCompressSync } from 'node:zlib';
import { pack } from 'msgpackr';
import { identityFile, keysIn } from '../../aggregation/folder-keys.ts';
import { createIdentity } from '../../aggregation/identity.ts';
import type { LedgerExport } from '../../aggregation/ledger-export.ts';
import { planText } from '../../aggregation/plan.ts';
import { SECURE_SUMS, type SecureSumName } from '../../aggregation/secure-sum.ts';
import { signRead } from '../../aggregation/signed-read.ts';
import { encode, type FromClient, type FromCoordinator } from '../../aggregation/wire.ts';
import { logKey, quorumOf } from '../../aggregation/witness.ts';
import { newToken } from '../../coordinator/access/new-token.ts';
import type { Conductor } from '../../coordinator/conductor.ts';
import type { Manifest } from '../../coordinator/keeping/backup.ts';
import { startBackend } from '../../models/backend.ts';
import { inclusionProof, leafHash } from '../../privacy/transparency/merkle.ts';
import { formatProof } from '../../privacy/transparency/tlog-proof.ts';
import { formatPolicy } from '../../privacy/transparency/trust-policy.ts';
import { formatVerifierKey } from '../../privacy/transparency/verifier-key.ts';
import { type LyingCoordinator, startLying } from '../support-client/lying-coordinator.ts';
import { toySettings } from '../support-client/toy-task.ts';
import { CORPUS, type RecordedFrame } from './corpus.ts';
import { temporary } from './lives.ts';
import { FUZZED } from './names.ts';

/*
 * node test/fuzz/record.ts writes corpus/frames.br: one or two messages of every kind and stage, in both directions, of federations
 * that ran to their end with each protocol; and corpus/files.br: the files such a federation has, as the program writes them.
 */
const LONGEST = 60_000;
const OF_A_KIND = 2;

const MANIFEST: Manifest = {
  ...{ format: 'parley-backup-v1', madeAt: '2026-01-01T00:00:00.000Z', version: '0.1.0', schema: 1 },
  ...{ federation: '0'.repeat(64), ledger: { size: 0, hash: '0'.repeat(64) }, files: {} },
};

const frames: RecordedFrame[] = [];
for (const protocol of SECURE_SUMS) frames.push(...(await framesOf(protocol)));
writeFileSync(`${CORPUS}frames.br`, brotliCompressSync(pack(frames)));
console.log(`${frames.length} frames, ${frames.reduce((sum, { body }) => sum + body.length, 0)} bytes`);
process.exit(0);

async function framesOf(protocol: SecureSumName): Promise<RecordedFrame[]> {
  const federation = await startLying({ backend: await startBackend('cpu'), tenants: FUZZED });
  const conductor = federation.run(toySettings({ protocol, minCohort: 4, colluders: 1 }));
  await federation.until(() => conductor.isOver, 'the end', 60_000);
  const ended = () => federation.tenant(FUZZED[0]!).told.some(({ type }) => type === 'over');
  await federation.until(ended, 'the end to be told');
  const seen = new Map<string, number>();
  const recorded = FUZZED.flatMap((name) => {
    const { told, said } = federation.tenant(name);
    const of = (from: RecordedFrame['from'], all: readonly (FromClient | FromCoordinator)[]) =>
      all.flatMap((message) => {
        const kind = `${from}/${message.type}/${'stage' in message ? message.stage : ''}`;
        const body = Uint8Array.from(encode(message).bytes);
        const count = seen.get(kind) ?? 0;
        if (count >= OF_A_KIND || body.length > LONGEST) return [];
        seen.set(kind, count + 1);
        return [{ from, protocol, body }];
      });
    return [...of('coordinator', told), ...of('client', said)];
  });
  if (protocol === 'masking')
    writeFileSync(`${CORPUS}files.br`, brotliCompressSync(pack(filesOf(federation, conductor))));
  federation.close();
  return recorded;
}

function filesOf({ coordinator, tenant }: LyingCoordinator, conductor: Conductor): Record<string, string> {
  const { entries, note } = coordinator.ledger.newsSince(0);
  const notes = coordinator.store.notes(0).map((one) => one.note);
  const log = formatVerifierKey(logKey(coordinator.publicKey));
  const exported: LedgerExport = {
    ...{ format: 'parley-ledger-export-v1', log, head: note, notes },
    entries: entries.map((text) => JSON.parse(text)),
  };
  const texts = entries.map((text) => Buffer.from(text));
  const path = inclusionProof(0, texts.map(leafHash));
  const { schema, data, ...policy } = tenant(FUZZED[0]!).world.policy;
  return {
    export: JSON.stringify(exported),
    note,
    line: notes.at(-1)!.trim().split('\n').at(-1)!,
    checkpoint: note.split('\n\n')[0]!,
    proof: formatProof({ index: 0, path, checkpoint: notes.at(-1)!, extra: texts[0]! }),
    trust: formatPolicy(quorumOf(conductor.plan, coordinator.publicKey)),
    log,
    path: 'tile/entries/x001/234.p/5',
    entry: entries.at(-1)!,
    plan: planText(conductor.plan),
    settings: JSON.stringify(conductor.plan.settings),
    policy: JSON.stringify({ ...policy, schema: 'schema.json', data: 'data.csv' }),
    schema: JSON.stringify(schema),
    manifest: JSON.stringify(MANIFEST),
    identity: identityText(),
    oidc: JSON.stringify({
      issuer: 'https://login.test.invalid',
      audience: 'parley',
      claim: 'groups',
      roles: { auditors: 'auditor' },
    }),
    token: newToken().token,
    read: signRead(createIdentity(), { coordinator: 'a', path: '/ledger', time: Date.now() }),
  };
}

function identityText(): string {
  const folder = temporary();
  keysIn(folder);
  return readFileSync(identityFile(folder), 'utf8');
}
