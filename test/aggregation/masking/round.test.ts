import { describe, expect, test } from 'vitest';
import type { Cover } from '../../../aggregation/masking/cover.ts';
import { commitmentTo, readKeys } from '../../../aggregation/masking/messages.ts';
import { laneOf } from '../../../aggregation/masking/ring.ts';
import { combine } from '../../../aggregation/masking/shamir.ts';
import { pairKey } from '../../../aggregation/pair-key.ts';
import {
  type HeardAll,
  KEY_AGREEMENTS,
  ProtocolBroken,
  type Said,
  type TenantId,
} from '../../../aggregation/secure-sum.ts';
import { type AllSaid, names, noised, received, receivedFrom } from '../../contracts/secure-sum-driver.ts';
import { insider, type MaskedRound, maskedRound, playedThrough, ring, stageOf, sumOver } from './masked-round.ts';

const members = names(5);
const [amber, blue, coral, dun, ebony] = members as [TenantId, TenantId, TenantId, TenantId, TenantId];
const without = (...lost: readonly TenantId[]) => members.filter((name) => !lost.includes(name));
const sealedFor = (said: AllSaid, from: TenantId, to: TenantId) => said.get(from)!.sealed.get(to)!;
const bent = (bytes: Uint8Array, at: number) => {
  const other = Uint8Array.from(bytes);
  other[at]! ^= 1;
  return other;
};
const said = (open: Uint8Array): Said => ({ open, sealed: new Map() });
const contributing = (vector: Uint8Array): Said => ({ ...said(new Uint8Array(0)), vector });
/** The same statements, with one tenant's open part changed. */
const opening = (said: AllSaid, name: TenantId, change: (open: Uint8Array) => Uint8Array): AllSaid =>
  new Map(said).set(name, { ...said.get(name)!, open: change(said.get(name)!.open) });
const dealing = (said: AllSaid, from: TenantId, change: (sealed: Map<TenantId, Uint8Array>) => void): AllSaid => {
  const sealed = new Map(said.get(from)!.sealed);
  change(sealed);
  return new Map(said).set(from, { ...said.get(from)!, sealed });
};
const atContribute = async (options = {}) => {
  const round = await maskedRound(options);
  await round.keys();
  await round.deal();
  return round;
};
const atAgree = async (lost: readonly TenantId[] = []) => {
  const round = await atContribute();
  await round.contribute(without(...lost));
  return round;
};

describe.each(KEY_AGREEMENTS)('tenants that are lost, by %s,', (keyAgreement) => {
  // by hand: of five, three open
  test.each([
    ['none', {}, members],
    ['before keys', { keys: [blue, dun] }, without(blue, dun)],
    ['after keys', { deal: [amber, ebony] }, without(amber, ebony)],
    ['after dealing', { contribute: [coral, ebony] }, without(coral, ebony)],
    ['after contributing', { agree: [amber, blue] }, members],
    ['while the others reveal', { reveal: [coral, dun] }, members],
    [
      'one at every boundary that can lose one',
      { deal: [amber], contribute: [ebony], reveal: [] },
      without(amber, ebony),
    ],
    ['after dealing and after contributing', { contribute: [blue], agree: [coral] }, without(blue)],
  ])('%s: the sum is exact over those that contributed', async (_, lost, survivors) => {
    const round = await playedThrough({ keyAgreement }, lost);
    expect(await round.sum()).toEqual(sumOver(survivors, 4));
  });
});

describe('at the threshold', () => {
  test.each(['keys', 'deal', 'contribute', 'agree', 'reveal'] as const)(
    'three are enough from %s on, two are not',
    async (stage) => {
      const enough = await playedThrough({}, { [stage]: [blue, dun] });
      expect(await enough.sum()).toEqual(
        sumOver(stage === 'agree' || stage === 'reveal' ? members : without(blue, dun), 4),
      );
      const few = async () => (await playedThrough({}, { [stage]: [amber, blue, dun] })).sum();
      await expect(few()).rejects.toThrow(ProtocolBroken);
    },
  );

  test('and with a plan for more, as many more are needed', async () => {
    const round = await playedThrough({ threshold: 4 }, { contribute: [amber] });
    expect(await round.sum()).toEqual(sumOver(without(amber), 4));
    await expect(playedThrough({ threshold: 4 }, { contribute: [amber, blue] })).rejects.toThrow(/4 are needed/);
  });
});

