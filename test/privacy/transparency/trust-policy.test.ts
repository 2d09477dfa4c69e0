import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TransparencyRefused } from '../../../privacy/transparency/canonical-text.ts';
import { signCheckpoint } from '../../../privacy/transparency/checkpoint.ts';
import { type Cosignature, cosign } from '../../../privacy/transparency/cosignature.ts';
import { emptyRoot } from '../../../privacy/transparency/merkle.ts';
import { withSignature } from '../../../privacy/transparency/signed-note.ts';
import {
  formatPolicy,
  MAX_POLICY_LINES,
  parsePolicy,
  satisfied,
  type TrustPolicy,
  thresholdPolicy,
} from '../../../privacy/transparency/trust-policy.ts';
import { verifyTrusted } from '../../../privacy/transparency/trusted-checkpoint.ts';
import { formatVerifierKey, type Signer } from '../../../privacy/transparency/verifier-key.ts';
import { signerOf, verifyEd25519, witnessOf } from './keys.ts';

const log = signerOf('example.com/log', 1);
const names = ['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3'];
const all = names.map((name, at) => witnessOf(`witness.example/${name}`, 10 + at));
const vkey = ({ key }: Signer): string => formatVerifierKey(key);
const witness = (at: number): string => `witness ${names[at]} ${vkey(all[at]!)}\n`;

/** The example of tlog-policy, with keys. */
const example = `log ${vkey(log)}

${witness(0)}${witness(1)}${witness(2)}group X-witnesses 2 X1 X2 X3

${witness(3)}${witness(4)}${witness(5)}group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
`;
const seenBy = (...at: number[]): Cosignature[] =>
  at.map((each) => ({ name: all[each]!.key.name, key: vkey(all[each]!), time: 1 }));

describe('the example of tlog-policy', () => {
  const policy = parsePolicy(example);

  test('is read', () => {
    expect(policy.logs).toEqual([{ key: log.key }]);
    expect(policy.witnesses.map(({ name }) => name)).toEqual(names);
    expect(policy.groups).toEqual([
      { name: 'X-witnesses', threshold: 2, members: ['X1', 'X2', 'X3'] },
      { name: 'Y-witnesses', threshold: 1, members: ['Y1', 'Y2', 'Y3'] },
      { name: 'X-and-Y', threshold: 2, members: ['X-witnesses', 'Y-witnesses'] },
    ]);
    expect(policy.quorum).toBe('X-and-Y');
  });

  test('wants two of X and one of Y, for every set of witnesses', () => {
    for (let set = 0; set < 64; set++) {
      const who = names.flatMap((_, at) => ((set >> at) & 1 ? [at] : []));
      const [x, y] = [who.filter((at) => at < 3).length, who.filter((at) => at >= 3).length];
      expect(satisfied(policy, seenBy(...who)), `${who}`).toBe(x >= 2 && y >= 1);
    }
  });

  test('counts nobody twice, and nobody else', () => {
    expect(satisfied(policy, seenBy(0, 0, 3))).toBe(false);
    const impostor = { ...seenBy(1)[0]!, key: vkey(witnessOf('witness.example/X2', 77)) };
    expect(satisfied(policy, [...seenBy(0, 3), impostor])).toBe(false);
    expect(satisfied(policy, [...seenBy(0, 1, 3), impostor])).toBe(true);
  });

  test('has one form', () => {
    const text = formatPolicy(policy);
    expect(text.startsWith(`log ${vkey(log)}\n${witness(0)}`)).toBe(true);
    expect(
      text.endsWith('group Y-witnesses 1 Y1 Y2 Y3\ngroup X-and-Y 2 X-witnesses Y-witnesses\nquorum X-and-Y\n'),
    ).toBe(true);
    expect(parsePolicy(text)).toEqual(policy);
    expect(formatPolicy(parsePolicy(text))).toBe(text);
  });
});

test('white space, comments and addresses are read past; names are what stands there', () => {
  const text = `\n# a comment\n\t # another\n\twitness \t w1  ${vkey(all[0]!)}   https://w1.example.com/  \n\nwitness w\u212a ${vkey(all[1]!)}\nwitness wK ${vkey(all[2]!)}\n  quorum\tw1\n`;
  const policy = parsePolicy(text);
  expect(policy.witnesses.map(({ name, url }) => [name, url])).toEqual([
    ['w1', 'https://w1.example.com/'],
    ['w\u212a', undefined],
    ['wK', undefined],
  ]);
  expect(formatPolicy(policy).split('\n')[0]).toBe(`witness w1 ${vkey(all[0]!)} https://w1.example.com/`);
  expect(parsePolicy(`log ${vkey(log)} https://log.example/\nquorum none\n`).logs[0]!.url).toBe('https://log.example/');
});

