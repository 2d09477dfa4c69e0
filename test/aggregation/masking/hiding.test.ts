import { describe, expect, test } from 'vitest';
import type { MaskKey } from '../../../aggregation/masking/cover.ts';
import { occasionOf, pairMaskKey, readKeys, selfMaskKey } from '../../../aggregation/masking/messages.ts';
import { masking } from '../../../aggregation/masking/protocol.ts';
import { combine } from '../../../aggregation/masking/shamir.ts';
import { pairKey } from '../../../aggregation/pair-key.ts';
import { inMemory } from '../../../aggregation/stored-vector.ts';
import { names, noised, received } from '../../contracts/secure-sum-driver.ts';
import { type MaskedRound, maskedRound, ring } from './masked-round.ts';

/*
 * What the coordinator holds, and a statistician makes of it. The vectors are zero: without masks every number would be.
 */
const DIMENSION = 8192;
const members = names(5);
const [victim, late] = [members[0]!, members[4]!];
const zeros = new Map(members.map((name) => [name, new Array<number>(DIMENSION).fill(0)]));

/** Uniform modulo 2^32? 15 degrees of freedom: above 60 once in 3·10⁶. */
function chiSquare(values: Float64Array): number {
  const bins = new Array<number>(16).fill(0);
  for (const value of values) bins[Math.floor(((value + 2 ** 31) / 2 ** 32) * 16)]!++;
  return bins.reduce((sum, n) => sum + (n - values.length / 16) ** 2 / (values.length / 16), 0);
}

async function contributed(): Promise<MaskedRound> {
  const round = await maskedRound({ dimension: DIMENSION });
  await round.keys();
  await round.deal();
  await round.contribute(members, zeros);
  return round;
}

/** What the coordinator knows of a round, put together as it would for the sum. */
function known(round: MaskedRound) {
  const { shape, epoch, transcript, said } = round;
  const announced = readKeys(received(said.keys), { shape, members, transcript: epoch }, transcript);
  const occasion = occasionOf(announced, members);
  const secret = (owner: string) => {
    const at = 32 * members.indexOf(owner);
    const shares = [...said.reveal].map(([name, { open }]) => ({
      x: members.indexOf(name) + 1,
      bytes: open.subarray(at, at + 32),
    }));
    return combine(shares.slice(0, 3));
  };
  return { announced, occasion, secret };
}

/** What a vector, or a sum of some, holds; with these masks taken off or put on. */
async function valuesIn(vectors: readonly Uint8Array[], masks: readonly MaskKey[] = []): Promise<Float64Array> {
  const stored = new Map(vectors.map((bytes, i) => [String(i), inMemory(bytes)]));
  const dimension = vectors[0]!.length / 4;
  const shape = { dimension, tenants: 5, threshold: 3, minCohort: 3, colluders: 0, maxMagnitude: 1000 };
  return ring.sum(stored, masks, { identity: new Uint8Array(32), shape });
}