describe('keys are refused', () => {
  const refused = async (change: (round: MaskedRound) => AllSaid, why: RegExp, tenant?: TenantId) => {
    const round = await maskedRound();
    await round.keys();
    round.said.keys = change(round);
    const error = await round.deal([amber]).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ProtocolBroken);
    expect(error).toMatchObject({ message: expect.stringMatching(why), ...(tenant && { tenant }) });
    // what broke once is not tried again
    await expect(round.rounds.get(amber)!.prepare(1, round.heard('keys', amber))).rejects.toThrow(RangeError);
    await expect(round.contribute([amber])).rejects.toThrow(/contribute is not due/);
  };

  test('of a stranger', async () => {
    await refused(({ said }) => new Map(said.keys).set('zero', said.keys.get(blue)!), /no member/, 'zero');
  });
  test('that are mine and not as I said them, or not there', async () => {
    await refused(({ said }) => opening(said.keys, amber, (open) => bent(open, 40)), /my own keys/, amber);
    await refused(({ said }) => new Map([...said.keys].filter(([name]) => name !== amber)), /my own keys/, amber);
  });
  test('of too few', async () => {
    await refused(({ said }) => new Map([...said.keys].slice(0, 2)), /2 tenants announced keys, 3 are needed/);
  });
  test('of the wrong length', async () => {
    await refused(({ said }) => opening(said.keys, blue, (open) => open.subarray(1)), /wrong length/, blue);
  });
  test.each([
    ['commitment', 0, 32],
    ['key for masks', 32, 64],
    ['key for shares', 64, 96],
  ])('with a %s that somebody else announced', async (_, from, to) => {
    await refused(
      ({ said }) =>
        opening(said.keys, dun, (open) => {
          const copied = Uint8Array.from(open);
          copied.set(said.keys.get(blue)!.open.subarray(from, to), from);
          return copied;
        }),
      /already taken/,
      dun,
    );
  });
  test('where the key for masks is the key for shares', async () => {
    await refused(
      ({ said }) => opening(said.keys, dun, (open) => Buffer.concat([open.subarray(0, 64), open.subarray(32, 64)])),
      /already taken/,
      dun,
    );
  });
  test('of low order, for shares and for masks: before anything is dealt where this tenant offers', async () => {
    for (const at of [32, 64])
      await refused(
        ({ said }) => opening(said.keys, blue, (open) => Uint8Array.from(open).fill(0, at, at + 32)),
        /cannot be used/,
        blue,
      );
  });
  test('of low order where the other offers: before anything is contributed', async () => {
    const round = await maskedRound();
    await round.keys();
    const { context, secrets } = insider(round, amber);
    round.said.keys.set(amber, said(Uint8Array.from(secrets.keys).fill(0, 32, 64)));
    await round.deal(without(amber)); // amber comes first by name: it offers to all of them
    const letters = secrets.letters(readKeys(received(round.said.keys), context, round.transcript));
    round.said.deal.set(amber, { open: new Uint8Array(0), sealed: letters });
    await expect(round.contribute([blue])).rejects.toMatchObject({ message: /cannot be used/, tenant: amber });
  });
});

