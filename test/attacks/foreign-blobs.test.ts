import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  createDeflate,
  createZstdCompress,
  type Deflate,
  inflateSync,
  type ZstdCompress,
  zstdDecompressSync,
} from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { hkdf, sealWith } from '../../aggregation/key-agreement.ts';
import { pairKey } from '../../aggregation/pair-key.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import { PROTECTING_SUMS, ProtocolBroken, type SumShape } from '../../aggregation/secure-sum.ts';
import { inMemory } from '../../aggregation/stored-vector.ts';
import { arithmetic } from '../../aggregation/threshold-he/arithmetic.ts';
import { keying } from '../../aggregation/threshold-he/keying.ts';
import { CLASSICAL } from '../../aggregation/threshold-he/parameters.ts';
import { digest } from '../../aggregation/transcript.ts';
import {
  type DrivenRound,
  driveContributions,
  driveKeying,
  driveShares,
  heardBy,
  noised,
} from '../contracts/secure-sum-driver.ts';

/*
 * A colluder sends what no protocol here sends: objects as Microsoft SEAL serializes them (whose parser has had its holes),
 * compressed bytes, bombs. They are signed and of any length. Everything that is as long as planned is read as packed
 * residues or words, and as nothing else; nothing is ever unpacked that says itself how long it will be.
 */
const shape: SumShape = {
  ...{ dimension: 4096, tenants: 3, threshold: 2, minCohort: 2, colluders: 0 },
  maxMagnitude: 1000,
};
const MIB = 2 ** 20;

/** Objects of the real library, with the parameters of `threshold-he`. */
async function sealBlobs(): Promise<Map<string, Uint8Array>> {
  const seal = await (await import('node-seal/allows')).initialize();
  const parameters = new seal.EncryptionParameters(seal.SchemeType.bgv);
  parameters.setPolyModulusDegree(4096);
  parameters.setCoeffModulus(seal.CoeffModulus.Create(4096, Int32Array.of(47, 58)));
  parameters.setPlainModulus(seal.PlainModulus.Batching(4096, 48));
  const context = new seal.SEALContext(parameters, false, seal.SecLevelType.tc128);
  const generator = new seal.KeyGenerator(context);
  const [secret, publicKey] = [generator.secretKey(), generator.createPublicKey()];
  const encryptor = new seal.Encryptor(context, publicKey, secret);
  const [one, three, plain] = [new seal.Ciphertext(), new seal.Ciphertext(), new seal.Plaintext()];
  new seal.BatchEncoder(context).encode(new BigUint64Array(4096).fill(7n), plain);
  encryptor.encryptSymmetric(plain, one);
  new seal.Evaluator(context).multiply(one, one, three);
  const { none, zlib, zstd } = seal.ComprModeType;
  return new Map<string, Uint8Array>([
    ['a ciphertext', one.saveToArray(none)],
    ['a ciphertext, compressed by zlib', one.saveToArray(zlib)],
    ['a ciphertext, compressed by zstd', one.saveToArray(zstd)],
    ['a seed in place of its second polynomial', encryptor.encryptSymmetricSerializable(plain).saveToArray(none)],
    ['a ciphertext of three polynomials', three.saveToArray(none)],
    ['a public key', publicKey.saveToArray(none)],
    ['a secret key', secret.saveToArray(none)],
    ['parameters', parameters.saveToArray(none)],
  ]);
}

/** What unpacks to 256 MiB of zeros; made a MiB at a time. */
async function bomb(packer: Deflate | ZstdCompress): Promise<Uint8Array> {
  const zeros = Buffer.alloc(MIB);
  const packed: Buffer[] = [];
  packer.on('data', (chunk: Buffer) => packed.push(chunk));
  for (let i = 0; i < 256; i++) await new Promise((resolve) => packer.write(zeros, resolve));
  packer.end();
  await once(packer, 'end');
  return Buffer.concat(packed);
}

/** A header as SEAL 4.1 writes it, which says that zstd follows: magic, size, version, compression, length. */
const inSealHeader = (payload: Uint8Array): Uint8Array => {
  const header = Buffer.from('5ea1100401020000'.padEnd(32, '0'), 'hex');
  header.writeBigUInt64LE(BigInt(16 + payload.length), 8);
  return Buffer.concat([header, payload]);
};

const blobs = await sealBlobs();
for (const [name, packer] of [
  ['zlib', createDeflate()],
  ['zstd', createZstdCompress()],
] as const)
  blobs.set(`a bomb of ${name}`, await bomb(packer));
blobs.set('a bomb where SEAL expects zstd', inSealHeader(blobs.get('a bomb of zstd')!));

/** Cut, or filled up with zeros: as long as what it stands for. */
const fitted = (bytes: Uint8Array, length: number): Uint8Array => {
  const exact = new Uint8Array(length);
  exact.set(bytes.subarray(0, length));
  return exact;
};
/** MiB of memory that are held, in whatever form. */
const held = (): number => process.memoryUsage().rss / MIB;

