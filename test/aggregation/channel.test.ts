import { x25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as nobleSha256, sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Body, Channel, Unverified } from '../../aggregation/channel.ts';
import { createIdentity } from '../../aggregation/identity.ts';
import { agreementKey, ephemeralKey } from '../../aggregation/key-agreement.ts';
import type { Frame } from '../../aggregation/link.ts';
import { digest, sha256 } from '../../aggregation/transcript.ts';

const coordinator = createIdentity();
const client = createIdentity();
const body = (bytes: Uint8Array): Body => ({ bytes, hash: sha256(bytes) });
const word = (text: string): Body => body(Buffer.from(text));

/** Two ends that have greeted each other, each with a key of its own, or the one given. */
function greeted({ hello = ephemeralKey(), identify = ephemeralKey() } = {}) {
  const there = new Channel('coordinator', hello);
  const here = new Channel('client', identify);
  const greeting = there.seal(body(there.exchange), coordinator);
  expect(here.takes(greeting, coordinator.publicKey)).toBe(true);
  const answer = here.seal(body(here.exchange), client);
  here.agree(there.exchange);
  expect(there.takes(answer, client.publicKey)).toBe(true);
  there.agree(here.exchange);
  return { there, here, greeting, answer };
}

const words = ['welcome', 'plan', 'ask', 'have', 'opened', 'over'];

describe.each(['coordinator', 'client'] as const)('what the %s says', (side) => {
  const speaker = side === 'coordinator' ? coordinator : client;
  const ends = (given?: Parameters<typeof greeted>[0]) => {
    const { there, here } = greeted(given);
    return side === 'coordinator' ? { from: there, to: here } : { from: here, to: there };
  };
  const said = (from: Channel): Frame[] => words.map((one) => from.seal(word(one), speaker));
  const taken = (to: Channel, frames: readonly Frame[]): boolean[] =>
    frames.map((frame) => to.takes(frame, speaker.publicKey));

  test('is taken in as it was said', () => {
    const { from, to } = ends();
    expect(taken(to, said(from))).toEqual(words.map(() => true));
  });

  test('is taken in up to the first frame that is doubled, left out or out of its place, and not from there on', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(words.length - 1), { maxLength: 8 }), (order) => {
        const { from, to } = ends();
        const frames = said(from);
        const right = order.findIndex((frame, place) => frame !== place);
        const verdicts = taken(
          to,
          order.map((i) => frames[i]!),
        );
        const good = right < 0 ? order.length : right;
        expect(verdicts.slice(0, good)).toEqual(Array(good).fill(true));
        if (right >= 0) expect(verdicts[right]).toBe(false);
      }),
    );
  });

  test('is nothing on another connection, though only one of both keys is another', () => {
    const [hello, identify] = [ephemeralKey(), ephemeralKey()];
    const frames = said(ends({ hello, identify }).from);
    for (const other of [{ hello }, { identify }, {}])
      expect(taken(ends(other).to, frames.slice(0, 1))).toEqual([false]);
    expect(taken(ends({ hello, identify }).to, frames.slice(0, 1))).toEqual([true]); // Ed25519 is deterministic
  });

  test('is nothing when a bit of it is another, or it is too short or too long', () => {
    fc.assert(
      fc.property(fc.nat(8 * (64 + words[0]!.length) - 1), fc.nat(2), (bit, place) => {
        const { from, to } = ends();
        for (const one of words.slice(0, place))
          expect(to.takes(from.seal(word(one), speaker), speaker.publicKey)).toBe(true);
        const { seal, body: sent } = from.seal(word(words[0]!), speaker);
        const bytes = Buffer.concat([seal, sent]);
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        const damaged = { seal: bytes.subarray(0, 64), body: bytes.subarray(64) };
        expect(to.takes(damaged, speaker.publicKey)).toBe(false);
      }),
    );
    for (const length of [0, 63, 65]) {
      const nothing = { seal: new Uint8Array(length), body: new Uint8Array(0) };
      const { to } = ends();
      expect([to.takes(nothing, speaker.publicKey), to.takes(nothing, speaker.publicKey)]).toEqual([false, false]);
    }
  });

  test('is nothing of a key that is gone, or has another in its place', () => {
    for (const key of [undefined, createIdentity().publicKey]) {
      const { from, to } = ends();
      expect(said(from).map((frame) => to.takes(frame, key))).toEqual(words.map(() => false));
    }
  });

  test('is nothing when it comes back to whoever said it', () => {
    const { from } = ends();
    const frame = from.seal(word('plan'), speaker);
    expect(from.takes(frame, speaker.publicKey)).toBe(false);
  });
});

