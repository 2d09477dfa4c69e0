import { randomBytes } from 'node:crypto';
import type {
  CoordinatorEpoch,
  Heard,
  HeardAll,
  Received,
  ReceivedAll,
  RoundRecord,
  Said,
  SecureSum,
  Stage,
  SumShape,
  TenantEpoch,
  TenantId,
  TenantRound,
} from '../../aggregation/secure-sum.ts';
import { asHeard, inMemory } from '../../aggregation/stored-vector.ts';
import type { Noised } from '../../privacy/steps.ts';

/**
 * Plays the coordinator in memory: asks every stage of a protocol in order, hands each tenant exactly what it may
 * hear, and stores nothing that `malformed` refuses. For tests; attacks reach into what it exposes.
 */
export interface DrivenEpoch {
  readonly protocol: SecureSum;
  readonly shape: SumShape;
  /** the tenants that hold keys, sorted */
  readonly members: readonly TenantId[];
  readonly tenants: ReadonlyMap<TenantId, TenantEpoch>;
  readonly coordinator: CoordinatorEpoch;
  forget(): void;
}

export interface DrivenRound {
  readonly rounds: ReadonlyMap<TenantId, TenantRound>;
  /** what the cohort said to the last prepare stage */
  readonly ready: HeardAll;
  readonly contributions: ReceivedAll;
  /** the contributions as tenants are shown them */
  readonly shown: HeardAll;
  readonly record: RoundRecord;
  /** bytes each tenant has sent so far */
  readonly sent: Map<TenantId, number>;
}

export type AllSaid = Map<TenantId, Said>;

/** tenant-00, tenant-01, … */
export const names = (count: number): TenantId[] =>
  Array.from({ length: count }, (_, i) => `tenant-${String(i).padStart(2, '0')}`);

/** For tests only: vectors that were never clipped or noised. */
export const noised = (values: ArrayLike<number>): Noised => Float64Array.from(values) as Noised;

/** @param absent - members that never answer, so that they are left out where a stage needs only enough */
export async function driveKeying(
  protocol: SecureSum,
  shape: SumShape,
  absent: readonly TenantId[] = [],
): Promise<DrivenEpoch> {
  const roster = names(shape.tenants);
  const transcript = new Uint8Array(randomBytes(32));
  const coordinator = await protocol.coordinator({ shape, members: roster, transcript });
  const tenants = new Map<TenantId, TenantEpoch>();
  for (const me of roster.filter((name) => !absent.includes(name))) {
    tenants.set(me, await protocol.tenant({ shape, members: roster, me, transcript }));
  }
  const members = [...tenants.keys()];

  let said: AllSaid = new Map();
  for (const [index, stage] of protocol.keying.entries()) {
    const before = said;
    said = await askEach(members, (name) => tenants.get(name)!.key(index, heardBy(name, before)));
    for (const one of said.values()) expectWellFormed(coordinator, stage, one);
  }
  if (protocol.keying.length > 0) {
    for (const [name, tenant] of tenants) await tenant.keyed(heardBy(name, said));
    await coordinator.keyed(received(said));
  }
  return {
    protocol,
    shape,
    members,
    tenants,
    coordinator,
    forget() {
      for (const tenant of tenants.values()) tenant.forget();
      coordinator.forget();
    },
  };
}

/** Asks for contributions. @param vectors - one for each of the cohort */
export async function driveContributions(
  epoch: DrivenEpoch,
  vectors: ReadonlyMap<TenantId, Noised>,
): Promise<DrivenRound> {
  const transcript = new Uint8Array(randomBytes(32));
  const cohort = [...vectors.keys()].sort();
  const rounds = new Map(epoch.members.map((name) => [name, epoch.tenants.get(name)!.round(transcript)]));
  const sent = new Map<TenantId, number>();
  const prepared: ReceivedAll[] = [];
  let said: AllSaid = new Map();
  for (const stage of epoch.protocol.summing) {
    const before = said;
    const ask = (answer: (round: TenantRound, heard: HeardAll, name: TenantId) => Promise<Said>) =>
      askStage(epoch, stage, cohort, sent, (name) => answer(rounds.get(name)!, heardBy(name, before), name));
    if (stage.gate === 'prepare') {
      said = await ask((round, heard) => round.prepare(prepared.length, heard));
      prepared.push(received(said));
    } else if (stage.gate === 'contribute') {
      said = await ask((round, heard, name) => round.contribute(vectors.get(name)!, heard));
      const contributions = received(said);
      const ready = asHeard(received(before));
      return { rounds, ready, contributions, shown: asHeard(contributions), record: { transcript, prepared }, sent };
    }
  }
  throw new Error(`${epoch.protocol.name} has no stage to contribute in`);
}