test('the blobs are what they say (control)', () => {
  const start = (what: string, from: number, to: number) =>
    Buffer.from(blobs.get(what)!.slice(from, to)).toString('hex');
  expect(start('a ciphertext', 0, 6)).toBe('5ea110040100');
  expect(start('a ciphertext, compressed by zstd', 0, 6)).toBe('5ea110040102');
  expect(start('a bomb where SEAL expects zstd', 0, 6)).toBe('5ea110040102');
  for (const what of ['a ciphertext, compressed by zstd', 'a bomb where SEAL expects zstd'])
    expect(start(what, 16, 20)).toBe('28b52ffd'); // RFC 8878 §3.1.1
  expect(blobs.get('a ciphertext of three polynomials')!.length).toBeGreaterThan(3 * 65_536);
  expect(blobs.get('a seed in place of its second polynomial')!.length).toBeLessThan(66_000);
});

describe.each(PROTECTING_SUMS)('%s', (name) => {
  const protocol = protocolNamed(name);
  const stages = protocol.summing.filter((stage) => protocol.vectorBytes(stage.name, shape) > 0);
  let epoch: Awaited<ReturnType<typeof driveKeying>>;
  let round: DrivenRound;
  beforeAll(async () => {
    epoch = await driveKeying(protocol, shape);
    round = await driveContributions(epoch, new Map(epoch.members.map((one) => [one, noised(new Float64Array(4096))])));
  });

  test.each([...blobs.keys()])('takes %s for no vector: it is refused, or opens nothing', async (what) => {
    const before = held();
    const shares = await driveShares(epoch, round, epoch.coordinator.openers(epoch.members));
    for (const stage of stages) {
      const said = stage.gate === 'open' ? shares : round.contributions;
      const [tenant] = said.keys();
      const length = protocol.vectorBytes(stage.name, shape);
      const sent = (bytes: Uint8Array) => ({ ...said.get(tenant!)!, vector: inMemory(bytes) });
      expect(epoch.coordinator.malformed(stage, sent(blobs.get(what)!))).toMatch(/expected a vector of \d+ bytes/);
      const passing = sent(fitted(blobs.get(what)!, length));
      const refusal = epoch.coordinator.malformed(stage, passing);
      if (refusal !== undefined) continue;
      const forged = new Map(said).set(tenant!, passing);
      const [contributions, opening] = stage.gate === 'open' ? [round.contributions, forged] : [forged, shares];
      await expect(epoch.coordinator.open(contributions, opening, round.record)).rejects.toThrow(ProtocolBroken);
    }
    expect(held() - before).toBeLessThan(64); // a bomb that went off would take 256
  });
});

describe('a dealer', () => {
  const members = ['honest', 'rogue'];
  const context = { shape: { ...shape, tenants: 2 }, members, transcript: new Uint8Array(32) };

  test.each([...blobs.keys()])('that seals %s as the share of its key is named', async (what) => {
    const tools = await arithmetic(CLASSICAL);
    const seed = new Uint8Array(randomBytes(32));
    const pair = pairKey(seed, 'x25519', digest('parley/threshold-he/pair-key/v1', context.transcript));
    const honest = keying({ ...context, me: 'honest' }, tools);
    const rogue = keying({ ...context, me: 'rogue' }, tools, seed);
    const announced = new Map([honest, rogue].map((one, i) => [members[i]!, one.announce(new Map())]));
    const dealt = new Map([honest, rogue].map((one, i) => [members[i]!, one.deal(heardBy(members[i]!, announced))]));
    const { open } = rogue.confirm(heardBy('rogue', dealt));
    const { identity } = rogue.finish(new Map(members.map((name) => [name, { open }])));
    // sealed as it should be: only what is in it is left to be seen
    const associated = digest('parley/threshold-he/dealt/v1', identity, 'rogue', 'honest');
    const { secret } = pair.offer(announced.get('honest')!.open)!;
    const key = hkdf(secret, identity, associated, 32);
    const sealed = new Map([['honest', sealWith(key, blobs.get(what)!, associated)]]);
    const before = held();
    const heard = heardBy('honest', new Map(dealt).set('rogue', { open: new Uint8Array(0), sealed }));
    expect(() => honest.confirm(heard)).toThrow(/the share of its key does not open \(tenant rogue\)/);
    expect(held() - before).toBeLessThan(64);
  });
});

// last: what it takes up would hide another that goes off
test('the bombs are bombs (control)', () => {
  for (const [what, unpack] of [
    ['a bomb of zlib', inflateSync],
    ['a bomb of zstd', zstdDecompressSync],
  ] as const) {
    const before = held();
    const unpacked = unpack(blobs.get(what)!);
    expect(unpacked.length).toBe(256 * MIB);
    expect(held() - before).toBeGreaterThan(128);
  }
});