describe('a letter does not open', () => {
  const refused = async (round: MaskedRound, deal: AllSaid, why: RegExp, from: TenantId, to: TenantId) => {
    round.said.deal = deal;
    const error = await round.contribute([to]).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'ProtocolBroken', message: expect.stringMatching(why), tenant: from });
    expect(round.said.contribute.size).toBe(0);
  };
  const options = { transcript: new Uint8Array(32).fill(1), epoch: new Uint8Array(32).fill(2) };

  test('with any bit changed', async () => {
    for (const at of [0, 31, 32, 63, 64, 79]) {
      const round = await atContribute();
      const deal = dealing(round.said.deal, blue, (sealed) => sealed.set(amber, bent(sealed.get(amber)!, at)));
      await refused(round, deal, /do not open/, blue, amber);
    }
  });
  test('of another length, or none', async () => {
    for (const change of [(b: Uint8Array) => b.subarray(1), () => new Uint8Array(0)]) {
      const round = await atContribute();
      const deal = dealing(round.said.deal, blue, (sealed) => sealed.set(amber, change(sealed.get(amber)!)));
      await refused(round, deal, /dealt me no share/, blue, amber);
    }
    const round = await atContribute();
    await refused(
      round,
      dealing(round.said.deal, blue, (sealed) => sealed.delete(amber)),
      /no share/,
      blue,
      amber,
    );
  });
  test('of another round, even one of the same transcript', async () => {
    const [old, round] = [await atContribute(options), await atContribute(options)];
    await refused(round, new Map(round.said.deal).set(blue, old.said.deal.get(blue)!), /do not open/, blue, amber);
  });
  test('sealed to somebody else, by somebody else, or sent back', async () => {
    for (const [writer, recipient] of [
      [blue, coral],
      [coral, amber],
      [amber, blue],
    ] as const) {
      const round = await atContribute();
      const other = sealedFor(round.said.deal, writer, recipient);
      const deal = dealing(round.said.deal, blue, (sealed) => sealed.set(amber, other));
      await refused(round, deal, /do not open/, blue, amber);
    }
  });
  test('between tenants that were told other members, who would number shares otherwise', async () => {
    const round = await maskedRound({ membersOf: (name) => (name === blue ? ['aaa', ...members] : members) });
    await round.keys();
    await round.deal();
    await expect(round.contribute([amber])).rejects.toMatchObject({ message: /do not open/, tenant: blue });
  });
  test('of another protocol with the same rounds: its keys are not these', async () => {
    const other: Cover = { ...ring, name: 'plain' };
    const round = await maskedRound({ coverOf: (name) => (name === blue ? other : ring) });
    await round.keys();
    await round.deal();
    await expect(round.contribute([amber])).rejects.toMatchObject({ message: /do not open/, tenant: blue });
  });
  test('with ML-KEM, when either offer was changed', async () => {
    for (const at of [10, 1088 + 10]) {
      const round = await maskedRound({ keyAgreement: 'x25519-ml-kem-768', tenants: 3, threshold: 2 });
      await round.keys();
      await round.deal();
      const letter = sealedFor(round.said.deal, amber, blue);
      round.said.deal = dealing(round.said.deal, amber, (sealed) => sealed.set(blue, bent(letter, at)));
      // the share offer is in the letter's key; a mask offer that was bent gives masks that do not cancel
      if (at > 1088) await expect(round.contribute([blue])).rejects.toThrow(/do not open/);
      else {
        await round.contribute();
        await round.agree();
        await round.reveal();
        await expect(round.sum()).rejects.toThrow(/larger than the plan allows/);
      }
    }
  });
});

describe('a tenant contributes', () => {
  test('to a cohort it is in, of tenants that announced keys, and enough of them', async () => {
    for (const [change, why] of [
      [(said: AllSaid) => new Map([...said].filter(([name]) => name !== amber)), /not in the cohort/],
      [(said: AllSaid) => new Map([...said].slice(0, 2)), /a cohort of 2 is too small/],
      [(said: AllSaid) => new Map(said).set('zero', said.get(blue)!), /announced no keys/],
    ] as const) {
      const round = await atContribute();
      round.said.deal = change(round.said.deal);
      await expect(round.contribute([amber])).rejects.toThrow(why);
    }
  });

  test('once, and in its turn', async () => {
    const round = await maskedRound();
    const mine = round.rounds.get(amber)!;
    const zero = noised([0, 0, 0, 0]);
    await expect(mine.contribute(zero, new Map())).rejects.toThrow(/contribute is not due/);
    await expect(mine.prepare(1, new Map())).rejects.toThrow(/deal is not due/);
    await round.keys();
    await expect(mine.prepare(0, new Map())).rejects.toThrow(/keys is not due/);
    await expect(mine.prepare(2, new Map())).rejects.toThrow(RangeError);
    await round.deal();
    await round.contribute();
    await expect(mine.contribute(zero, round.heard('deal', amber))).rejects.toThrow(/contribute is not due/);
  });

  test('not when a number is refused, and may then put it right', async () => {
    const round = await atContribute();
    const vectors = (first: number) => new Map([[amber, [first, 0, 0, 0]]]);
    await expect(round.contribute([amber], vectors(2 ** 31))).rejects.toThrow(/^coordinate 0 is not an integer within/);
    await round.contribute(members, vectors(5));
    expect(round.said.contribute.size).toBe(5);
  });
});

