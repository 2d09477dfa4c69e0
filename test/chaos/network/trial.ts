import { fingerprint } from '../../../aggregation/identity.ts';
import type { LedgerExport } from '../../../aggregation/ledger-export.ts';
import type { Settings } from '../../../aggregation/settings.ts';
import { type LedgerVerdict, verifyLedgerExport } from '../../../aggregation/verify-ledger.ts';
import type { TaskFact } from '../../../coordinator/task.ts';
import { parameterHash } from '../../../models/model.ts';
import type { NetworkedFederation } from './federation.ts';

/** How a task went, whatever the network did to it. */
export interface Outcome {
  readonly phase: string;
  readonly rounds: number;
  readonly abandoned: number;
  readonly releases: number;
  /** in each sum that was opened */
  readonly contributions: readonly number[];
  /** what must not have happened; empty when all is well */
  readonly violations: readonly string[];
}

/** Runs one task with all tenants that are connected, to its end and until each of them knows it. */
export async function runTask(
  federation: NetworkedFederation,
  settings: Settings,
  timeoutMs = 120_000,
): Promise<Outcome> {
  const { serving, tenants } = federation;
  const { id } = serving.coordinator.propose(settings);
  const known = (): number =>
    tenants.events.filter(
      (event) => 'task' in event && event.task === id && /^(finished|stopped|declined)$/.test(event.type),
    ).length;
  await federation.until(() => known() >= tenants.names.length, `the end of ${settings.name}`, timeoutMs);
  return outcomeOf(federation, id);
}

/** Read from the ledger as anybody gets it, from the facts as they lie in the store, and from what each tenant computed itself. */
export async function outcomeOf({ serving, tenants }: NetworkedFederation, task: string): Promise<Outcome> {
  const { coordinator } = serving;
  const facts = coordinator.store.facts(task);
  const { state } = coordinator.task(task)!;
  const ledger = (await (await fetch(`${serving.url}/ledger`)).json()) as LedgerExport;
  const verdict = verified(ledger, { serving, tenants });
  const entries = verdict.entries.filter((entry) => entry.task === task);
  const violations = [
    ...verdict.findings.map(({ seq, problem }) => `ledger entry ${seq}: ${problem}`),
    ...openings(entries),
    ...spokenTwice(facts),
    ...[...coordinator.store.sums(task, 0)].flatMap((sum) => miscounted(sum, entries)),
    ...tenants.names.flatMap((name) => otherModel(name, task, tenants.events, 'model' in state ? state.model : '')),
  ];
  return {
    phase: state.phase,
    rounds: facts.filter(({ type }) => type === 'round-begun').length,
    abandoned: facts.filter((fact) => fact.type === 'in-round' && fact.fact.type === 'abandoned').length,
    releases: entries.filter(({ kind }) => kind === 'release').length,
    contributions: [...coordinator.store.sums(task, 0)].map((sum) => sum.contributions),
    violations,
  };
}

type Entries = LedgerVerdict['entries'];

function verified(
  ledger: LedgerExport,
  { serving, tenants }: Pick<NetworkedFederation, 'serving' | 'tenants'>,
): LedgerVerdict {
  const prints = [...tenants.identities].map(([name, { publicKey }]) => [name, fingerprint(publicKey)] as const);
  const coordinator = fingerprint(serving.coordinator.publicKey);
  return verifyLedgerExport(ledger, { coordinator, tenants: Object.fromEntries(prints) });
}

/** A release has its charge before it, and there is one of each for a round at most. */
function openings(entries: Entries): string[] {
  const charges = new Map<number, string>();
  const released = new Set<number>();
  const problems: string[] = [];
  for (const entry of entries) {
    if (entry.kind === 'charge') {
      if (charges.has(entry.round)) problems.push(`round ${entry.round} was charged twice`);
      charges.set(entry.round, entry.sumHash);
    }
    if (entry.kind !== 'release') continue;
    if (charges.get(entry.round) !== entry.sumHash) problems.push(`round ${entry.round} was released and not charged`);
    if (released.has(entry.round)) problems.push(`round ${entry.round} was released twice`);
    released.add(entry.round);
  }
  return problems;
}

/** Nobody is heard twice in one stage of one round. */
function spokenTwice(facts: readonly TaskFact[]): string[] {
  const problems: string[] = [];
  let heard = new Set<string>();
  for (const fact of facts) {
    if (fact.type !== 'in-round') continue;
    if (fact.fact.type === 'asked') heard = new Set();
    if (fact.fact.type !== 'said') continue;
    if (heard.has(fact.fact.tenant)) problems.push(`${fact.fact.tenant} was heard twice in a stage`);
    heard.add(fact.fact.tenant);
  }
  return problems;
}

/** What was opened is what was charged. */
function miscounted({ round, contributions }: { round: number; contributions: number }, entries: Entries): string[] {
  const charge = entries.find((entry) => entry.kind === 'charge' && entry.round === round);
  if (charge?.kind === 'charge' && charge.contributions === contributions) return [];
  return [`the sum of round ${round} is of ${contributions} contributions, the ledger has another number`];
}

function otherModel(
  name: string,
  task: string,
  events: NetworkedFederation['tenants']['events'],
  model: string,
): string[] {
  const ends = events.filter((event) => event.tenant === name && event.type === 'finished' && event.task === task);
  if (ends.length === 0) return [`${name} never got its model`];
  return ends.flatMap((end) =>
    end.type === 'finished' && parameterHash(end.parameters) !== model ? [`${name} computed another model`] : [],
  );
}
