import { randomFillSync } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { largestInLane } from '../../aggregation/kernels/lanes.ts';
import { loadKernels } from '../../aggregation/kernels/load-kernels.ts';
import { DEGREE, HE_RING, SLOT_MODULUS } from '../../aggregation/kernels/rings.ts';
import { ProtocolBroken, type Received, type TenantId, type TenantRound } from '../../aggregation/secure-sum.ts';
import { asHeard, inMemory } from '../../aggregation/stored-vector.ts';
import { commonPolynomial, HEADER_BYTES, NONCE_BYTES } from '../../aggregation/threshold-he/contribution.ts';
import { masksOver } from '../../aggregation/threshold-he/masks.ts';
import { CLASSICAL, PACKED_BYTES } from '../../aggregation/threshold-he/parameters.ts';
import { constant, integer, type Polynomial, zero } from '../../aggregation/threshold-he/polynomial.ts';
import { startSeal } from '../../aggregation/threshold-he/seal.ts';
import { lagrangeAtZero } from '../../aggregation/threshold-he/shamir.ts';
import { digest } from '../../aggregation/transcript.ts';
import {
  contributionsOf,
  type Insiders,
  insiders,
  noiseOf,
  polynomialOf,
  product,
  readyOf,
  ring,
  sharesOf,
  total,
} from '../aggregation/threshold-he/insiders.ts';
import { NO_RECORD, names, noised, receivedFrom } from '../contracts/secure-sum-driver.ts';

/*
 * BGV ciphertexts add up, whoever adds them. These attackers use that: a coordinator and tenants that work with it,
 * holding everything they rightfully can, against honest tenants that run the real code.
 */
const LANE = largestInLane(48);
const kernels = await loadKernels();
const seal = await startSeal(CLASSICAL);
const DIMENSION = 4096;
const members = names(5);
const [victim, honest] = [members[0]!, members[1]!];
const random31 = () => Float64Array.from({ length: DIMENSION }, () => Math.floor(Math.random() * 2 ** 31) - 2 ** 30);

type Contributions = Map<TenantId, Received>;
const occasionOf = (contributions: Contributions) =>
  contributions.get(victim)!.open.subarray(NONCE_BYTES, HEADER_BYTES);
/** An attacker's contribution: a proper header, and whatever polynomial it likes. */
const withPolynomial = ({ open, sealed }: Received, polynomial: Polynomial): Received => {
  const bytes = new Uint8Array(PACKED_BYTES);
  ring.pack(polynomial, bytes, 0);
  return { open, sealed, vector: inMemory(bytes) };
};
const times = (polynomial: Polynomial, factor: bigint): Polynomial => product(polynomial, integer(factor, HE_RING));
const centred = (value: number) => {
  const positive = ((value % SLOT_MODULUS) + SLOT_MODULUS) % SLOT_MODULUS;
  return positive > LANE ? positive - SLOT_MODULUS : positive;
};
/** What the slots of a phase hold, two-sided. */
const decoded48 = (phase: Polynomial): Float64Array => seal.decode(phase).map(centred);
const matches = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).filter((value, i) => value === b[i]).length;
/** Would a statistician see anything in it? 15 degrees of freedom: above 60 once in 3·10⁶. */
const chiSquare = (values: ArrayLike<number>) => {
  const bins = new Array<number>(16).fill(0);
  for (const value of Array.from(values)) bins[Math.floor(((value + LANE) / SLOT_MODULUS) * 16)]!++;
  return bins.reduce((sum, n) => sum + (n - values.length / 16) ** 2 / (values.length / 16), 0);
};