describe('a tenant agrees', () => {
  const shown = (round: MaskedRound) => new Map(round.heard('contribute', amber));
  const mine = (round: MaskedRound) => round.rounds.get(amber)!;

  test('to survivors of the cohort alone, itself among them with what it contributed, and enough of them', async () => {
    const round = await atAgree();
    const all = shown(round);
    const only = (...some: TenantId[]) => new Map([...all].filter(([name]) => some.includes(name)));
    const agree = (heard: HeardAll) => mine(round).agree(heard);
    await expect(agree(only(blue, coral, dun))).rejects.toThrow(/my own contribution was dropped/);
    await expect(agree(only(amber, blue))).rejects.toThrow(/a sum over 2 is not opened, 3 are needed/);
    await expect(agree(new Map(all).set('zero', all.get(blue)!))).rejects.toThrow(/was not in the cohort/);
    await expect(agree(new Map(all).set(amber, all.get(blue)!))).rejects.toThrow(/dropped, changed or made up/);
    for (const other of [{ open: new Uint8Array(0) }, { open: new Uint8Array(1), vectorHash: new Uint8Array(32) }])
      await expect(agree(new Map(all).set(blue, other))).rejects.toThrow(/is not a vector alone/);
    expect((await agree(all)).open).toEqual(await round.coordinator.sumHash(received(round.said.contribute)));
  });

  test('not before it has contributed', async () => {
    const round = await atContribute();
    await round.contribute(without(amber));
    await expect(mine(round).agree(shown(round))).rejects.toThrow(ProtocolBroken);
  });

  test('once: to the same survivors again, never to others', async () => {
    const round = await atAgree();
    const all = shown(round);
    const first = await mine(round).agree(all);
    expect(await mine(round).agree(new Map([...all].reverse()))).toEqual(first);
    const fewer = new Map([...all].filter(([name]) => name !== ebony));
    await expect(mine(round).agree(fewer)).rejects.toThrow(/I agreed to other survivors/);
  });
});

describe('a tenant reveals', () => {
  const ready = async (lost: readonly TenantId[] = []) => {
    const round = await atAgree(lost);
    await round.agree();
    return { round, all: round.heard('contribute', amber), agreeing: without(...lost) };
  };

  test('nothing before it has agreed, and nothing for other survivors than it agreed to', async () => {
    const early = await atAgree();
    const all = early.heard('contribute', amber);
    await expect(early.rounds.get(amber)!.open(all, members)).rejects.toThrow(/other survivors than I agreed to/);
    const { round } = await ready();
    const fewer = new Map([...all].filter(([name]) => name !== ebony));
    await expect(round.rounds.get(amber)!.open(fewer, without(ebony))).rejects.toThrow(ProtocolBroken);
  });

  test('only to a quorum of survivors that agree, in order, itself among them', async () => {
    const { round, all } = await ready([ebony]);
    const open = (openers: readonly TenantId[]) => round.rounds.get(amber)!.open(all, openers);
    await expect(open([amber, blue])).rejects.toThrow(/expected 3 different tenants that agree/);
    await expect(open([blue, amber, coral])).rejects.toThrow(/in order/);
    await expect(open([amber, amber, blue])).rejects.toThrow(/different tenants/);
    await expect(open([amber, blue, ebony])).rejects.toThrow(/agrees and is no survivor/);
    await expect(open([blue, coral, dun])).rejects.toThrow(/I am not among/);
    expect((await open([amber, blue, coral])).open).toHaveLength(5 * 32);
  });

  test('of each tenant one share, never both: of b for who survived, of the mask seed for who was lost', async () => {
    const { round } = await ready([coral]);
    await round.reveal();
    const shares = (owner: number) =>
      [...round.said.reveal].map(([name, { open }]) => ({
        x: members.indexOf(name) + 1,
        bytes: open.subarray(32 * owner, 32 * (owner + 1)),
      }));
    members.forEach((name, i) => {
      const secret = combine(shares(i).slice(0, 3));
      const { open } = round.said.keys.get(name)!;
      const isB = Buffer.compare(commitmentTo(secret, round.transcript, name), open.subarray(0, 32)) === 0;
      const { publicKey } = pairKey(secret, 'x25519', round.transcript);
      const isMaskSeed = Buffer.compare(publicKey, open.subarray(32, 64)) === 0;
      expect([isB, isMaskSeed]).toEqual(name === coral ? [false, true] : [true, false]);
    });
  });

  test('and overwrites the other share: asked for it after all, it has zeros to give', async () => {
    const round = await maskedRound();
    await round.keys();
    const { context, secrets } = insider(round, amber);
    round.said.keys.set(amber, said(secrets.keys));
    const announced = readKeys(received(round.said.keys), context, round.transcript);
    await round.deal(without(amber));
    const letters = secrets.letters(announced);
    round.said.deal.set(amber, { open: new Uint8Array(0), sealed: letters });
    secrets.receive(round.heard('deal', amber), announced, members);
    const first = secrets.reveal(new Set(members));
    const second = secrets.reveal(new Set(without(coral)));
    const at = 32 * members.indexOf(coral);
    expect(second.subarray(at, at + 32)).toEqual(Buffer.alloc(32));
    expect(first.subarray(at, at + 32)).not.toEqual(Buffer.alloc(32));
  });

  test('the same bytes to whoever agrees: there is nothing to average over', async () => {
    const { round, all } = await ready();
    const open = (openers: readonly TenantId[]) => round.rounds.get(amber)!.open(all, openers);
    expect(await open(members)).toEqual(await open([amber, dun, ebony]));
  });

  test('nothing any more once the round is forgotten, and a new round forgets the one before', async () => {
    const { round, all } = await ready();
    round.epochs.get(amber)!.round(new Uint8Array(32));
    await expect(round.rounds.get(amber)!.open(all, members)).rejects.toThrow(ProtocolBroken);
    await expect(round.rounds.get(amber)!.agree(all)).rejects.toThrow(RangeError);
    round.epochs.get(blue)!.forget();
    await expect(round.rounds.get(blue)!.open(all, members)).rejects.toThrow(ProtocolBroken);
    expect(() => round.epochs.get(blue)!.round(new Uint8Array(32))).toThrow(/forgotten/);
  });
});

