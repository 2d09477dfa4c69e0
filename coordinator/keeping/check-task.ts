import { createHash } from 'node:crypto';
import { isSignedBy } from '../../aggregation/identity.ts';
import { hex, type Plan, planDigest, planSchema, roundsOf, taskId } from '../../aggregation/plan.ts';
import { begin, progressHash, takeIn } from '../../aggregation/progress.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import { stretches } from '../../aggregation/stored-vector.ts';
import { sha256 } from '../../aggregation/transcript.ts';
import { PART_BYTES, vectorFrom } from '../../aggregation/wire.ts';
import { parameterHash } from '../../models/model.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import { advance, replay } from '../advance-task.ts';
import { placeOf, vectorIn } from '../hearing.ts';
import type { BodyPlace, EventStore, StoredTask } from '../store/event-store.ts';
import { stagesOf, type TaskFact, type TaskRules, type TaskState } from '../task.ts';
import { rulesOf } from '../task-facts.ts';
import { storedVector } from '../uploads.ts';

/** How many were looked at, and what does not hold: each a sentence that names the row. */
export interface Part {
  readonly found: number;
  readonly problems: readonly string[];
}

/** What holds of one task. */
export interface TaskChecked {
  readonly facts: Part;
  readonly sums: Part;
  readonly said: Part;
}

export const hashOfParameters = (bytes: Uint8Array): string => parameterHash(vectorFrom(bytes, bytes.length / 8));

/** @param ledger - verified */
export function checkTask(
  store: EventStore,
  stored: StoredTask,
  coordinatorKey: Uint8Array,
  ledger: readonly LedgerEntry[],
): TaskChecked {
  const name = `task ${stored.id.slice(0, 8)}`;
  const read = guarded(() => readTask(store, stored));
  if (typeof read === 'string') return unread(`${name}, plan or facts: ${read}`);
  const { plan, facts, rules } = read;
  const state = guarded(() => replay(facts, rules));
  if (typeof state === 'string') return unread(`${name}, facts: ${state}`);
  const problems = [
    ...(taskId(plan) === stored.id ? [] : ['its plan is another task’s']),
    ...(isSignedBy(coordinatorKey, planDigest(stored.plan), stored.signature)
      ? []
      : ['the signature on its plan does not verify']),
    ...againstLedger(
      state,
      ledger.filter(({ task }) => task === stored.id),
    ),
  ];
  const sums = guarded(() => checkSums(store, stored.id, plan, facts));
  const said = guarded(() => checkSaid(store, stored.id, facts, rules));
  const part = (found: Part | string): Part =>
    typeof found === 'string'
      ? { found: 0, problems: [`${name}: ${found}`] }
      : { found: found.found, problems: found.problems.map((problem) => `${name}: ${problem}`) };
  return { facts: part({ found: facts.length, problems }), sums: part(sums), said: part(said) };
}

/** Where the statements are that the conversation under way, and the keys it needs, rest on; none of a task that is over. */
export function placesNeeded(store: EventStore, stored: StoredTask): BodyPlace[] {
  const { facts, rules } = readTask(store, stored);
  const places = stillNeeded(facts, rules).map(({ place }) => [JSON.stringify(place), place] as const);
  return [...new Map(places).values()];
}

/** What cannot be read is a problem like another. */
export function guarded<T>(look: () => T): T | string {
  try {
    return look();
  } catch (error) {
    return `cannot be read: ${(error as Error).message}`;
  }
}

const NOTHING: Part = { found: 0, problems: [] };
const unread = (problem: string): TaskChecked => ({
  facts: { found: 0, problems: [problem] },
  sums: NOTHING,
  said: NOTHING,
});

function readTask(store: EventStore, { id, plan: text }: StoredTask) {
  const plan = planSchema.parse(JSON.parse(text));
  const facts = store.facts(id);
  return { plan, facts, rules: rulesOf(plan, protocolNamed(plan.settings.secureSum.protocol)) };
}