describe('a colluder and the coordinator, below the threshold', () => {
  const colluder = members[4]!;
  let inside: Insiders;
  let rounds: Map<TenantId, TenantRound>;
  let x: Map<TenantId, Float64Array>;
  let contributions: Contributions;
  beforeAll(async () => {
    inside = await insiders(5, 3, { dimension: DIMENSION });
    x = new Map(members.map((name) => [name, name === colluder ? new Float64Array(DIMENSION) : random31()]));
    rounds = inside.rounds();
    contributions = await contributionsOf(rounds, new Map([...x].map(([name, values]) => [name, noised(values)])));
  });

  /** What the attackers compute from the honest openers’ shares, without the coordinator’s checks. */
  async function decoded(forged: Contributions, opening = rounds): Promise<Float64Array> {
    const shares = await sharesOf(opening, forged, members.slice(0, 3));
    const phase = total([...forged.values()].map((one) => polynomialOf(one)));
    ring.add(phase, total([...shares.values()].map((one) => polynomialOf(one))));
    return decoded48(phase);
  }
  /** Same epoch, a round of its own, in which the colluder’s ciphertext is chosen after seeing the others’. */
  async function newRound(choose: (others: Contributions) => Polynomial) {
    const fresh = inside.rounds();
    const seen = await contributionsOf(fresh, new Map([...x].map(([name, values]) => [name, noised(values)])));
    const forged = new Map(seen).set(colluder, withPolynomial(seen.get(colluder)!, choose(seen)));
    // the colluder’s own client does not insist on its contribution; the honest ones open
    return { fresh, forged };
  }

  test('when honest, get the sum and are believed (control)', async () => {
    const sum = members.reduce(
      (all, name) => all.map((value, i) => value + x.get(name)![i]!),
      new Float64Array(DIMENSION),
    );
    expect(await decoded(contributions)).toEqual(sum);
  });

  test('get nothing by subtracting the others: Enc(0) − c₁ − c₂ − c₃ beside the victim’s c₀', async () => {
    const { fresh, forged } = await newRound((others) => {
      const polynomial = polynomialOf(others.get(colluder)!); // an honest encryption of 0, masks included
      for (const name of members.slice(1, 4)) ring.subtract(polynomial, polynomialOf(others.get(name)!));
      return polynomial;
    });
    const opened = await decoded(forged, fresh);
    expect(matches(opened, x.get(victim)!)).toBe(0);
    expect(chiSquare(opened)).toBeLessThan(60);
    const shares = await sharesOf(fresh, forged, members.slice(0, 3));
    await expect(inside.coordinator.open(forged, shares, NO_RECORD)).rejects.toThrow(ProtocolBroken);
  });

  test('get nothing by adding 2¹² times an older ciphertext of the victim', async () => {
    const old = times(polynomialOf(contributions.get(victim)!), 4096n);
    const { fresh, forged } = await newRound((others) => total([polynomialOf(others.get(colluder)!), old]));
    const opened = await decoded(forged, fresh);
    const guess = opened.map((value) => Math.round(value / 4096));
    expect(matches(guess, x.get(victim)!)).toBe(0);
    expect(chiSquare(opened)).toBeLessThan(60);
  });

  test('get nothing by doubling the victim’s ciphertext in its own round', async () => {
    const { fresh, forged } = await newRound((others) =>
      total([polynomialOf(others.get(colluder)!), polynomialOf(others.get(victim)!)]),
    );
    expect(chiSquare(await decoded(forged, fresh))).toBeLessThan(60);
  });

  test('get nothing even where every mask is known: the keys alone bind the sum', async () => {
    // the same combination over ciphertexts that carry no masks at all, under the round’s own polynomial
    const occasion = occasionOf(contributions);
    const a = commonPolynomial(ring, occasion, 0);
    const bare = new Map(
      members.map((name) => {
        const slots = x.get(name)!.map((value) => (value < 0 ? value + SLOT_MODULUS : value));
        return [name, inside.keys.get(name)!.own.encrypt(slots, a)];
      }),
    );
    const shares = await sharesOf(rounds, contributions, members.slice(0, 3));
    const opening = total([...shares.values()].map((one) => polynomialOf(one)));
    const everyone = total([...bare.values(), opening]);
    const alone = total([bare.get(victim)!, bare.get(colluder)!, opening]);
    expect(matches(decoded48(everyone), x.get(victim)!)).toBe(0);
    expect(decoded48(everyone).every((value) => Math.abs(value) < 5 * 2 ** 31)).toBe(true); // control: it opens
    expect(matches(decoded48(alone), x.get(victim)!)).toBe(0);
    expect(chiSquare(decoded48(alone))).toBeLessThan(60);
  });

  test('cannot make a share depend on a ciphertext of theirs, and so read a key from it', async () => {
    // against a joint public key, (0, q/32) reads the whole key in one opening; here it is a shift and no more
    const shift = HE_RING.primes.reduce((q, { value }) => q * value, 1n) / 32n;
    const shifted = integer(shift, HE_RING);
    const { fresh, forged } = await newRound((others) => total([polynomialOf(others.get(colluder)!), shifted]));
    const sum = members.reduce(
      (all, name) => all.map((value, i) => value + x.get(name)![i]!),
      new Float64Array(DIMENSION),
    );
    const shares = await sharesOf(fresh, forged, members.slice(0, 3));
    const phase = total([...forged.values()].map((one) => polynomialOf(one)));
    ring.add(phase, total([...shares.values()].map((one) => polynomialOf(one))));
    ring.subtract(phase, shifted);
    expect(decoded48(phase)).toEqual(sum);
  });

  // a share depends on no ciphertext, so whoever has the openers' shares may add what it likes to them
  const combinations: readonly [
    what: string,
    combine: (c: (name: TenantId) => Polynomial, d: Polynomial) => Polynomial[],
  ][] = [
    ['one ciphertext alone', (c, d) => [c(victim), d]],
    ['one ciphertext twice', (c, d) => [times(c(victim), 2n), d]],
    ['the difference of two', (c, d) => [c(victim), times(c(honest), -1n), d]],
    ['all but one', (c, d) => [...members.slice(1).map(c), d]],
    ['all, and one once more', (c, d) => [...members.map(c), c(victim), d]],
    ['all twice', (c, d) => [...members.map((name) => times(c(name), 2n)), d]],
    ['all, and the shares twice', (c, d) => [...members.map(c), times(d, 2n)]],
    ['one ciphertext and no share', (c) => [c(victim)]],
  ];
  test.each(combinations)('get noise from %s, with all shares of the round', async (_, combine) => {
    const shares = await sharesOf(rounds, contributions, members.slice(0, 3));
    const opening = total([...shares.values()].map((one) => polynomialOf(one)));
    const read = decoded48(total(combine((name) => polynomialOf(contributions.get(name)!), opening)));
    for (const values of x.values()) {
      expect(matches(read, values)).toBe(0);
      expect(
        matches(
          read.map((value) => centred(2 * value)),
          values,
        ),
      ).toBe(0);
    }
    expect(chiSquare(read)).toBeLessThan(60);
  });

  test('get noise from last round’s aggregate under this round’s shares, and the other way round', async () => {
    const later = inside.rounds();
    const sent = await contributionsOf(later, new Map([...x].map(([name, values]) => [name, noised(values)])));
    const [old, now] = [contributions, sent].map((one) => total([...one.values()].map((c) => polynomialOf(c))));
    const [oldShares, nowShares] = [
      await sharesOf(rounds, contributions, members.slice(0, 3)),
      await sharesOf(later, sent, members.slice(0, 3)),
    ].map((one) => total([...one.values()].map((d) => polynomialOf(d))));
    expect(decoded48(total([now!, nowShares!]))).toEqual(decoded48(total([old!, oldShares!]))); // control: both open
    for (const mixed of [total([old!, nowShares!]), total([now!, oldShares!])]) {
      expect(chiSquare(decoded48(mixed))).toBeLessThan(60);
    }
  });

  test('cannot tell openers different contributions and combine their shares', async () => {
    const fresh = inside.rounds();
    const sent = await contributionsOf(fresh, new Map([...x].map(([name, values]) => [name, noised(values)])));
    const other = withPolynomial(sent.get(colluder)!, polynomialOf(contributions.get(colluder)!));
    const forged = new Map(sent).set(colluder, other);
    const openers = members.slice(0, 3);
    const shares: Contributions = new Map();
    for (const name of openers) {
      const told = name === honest ? forged : sent;
      shares.set(name, receivedFrom(await fresh.get(name)!.open(asHeard(told), openers)));
    }
    const opening = total([...shares.values()].map((one) => polynomialOf(one)));
    for (const one of [sent, forged]) {
      const phase = total([...one.values()].map((c) => polynomialOf(c)));
      expect(chiSquare(decoded48(total([phase, opening])))).toBeLessThan(60);
      await expect(inside.coordinator.open(one, shares, NO_RECORD)).rejects.toThrow(ProtocolBroken);
    }
  });

  test('cannot tell tenants different cohorts and combine what they send', async () => {
    const split = inside.rounds();
    const ready = await readyOf(split, members);
    const fewer = new Map([...ready].filter(([name]) => name !== honest));
    const sent: Contributions = new Map();
    for (const name of members) {
      const told = name === victim ? fewer : ready;
      sent.set(name, receivedFrom(await split.get(name)!.contribute(noised(x.get(name)!), told)));
    }
    for (const name of members.slice(0, 3)) {
      await expect(split.get(name)!.open(asHeard(sent), members.slice(0, 3))).rejects.toThrow(ProtocolBroken);
    }
  });
});

