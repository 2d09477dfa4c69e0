import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { createIdentity } from '../../aggregation/identity.ts';
import { digest } from '../../aggregation/transcript.ts';
import {
  answerDigest,
  decodeFromClient,
  decodeFromCoordinator,
  encode,
  type FromClient,
  type FromCoordinator,
  MAX_FRAME,
  vectorBytes,
  vectorFrom,
} from '../../aggregation/wire.ts';
import { WireRefused } from '../../aggregation/wire-check.ts';

const identity = createIdentity();
const packr = new Packr({ useRecords: false, moreTypes: false });
const hash = 'ab'.repeat(32);
/** Buffers, as msgpack gives them back. */
const bytes = (length: number): Uint8Array => Buffer.from(Array.from({ length }, (_, i) => (7 * i) & 255));
const signature = bytes(64);
const ledger = { entries: ['{}'], note: 'parley:x\n3\n' };
const heard = [
  {
    from: 'amber',
    open: bytes(3),
    sealedHashes: [['blue', bytes(32)] as [string, Uint8Array]],
    sealed: bytes(5),
    signature,
  },
  { from: 'coral', open: bytes(0), vectorHash: bytes(32), sealedHashes: [], signature },
];

const coordinatorSays: Record<FromCoordinator['type'], FromCoordinator> = {
  hello: {
    type: 'hello',
    protocol: 2,
    federation: hash,
    key: Buffer.from(identity.publicKey),
    exchange: bytes(32),
  },
  welcome: { type: 'welcome', tenant: 'amber', version: '0.1.0' },
  plan: { type: 'plan', plan: '{"v":1}', signature, parameters: bytes(16) },
  ask: {
    type: 'ask',
    task: hash,
    epoch: 1,
    round: 70_000,
    stage: 'contribute',
    attempt: 1,
    model: '',
    head: { size: 3, hash },
    members: ['amber', 'blue'],
    openers: [],
    heard,
    have: 2 ** 20,
    ledger,
  },
  have: { type: 'have', task: hash, epoch: 1, round: 2, stage: 'contribute', attempt: 1, length: 3 * 2 ** 20 },
  keyed: { type: 'keyed', task: hash, epoch: 2, heard },
  opened: { type: 'opened', task: hash, round: 3, sum: bytes(24), contributions: 4, model: hash, ledger },
  over: { type: 'over', task: hash, outcome: 'stopped', reason: 'budget-exhausted', ledger },
  witness: { type: 'witness', ledger },
  witnessed: { type: 'witnessed', task: hash, note: 'parley:x\n3\n', ledger },
  refused: { type: 'refused', about: 'say', reason: 'wrong-round' },
};
const clientSays: Record<FromClient['type'], FromClient> = {
  identify: {
    ...{ type: 'identify', protocol: 2, version: '0.1.0', tenant: 'amber', ledger: 300, open: [hash] },
    exchange: bytes(32),
  },
  accept: { type: 'accept', task: hash, round: 0, dataset: hash, signature },
  standing: {
    ...{ type: 'standing', task: '-', pool: 'held-out', ledger: 300 },
    ...{ epsilon: 1.25, limit: 4, delta: 1e-5, order: 12.5, signature },
  },
  cosign: { type: 'cosign', size: 3, line: '— amber x' },
  decline: { type: 'decline', task: hash, cause: 'budget', reason: 'ε is used up', signature },
  cannot: { type: 'cannot', task: hash, epoch: 1, round: 2 },
  part: {
    ...{ type: 'part', task: hash, epoch: 1, round: 2, stage: 'contribute', attempt: 1 },
    ...{ at: 2 ** 20, bytes: bytes(2 ** 20) },
  },
  say: {
    type: 'say',
    task: hash,
    epoch: 1,
    round: 0,
    stage: 'deal',
    attempt: 1,
    open: bytes(100_000),
    sealed: [['blue', bytes(9)]],
    signature,
  },
};

describe('a message arrives as it was sent:', () => {
  test.each(Object.values(coordinatorSays))('the coordinator’s $type', (message) => {
    expect(decodeFromCoordinator(encode(message).bytes)).toEqual(message);
  });
  test.each(Object.values(clientSays))('a client’s $type', (message) => {
    expect(decodeFromClient(encode(message).bytes)).toEqual(message);
  });
});

