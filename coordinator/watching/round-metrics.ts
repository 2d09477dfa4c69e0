import { Counter, Histogram, type Registry } from 'prom-client';
import type { Stage, TenantId } from '../../aggregation/secure-sum.ts';
import type { CoordinatorEvent } from '../coordinator-event.ts';
import type { RoundFact } from '../round.ts';
import type { TaskFact } from '../task.ts';

/**
 * Counts what happens, by the facts of the tasks: rounds, how long each phase took, who was lost in it, what was refused.
 *
 * Labels come from sets that nobody outside can enlarge: tasks, phases, and classes of reasons. Nothing here depends on a
 * tenant's data.
 */
export interface RoundMetrics {
  follow(event: CoordinatorEvent): void;
  /** A connection that was turned away at the door. */
  turnedAway(reason: 'sockets' | 'too-often' | 'full'): void;
}

/** What of a task labels are made of. */
export interface LabelledTask {
  readonly name: string;
  /** of the conversation under way */
  readonly stages: readonly Pick<Stage, 'gate'>[];
}

/** @param taskOf - the task of this id; undefined when there is none */
export function roundMetrics(
  registry: Registry,
  taskOf: (id: string) => LabelledTask | undefined,
  clock: () => number,
): RoundMetrics {
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[]): Counter =>
    new Counter({ name: `parley_${name}`, help, labelNames, registers });
  const rounds = counter('rounds_total', 'Rounds that ended, since the start', ['task', 'outcome']);
  const dropouts = counter('dropouts_total', 'Tenants that were asked and did not answer, since the start', ['phase']);
  const refused = counter('refused_total', 'Connections and messages refused, since the start', ['what', 'reason']);
  const phases = new Histogram({
    name: 'parley_phase_seconds',
    help: 'From asking the tenants in a phase to the last answer; "round": from its beginning to its sum; "witness": to the quorum',
    labelNames: ['phase'],
    buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300],
    registers,
  });
  const under = new Map<string, UnderWay>();

  function takeIn(task: string, facts: readonly TaskFact[]): void {
    const state = under.get(task) ?? { asked: new Set() };
    under.set(task, state);
    for (const fact of facts) {
      if (fact.type === 'in-round') inRound(task, state, fact.fact);
      else if (fact.type === 'epoch-begun') state.isKeying = true;
      else if (fact.type === 'round-begun') Object.assign(state, { isKeying: false, begunAt: clock() });
      else if (fact.type === 'opened') end(task, state, 'opened');
      else if (fact.type === 'proposed' || fact.type === 'completed') state.witnessFrom = clock();
      else if (fact.type === 'witnessed' || fact.type === 'finished') took('witness', state.witnessFrom);
      if (fact.type === 'finished' || fact.type === 'stopped') under.delete(task);
    }
  }

  function inRound(task: string, state: UnderWay, fact: RoundFact): void {
    switch (fact.type) {
      case 'asked': {
        const phase = state.isKeying === true ? 'keying' : taskOf(task)?.stages[fact.stage]?.gate;
        return void Object.assign(state, { phase, askedAt: fact.at, asked: new Set(fact.asked) });
      }
      case 'said':
        return void state.asked.delete(fact.tenant);
      case 'abandoned':
        lose(state);
        return end(task, state, 'abandoned');
      case 'closed':
      case 'lapsed':
        if (state.phase !== undefined) took(state.phase, state.askedAt);
        return lose(state);
    }
  }

  function lose(state: UnderWay): void {
    if (state.phase !== undefined && state.asked.size > 0) dropouts.inc({ phase: state.phase }, state.asked.size);
    state.asked = new Set();
  }

  function end(task: string, state: UnderWay, outcome: 'opened' | 'abandoned'): void {
    if (state.isKeying) return;
    // as in the folders of models: readable, and one for each task
    rounds.inc({ task: `${taskOf(task)?.name ?? 'task'}-${task.slice(0, 8)}`, outcome });
    if (outcome === 'opened') took('round', state.begunAt);
    delete state.begunAt;
  }

  function took(phase: string, from: number | undefined): void {
    // a clock that was set back is no duration; after a restart the beginning is not known
    if (from !== undefined) phases.observe({ phase }, Math.max(0, clock() - from) / 1000);
  }

  return {
    follow(event) {
      if (event.type === 'task-changed') takeIn(event.task, event.facts);
      if (event.type === 'refused-connection') refused.inc({ what: 'connection', reason: classOf(event.reason) });
      if (event.type === 'refused-message')
        refused.inc({ what: 'message', reason: REFUSALS.has(event.reason) ? event.reason : 'malformed' });
    },
    turnedAway: (reason) => refused.inc({ what: 'connection', reason }),
  };
}

/** What a task is in the middle of. */
interface UnderWay {
  isKeying?: boolean;
  begunAt?: number;
  witnessFrom?: number;
  phase?: string;
  askedAt?: number;
  /** who has not answered */
  asked: Set<TenantId>;
}

/** What a message can be refused with that is not in its content. */
const REFUSALS: ReadonlySet<string> = new Set([
  'not-asked',
  'wrong-stage',
  'already-said',
  'round-over',
  'unknown-tenant',
  'already-answered',
  'wrong-round',
  'task-over',
  'unknown-task',
  'budget-not-approved',
  'bad-signature',
]);

/** Why a connection was ended, in one word of a few: its reason is for people, and may name what was sent. */
function classOf(reason: string): string {
  if (/signature|not an enrolled tenant|not its key/.test(reason)) return 'not-proven';
  if (/protocol/.test(reason)) return 'other-version';
  if (/too often|more messages|more than was asked|at most/.test(reason)) return 'too-much';
  return 'malformed';
}
