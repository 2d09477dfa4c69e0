import { federationOf } from '../../aggregation/federation.ts';
import { fingerprint, type Identity } from '../../aggregation/identity.ts';
import { verifyLedgerExport } from '../../aggregation/verify-ledger.ts';
import { logKey, signedHead } from '../../aggregation/witness.ts';
import { EMPTY_LEDGER, type LedgerEntry, verifyChain } from '../../privacy/ledger.ts';
import { formatVerifierKey } from '../../privacy/transparency/verifier-key.ts';
import type { EventStore } from '../store/event-store.ts';
import { checkTask, guarded, hashOfParameters, type Part, type TaskChecked } from './check-task.ts';

/**
 * Reads everything a store holds, changes nothing, and says what holds:
 *
 *   key ─▶ ledger: chain, cosigned notes, every ε again ─▶ roster as the ledger has it ─▶ each task: facts, sums, what was said
 *
 * @param damage - what the store's file itself is found to be; none where a database looks after that
 */
export function checkStore(store: EventStore, identity: Identity, damage?: readonly string[]): Checked[] {
  const entries: LedgerEntry[] = [];
  const ledger = line('ledger', 'entries', () => ledgerProblems(store, identity, entries));
  const tasks = guarded(() => store.tasks().map((task) => checkTask(store, task, identity.publicKey, entries)));
  const all = (what: string, unit: string, of: (task: TaskChecked) => Part): Checked =>
    typeof tasks === 'string'
      ? { what, found: 0, unit, problems: [tasks] }
      : { what, unit, found: total(tasks.map(of)), problems: tasks.flatMap((task) => of(task).problems) };
  return [
    ...(damage === undefined ? [] : [{ what: 'file', found: 1, unit: 'file', problems: damage }]),
    line('key', 'key', () => ({ found: 1, problems: keyProblems(identity, entries) })),
    ledger,
    line('roster', 'tenants', () => rosterProblems(store, entries)),
    all('tasks', 'facts', (task) => task.facts),
    all('sums', 'sums', (task) => task.sums),
    all('said', 'statements', (task) => task.said),
    line('parameters', 'models', () => parameterProblems(store, entries)),
    line('others', 'rows', () => otherProblems(store)),
  ];
}

/** One line of what was looked at. */
export interface Checked extends Part {
  readonly what: string;
  /** what `found` counts */
  readonly unit: string;
}

const total = (parts: readonly Part[]): number => parts.reduce((sum, { found }) => sum + found, 0);

function line(what: string, unit: string, look: () => Part): Checked {
  const part = guarded(look);
  return typeof part === 'string' ? { what, unit, found: 0, problems: [part] } : { what, unit, ...part };
}

/** @param into - takes in the entries, as far as they hold */
function ledgerProblems(store: EventStore, identity: Identity, into: LedgerEntry[]): Part {
  const texts = store.ledger(0);
  const chain = verifyChain(texts, EMPTY_LEDGER, (entry) => into.push(entry));
  if (!chain.intact)
    return {
      found: texts.length,
      problems: [`the stored ledger does not hold at entry ${chain.seq}: ${chain.problem}`],
    };
  const { findings } = verifyLedgerExport(
    {
      format: 'parley-ledger-export-v1',
      log: formatVerifierKey(logKey(identity.publicKey)),
      head: signedHead(chain.head, identity),
      notes: store.notes(0).map(({ note }) => note),
      entries: into,
    },
    { coordinator: fingerprint(identity.publicKey) },
  );
  return { found: texts.length, problems: findings.map(({ seq, problem }) => `entry ${seq}: ${problem}`) };
}

function keyProblems({ publicKey }: Identity, entries: readonly LedgerEntry[]): string[] {
  const [first] = entries;
  return first === undefined || first.federation === federationOf(publicKey)
    ? []
    : ['identity.pem is not the key of this federation: put back the one it was made with'];
}

function rosterProblems(store: EventStore, entries: readonly LedgerEntry[]): Part {
  const expected = rosterIn(entries);
  const stored = new Map(store.roster().map(({ tenant, key }) => [tenant, key]));
  const names = [...new Set([...expected.keys(), ...stored.keys()])].sort();
  return {
    found: stored.size,
    problems: names
      .filter((name) => expected.get(name) !== stored.get(name))
      .map(
        (name) =>
          `table tenant, ${name}: the ledger says ${said(expected.get(name))}, the row ${said(stored.get(name))}`,
      ),
  };
}

const said = (key: string | undefined): string =>
  key === undefined ? 'that it is not enrolled' : `key ${key.slice(0, 12)}…`;

/** Who is enrolled at the end of these entries, with which key. */
export function rosterIn(entries: readonly LedgerEntry[]): Map<string, string> {
  const roster = new Map<string, string>();
  for (const entry of entries) {
    if (entry.kind !== 'roster') continue;
    if (entry.change === 'enrolled' || entry.change === 're-keyed') roster.set(entry.tenant, entry.key);
    else roster.delete(entry.tenant);
  }
  return roster;
}

/** Of what the ledger releases, as far as it is here: a store that was restored has not all of it. */
function parameterProblems(store: EventStore, entries: readonly LedgerEntry[]): Part {
  const names = new Set(entries.flatMap((entry) => (entry.kind === 'release' ? [entry.modelHash] : [])));
  let found = 0;
  const problems: string[] = [];
  for (const name of names) {
    const bytes = store.parameters(name);
    if (bytes === undefined) continue;
    found++;
    if (hashOfParameters(bytes) !== name) problems.push(`table parameters, row ${name}: not what its name says`);
  }
  return { found, problems };
}

function otherProblems(store: EventStore): Part {
  const rows = [
    ...store.invitations().map(({ tenant, codeHash }) => [`invitation of ${tenant}`, isHash(codeHash)] as const),
    ...store.tokens().map(({ id, secretHash }) => [`token ${id}`, isHash(secretHash)] as const),
    ...store.notices().map(({ id }) => [`notice ${id}`, isHash(id)] as const),
    ...store.standings().map(({ tenant, pool, text }) => [`standing of ${tenant} in ${pool}`, isJson(text)] as const),
    ...store.pendingActs().map(({ id, text }) => [`pending act ${id}`, isJson(text)] as const),
  ];
  return {
    found: rows.length,
    problems: rows.filter(([, holds]) => !holds).map(([row]) => `the ${row} cannot be read`),
  };
}

const isHash = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

function isJson(text: string): boolean {
  return typeof guarded(() => JSON.parse(text) as object) === 'object';
}
