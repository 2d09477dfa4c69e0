import { randomBytes } from 'node:crypto';
import { loadKernels } from '../../../aggregation/kernels/load-kernels.ts';
import { coordinatorEpoch } from '../../../aggregation/masking/coordinator.ts';
import type { Cover } from '../../../aggregation/masking/cover.ts';
import { dealing } from '../../../aggregation/masking/dealing.ts';
import { boundTo } from '../../../aggregation/masking/messages.ts';
import { masking } from '../../../aggregation/masking/protocol.ts';
import { ringCover } from '../../../aggregation/masking/ring-cover.ts';
import { tenantEpoch } from '../../../aggregation/masking/tenant.ts';
import type {
  CoordinatorEpoch,
  HeardAll,
  Said,
  SumShape,
  TenantEpoch,
  TenantId,
  TenantRound,
} from '../../../aggregation/secure-sum.ts';
import { asHeard } from '../../../aggregation/stored-vector.ts';
import { type RandomSource, secureRandom } from '../../../privacy/random.ts';
import { type AllSaid, askEach, heardBy, names, noised, received } from '../../contracts/secure-sum-driver.ts';

/**
 * A round of `masking` played stage by stage, for tests that lose tenants between any two of them, or change what was
 * said: every stage hears what lies in `said` of the stage before.
 */
export interface MaskedRound {
  readonly shape: SumShape;
  readonly members: readonly TenantId[];
  /** of the epoch and of the round, bound to the protocol */
  readonly epoch: Uint8Array;
  readonly transcript: Uint8Array;
  readonly coordinator: CoordinatorEpoch;
  readonly epochs: ReadonlyMap<TenantId, TenantEpoch>;
  readonly rounds: ReadonlyMap<TenantId, TenantRound>;
  readonly said: { keys: AllSaid; deal: AllSaid; contribute: AllSaid; agree: AllSaid; reveal: AllSaid };
  keys(who?: readonly TenantId[]): Promise<void>;
  deal(who?: readonly TenantId[]): Promise<void>;
  contribute(who?: readonly TenantId[], vectors?: ReadonlyMap<TenantId, readonly number[]>): Promise<void>;
  agree(who?: readonly TenantId[]): Promise<void>;
  reveal(who?: readonly TenantId[]): Promise<void>;
  /** what this tenant is shown of the stage before */
  heard(stage: 'keys' | 'deal' | 'contribute', by: TenantId): HeardAll;
  sum(): Promise<number[]>;
}

export interface MaskedOptions extends Partial<SumShape> {
  readonly transcript?: Uint8Array;
  readonly epoch?: Uint8Array;
  readonly random?: (name: TenantId) => Pick<RandomSource, 'fill'>;
  readonly cover?: Cover;
  readonly coverOf?: (name: TenantId) => Cover;
  readonly membersOf?: (name: TenantId) => readonly TenantId[];
}

export async function maskedRound(options: MaskedOptions = {}): Promise<MaskedRound> {
  const { cover = ring, coverOf = () => cover, random = () => secure, membersOf, ...others } = options;
  const { transcript = bytes32(), epoch = bytes32(), ...rest } = others;
  const { tenants = 5, threshold = 3 } = rest;
  const shape: SumShape = {
    ...{ dimension: 4, tenants, threshold, minCohort: threshold, colluders: 0, maxMagnitude: 1000 },
    ...rest,
  };
  const members = names(tenants);
  const epochs = new Map(
    members.map((me) => [
      me,
      tenantEpoch(coverOf(me), { shape, members: membersOf?.(me) ?? members, me, transcript: epoch }, random(me)),
    ]),
  );
  const rounds = new Map(members.map((me) => [me, epochs.get(me)!.round(transcript)]));
  const coordinator = coordinatorEpoch(cover, { shape, members, transcript: epoch });
  const none = (): AllSaid => new Map();
  const said = { keys: none(), deal: none(), contribute: none(), agree: none(), reveal: none() };
  const ask = async (who: Iterable<TenantId>, answer: (round: TenantRound, name: TenantId) => Promise<Said>) => {
    return askEach([...who].sort(), (name) => answer(rounds.get(name)!, name));
  };
  const shown = () => asHeard(received(said.contribute));

  return {
    ...{ epoch: boundTo(cover, epoch), transcript: boundTo(cover, transcript) },
    ...{ shape, members, coordinator, epochs, rounds, said },
    async keys(who = members) {
      said.keys = await ask(who, (round) => round.prepare(0, new Map()));
    },
    async deal(who = [...said.keys.keys()]) {
      said.deal = await ask(who, (round, name) => round.prepare(1, heardBy(name, said.keys)));
    },
    async contribute(who = [...said.deal.keys()], vectors) {
      said.contribute = await ask(who, (round, name) =>
        round.contribute(noised(vectors?.get(name) ?? vectorOf(name, shape.dimension)), heardBy(name, said.deal)),
      );
    },
    async agree(who = [...said.contribute.keys()]) {
      said.agree = await ask(who, (round) => round.agree(shown()));
    },
    async reveal(who = [...said.agree.keys()]) {
      const agreeing = [...said.agree.keys()].sort();
      said.reveal = await ask(who, (round) => round.open(shown(), agreeing));
    },
    heard: (stage, by) => (stage === 'contribute' ? shown() : heardBy(by, said[stage])),
    async sum() {
      const record = { transcript, prepared: [received(said.keys), received(said.deal)] };
      return [...(await coordinator.open(received(said.contribute), received(said.reveal), record))];
    },
  };
}

/** A member that says what it likes: its secrets, and the round's context, to make lies of. */
export function insider({ shape, members, epoch, transcript }: MaskedRound, me: TenantId) {
  const context = { shape, members, me, transcript: epoch };
  return { context, secrets: dealing(context, transcript, secure) };
}

/** All stages but those tenants that are lost before one of them. */
export async function playedThrough(
  options: MaskedOptions,
  lost: Partial<Record<'keys' | 'deal' | 'contribute' | 'agree' | 'reveal', readonly TenantId[]>> = {},
): Promise<MaskedRound> {
  const round = await maskedRound(options);
  let left = [...round.members];
  for (const stage of ['keys', 'deal', 'contribute', 'agree', 'reveal'] as const) {
    left = left.filter((name) => !lost[stage]?.includes(name));
    await round[stage](left);
  }
  return round;
}

/** Another vector for each, both signs. */
export const vectorOf = (name: TenantId, dimension: number): number[] => {
  const number = Number(name.slice('tenant-'.length));
  return Array.from({ length: dimension }, (_, k) => (k % 2 ? -1 : 1) * (number + k + 1));
};

export function sumOver(cohort: Iterable<TenantId>, dimension: number): number[] {
  const sum = new Array<number>(dimension).fill(0);
  for (const name of cohort) for (const [k, value] of vectorOf(name, dimension).entries()) sum[k]! += value;
  return sum;
}

export const stageOf = (name: string) => masking.summing.find((stage) => stage.name === name)!;

/** The cover of `masking`. */
export const ring: Cover = ringCover((await loadKernels()).words);
const secure = secureRandom();
const bytes32 = () => new Uint8Array(randomBytes(32));