describe('a message is refused, and its field named,', () => {
  const refused = (message: object, why: string): void => {
    const body = packr.pack(message);
    expect(() => decodeFromClient(body)).toThrow(WireRefused);
    expect(() => decodeFromClient(body)).toThrow(why);
  };
  const { say, accept, decline, cannot, identify } = clientSays;

  test.each([
    ['that is of no known type', { type: 'shout' }, 'message: type'],
    ['that has a field too many', { ...cannot, note: 'x' }, 'message: '],
    ['that has a field too few', { type: 'cannot', task: hash, epoch: 1 }, 'message: round'],
    ['with a negative round', { ...cannot, round: -1 }, 'message: round'],
    ['with a fraction of a round', { ...cannot, round: 1.5 }, 'message: round'],
    ['with a round beyond all rounds', { ...cannot, round: 2 ** 31 + 1 }, 'message: round'],
    ['with a task that is no hash', { ...accept, task: 'ABC' }, 'message: task'],
    ['with a tenant that is no name', { ...identify, tenant: '../x' }, 'message: tenant'],
    ['without its signature', { ...say, signature: null }, 'message: signature: expected 64 bytes'],
    ['with a signature cut short', { ...say, signature: bytes(63) }, 'message: signature: expected 64 bytes'],
    ['with text where bytes belong', { ...say, open: 'text' }, 'message: open: expected bytes'],
    ['with a stage that is no word', { ...say, stage: 'a b' }, 'message: stage'],
    [
      'that seals to two hundred and one',
      { ...say, sealed: new Array(201).fill(['blue', bytes(1)]) },
      'message: sealed',
    ],
    ['with a reason nobody will read', { ...decline, reason: 'x'.repeat(501) }, 'message: reason'],
    ['with an unknown cause', { ...decline, cause: 'whim' }, 'message: cause'],
  ])('%s', (_, message, why) => refused(message, why));

  test('as a message that is none', () => {
    expect(() => decodeFromClient(packr.pack('hello'))).toThrow('message: type');
    expect(() => decodeFromClient(Uint8Array.of(0xc1))).toThrow('is not in the protocol');
  });
  test('when it is larger than any message, before it is read', () => {
    const most = MAX_FRAME.fromClient;
    expect(() => decodeFromClient(new Uint8Array(most + 1))).toThrow(`at most ${most} are read`);
  });
});

test('a name like __proto__ in a message changes nothing but the message', () => {
  const body = Buffer.concat([
    Buffer.of(0x81, 0xa9),
    Buffer.from('__proto__'),
    Buffer.of(0x81, 0xa1),
    Buffer.from('x'),
    Buffer.of(1),
  ]);
  expect(() => decodeFromClient(body)).toThrow(WireRefused);
  expect(({} as { x?: unknown }).x).toBeUndefined();
});

describe('what a client signs', () => {
  test('to accept a task is not a signature to decline it, nor to accept another', () => {
    const accept = { type: 'accept', task: hash, round: 0, dataset: hash } as const;
    const decline = { type: 'decline', task: hash, cause: 'policy', reason: '' } as const;
    const signed = answerDigest('amber', accept);
    expect(answerDigest('amber', decline)).not.toEqual(signed);
    expect(answerDigest('amber', { ...accept, task: 'cd'.repeat(32) })).not.toEqual(signed);
    expect(answerDigest('amber', { ...accept, dataset: 'cd'.repeat(32) })).not.toEqual(signed);
    expect(answerDigest('blue', accept)).not.toEqual(signed);
    expect(answerDigest('amber', { ...decline, cause: 'data' })).not.toEqual(answerDigest('amber', decline));
    expect(answerDigest('amber', { ...decline, reason: 'but' })).not.toEqual(answerDigest('amber', decline));
    expect(signed).not.toEqual(digest('parley/answer/v1', hash, 'amber', 'accept'));
  });
});

describe('a vector on the wire', () => {
  test('is little-endian doubles, whatever the machine', () => {
    expect(Buffer.from(vectorBytes(Float64Array.of(1, -2.5))).toString('hex')).toBe('000000000000f03f00000000000004c0');
  });
  test('arrives to the last bit', () => {
    fc.assert(
      fc.property(fc.float64Array(), (values) => {
        expect(vectorFrom(vectorBytes(values), values.length)).toEqual(values);
      }),
    );
  });
  test('of another length is refused', () => {
    expect(() => vectorFrom(new Uint8Array(15), 2)).toThrow(WireRefused);
    expect(() => vectorFrom(new Uint8Array(24), 2)).toThrow('expected 2 doubles, got 24 bytes');
  });
});