describe('the coordinator opens nothing', () => {
  const opened = async (change: (round: MaskedRound) => void, lost = {}) => {
    const round = await playedThrough({}, lost);
    change(round);
    return round.sum().catch((thrown: unknown) => thrown);
  };
  const revealing = (name: TenantId, change: (open: Uint8Array) => Uint8Array) => (round: MaskedRound) => {
    round.said.reveal = opening(round.said.reveal, name, change);
  };
  const broken = (message: RegExp, tenant?: TenantId) => ({
    name: 'ProtocolBroken',
    message: expect.stringMatching(message),
    ...(tenant && { tenant }),
  });

  test('from a share that was changed: of a survivor, or of one that was lost', async () => {
    expect(await opened(revealing(amber, (open) => bent(open, 33)))).toMatchObject(broken(/do not make up/, blue));
    const lost = { contribute: [ebony] };
    expect(
      await opened(
        revealing(amber, (open) => bent(open, 4 * 32)),
        lost,
      ),
    ).toMatchObject(broken(/do not make up/, ebony));
  });
  test('from shares of another round', async () => {
    const other = await playedThrough({});
    expect(await opened(revealing(amber, () => other.said.reveal.get(amber)!.open))).toMatchObject(
      broken(/do not make up/),
    );
  });
  test('from shares of the wrong length, or of who is no survivor', async () => {
    expect(await opened(revealing(blue, (open) => open.subarray(32)))).toMatchObject(broken(/wrong length/, blue));
    const stranger = (round: MaskedRound) => {
      round.said.reveal = new Map(round.said.reveal).set(ebony, round.said.reveal.get(amber)!);
    };
    expect(await opened(stranger, { contribute: [ebony] })).toMatchObject(broken(/is no survivor/, ebony));
  });
  test('of a tenant that committed to one self-mask and dealt another: it is named', async () => {
    const round = await maskedRound();
    await round.keys();
    const { context, secrets } = insider(round, coral);
    round.said.keys.set(coral, said(bent(secrets.keys, 5)));
    await round.deal(without(coral));
    const announced = readKeys(received(round.said.keys), context, round.transcript);
    round.said.deal.set(coral, { open: new Uint8Array(0), sealed: secrets.letters(announced) });
    await round.contribute(without(coral));
    round.said.contribute.set(coral, contributing(new Uint8Array(16)));
    await round.agree(without(coral));
    await round.reveal();
    await expect(round.sum()).rejects.toMatchObject({ message: /do not make up/, tenant: coral });
  });
  test('of contributions that are none of the round', async () => {
    const changed = (change: (said: MaskedRound['said']) => void) => opened(({ said }) => change(said));
    expect(await changed((said) => said.deal.delete(blue))).toMatchObject(broken(/contributed and never dealt/, blue));
    expect(await changed((said) => said.keys.delete(blue))).toMatchObject(broken(/dealt and has no keys/, blue));
    const two = (said: MaskedRound['said']) => {
      for (const name of [amber, blue, coral]) said.contribute.delete(name);
    };
    expect(await changed(two)).toMatchObject(broken(/a sum over 2 is not opened/));
    const zero = (said: MaskedRound['said']) => said.contribute.set('zero', said.contribute.get(blue)!);
    expect(await changed(zero)).toMatchObject(broken(/no member/, 'zero'));
  });
  test('where a contribution was changed or swapped for one of another round: what comes out is no sum', async () => {
    const other = await playedThrough({});
    for (const change of [(mine: Uint8Array) => bent(mine, 3), () => other.said.contribute.get(dun)!.vector!]) {
      const changed = ({ said }: MaskedRound) => {
        said.contribute.set(dun, contributing(change(said.contribute.get(dun)!.vector!)));
      };
      expect(await opened(changed)).toMatchObject(broken(/larger than the plan allows/));
    }
  });
  test('that overflowed its lane: all vectors at their largest wrap around, and are refused', async () => {
    for (const bits of [32, 48] as const) {
      const most = laneOf(bits);
      const round = await atContribute({ maxMagnitude: most });
      await round.contribute(members, new Map(members.map((name) => [name, [most, -most, 0, 1]])));
      await round.agree();
      await round.reveal();
      // 5·(2^(k−1) − 1) modulo 2^k: within the lane again, and wrong. The plan's budget counts every tenant at its bound.
      expect((await round.sum())[0]).toBe(Number(BigInt.asIntN(bits, 5n * BigInt(most))));
      const planned = await atContribute({ maxMagnitude: Math.floor(most / 8) });
      await planned.contribute(members, new Map(members.map((name) => [name, [Math.floor(most / 8), 0, 0, 0]])));
      await planned.agree();
      await planned.reveal();
      await expect(planned.sum()).rejects.toThrow(/larger than the plan allows/);
    }
  });
});