describe('a dealer whose shares of its key fit no polynomial', () => {
  const [dealer, holder] = [members[4]!, members[1]!];
  const openers = members.slice(0, 3);

  test('keeps sums it is part of from opening, learns nothing more than the sum, and is gone with the next cohort', async () => {
    const inside = await insiders(5, 3);
    // as if it had dealt this honest holder another share, properly sealed
    const bend = ring.uniform({ fill: (bytes) => void randomFillSync(bytes) });
    ring.add(inside.keys.get(holder)!.dealt.get(dealer)!, bend);
    const vectors = new Map(members.map((name, i) => [name, noised([i, 10, -7, 2 ** 40])]));
    const rounds = inside.rounds();
    const contributions = await contributionsOf(rounds, vectors);
    const shares = await sharesOf(rounds, contributions, openers);
    const refused = inside.coordinator.open(contributions, shares, NO_RECORD);
    await expect(refused).rejects.toThrow(/the shares do not open this sum/);
    await expect(refused).rejects.not.toHaveProperty('tenant', expect.anything()); // whose fault it is does not show

    // the dealer knows its bend: what it sees is the sum, and a multiple of what it made itself
    const known = product(commonPolynomial(ring, occasionOf(contributions), 0), bend);
    const lambda = lagrangeAtZero(2, [1, 2, 3], HE_RING);
    const phase = total([...contributions.values(), ...shares.values()].map((one) => polynomialOf(one)));
    ring.subtract(phase, product(known, constant(lambda)));
    expect([...decoded48(phase).slice(0, 4)]).toEqual([10, 50, -35, 5 * 2 ** 40]);

    const without = new Map([...vectors].filter(([name]) => name !== dealer));
    const next = inside.rounds();
    const sent = await contributionsOf(next, without);
    const sum = await inside.coordinator.open(sent, await sharesOf(next, sent, openers), NO_RECORD);
    expect([...sum]).toEqual([6, 40, -28, 4 * 2 ** 40]);
  });
});