test('a refusal of a greeting that was changed on its way is none for who sent the greeting', () => {
  const there = new Channel('coordinator');
  const here = new Channel('client');
  here.takes(there.seal(word('hello'), coordinator), coordinator.publicKey);
  const { seal, body: sent } = here.seal(word('identify'), client);
  here.agree(there.exchange);
  seal[0]! ^= 1;
  expect(there.takes({ seal, body: sent }, client.publicKey)).toBe(false);
  expect(here.takes(there.seal(word('refused'), coordinator), coordinator.publicKey)).toBe(false);
});

test('a coordinator that shows an old greeting is not believed, though it knows the secret of its key', () => {
  const hello = ephemeralKey(); // of a coordinator whose memory somebody has read
  const greeting = new Channel('coordinator', hello).seal(body(hello.publicKey), coordinator);
  const thief = new Channel('coordinator', hello);
  const here = new Channel('client');
  expect(here.takes(thief.seal(body(hello.publicKey), { sign: () => greeting.seal }), coordinator.publicKey)).toBe(
    true,
  );
  const answer = here.seal(body(here.exchange), client);
  here.agree(thief.exchange);
  expect(thief.takes(answer, client.publicKey)).toBe(true);
  thief.agree(here.exchange);
  expect(here.takes(thief.seal(word('welcome'), createIdentity()), coordinator.publicKey)).toBe(false);
});

test('somebody in between who puts a key of his own in a greeting makes it nobody’s', () => {
  const there = new Channel('coordinator');
  const here = new Channel('client');
  const middle = new Channel('coordinator');
  const { seal } = there.seal(body(there.exchange), coordinator);
  expect(here.takes({ seal, body: middle.exchange }, coordinator.publicKey)).toBe(false);
});

test('the coordinator signs its answer to a greeting: nobody else has the key that it was made for', () => {
  const { there } = greeted();
  const signed: Uint8Array[] = [];
  const watched = {
    sign: (bytes: Uint8Array) => {
      signed.push(bytes);
      return coordinator.sign(bytes);
    },
  };
  for (const one of words) there.seal(word(one), watched);
  expect(signed).toHaveLength(1);
});

test('a key that gives no secret of two is none (RFC 7748 §6.1)', () => {
  for (const low of [new Uint8Array(32), Uint8Array.of(1, ...new Uint8Array(31))])
    expect(() => greeted().here.agree(low)).toThrow(Unverified);
});

test('a tag before both sides have greeted is a mistake of the program', () => {
  const here = new Channel('client');
  here.seal(word('identify'), client);
  expect(() => here.seal(word('accept'), client)).toThrow(/before both sides/);
  expect(here.takes({ seal: new Uint8Array(64), body: new Uint8Array(0) }, coordinator.publicKey)).toBe(false);
});

test('a tag is HMAC-SHA-512 under HKDF-SHA-256 of the X25519 secret, by another implementation', () => {
  const [a, b] = [new Uint8Array(32).fill(11), new Uint8Array(32).fill(22)];
  const { there, here, greeting, answer } = greeted({ hello: agreementKey(a), identify: agreementKey(b) });
  const bound = (before: Uint8Array, { seal, body: sent }: Frame): Uint8Array =>
    digest('parley/connection/v2', before, seal, nobleSha256(sent));
  const connection = bound(bound(new Uint8Array(0), greeting), answer);
  const secret = x25519.getSharedSecret(a, x25519.getPublicKey(b));
  const key = hkdf(nobleSha256, secret, connection, Buffer.from('parley/frame/v2'), 64);
  const tag = (from: string, place: number, text: string): Uint8Array =>
    hmac(sha512, key, digest('parley/frame/v2', from, connection, String(place), nobleSha256(Buffer.from(text))));
  expect(Buffer.from(here.seal(word('accept'), client).seal)).toEqual(Buffer.from(tag('client', 1, 'accept')));
  there.seal(word('welcome'), coordinator);
  expect(Buffer.from(there.seal(word('plan'), coordinator).seal)).toEqual(Buffer.from(tag('coordinator', 2, 'plan')));
});
