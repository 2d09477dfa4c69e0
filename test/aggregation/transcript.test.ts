import { describe, expect, test } from 'vitest';
import { createIdentity } from '../../aggregation/identity.ts';
import type { Said } from '../../aggregation/secure-sum.ts';
import { inMemory } from '../../aggregation/stored-vector.ts';
import {
  digest,
  heardHash,
  isRelayed,
  isStatement,
  NOTHING_HEARD,
  type Occasion,
  type Place,
  type Relayed,
  relayTo,
  type Statement,
  sha256,
  signStatement,
  transcriptOf,
} from '../../aggregation/transcript.ts';

const identity = createIdentity();
const bytes = (text: string): Uint8Array => Buffer.from(text);

const occasion: Occasion = {
  federation: 'f'.repeat(64),
  roster: 'a'.repeat(64),
  task: 'b'.repeat(64),
  epoch: 2,
  round: 3,
  model: 'c'.repeat(64),
  ledger: 'd'.repeat(64),
};
const place: Place = {
  transcript: transcriptOf(occasion),
  stage: 'deal',
  attempt: 1,
  heard: heardHash([{ from: 'blue', open: bytes('before'), sealedHashes: [], signature: new Uint8Array(64) }]),
};
const said: Said = {
  open: bytes('for everyone'),
  vector: bytes('for the coordinator'),
  sealed: new Map([
    ['blue', bytes('for blue')],
    ['coral', bytes('for coral')],
  ]),
};
const statement = signed('amber', said);
const relayed = relayTo('blue', statement);

function signed(from: string, { open, sealed, vector }: Said): Statement {
  const signature = signStatement(identity, from, place, vector ? { open, sealed, vector } : { open, sealed });
  return { from, open, sealed, ...(vector ? { vector: inMemory(vector) } : {}), signature };
}

const accepted = (at: Place, one: Statement = statement): boolean => isStatement(identity.publicKey, at, one);
const heardBy = (me: string, one: Relayed, at: Place = place): boolean => isRelayed(identity.publicKey, at, me, one);

test('a statement verifies where it was made, with all its parts and as each recipient gets it', () => {
  expect(accepted(place)).toBe(true);
  for (const me of ['blue', 'coral', 'dun']) expect(heardBy(me, relayTo(me, statement))).toBe(true);
  expect(relayed.sealed).toEqual(bytes('for blue'));
  expect(relayTo('dun', statement).sealed).toBeUndefined();
});

describe('a statement does not verify', () => {
  test.each<[keyof Occasion, Partial<Occasion>]>([
    ['federation', { federation: 'e'.repeat(64) }],
    ['roster', { roster: 'e'.repeat(64) }],
    ['task', { task: 'e'.repeat(64) }],
    ['epoch', { epoch: 1 }],
    ['round', { round: 4 }],
    ['model', { model: '' }],
    ['ledger', { ledger: 'e'.repeat(64) }],
  ])('in another %s', (_, change) => {
    const elsewhere = { ...place, transcript: transcriptOf({ ...occasion, ...change }) };
    expect(accepted(elsewhere)).toBe(false);
    expect(heardBy('blue', relayed, elsewhere)).toBe(false);
  });

  test.each<[keyof Place, Partial<Place>]>([
    ['stage', { stage: 'confirm' }],
    ['attempt', { attempt: 2 }],
    ['heard', { heard: NOTHING_HEARD }],
  ])('when the %s differs', (_, change) => {
    expect(accepted({ ...place, ...change })).toBe(false);
    expect(heardBy('blue', relayed, { ...place, ...change })).toBe(false);
  });

  test('in the name of another', () => {
    expect(accepted(place, { ...statement, from: 'blue' })).toBe(false);
    expect(heardBy('blue', { ...relayed, from: 'coral' })).toBe(false);
    expect(isStatement(createIdentity().publicKey, place, statement)).toBe(false);
  });

  test('with another open part', () => {
    expect(accepted(place, { ...statement, open: bytes('for everyonE') })).toBe(false);
    expect(heardBy('blue', { ...relayed, open: bytes('') })).toBe(false);
  });

  test.each<[string, [string, string][]]>([
    [
      'changed',
      [
        ['blue', 'for blue!'],
        ['coral', 'for coral'],
      ],
    ],
    ['missing', [['blue', 'for blue']]],
    [
      'added',
      [
        ['blue', 'for blue'],
        ['coral', 'for coral'],
        ['dun', 'for dun'],
      ],
    ],
    [
      'swapped',
      [
        ['blue', 'for coral'],
        ['coral', 'for blue'],
      ],
    ],
    [
      'readdressed',
      [
        ['blue', 'for blue'],
        ['dun', 'for coral'],
      ],
    ],
  ])('with a sealed part %s', (_, sealed) => {
    const changed = { ...statement, sealed: new Map(sealed.map(([to, text]) => [to, bytes(text)])) };
    expect(accepted(place, changed)).toBe(false);
    expect(heardBy('blue', relayTo('blue', changed))).toBe(false);
  });

  test('to a recipient whose own part was exchanged, withheld or invented', () => {
    expect(heardBy('blue', { ...relayed, sealed: bytes('for coral') })).toBe(false);
    const { sealed: _, ...withheld } = relayed;
    expect(heardBy('blue', withheld)).toBe(false);
    expect(heardBy('dun', { ...relayTo('dun', statement), sealed: bytes('for dun') })).toBe(false);
  });
});