/** Asks openers, if the protocol wants any, and opens. @param present - tenants still there */
export async function driveOpening(
  epoch: DrivenEpoch,
  round: DrivenRound,
  present: readonly TenantId[] = epoch.members,
): Promise<Float64Array> {
  const able = stageOf(epoch, 'agree') ? present.filter((name) => round.contributions.has(name)) : present;
  const shares = await driveShares(epoch, round, epoch.coordinator.openers(able));
  return epoch.coordinator.open(round.contributions, shares, round.record);
}

/** What these openers say, after they have agreed where there is a stage for it. */
export async function driveShares(
  epoch: DrivenEpoch,
  { rounds, shown, sent }: DrivenRound,
  openers: readonly TenantId[],
): Promise<ReceivedAll> {
  const [agree, open] = [stageOf(epoch, 'agree'), stageOf(epoch, 'open')];
  if (agree !== undefined) await askStage(epoch, agree, openers, sent, (name) => rounds.get(name)!.agree(shown));
  if (open === undefined) return new Map();
  return received(await askStage(epoch, open, openers, sent, (name) => rounds.get(name)!.open(shown, openers)));
}

const stageOf = ({ protocol }: DrivenEpoch, gate: Stage['gate']): Stage | undefined =>
  protocol.summing.find((stage) => stage.gate === gate);

async function askStage(
  { coordinator }: DrivenEpoch,
  stage: Stage,
  asked: readonly TenantId[],
  sent: Map<TenantId, number>,
  answer: (name: TenantId) => Promise<Said>,
): Promise<AllSaid> {
  const said = await askEach(asked, answer);
  for (const [name, one] of said) {
    expectWellFormed(coordinator, stage, one);
    const bytes = [one.open, one.vector ?? [], ...one.sealed.values()].reduce((sum, { length }) => sum + length, 0);
    sent.set(name, (sent.get(name) ?? 0) + bytes);
  }
  return said;
}

/** A round that began nowhere, for protocols that open without looking back. */
export const NO_RECORD: RoundRecord = { transcript: new Uint8Array(32), prepared: [] };

/** A whole round of everyone in `vectors`. */
export async function driveRound(
  epoch: DrivenEpoch,
  vectors: ReadonlyMap<TenantId, Noised>,
  present?: readonly TenantId[],
): Promise<Float64Array> {
  return driveOpening(epoch, await driveContributions(epoch, vectors), present);
}

export async function askEach(asked: readonly TenantId[], answer: (name: TenantId) => Promise<Said>): Promise<AllSaid> {
  const said: AllSaid = new Map();
  for (const name of asked) said.set(name, await answer(name));
  return said;
}

export function heardBy(recipient: TenantId, said: ReadonlyMap<TenantId, Said>): HeardAll {
  return new Map(
    [...asHeard(received(said))].map(([from, heard]): [TenantId, Heard] => {
      const mine = said.get(from)!.sealed.get(recipient);
      return [from, mine === undefined ? heard : { ...heard, sealed: mine }];
    }),
  );
}

/** As the coordinator has it. */
export const received = (said: ReadonlyMap<TenantId, Said>): Map<TenantId, Received> =>
  new Map([...said].map(([from, one]) => [from, receivedFrom(one)]));

export const receivedFrom = ({ open, sealed, vector }: Said): Received =>
  vector === undefined ? { open, sealed } : { open, sealed, vector: inMemory(vector) };

function expectWellFormed(coordinator: CoordinatorEpoch, stage: Stage, said: Said) {
  const refusal = coordinator.malformed(stage, receivedFrom(said));
  if (refusal !== undefined) throw new Error(`${stage.name} was refused: ${refusal}`);
}