test('keywords are names like others, none is not', () => {
  const text = `witness all ${vkey(all[0]!)}\nwitness any ${vkey(all[1]!)}\ngroup group 2 all any\nquorum group\n`;
  expect(satisfied(parsePolicy(text), seenBy(0, 1))).toBe(true);
  expect(satisfied(parsePolicy(text), seenBy(0))).toBe(false);
  expect(satisfied(parsePolicy('quorum none\n'), [])).toBe(true);
});

const w1 = `witness w1 ${vkey(all[0]!)}\n`;
const w2 = `witness w2 ${vkey(all[1]!)}\n`;
const sameKey = `witness w2 ${vkey(witnessOf('impostor', 10))}\n`;
test.each([
  ['a control character', 'quorum none\n\x01', 'control'],
  ['a carriage return', 'quorum none\r\n', 'control'],
  ['a DEL', '# \x7f\nquorum none\n', 'control'],
  ['no line break at the end', 'quorum none', 'does not end with a line break'],
  ['nothing', '', 'no quorum'],
  ['an unknown keyword', 'quibble w1\nquorum none\n', 'line 1: begins with none of'],
  ['a keyword of JavaScript', 'constructor w1\nquorum none\n', 'line 1: begins with none of'],
  ['a comment behind', `witness w1 ${vkey(all[0]!)} https://w1 # it\nquorum w1\n`, 'line 1: not "witness'],
  ['a log without key', 'log\nquorum none\n', 'line 1: not "log'],
  ['a log with more', `log ${vkey(log)} url more\nquorum none\n`, 'line 1: not "log'],
  ['a log with a malformed key', 'log garbage\nquorum none\n', 'line 1: verifier key'],
  ['a log with a witness’s key', `log ${vkey(all[0]!)}\nquorum none\n`, 'line 1: a key of type 1 is needed'],
  ['a witness with a log’s key', `witness w1 ${vkey(log)}\nquorum w1\n`, 'line 1: a key of type 4 is needed'],
  ['a log twice', `log ${vkey(log)}\nlog ${vkey(signerOf('other', 1))}\nquorum none\n`, 'line 2: the public key'],
  ['a witness’s key twice', `${w1}${sameKey}quorum w1\n`, 'line 2: the public key'],
  ['a witness without key', 'witness w1\nquorum none\n', 'line 1: not "witness'],
  ['a witness called none', `witness none ${vkey(all[0]!)}\nquorum none\n`, 'line 1: the name none is taken'],
  ['a name twice', `${w1}witness w1 ${vkey(all[1]!)}\nquorum w1\n`, 'line 2: the name w1 is taken'],
  ['a group named as a witness', `${w1}group w1 any w1\nquorum w1\n`, 'line 2: the name w1 is taken'],
  ['a group called none', `${w1}group none any w1\nquorum none\n`, 'line 2: the name none is taken'],
  ['a group without members', `${w1}group g 1\nquorum w1\n`, 'line 2: not "group'],
  ['a threshold of 0', `${w1}group g 0 w1\nquorum g\n`, 'line 2: 0 of 1 members'],
  ['a threshold of −1', `${w1}group g -1 w1\nquorum g\n`, 'line 2: threshold'],
  ['a leading zero', `${w1}group g 01 w1\nquorum g\n`, 'line 2: threshold'],
  ['a threshold above the members', `${w1}group g 2 w1\nquorum g\n`, 'line 2: 2 of 1 members'],
  ['an unknown member', `${w1}group g any w2\nquorum g\n`, 'line 2: w2 is no witness'],
  ['a member of a line below', `group g any w1\n${w1}quorum g\n`, 'line 1: w1 is no witness'],
  ['itself as a member', `${w1}group g any g w1\nquorum g\n`, 'line 2: g is no witness'],
  ['none as a member', `${w1}group g any none w1\nquorum g\n`, 'line 2: none is no witness'],
  ['a member twice', `${w1}group g all w1 w1\nquorum g\n`, 'line 2: w1 is already a member'],
  ['a member of two groups', `${w1}${w2}group g any w1 w2\ngroup h any w1\nquorum g\n`, 'line 4: w1 is already'],
  ['no quorum', w1, 'no quorum'],
  ['two quorums', `${w1}quorum w1\nquorum w1\n`, 'line 3: there is a quorum'],
  ['a quorum of none and another', `${w1}quorum none\nquorum w1\n`, 'line 3: there is a quorum'],
  ['an unknown quorum', 'quorum unknown\n', 'line 1: unknown is no witness'],
  ['a quorum of a line below', `quorum w1\n${w1}`, 'line 1: w1 is no witness'],
  ['a quorum without name', 'quorum\n', 'line 1: not "quorum'],
  ['two names in a quorum', `${w1}quorum w1 w1\n`, 'line 2: not "quorum'],
  ['too many lines', `${'\n'.repeat(MAX_POLICY_LINES)}quorum none\n`, 'lines'],
])('%s is refused, and where', (_, text, message) => {
  expect(() => parsePolicy(text)).toThrow(TransparencyRefused);
  expect(() => parsePolicy(text)).toThrow(message);
});

