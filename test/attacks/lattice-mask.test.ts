import { describe, expect, test } from 'vitest';
import { keyStream } from '../../aggregation/key-stream.ts';
import { latticeCover } from '../../aggregation/lattice-mask/cover.ts';
import { decryptSum } from '../../aggregation/lattice-mask/decrypt-sum.ts';
import { KEY_BYTES, POLYNOMIAL_BYTES } from '../../aggregation/lattice-mask/parameters.ts';
import type { Cover, MaskKey } from '../../aggregation/masking/cover.ts';
import { occasionOf, pairMaskKey, readKeys, selfMaskKey } from '../../aggregation/masking/messages.ts';
import { combine } from '../../aggregation/masking/shamir.ts';
import { pairKey } from '../../aggregation/pair-key.ts';
import { asHeard, inMemory } from '../../aggregation/stored-vector.ts';
import { secureRandom } from '../../privacy/random.ts';
import { wasm } from '../aggregation/kernels/both.ts';
import { type MaskedRound, maskedRound, stageOf } from '../aggregation/masking/masked-round.ts';
import { names, noised, received, receivedFrom } from '../contracts/secure-sum-driver.ts';

/*
 * A coordinator that holds everything that was said, and five tenants under lattice-mask. Vectors are zero: what shows
 * through would be zero, too, or the errors above it.
 */
const cover: Cover = latticeCover(wasm, secureRandom());
const members = names(5);
const [victim, late] = [members[0]!, members[4]!];
const DIMENSION = 16_384;
const zeros = new Map(members.map((name) => [name, new Array<number>(DIMENSION).fill(0)]));

/** A cover that gives its keys away. */
function watched(see: (key: Float64Array) => void): Cover {
  const encode: typeof wasm.words.encode = (bits, values, into) => {
    see(values.slice());
    wasm.words.encode(bits, values, into);
  };
  return latticeCover({ ...wasm, words: { ...wasm.words, encode } }, secureRandom());
}

async function contributed(options: Parameters<typeof maskedRound>[0] = {}): Promise<MaskedRound> {
  const round = await maskedRound({ cover, dimension: DIMENSION, ...options });
  await round.keys();
  await round.deal();
  await round.contribute(members, zeros);
  return round;
}

const hidden = (round: MaskedRound, name: string): Uint8Array => round.said.contribute.get(name)!.vector!;

/** What the coordinator knows once shares are revealed. */
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

/** The words of a hidden key, with these masks taken off or put on. */
function keyWords(vector: Uint8Array, masks: readonly MaskKey[] = []): Float64Array {
  const words = vector.slice(0, KEY_BYTES);
  wasm.words.mask(
    32,
    words,
    masks.map(({ key, sign }) => ({ stream: keyStream(key), adds: sign === 1 })),
  );
  const values = new Float64Array(4096);
  wasm.words.decode(32, words, values);
  return values;
}

/** Uniform from `low` to below `high`? 15 degrees of freedom: above 60 once in 3·10⁶. */
function chiSquare(values: ArrayLike<number>, low: number, high: number): number {
  const bins = new Array<number>(16).fill(0);
  for (let i = 0; i < values.length; i++) bins[Math.floor(((values[i]! - low) / (high - low)) * 16)]!++;
  return bins.reduce((sum, n) => sum + (n - values.length / 16) ** 2 / (values.length / 16), 0);
}

const looksUniform = (words: Float64Array): boolean => chiSquare(words, -(2 ** 31), 2 ** 31) < 60;