describe('coordinator and colluders that hold every key: threshold and more of them', () => {
  const colluders = members.slice(2);
  let inside: Insiders;
  let x: Map<TenantId, Float64Array>;
  let contributions: Contributions;
  let decrypted: Float64Array;
  beforeAll(async () => {
    inside = await insiders(5, 3, { dimension: DIMENSION });
    x = new Map(members.map((name) => [name, random31()]));
    contributions = await contributionsOf(
      inside.rounds(),
      new Map([...x].map(([name, values]) => [name, noised(values)])),
    );
    // three of them rebuild the victim’s key from what it dealt, and decrypt its contribution alone
    const key = zero();
    const xs = colluders.map((name) => inside.keys.get(name)!.x.get(name)!);
    for (const name of colluders) {
      const { dealt, x: positions } = inside.keys.get(name)!;
      ring.add(key, product(dealt.get(victim)!, constant(lagrangeAtZero(positions.get(name)!, xs, HE_RING))));
    }
    const phase = product(commonPolynomial(ring, occasionOf(contributions), 0), key);
    ring.add(phase, polynomialOf(contributions.get(victim)!));
    expect(noiseOf(phase).every((e) => e > -100n && e < 100n)).toBe(true); // the key is the right one
    decrypted = decoded48(phase);
  });

  /** `decrypted` without the masks the victim shares with `known`. */
  const stripped = (known: readonly TenantId[]) => {
    const masks = new Float64Array(DIMENSION);
    const secrets = new Map(known.map((name) => [name, inside.keys.get(name)!.secrets.get(victim)!]));
    const over = { me: victim, set: known, secrets, purpose: 'values', binding: occasionOf(contributions) } as const;
    kernels.slots.mask(masks, masksOver(over));
    return decrypted.map((value, i) => centred(value - masks[i]!));
  };

  test('see noise where the victim’s vector is', () => {
    expect(matches(decrypted, x.get(victim)!)).toBe(0);
    expect(chiSquare(decrypted)).toBeLessThan(60);
  });

  test('see noise after taking off every mask they share with it, as one honest tenant is left', () => {
    const left = stripped(colluders);
    expect(matches(left, x.get(victim)!)).toBe(0);
    expect(chiSquare(left)).toBeLessThan(60);
  });

  test('would see the vector with that one’s secret as well (control)', () => {
    expect(stripped(members.slice(1))).toEqual(x.get(victim)!);
  });
});