describe('what is stored is well-formed', () => {
  test('by the word of its cover too, once a vector is as long as planned', async () => {
    const cover: Cover = { ...ring, malformed: (vector) => `these ${vector.length} bytes are none of mine` };
    const round = await playedThrough({ cover });
    const refusal = (stage: 'agree' | 'contribute') =>
      round.coordinator.malformed(stageOf(stage), receivedFrom(round.said[stage].get(blue)!));
    expect(refusal('contribute')).toBe('these 16 bytes are none of mine');
    expect(refusal('agree')).toBeUndefined();
  });

  test('keys, letters, vectors, hashes and shares of their lengths, sealed to members, where something is sealed', async () => {
    const round = await playedThrough({});
    const refusal = (stage: string, said: Said) => round.coordinator.malformed(stageOf(stage), receivedFrom(said));
    for (const stage of ['keys', 'deal', 'contribute', 'agree', 'reveal'] as const) {
      const said = round.said[stage].get(blue)!;
      expect(refusal(stage, said)).toBeUndefined();
      expect(refusal(stage, { ...said, open: Buffer.concat([said.open, Buffer.alloc(1)]) })).toBeTypeOf('string');
      if (stage !== 'deal')
        expect(refusal(stage, { ...said, sealed: new Map([[amber, new Uint8Array(80)]]) })).toMatch(/seals nothing/);
      const { vector, ...rest } = said;
      expect(refusal(stage, vector ? rest : { ...said, vector: new Uint8Array(16) })).toMatch(/expected a vector of/);
      if (vector) expect(refusal(stage, { ...said, vector: vector.subarray(1) })).toMatch(/16 bytes, got 15/);
    }
    const deal = round.said.deal.get(blue)!;
    const sealed = (to: TenantId, bytes: Uint8Array) => ({ ...deal, sealed: new Map([[to, bytes]]) });
    expect(refusal('deal', sealed('zero', new Uint8Array(80)))).toMatch(/no member/);
    expect(refusal('deal', sealed(amber, new Uint8Array(79)))).toMatch(/80/);
    expect(refusal('reveal', said(new Uint8Array(32 * 6)))).toMatch(/up to 5 members/);
    expect(round.coordinator.malformed({ ...stageOf('agree'), name: 'nonsense' }, receivedFrom(deal))).toMatch(
      /no stage nonsense/,
    );
  });
});