function againstLedger(state: TaskState, entries: readonly LedgerEntry[]): string[] {
  const charges = entries.filter(({ kind }) => kind === 'charge').length;
  const counted = state.phase === 'proposed' ? 0 : state.charges;
  const isEnded = entries.some(({ kind }) => kind === 'stop' || kind === 'finish');
  const isOver =
    state.phase === 'finished' || state.phase === 'stopped' || (state.phase === 'running' && state.end !== undefined);
  return [
    ...(charges === counted ? [] : [`its facts charge ${counted} openings, the ledger ${charges}`]),
    ...(isEnded === isOver
      ? []
      : [`it is ${state.phase}, the ledger ${isEnded ? 'has ended it' : 'has not ended it'}`]),
  ];
}

/** Every sum that was opened, taken in again, gives the model that came after it. */
function checkSums(store: EventStore, task: string, plan: Plan, facts: readonly TaskFact[]): Part {
  const start = facts[0]?.type === 'proposed' ? facts[0].model : '';
  const bytes = store.parameters(start);
  if (bytes === undefined || hashOfParameters(bytes) !== start)
    return { found: 0, problems: [`table parameters, row ${start}: what it starts from is missing or changed`] };
  const opened = facts.flatMap((fact) => (fact.type === 'opened' ? [fact.model] : []));
  let progress = begin(vectorFrom(bytes, bytes.length / 8));
  for (const { round, sum } of store.sums(task, 0)) {
    progress = takeIn(plan, progress, vectorFrom(sum, plan.derived.dimension));
    if (progressHash(plan, progress, roundsOf(plan)) !== opened[progress.steps - 1])
      return {
        found: progress.steps,
        problems: [`table sum, round ${round}: does not give the model that its facts name`],
      };
  }
  const missing = opened.length - progress.steps;
  return {
    found: progress.steps,
    problems: missing === 0 ? [] : [`table sum: ${missing} of ${opened.length} are missing`],
  };
}

/** What the conversation under way, and the keys it needs, rest on: statements and vectors as they were acknowledged. */
function checkSaid(store: EventStore, task: string, facts: readonly TaskFact[], rules: TaskRules): Part {
  const needed = stillNeeded(facts, rules);
  return {
    found: needed.length,
    problems: needed.flatMap(({ place, tenant, hash }) => {
      const where = `what ${tenant} said (epoch ${place.epoch}, round ${place.round}, ${place.stage})`;
      const body = store.body(task, place, tenant);
      if (body === undefined) return [`table body, ${where}: missing`];
      if (hex(sha256(body)) !== hash) return [`table body, ${where}: not what was acknowledged`];
      const vector = vectorIn(body);
      if (vector === undefined) return [];
      const read = guarded(() => isWhole(store, task, place, tenant, vector));
      return read === true ? [] : [`table part, ${where}: ${read === false ? 'not what was acknowledged' : read}`];
    }),
  };
}

interface Said {
  readonly place: BodyPlace;
  readonly tenant: TenantId;
  readonly hash: string;
}

function stillNeeded(facts: readonly TaskFact[], rules: TaskRules): Said[] {
  let said: Said[] = [];
  let state: TaskState = replay([], rules);
  for (const fact of facts) {
    if (
      fact.type === 'in-round' &&
      fact.fact.type === 'said' &&
      state.phase === 'running' &&
      state.conversation?.phase === 'asking'
    ) {
      const { stage, attempt } = state.conversation;
      const place = placeOf(state, stagesOf(state, rules)[stage]!.name, attempt);
      said.push({ place, tenant: fact.fact.tenant, hash: fact.fact.hash });
    }
    state = advance(state, fact, rules);
    // what a round left goes when its sum is open, or it is abandoned; keys go with their epoch
    if (fact.type === 'epoch-begun') said = [];
    if (state.phase === 'running' && state.conversation === undefined)
      said = said.filter(({ place }) => place.round === 0);
  }
  return state.phase === 'running' && state.end === undefined ? said : [];
}

function isWhole(
  store: EventStore,
  task: string,
  place: BodyPlace,
  tenant: TenantId,
  vector: { readonly length: number; readonly hash: Uint8Array },
): boolean {
  const { read } = storedVector(store, task, place, tenant, vector);
  const hash = createHash('sha256');
  for (const { from, to } of stretches(vector.length, PART_BYTES)) hash.update(read(from, to));
  return hash.digest().equals(vector.hash);
}