describe('a hidden vector', () => {
  test('looks uniform, its key and its ciphertext, and never the same twice', async () => {
    const [first, second] = [await contributed(), await contributed()];
    for (const round of [first, second])
      for (const name of members) {
        expect(looksUniform(keyWords(hidden(round, name)))).toBe(true);
        const residues = wasm.maskRing.unpack(hidden(round, name).subarray(KEY_BYTES))!;
        for (const [k, { value }] of wasm.maskRing.ring.primes.entries())
          expect(chiSquare(residues.subarray(4096 * k, 4096 * (k + 1)), 0, Number(value))).toBeLessThan(60);
      }
    const [a, b] = [hidden(first, victim), hidden(second, victim)];
    expect(a.filter((byte, i) => byte === b[i]).length).toBeLessThan(500); // of 70,656, one in 256
  });

  test('of a survivor: with the mask of its own taken off, those of pairs hide its key', async () => {
    const round = await contributed();
    await round.agree();
    await round.reveal();
    expect(await round.sum()).toEqual(zeros.get(victim));
    const { occasion, secret } = known(round);
    const own: MaskKey = { key: selfMaskKey(secret(victim), occasion, victim), sign: -1 };
    expect(looksUniform(keyWords(hidden(round, victim), [own]))).toBe(true);
  });

  test('that came too late: with all masks of pairs taken off, that of its own hides its key', async () => {
    const round = await contributed();
    const tooLate = hidden(round, late);
    round.said.contribute.delete(late);
    await round.agree();
    await round.reveal();
    expect(await round.sum()).toEqual(zeros.get(victim));
    const { announced, occasion, secret } = known(round);
    const lost = pairKey(secret(late), 'x25519', round.transcript);
    // it is the last by name: the others offered, it subtracted what they added
    const pairs = members.slice(0, 4).map((name): MaskKey => {
      const pair = lost.take(announced.keys.get(name)!.mask, new Uint8Array(0))!;
      return { key: pairMaskKey(pair, occasion, name, late), sign: 1 };
    });
    const left = keyWords(tooLate, pairs);
    expect(left.some((word) => Math.abs(word) <= 42)).toBe(false);
    expect(looksUniform(left)).toBe(true);
  });
});

describe('a key hides one vector', () => {
  test('because a round contributes once, whatever became of it', async () => {
    const round = await contributed();
    const again = () => round.rounds.get(victim)!.contribute(noised(zeros.get(victim)!), round.heard('deal', victim));
    await expect(again()).rejects.toThrow('contribute is not due');
    await round.agree();
    await expect(again()).rejects.toThrow('contribute is not due');
    const broken = await maskedRound({ cover, dimension: DIMENSION });
    await broken.keys();
    await broken.deal();
    broken.said.deal.delete(late);
    broken.said.deal.delete(members[3]!);
    broken.said.deal.delete(members[2]!);
    const contribute = () =>
      broken.rounds.get(victim)!.contribute(noised(zeros.get(victim)!), broken.heard('deal', victim));
    await expect(contribute()).rejects.toThrow('a cohort of 2 is too small');
    await expect(contribute()).rejects.toThrow('contribute is not due');
  });

  test('and a round asked for anew, under the same number, has another key and another occasion', async () => {
    const transcript = new Uint8Array(32).fill(9);
    const keys: Float64Array[] = [];
    const coverOf = () => watched((key) => keys.push(key));
    const [first, second] = [await contributed({ transcript, coverOf }), await contributed({ transcript, coverOf })];
    expect(known(first).occasion).not.toEqual(known(second).occasion);
    expect(keys).toHaveLength(10);
    for (const [i, key] of keys.entries())
      for (const other of keys.slice(0, i))
        expect(key.filter((coefficient, k) => coefficient === other[k]).length).toBeLessThan(500); // of 4096, one in 16
  });
});

describe('two sets of survivors', () => {
  test('would show the key of whom they differ by, and so its vector', async () => {
    // what nobody who is honest computes: the sums of keys over both sets, by one that knows all of them
    const keys = new Map<string, Float64Array>();
    const open = await contributed({ coverOf: (name) => watched((key) => keys.set(name, key)) });
    const over = (cohort: readonly string[]) =>
      cohort.map((name) => keys.get(name)!).reduce((sum, key) => sum.map((s, i) => s + key[i]!));
    const all = over(members);
    const without = over(members.slice(0, 4));
    const { occasion } = known(open);
    const values = await decryptSum(wasm, {
      ...{ bits: 23, dimension: DIMENSION, occasion },
      ...{ ciphertexts: new Map([[late, inMemory(hidden(open, late))]]), from: KEY_BYTES },
      keySum: all.map((s, i) => s - without[i]!),
    });
    expect([...values]).toEqual(zeros.get(late));
  });

  test('are agreed to by nobody: who agreed to one refuses the other', async () => {
    const round = await contributed();
    await round.agree();
    round.said.contribute.delete(late);
    const other = asHeard(received(round.said.contribute));
    for (const name of members.slice(0, 4)) {
      const mine = round.rounds.get(name)!;
      await expect(mine.agree(other)).rejects.toThrow('I agreed to other survivors in this round');
      await expect(mine.open(other, members.slice(0, 4))).rejects.toThrow('other survivors than I agreed to');
    }
  });
});

