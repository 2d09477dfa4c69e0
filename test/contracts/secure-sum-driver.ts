import { randomBytes } from 'node:crypto';
import type {
  CoordinatorEpoch,
  Heard,
  HeardAll,
  Said,
  SecureSum,
  SumShape,
  TenantEpoch,
  TenantId,
  TenantRound,
} from '../../aggregation/secure-sum.ts';
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
  readonly contributions: HeardAll;
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
    await coordinator.keyed(openParts(said));
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
  let said: AllSaid = new Map();
  let prepared = 0;
  for (const stage of epoch.protocol.summing) {
    const before = said;
    if (stage.gate === 'prepare') {
      const index = prepared++;
      said = await askEach(cohort, (name) => rounds.get(name)!.prepare(index, heardBy(name, before)));
    } else if (stage.gate === 'contribute') {
      said = await askEach(cohort, (name) => rounds.get(name)!.contribute(vectors.get(name)!, heardBy(name, before)));
      for (const one of said.values()) expectWellFormed(epoch.coordinator, stage, one);
      return { rounds, ready: openParts(before), contributions: openParts(said) };
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
  return epoch.coordinator.open(
    round.contributions,
    await driveShares(epoch, round, epoch.coordinator.openers(present)),
  );
}

export async function driveShares(
  epoch: DrivenEpoch,
  round: DrivenRound,
  openers: readonly TenantId[],
): Promise<HeardAll> {
  const stage = epoch.protocol.summing.find(({ gate }) => gate === 'open');
  if (stage === undefined) return new Map();
  const said = await askEach(openers, (name) => round.rounds.get(name)!.open(round.contributions, openers));
  for (const one of said.values()) expectWellFormed(epoch.coordinator, stage, one);
  return openParts(said);
}

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
    [...said].map(([from, { open, sealed }]): [TenantId, Heard] => {
      const mine = sealed.get(recipient);
      return [from, mine === undefined ? { open } : { open, sealed: mine }];
    }),
  );
}

export const openParts = (said: ReadonlyMap<TenantId, Said>): HeardAll =>
  new Map([...said].map(([from, { open }]) => [from, { open }]));

function expectWellFormed(
  coordinator: CoordinatorEpoch,
  stage: Parameters<CoordinatorEpoch['malformed']>[0],
  said: Said,
) {
  const refusal = coordinator.malformed(stage, said);
  if (refusal !== undefined) throw new Error(`${stage.name} was refused: ${refusal}`);
}
