import type { BodyPlace, EventStore } from '../../coordinator/store/event-store.ts';
import type { TaskFact } from '../../coordinator/task.ts';
import type { Describe } from './witnessed-store.ts';

/** What the coordinator's store writes, in words: facts and whose they are; of the rest, the method. */
export const coordinatorWrites: Describe = (method, args) => {
  switch (method) {
    case 'addFact':
      return factInWords(args[1] as TaskFact);
    case 'putBody':
      return placeInWords(args[1] as BodyPlace);
    default:
      return /^(add|put|erase|use|expire|enrol|rekey|remove)/.test(method) ? method : undefined;
  }
};

const CLIENT_WRITES = ['addLedger', 'setBudget', 'accept', 'setRound', 'pin'];

/** What a client's store writes, in words. */
export const clientWrites: Describe = (method, args) => {
  if (!CLIENT_WRITES.includes(method)) return undefined;
  return method === 'pin' ? `pin ${String(args[0]).split('/')[0]}` : method;
};

/** Statements of tenants as they are put on disk: what may ever be opened is among them. */
export interface Kept {
  readonly task: string;
  readonly place: BodyPlace;
  readonly tenant: string;
  /** as `coordinator/hearing.ts` packs it; the fact that it was said has its SHA-256 */
  readonly body: Uint8Array;
}

/** Tells of every statement that is put into the store, in the transaction in which it is. */
export function overheard(store: EventStore, kept: (one: Kept) => void): EventStore {
  return {
    ...store,
    putBody(task, place, tenant, body) {
      kept({ task, place, tenant, body: Uint8Array.from(body) });
      store.putBody(task, place, tenant, body);
    },
  };
}

function factInWords(fact: TaskFact): string {
  if (fact.type !== 'in-round') return 'tenant' in fact ? `${fact.type} ${fact.tenant}` : fact.type;
  const inner = fact.fact;
  return 'tenant' in inner ? `${inner.type} ${inner.tenant}` : inner.type;
}

const placeInWords = ({ epoch, round, stage, attempt }: BodyPlace): string => `${epoch}/${round}/${stage}/${attempt}`;