describe('threshold − 1 colluders and what one honest share shows', () => {
  // Colluders hold x = 1, 2, 3 of 4-of-5; openers are x = 1, 2, 4, 5. λ₄ over the openers is −5/3 of λ₄ over
  // {1, 2, 3, 4}, so three times the share of x = 4 is −5 times something known up to the noise e, plus 3·t·E:
  // without masks among the openers, e modulo 3 is plain to see, whatever the flooding E is.
  const openers = [0, 1, 3, 4].map((i) => members[i]!);
  const [sharer, other] = [members[3]!, members[4]!];

  test('nothing about the noise of the sum, though λ has denominators', async () => {
    const inside = await insiders(5, 4, { dimension: 4 });
    const rounds = inside.rounds();
    const contributions = await contributionsOf(rounds, new Map(members.map((name) => [name, noised([0, 0, 0, 0])])));
    const shares = await sharesOf(rounds, contributions, openers);
    const a = commonPolynomial(ring, occasionOf(contributions), 0);
    const keyAt = (holder: TenantId) => total(inside.keys.get(holder)!.dealt.values());
    const ciphertexts = total([...contributions.values()].map((one) => polynomialOf(one)));

    // the truth, which only the test can compute
    const wholeKey = zero();
    for (const [i, name] of openers.entries()) {
      const lambda = lagrangeAtZero([1, 2, 4, 5][i]!, [1, 2, 4, 5], HE_RING);
      ring.add(wholeKey, product(keyAt(name), constant(lambda)));
    }
    const truth = noiseOf(total([ciphertexts, product(a, wholeKey)]));

    // what the colluders compute
    const known = total(
      [1, 2, 3].map((x) => {
        const share = product(keyAt(members[x - 1]!), constant(lagrangeAtZero(x, [1, 2, 3, 4], HE_RING)));
        return product(a, share);
      }),
    );
    const sumHash = await inside.coordinator.sumHash(contributions);
    const binding = digest('parley/threshold-he/openers/v1', sumHash, ...openers);
    const learned = (partners: readonly TenantId[]) => {
      const masks = zero();
      const secrets = new Map(partners.map((name) => [name, inside.keys.get(name)!.secrets.get(sharer)!]));
      ring.mask(masks, masksOver({ me: sharer, set: partners, secrets, purpose: 'shares', binding }));
      const share = polynomialOf(shares.get(sharer)!);
      ring.subtract(share, masks);
      const combined = times(share, 3n);
      ring.subtract(combined, times(total([ciphertexts, known]), 5n));
      return noiseOf(combined);
    };
    const modulo3 = (values: bigint[]) => values.map((value) => Number(((value % 3n) + 3n) % 3n));
    const hits = (values: bigint[]) => matches(modulo3(values), modulo3(truth));

    expect(hits(learned([...openers.slice(0, 2), other]))).toBe(DEGREE); // control: without masks it is all there
    const guessed = hits(learned(openers.slice(0, 2)));
    expect(Math.abs(guessed - DEGREE / 3)).toBeLessThan(6 * Math.sqrt((DEGREE * 2) / 9));
  });
});
