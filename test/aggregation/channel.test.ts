import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Body, Channel } from '../../aggregation/channel.ts';
import { createIdentity } from '../../aggregation/identity.ts';
import type { Frame } from '../../aggregation/link.ts';
import { sha256 } from '../../aggregation/transcript.ts';

const coordinator = createIdentity();
const client = createIdentity();
const body = (bytes: Uint8Array): Body => ({ bytes, hash: sha256(bytes) });
const word = (text: string): Body => body(Buffer.from(text));

/** Two ends that have greeted each other, each with a nonce, or the one given. */
function greeted({ hello = randomBytes(32), identify = randomBytes(32) } = {}) {
  const there = new Channel('coordinator');
  const here = new Channel('client');
  const greeting = there.seal(body(hello), coordinator);
  expect(here.takes(greeting, coordinator.publicKey)).toBe(true);
  const answer = here.seal(body(identify), client);
  expect(there.takes(answer, client.publicKey)).toBe(true);
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

  test('is nothing on another connection, though only one of both nonces is another', () => {
    const [hello, identify] = [randomBytes(32), randomBytes(32)];
    const frames = said(ends({ hello, identify }).from);
    for (const other of [{ hello }, { identify }, {}])
      expect(taken(ends(other).to, frames.slice(0, 1))).toEqual([false]);
    expect(taken(ends({ hello, identify }).to, frames.slice(0, 1))).toEqual([true]); // Ed25519 is deterministic
  });

  test('is nothing when a bit of it is another, or another key made it', () => {
    fc.assert(
      fc.property(fc.nat(8 * (64 + words[0]!.length) - 1), (bit) => {
        const { from, to } = ends();
        const { signature, body: sent } = from.seal(word(words[0]!), speaker);
        const bytes = Buffer.concat([signature, sent]);
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        const damaged = { signature: bytes.subarray(0, 64), body: bytes.subarray(64) };
        expect(to.takes(damaged, speaker.publicKey)).toBe(false);
      }),
    );
    const { from, to } = ends();
    expect(to.takes(from.seal(word('plan'), createIdentity()), speaker.publicKey)).toBe(false);
    expect(ends().to.takes({ signature: new Uint8Array(0), body: new Uint8Array(0) }, speaker.publicKey)).toBe(false);
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
  const { signature, body: sent } = here.seal(word('identify'), client);
  signature[0]! ^= 1;
  expect(there.takes({ signature, body: sent }, client.publicKey)).toBe(false);
  expect(here.takes(there.seal(word('refused'), coordinator), coordinator.publicKey)).toBe(false);
});
