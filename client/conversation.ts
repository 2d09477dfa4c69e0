import type { Identity } from '../aggregation/identity.ts';
import { type Plan, rosterHash } from '../aggregation/plan.ts';
import type { Heard, HeardAll, Said, Stage, TenantId } from '../aggregation/secure-sum.ts';
import {
  heardHash,
  isRelayed,
  NOTHING_HEARD,
  type Occasion,
  type Place,
  type Relayed,
  signStatement,
  transcriptOf,
} from '../aggregation/transcript.ts';
import type { FromClient, FromCoordinator } from '../aggregation/wire.ts';
import { Declined } from './declined.ts';

/**
 * One conversation as this tenant lives it, be it the keying of an epoch or a round: what it hears, and what it says.
 *
 *   relayed ──▶ said by this tenant of the roster, here and now, having been shown what I was shown? ──▶ heard
 *   said    ──▶ signed, over this place and the hash of everything I was shown before ──▶ answer
 *
 * The place is this tenant's own view: the plan it accepted, the round it is in, the ledger it has verified. A coordinator
 * that shows two tenants two different things cannot make them hear each other (`aggregation/transcript.ts`).
 */
export class Conversation {
  readonly stages: readonly Stage[];
  readonly #me: TenantId;
  readonly #identity: Identity;
  /** of the roster, by name */
  readonly #keys: ReadonlyMap<TenantId, Uint8Array>;
  readonly occasion: Omit<Occasion, 'model'>;
  /** by name of a stage that was answered: hash of what this tenant had been shown */
  readonly #shown = new Map<string, Uint8Array>();

  constructor({ plan, task, me, identity, epoch, round, ledger, stages }: Beginning) {
    const { federation, roster } = plan;
    this.stages = stages;
    this.#me = me;
    this.#identity = identity;
    this.#keys = new Map(roster.map(({ tenant, key }) => [tenant, Buffer.from(key, 'hex')]));
    this.occasion = { federation, roster: rosterHash(roster), task, epoch, round, ledger };
  }

  /** What binds keys and sums to this conversation; 32 bytes. @param model - as in `Occasion` */
  transcript(model: string): Uint8Array {
    return transcriptOf({ ...this.occasion, model });
  }

  /**
   * What was said in the stage before, when every signature holds in this tenant's own view.
   *
   * @param index - of the stage that is asked; `stages.length` after the last
   * @throws Declined when something was not said by whom it is said to be, here and now, or a stage was left out
   */
  heard({ stage, model, heard }: Pick<Ask, 'stage' | 'model' | 'heard'>, index: number): HeardAll {
    if (index === 0) {
      if (heard.length > 0) throw new Declined('broken-promise', 'statements before anyone was asked');
      return new Map();
    }
    const { name: previous } = this.stages[index - 1]!;
    const shown = this.#shown.get(previous);
    if (shown === undefined)
      throw new Declined('broken-promise', `asked for "${stage}" without having been asked for "${previous}"`);
    const place: Place = { transcript: this.transcript(model), stage: previous, attempt: 1, heard: shown };
    const all = new Map<TenantId, Heard>();
    for (const relayed of heard as readonly Relayed[]) {
      const { from, open, sealed, vectorHash } = relayed;
      const key = this.#keys.get(from);
      if (key === undefined || all.has(from) || !isRelayed(key, place, this.#me, relayed))
        throw new Declined('broken-promise', `a statement in the name of ${from} was not made by it, here and now`);
      all.set(from, { open, ...(sealed ? { sealed } : {}), ...(vectorHash ? { vectorHash } : {}) });
    }
    return all;
  }

  /** What this tenant says when it is asked, signed over what it was shown with the question. */
  answer(ask: Ask, said: Said): Answer {
    const { task, epoch, round, model, stage, attempt } = ask;
    const heard = ask.heard.length === 0 ? NOTHING_HEARD : heardHash(ask.heard as readonly Relayed[]);
    this.#shown.set(stage, heard);
    const place: Place = { transcript: this.transcript(model), stage, attempt, heard };
    const signature = signStatement(this.#identity, this.#me, place, said);
    const where = { task, epoch, round, stage, attempt };
    const say: Answer['say'] = { type: 'say', ...where, open: said.open, sealed: [...said.sealed], signature };
    return said.vector === undefined ? { say } : { say, vector: said.vector };
  }
}

export type Ask = Extract<FromCoordinator, { type: 'ask' }>;

/** What a tenant says, and the vector that goes ahead of it. */
export interface Answer {
  readonly say: Extract<FromClient, { type: 'say' }>;
  readonly vector?: Uint8Array;
}

/** What a conversation begins with. */
interface Beginning {
  readonly plan: Plan;
  /** the plan's hash */
  readonly task: string;
  readonly me: TenantId;
  readonly identity: Identity;
  readonly epoch: number;
  /** 0 while keys are made */
  readonly round: number;
  /** hash of the ledger's head, as this tenant has verified it */
  readonly ledger: string;
  readonly stages: readonly Stage[];
}

/** Where a stage stands among those of its conversation. @throws Declined when it is none of them */
export function stageNamed(stages: readonly Stage[], name: string): number {
  const index = stages.findIndex((stage) => stage.name === name);
  if (index < 0) throw new Declined('broken-promise', `there is no stage "${name}" in this conversation`);
  return index;
}
