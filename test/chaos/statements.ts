import { unpack } from 'msgpackr';
import { hex, rosterHash, shapeOf, taskId } from '../../aggregation/plan.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import type { CoordinatorEpoch, Received, TenantId } from '../../aggregation/secure-sum.ts';
import { epochOccasion, sha256, transcriptOf } from '../../aggregation/transcript.ts';
import type { Books, RoundBook } from './books.ts';
import type { Kept } from './writes.ts';

/** What was said, from who saw it go to disk: the store itself erases it when its round is over. */
export interface Statements {
  /** what a tenant said, by the hash that the fact has of it */
  readonly byHash: ReadonlyMap<string, Kept & { readonly received: Received }>;
}

export function statementsOf(kept: readonly Kept[]): Statements {
  return { byHash: new Map(kept.map((one) => [hex(sha256(one.body)), { ...one, received: receivedIn(one.body) }])) };
}

function receivedIn(body: Uint8Array): Received {
  const { open, sealed, vector } = unpack(body) as {
    open: Uint8Array;
    sealed: [TenantId, Uint8Array][];
    vector?: { length: number; hash: Uint8Array };
  };
  const read = (): never => {
    throw new Error('of a vector its hash is kept, no more');
  };
  return { open, sealed: new Map(sealed), ...(vector ? { vector: { ...vector, read } } : {}) };
}

/** The hash of a round's sum, from the statements that the facts name: what a charge has to say. */
export async function sumHashOf(
  round: RoundBook,
  books: Books,
  { byHash }: Statements,
  epochs: Map<number, CoordinatorEpoch>,
): Promise<string> {
  const protocol = protocolNamed(books.plan.settings.secureSum.protocol);
  const contribute = protocol.summing.findIndex(({ gate }) => gate === 'contribute');
  const said = [...(round.said.get(contribute) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
  const contributions = new Map(
    said.map(([tenant, hash]) => {
      const found = byHash.get(hash);
      if (found?.tenant !== tenant) throw new Error(`nobody saw what ${tenant} is said to have contributed`);
      return [tenant, found.received];
    }),
  );
  const epoch = epochs.get(round.epoch) ?? (await epochOf(round.epoch, books, byHash));
  epochs.set(round.epoch, epoch);
  return hex(await epoch.sumHash(contributions));
}

async function epochOf(
  number: number,
  { plan, epochs }: Books,
  byHash: Statements['byHash'],
): Promise<CoordinatorEpoch> {
  const protocol = protocolNamed(plan.settings.secureSum.protocol);
  const { parties, head } = epochs.get(number)!;
  const { federation, roster } = plan;
  const task = taskId(plan);
  const occasion = { federation, roster: rosterHash(roster), task, epoch: number, round: 0, ledger: head.hash };
  const transcript = transcriptOf(epochOccasion(protocol, occasion));
  const epoch = await protocol.coordinator({ shape: shapeOf(plan), members: parties, transcript });
  const last = protocol.keying.at(-1)?.name;
  if (last !== undefined) {
    const said = [...byHash.values()].filter(
      (one) => one.task === task && one.place.epoch === number && one.place.stage === last,
    );
    await epoch.keyed(
      new Map(said.sort((a, b) => (a.tenant < b.tenant ? -1 : 1)).map((one) => [one.tenant, one.received])),
    );
  }
  return epoch;
}