describe('a contribution', () => {
  test('looks uniform, and never the same twice', async () => {
    const [first, second] = [await contributed(), await contributed()];
    for (const round of [first, second])
      for (const { vector } of round.said.contribute.values())
        expect(chiSquare(await valuesIn([vector!]))).toBeLessThan(60);
    const [a, b] = await Promise.all(
      [first, second].map((round) => valuesIn([round.said.contribute.get(victim)!.vector!])),
    );
    expect(a!.filter((value, i) => value === b![i]).length).toBeLessThan(2);
  });

  test('that came too late stays hidden: with all masks of pairs taken off, that of its own is left', async () => {
    const round = await maskedRound({ dimension: DIMENSION });
    await round.keys();
    await round.deal();
    await round.contribute(members, zeros);
    const tooLate = round.said.contribute.get(late)!.vector!;
    round.said.contribute.delete(late);
    await round.agree();
    await round.reveal();
    expect(await round.sum()).toEqual(zeros.get(victim)); // the others' sum opens

    const { announced, occasion, secret } = known(round);
    const lost = pairKey(secret(late), 'x25519', round.transcript);
    expect(Buffer.from(lost.publicKey)).toEqual(Buffer.from(announced.keys.get(late)!.mask));
    // it is the last by name: the others offered, it subtracted what they added
    const pairs = members.slice(0, 4).map((name): MaskKey => {
      const pair = lost.take(announced.keys.get(name)!.mask, new Uint8Array(0))!;
      return { key: pairMaskKey(pair, occasion, name, late), sign: 1 };
    });
    const values = await valuesIn([tooLate], pairs);
    expect(values.some((value) => value === 0)).toBe(false);
    expect(chiSquare(values)).toBeLessThan(60);
  });

  test('of a survivor stays hidden: with the mask of its own taken off, those of pairs are left', async () => {
    const round = await maskedRound({ dimension: DIMENSION });
    await round.keys();
    await round.deal();
    await round.contribute(members, zeros);
    await round.agree();
    await round.reveal();
    const { occasion, secret } = known(round);
    const own: MaskKey = { key: selfMaskKey(secret(victim), occasion, victim), sign: -1 };
    const left = await valuesIn([round.said.contribute.get(victim)!.vector!], [own]);
    expect(chiSquare(left)).toBeLessThan(60);
  });

  test('differs between tenants that were told other cohorts: their masks do not cancel', async () => {
    const round = await maskedRound();
    await round.keys();
    await round.deal();
    const all = round.said.deal;
    round.said.deal = new Map([...all].filter(([name]) => name !== late));
    await round.contribute(members.slice(0, 2));
    const first = round.said.contribute;
    round.said.deal = all;
    await round.contribute(members.slice(2));
    const sum = await valuesIn([...first.values(), ...round.said.contribute.values()].map(({ vector }) => vector!));
    const { announced, occasion } = known(round);
    expect(occasionOf(announced, members.slice(0, 4))).not.toEqual(occasion);
    expect(sum.every((value) => Math.abs(value) < 1000)).toBe(false);
  });
});

describe('more than 64 tenants', () => {
  const many = { tenants: 70, minCohort: 62, colluders: 2, threshold: 37, dimension: 3 };
  const all = names(70);
  const sumOf = (cohort: readonly string[]) =>
    [0, 1, 2].map((k) => cohort.reduce((sum, name) => sum + (all.indexOf(name) + 1) * (k + 1), 0));
  const vectors = new Map(all.map((name, i) => [name, [1, 2, 3].map((k) => k * (i + 1))]));

  test('deal to some of them, lose as many as may be lost, and open exactly', async () => {
    const round = await maskedRound({ ...many, maxMagnitude: 10_000 });
    await round.keys(all.slice(1));
    await round.deal(all.slice(2));
    const letters = [...round.said.deal.values()].map(({ sealed }) => sealed.size);
    expect(Math.max(...letters)).toBeLessThan(68);
    expect(new Set(letters).size).toBe(1);
    const contributors = all.slice(4);
    await round.contribute(contributors, vectors);
    await round.agree(contributors.slice(0, -2));
    await round.reveal(contributors.slice(1, -3)); // 62 of them: with fewer there may be too few neighbours of one
    expect(await round.sum()).toEqual(sumOf(contributors));
  });

  test('open nothing when one tenant’s neighbours are gone', async () => {
    const round = await maskedRound({ ...many, maxMagnitude: 10_000 });
    await round.keys();
    await round.deal();
    await round.contribute(all, vectors);
    await round.agree();
    const [unlucky, { sealed }] = [...round.said.deal][0]!;
    const strangers = all.filter((name) => name !== unlucky && !sealed.has(name));
    expect(strangers.length).toBeGreaterThan(36);
    await round.reveal(strangers);
    await expect(round.sum()).rejects.toMatchObject({
      name: 'ProtocolBroken',
      message: /shares of its secret are needed/,
    });
  });

  test('send what is stated', async () => {
    const round = await maskedRound({ ...many, maxMagnitude: 10_000 });
    await round.keys();
    await round.deal();
    await round.contribute(all, vectors);
    await round.agree();
    await round.reveal();
    const sent = Object.values(round.said).map((said) => {
      const { open, sealed, vector } = said.get(all[0]!)!;
      return open.length + (vector?.length ?? 0) + [...sealed.values()].reduce((sum, { length }) => sum + length, 0);
    });
    expect(sent.reduce((a, b) => a + b)).toBe(masking.bytesPerRound(round.shape));
  });
});

test('a vector of other than the planned length is none', async () => {
  const round = await maskedRound();
  await round.keys();
  await round.deal();
  const mine = round.rounds.get(victim)!;
  await expect(mine.contribute(noised([1, 2, 3]), round.heard('deal', victim))).rejects.toThrow(
    /expected 4 coordinates/,
  );
});