describe('nothing is opened', () => {
  /** The sum, when this is what came of `late` instead. */
  const opened = async (change: (round: MaskedRound) => Uint8Array | Promise<Uint8Array>): Promise<number[]> => {
    const round = await contributed();
    const said = round.said.contribute.get(late)!;
    round.said.contribute.set(late, { ...said, vector: await change(round) });
    const arrived = receivedFrom(round.said.contribute.get(late)!);
    expect(round.coordinator.malformed(stageOf('contribute'), arrived)).toBeUndefined();
    await round.agree(members.slice(0, 4));
    await round.reveal(members.slice(0, 4));
    return round.sum();
  };
  const tooLarge = /larger than the plan allows/;
  const noKeys = /no sum of keys/;

  test('when a residue is another below its prime', async () => {
    const bent = opened((round) => {
      const vector = hidden(round, late).slice();
      vector[KEY_BYTES + 1000]! ^= 1;
      return vector;
    });
    await expect(bent).rejects.toThrow(tooLarge);
  });

  test('when a word of a key is another: by little it is another sum, by more no sum of keys', async () => {
    const by = (bit: number) =>
      opened((round) => {
        const vector = hidden(round, late).slice();
        vector[bit >> 3]! ^= 1 << (bit & 7);
        return vector;
      });
    await expect(by(0)).rejects.toThrow(tooLarge);
    await expect(by(20)).rejects.toThrow(noKeys);
  });

  test('with last round’s vector, or another tenant’s', async () => {
    const last = await contributed();
    await expect(opened(() => hidden(last, late))).rejects.toThrow(noKeys);
    await expect(opened((round) => hidden(round, victim))).rejects.toThrow(noKeys);
  });

  test('that is a multiple of a tenant’s: its ciphertext counts with its own key alone', async () => {
    // the colluder repeats the victim's ciphertext under its own masks, and the key it has
    const copied = opened((round) => {
      const [mine, theirs] = [hidden(round, late), hidden(round, victim)];
      return new Uint8Array(Buffer.concat([mine.subarray(0, KEY_BYTES), theirs.subarray(KEY_BYTES)]));
    });
    await expect(copied).rejects.toThrow(tooLarge);
  });

  test('when one tenant was told of another cohort: it encrypts for another occasion', async () => {
    const round = await maskedRound({ cover, dimension: DIMENSION });
    await round.keys();
    await round.deal();
    const all = round.said.deal;
    round.said.deal = new Map([...all].filter(([name]) => name !== members[3]));
    await round.contribute([late], zeros);
    const other = round.said.contribute.get(late)!;
    round.said.deal = all;
    await round.contribute(members.slice(0, 4), zeros);
    round.said.contribute.set(late, other);
    await expect(round.agree([late])).rejects.toThrow('contributed and was not in the cohort');
    await round.agree(members.slice(0, 4));
    await round.reveal(members.slice(0, 4));
    await expect(round.sum()).rejects.toThrow(noKeys);
  });

  test('of what arrives damaged: a residue at its prime, a byte too few or too many', async () => {
    const round = await contributed();
    const said = receivedFrom(round.said.contribute.get(late)!);
    const vector = hidden(round, late);
    const refusal = (bytes: Uint8Array) =>
      round.coordinator.malformed(stageOf('contribute'), { ...said, vector: inMemory(bytes) });
    expect(refusal(vector)).toBeUndefined();
    expect(refusal(vector.slice().fill(0xff, KEY_BYTES, KEY_BYTES + 32))).toBe('a residue is not below its prime');
    expect(refusal(vector.subarray(0, KEY_BYTES))).toMatch(/expected a vector of 70656 bytes, got 16384/);
    expect(refusal(vector.subarray(1))).toMatch(/got 70655/);
    expect(refusal(new Uint8Array([...vector, 0]))).toMatch(/got 70657/);
    expect(vector).toHaveLength(KEY_BYTES + POLYNOMIAL_BYTES);
  });
});
