import type { Stage, TenantId } from '../../aggregation/secure-sum.ts';
import { advance, replay } from '../../coordinator/advance-task.ts';
import { decide } from '../../coordinator/decide-task.ts';
import { type Move, nextMove } from '../../coordinator/next-move.ts';
import { inRound, type TaskFact, type TaskMessage, type TaskRules, type TaskState } from '../../coordinator/task.ts';
import { EMPTY_LEDGER, positionOf } from '../../privacy/ledger.ts';

const stage = (name: string, gate: Stage['gate'], answers: Stage['answers'], attempts = 0): Stage => ({
  name,
  gate,
  answers,
  attempts,
});

/** The stages of threshold-he. */
export const KEYED: TaskRules['protocol'] = {
  keying: [stage('announce', 'prepare', 'enough'), stage('deal', 'prepare', 'all')],
  summing: [
    stage('ready', 'prepare', 'enough'),
    stage('contribute', 'contribute', 'all'),
    stage('share', 'open', 'all', 2),
  ],
};

export const ROSTER: readonly TenantId[] = ['amber', 'blue', 'coral', 'dun', 'ebony'];
export const THRESHOLD = 4;

export const RULES: TaskRules = {
  protocol: KEYED,
  roster: ROSTER,
  minCohort: 4,
  threshold: THRESHOLD,
  openings: 5,
  openingsPerEpoch: Number.POSITIVE_INFINITY,
  steps: 4,
  stageTimeoutMs: 1000,
  graceMs: 100,
  patienceMs: 3000,
};

/** The task's pure functions, driven as the coordinator drives them: every fact in order, moves until it is the tenants' turn. */
export class TaskPlay {
  readonly facts: TaskFact[] = [];
  readonly present = new Set<TenantId>(ROSTER);
  readonly rules: TaskRules;
  state: TaskState;
  now = 1000;
  /** of the ledger; what is in it does not matter here */
  readonly head = EMPTY_LEDGER;

  readonly #openers: (present: readonly TenantId[]) => readonly TenantId[];

  constructor(rules: TaskRules = RULES, openers = firstOf) {
    this.rules = rules;
    this.#openers = openers;
    this.facts.push({ type: 'proposed', at: this.now, model: 'model 0', entry: 7 }, { type: 'witnessed' });
    this.state = replay(this.facts, rules);
  }

  /** @returns the refusal, when it is one */
  hear(message: TaskMessage): string | undefined {
    const facts = decide(this.state, message, this.rules);
    if (typeof facts === 'string') return facts;
    this.take(...facts);
    this.settle();
    return undefined;
  }

  tick(ms: number): void {
    this.now += ms;
    this.hear({ type: 'tick', at: this.now, present: this.present });
  }

  restart(): void {
    this.state = replay(this.facts, this.rules);
    if (this.state.phase === 'finished' || this.state.phase === 'stopped') return;
    this.take({ type: 'resumed', at: this.now });
    this.settle();
  }

  take(...facts: readonly TaskFact[]): void {
    for (const fact of facts) {
      this.state = advance(this.state, fact, this.rules);
      this.facts.push(fact);
    }
  }

  settle(): void {
    for (let moves = 0; moves < 100; moves++) {
      const move = nextMove(this.state, this.rules, this.present, this.#openers);
      if (move === undefined) return;
      this.take(...this.#factsOf(move));
    }
    throw new Error('the coordinator never stops moving');
  }

  /** The statement the tenant is asked for; undefined when it is asked for none. */
  answerOf(tenant: TenantId): Extract<TaskMessage, { type: 'say' }> | undefined {
    if (this.state.phase !== 'running' || this.state.conversation?.phase !== 'asking') return undefined;
    const { conversation, keyed, epoch, round } = this.state;
    if (!conversation.asked.includes(tenant) || conversation.said.has(tenant)) return undefined;
    const stages = keyed ? this.rules.protocol.summing : this.rules.protocol.keying;
    return {
      type: 'say',
      tenant,
      stage: stages[conversation.stage]!.name,
      attempt: conversation.attempt,
      epoch,
      round: keyed ? round : 0,
      hash: `${tenant} in round ${round}`,
    };
  }

  everyoneAnswers(tenants: readonly TenantId[] = ROSTER): void {
    for (const tenant of tenants) {
      const answer = this.answerOf(tenant);
      if (answer !== undefined) this.hear(answer);
    }
  }

  #factsOf(move: Move): TaskFact[] {
    const { state } = this;
    if (state.phase !== 'running') throw new Error(`a move while ${state.phase}`);
    const sumHash = `sum of round ${state.round}`;
    switch (move.type) {
      case 'stop':
        return [{ type: 'stopped', reason: move.reason }];
      case 'complete':
        return [{ type: 'completed', entry: 99 }, { type: 'finished' }];
      case 'wait':
        return [{ type: 'waiting', at: this.now }];
      case 'begin-epoch':
        return [{ type: 'epoch-begun', epoch: state.epoch + 1, members: move.members, head: positionOf(this.head) }];
      case 'begin-round':
        return [{ type: 'round-begun', round: state.round + 1, present: move.present, head: positionOf(this.head) }];
      case 'ask': {
        const { stage, attempt, tenants: asked, patient } = move;
        return [inRound({ type: 'asked', stage, attempt, asked, patient, at: this.now })];
      }
      case 'abandon':
        return [inRound({ type: 'abandoned', reason: move.reason })];
      case 'conclude-keying':
        return [inRound({ type: 'concluded' })];
      case 'charge':
        return [inRound({ type: 'charged', sumHash })];
      case 'open':
        return [inRound({ type: 'concluded' }), { type: 'opened', sumHash, model: `model ${state.steps + 1}` }];
    }
  }
}

const firstOf = (present: readonly TenantId[]): readonly TenantId[] =>
  present.length < THRESHOLD ? [] : [...present].sort().slice(0, THRESHOLD);