test('32 logs, witnesses and groups are read', () => {
  const many = Array.from({ length: 32 }, (_, at) => at);
  const text = [
    ...many.map((at) => `log ${vkey(signerOf(`log${at}`, 100 + at))}`),
    ...many.map((at) => `witness w${at} ${vkey(witnessOf(`w${at}`, 100 + at))}`),
    ...many.map((at) => `group g${at} all w${at}${at > 0 ? ` g${at - 1}` : ''}`),
    'quorum g31\n',
  ].join('\n');
  const policy = parsePolicy(text);
  const cosignedBy = policy.witnesses.map(({ key }) => ({ name: key.name, key: formatVerifierKey(key), time: 0 }));
  expect(satisfied(policy, cosignedBy)).toBe(true);
  expect(satisfied(policy, cosignedBy.slice(1))).toBe(false);
});

test('k of n: satisfied by k of its witnesses and not by fewer, and comes back from its text', () => {
  const case_ = fc
    .integer({ min: 1, max: 6 })
    .chain((n) => fc.record({ n: fc.constant(n), k: fc.nat({ max: n }), who: fc.subarray([0, 1, 2, 3, 4, 5]) }));
  fc.assert(
    fc.property(case_, ({ n, k, who }) => {
      const policy = thresholdPolicy(
        log.key,
        all.slice(0, n).map(({ key }) => key),
        k,
      );
      expect(satisfied(policy, seenBy(...who))).toBe(who.filter((at) => at < n).length >= k);
      expect(parsePolicy(formatPolicy(policy))).toEqual(policy);
    }),
  );
  const keys = all.map(({ key }) => key);
  for (const k of [-1, 7, 1.5]) expect(() => thresholdPolicy(log.key, keys, k)).toThrow(TransparencyRefused);
  expect(() => thresholdPolicy(all[0]!.key, keys, 1)).toThrow(TransparencyRefused);
});

test.each(['', 'a b', 'a\tb', 'a\nquorum none'])('a name like %j is not written', (name) => {
  const policy: TrustPolicy = { ...parsePolicy(`${w1}quorum w1\n`), quorum: name };
  expect(() => formatPolicy(policy)).toThrow(RangeError);
  const renamed = { ...policy, witnesses: [{ name, key: all[0]!.key }], quorum: 'none' };
  expect(() => formatPolicy(renamed)).toThrow(RangeError);
});

describe('a checkpoint', () => {
  const policy = thresholdPolicy(
    log.key,
    all.slice(0, 3).map(({ key }) => key),
    2,
  );
  const signed = signCheckpoint({ origin: log.key.name, size: 0, root: emptyRoot, extensions: [] }, log);
  const seen = (...at: number[]): string =>
    at.reduce((note, each) => withSignature(note, cosign(signed, 7, all[each]!)), signed);

  test('is trusted with its quorum', () => {
    expect(verifyTrusted(seen(0, 2), policy, verifyEd25519).cosignedBy.map(({ name }) => name)).toEqual([
      'witness.example/X1',
      'witness.example/X3',
    ]);
  });

  test('is refused without it, whoever else cosigned', () => {
    expect(() => verifyTrusted(signed, policy, verifyEd25519)).toThrow('cosigned by nobody');
    expect(() => verifyTrusted(seen(1, 4, 5), policy, verifyEd25519)).toThrow(
      'cosigned by witness.example/X2, which is not the quorum 2-of-3',
    );
  });

  test('is refused from a log the policy does not name', () => {
    const other = signerOf('example.com/other', 2);
    const note = signCheckpoint({ origin: other.key.name, size: 0, root: emptyRoot, extensions: [] }, other);
    const all3 = [0, 1, 2].reduce((each, at) => withSignature(each, cosign(note, 7, all[at]!)), note);
    expect(() => verifyTrusted(all3, policy, verifyEd25519)).toThrow(TransparencyRefused);
  });
});
