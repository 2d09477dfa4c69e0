import { cpus } from 'node:os';
import { createIdentity } from '../../aggregation/identity.ts';
import type { LedgerExport } from '../../aggregation/ledger-export.ts';
import { hex } from '../../aggregation/plan.ts';
import { verifyLedgerExport } from '../../aggregation/verify-ledger.ts';
import { answerDigest } from '../../aggregation/wire.ts';
import { cosigned, logKey, signedHead } from '../../aggregation/witness.ts';
import { appendEntry, EMPTY_LEDGER, type LedgerBody, type LedgerEntry } from '../../privacy/ledger.ts';
import { withSignature } from '../../privacy/transparency/signed-note.ts';
import { formatVerifierKey } from '../../privacy/transparency/verifier-key.ts';
import { aCharge, aFinish, aPlan, aRelease } from '../privacy/ledgers.ts';

/**
 * How long an auditor waits: a ledger of a hundred thousand entries, tasks of a hundred rounds, plan and end of each cosigned
 * by four of five tenants, verified from the parsed export with every ε computed again.
 */
const ENTRIES = 100_000;

const coordinator = createIdentity();
const tenants = ['amber', 'blue', 'coral', 'dun', 'ebony'].map((name) => ({ name, identity: createIdentity() }));
const roster = tenants.map(({ name, identity }) => ({ tenant: name, key: hex(identity.publicKey) }));
let head = EMPTY_LEDGER;
const entries: LedgerEntry[] = [];
const notes: string[] = [];

function add(body: LedgerBody, task: string): void {
  const appended = appendEntry(head, body, { time: 1_700_000_000_000, federation: 'bench', task });
  entries.push(appended.entry);
  head = appended.head;
}

function witness(): void {
  const lines = (note: string, { name, identity }: (typeof tenants)[number]): string =>
    withSignature(note, cosigned(note, name, identity, 1_700_000_000_000));
  notes.push(tenants.slice(0, 4).reduce(lines, signedHead(head, coordinator)));
}

function acceptance(tenant: string, identity: (typeof tenants)[number]['identity'], task: string): LedgerBody {
  const dataset = 'd'.repeat(64);
  const signature = hex(identity.sign(answerDigest(tenant, { type: 'accept', task, round: 0, dataset })));
  return { kind: 'accept', tenant, dataset, signature };
}

const [plan, charge, release] = [{ ...aPlan(105), roster }, aCharge(1), aRelease(1)];
for (let number = 0; entries.length < ENTRIES; number++) {
  const task = number.toString(16).padStart(64, '0');
  add({ ...plan, planHash: task }, task);
  witness();
  for (const { name, identity } of tenants) add(acceptance(name, identity, task), task);
  for (let round = 1; round <= 100; round++) {
    add({ ...charge, round }, task);
    add({ ...release, round }, task);
  }
  add({ ...aFinish(100), modelHash: release.modelHash }, task);
  witness();
}
const file: LedgerExport = {
  format: 'parley-ledger-export-v1',
  log: formatVerifierKey(logKey(coordinator.publicKey)),
  head: signedHead(head, coordinator),
  notes,
  entries: JSON.parse(JSON.stringify(entries)),
};

const started = performance.now();
const { verified, tasks } = verifyLedgerExport(file);
const seconds = (performance.now() - started) / 1000;
if (!verified) throw new Error('the ledger that was just made does not verify');
console.log(`${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.versions.node}, one thread`);
console.log(
  `${entries.length} entries, ${tasks.length} tasks, ${notes.length} cosigned notes: verified in ${seconds.toFixed(1)} s`,
);
