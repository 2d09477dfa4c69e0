import { shapeOf } from '../aggregation/plan.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';
import type { Statement } from '../aggregation/transcript.ts';
import type { FromClient } from '../aggregation/wire.ts';
import type { Course } from './course.ts';
import { decide } from './decide-task.ts';
import type { Epochs } from './epochs.ts';
import { bodyOf, type Hearing, placeOf, roundNumber, type Say, statementOf } from './hearing.ts';
import type { EventStore } from './store/event-store.ts';
import { stagesOf } from './task.ts';
import type { Telling } from './telling.ts';
import { storedVector, type Uploads } from './uploads.ts';

/** What takes in the answers of one task. */
export interface AnswersWorld {
  readonly course: Course;
  readonly epochs: Epochs;
  readonly hearing: Hearing;
  readonly uploads: Uploads;
  readonly telling: Telling;
  readonly store: EventStore;
}

/**
 * What tenants answer when they are asked: a vector part by part, then the statement that signs it. Either is on disk, or refused in
 * words, when this returns.
 */
export class Answers {
  readonly #world: AnswersWorld;

  constructor(world: AnswersWorld) {
    this.#world = world;
  }

  /** A part of a vector from who is asked for it now; of anything else the statement will say what is wrong. */
  takePart(tenant: TenantId, part: Extract<FromClient, { type: 'part' }>): void {
    const { course, uploads, telling } = this.#world;
    const { state, plan, protocol, rules } = course;
    if (state.phase !== 'running' || state.conversation?.phase !== 'asking') return;
    const { asked, said, stage, attempt } = state.conversation;
    const { name } = stagesOf(state, rules)[stage]!;
    const isHere = part.epoch === state.epoch && part.round === roundNumber(state) && part.attempt === attempt;
    if (!isHere || part.stage !== name || !asked.includes(tenant) || said.has(tenant)) return;
    const place = placeOf(state, name, attempt);
    const total = protocol.vectorBytes(name, shapeOf(plan));
    if (!uploads.take(place, tenant, part, total) || part.at + part.bytes.length === total) return;
    telling.have(tenant, place, uploads.held(place, tenant));
  }

  say(tenant: TenantId, message: Say): void {
    const { course, uploads, telling } = this.#world;
    const { state } = course;
    if (state.phase !== 'running') return telling.refused(tenant, message.stage, 'round-over');
    const place = placeOf(state, message.stage, message.attempt);
    const statement = statementOf(tenant, message, uploads.complete(place, tenant));
    const refusal = this.#refusal(statement, message) ?? this.#keep(statement, message);
    if (refusal === undefined) return uploads.drop(place, tenant);
    telling.refused(tenant, message.stage, refusal);
    uploads.refuse(place, tenant);
  }

  /** Everything about a statement that does not depend on who else has spoken. @returns why it is not taken in */
  #refusal(statement: Statement, message: Say): string | undefined {
    const { course, epochs, hearing } = this.#world;
    const { state, rules } = course;
    if (state.phase !== 'running' || state.conversation?.phase !== 'asking') return 'round-over';
    const refusal = hearing.refusal(state, state.conversation, statement, message);
    if (refusal !== undefined) return refusal;
    return epochs.of(state).malformed(stagesOf(state, rules)[state.conversation.stage]!, statement);
  }

  /** The body is on disk with the fact that it was said. @returns why not */
  #keep(statement: Statement, message: Say): string | undefined {
    const { course, hearing, uploads, store } = this.#world;
    const { from: tenant, vector } = statement;
    const { body, hash } = bodyOf(statement);
    const bytes = body.length + (vector?.length ?? 0);
    const facts = decide(course.state, { ...message, tenant, hash, bytes }, course.rules);
    if (typeof facts === 'string') return facts;
    const place = placeOf(course.running, message.stage, message.attempt);
    const also = (): void => {
      store.putBody(course.id, place, tenant, body);
      uploads.keep(place, tenant);
    };
    course.commit(facts, { also });
    const kept = vector && storedVector(store, course.id, place, tenant, vector);
    hearing.hear(place, { ...statement, ...(kept ? { vector: kept } : {}) });
    return undefined;
  }
}