describe('a vector', () => {
  const without = signed('amber', { open: said.open, sealed: said.sealed });

  test('stays with the coordinator: everyone else gets 32 bytes of it', () => {
    expect(relayed.vectorHash).toEqual(sha256(said.vector!));
    expect(relayed).not.toHaveProperty('vector');
    expect(relayTo('blue', without)).not.toHaveProperty('vectorHash');
    expect(accepted(place, without)).toBe(true);
  });
  test('is signed: another one, or none, does not verify, neither here nor there', () => {
    const { vector: _, ...dropped } = statement;
    for (const bent of [{ ...statement, vector: inMemory(bytes('another')) }, dropped]) {
      expect(accepted(place, bent)).toBe(false);
      expect(heardBy('blue', relayTo('blue', bent))).toBe(false);
    }
    expect(accepted(place, { ...without, vector: inMemory(said.vector!) })).toBe(false);
    expect(heardBy('blue', { ...relayTo('blue', without), vectorHash: sha256(said.vector!) })).toBe(false);
  });
  test('is told apart from a sealed part of the same bytes', () => {
    const sealed = signed('amber', { open: said.open, sealed: new Map([['', said.vector!]]) });
    const { vector: _, ...rest } = { ...sealed, sealed: new Map() };
    expect(accepted(place, { ...rest, vector: inMemory(said.vector!) })).toBe(false);
  });
});

test('sealed parts may be listed in any order', () => {
  const turned = { ...statement, sealed: new Map([...said.sealed].reverse()) };
  expect(accepted(place, turned)).toBe(true);
});

describe('what was heard has one hash', () => {
  const other = signed('blue', { open: bytes('x'), sealed: new Map() });

  test('for everyone, whatever is sealed to whom, in any order', () => {
    const toBlue = [relayTo('blue', statement), relayTo('blue', other)];
    const toDun = [relayTo('dun', other), relayTo('dun', statement)];
    expect(heardHash(toBlue)).toEqual(heardHash(toDun));
  });

  test.each<[string, (one: Relayed) => Relayed]>([
    ['its open part', (one) => ({ ...one, open: bytes('another') })],
    ['its vector', (one) => ({ ...one, vectorHash: sha256('another') })],
    ['its signature', (one) => ({ ...one, signature: new Uint8Array(64) })],
    ['its speaker', (one) => ({ ...one, from: 'ebony' })],
    ['a sealed part', (one) => ({ ...one, sealedHashes: [['blue', sha256('')], one.sealedHashes[1]!] })],
  ])('that changes when a statement changes in %s', (_, change) => {
    expect(heardHash([change(relayed)])).not.toEqual(heardHash([relayed]));
  });
  test('that changes when a statement is left out', () => {
    expect(heardHash([relayed])).not.toEqual(heardHash([relayed, relayTo('blue', other)]));
    expect(NOTHING_HEARD).toEqual(heardHash([]));
  });
});

test('a digest keeps its parts apart', () => {
  expect(digest('ab', 'c')).not.toEqual(digest('a', 'bc'));
  expect(digest('a', '')).not.toEqual(digest('a'));
  expect(digest('a', bytes('b'))).toEqual(digest('a', 'b'));
  // SHA-256 of 00000001 61, by sha256sum
  expect(Buffer.from(digest('a')).toString('hex')).toBe(
    '72ff6b02949dad95006c343e3db3150090d3afb49f6bbdb92fdc17607997a85c',
  );
});
