import * as nodeCrypto from 'node:crypto';
import { createHash, createPrivateKey, diffieHellman, hkdfSync, randomBytes } from 'node:crypto';
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { describe, expect, test } from 'vitest';
import { offerBytes, pairKey, publicKeyBytes } from '../../aggregation/pair-key.ts';
import { KEY_AGREEMENTS, type KeyAgreement } from '../../aggregation/secure-sum.ts';
import { digest } from '../../aggregation/transcript.ts';

const bytes = (length: number) => new Uint8Array(randomBytes(length));
const transcript = bytes(32);
const pair = (kind: KeyAgreement, at = transcript) =>
  [pairKey(bytes(32), kind, at), pairKey(bytes(32), kind, at)] as const;
const HYBRID: KeyAgreement = 'x25519-ml-kem-768';

describe.each(KEY_AGREEMENTS)('agreeing by %s', (kind) => {
  test('gives both the same 32 bytes, and the one that offers the same offer each time', () => {
    const [amber, blue] = pair(kind);
    const { offer, secret } = amber.offer(blue.publicKey)!;
    expect(offer).toHaveLength(offerBytes(kind));
    expect(amber.publicKey).toHaveLength(publicKeyBytes(kind));
    expect(secret).toHaveLength(32);
    expect(blue.take(amber.publicKey, offer)).toEqual(secret);
    expect(amber.offer(blue.publicKey)).toEqual({ offer, secret });
  });

  test('follows from the seed alone: who is given it recomputes all of it', () => {
    const seed = bytes(32);
    const [lost, found] = [pairKey(seed, kind, transcript), pairKey(seed, kind, transcript)];
    const [other] = pair(kind);
    expect(found.publicKey).toEqual(lost.publicKey);
    expect(found.offer(other.publicKey)).toEqual(lost.offer(other.publicKey));
    const { offer } = other.offer(lost.publicKey)!;
    expect(found.take(other.publicKey, offer)).toEqual(lost.take(other.publicKey, offer));
  });

  test('gives another secret to other pairs, in another round, and the other way round', () => {
    const [amber, blue] = pair(kind);
    const [coral] = pair(kind);
    const seeds = [bytes(32), bytes(32)] as const;
    const elsewhere = bytes(32);
    const secrets = [
      amber.offer(blue.publicKey)!.secret,
      blue.offer(amber.publicKey)!.secret,
      amber.offer(coral.publicKey)!.secret,
      ...[transcript, elsewhere].map(
        (at) => pairKey(seeds[0], kind, at).offer(pairKey(seeds[1], kind, at).publicKey)!.secret,
      ),
    ].map((secret) => Buffer.from(secret).toString('hex'));
    expect(new Set(secrets).size).toBe(secrets.length);
    expect(pairKey(seeds[0], kind, elsewhere).publicKey).not.toEqual(pairKey(seeds[0], kind, transcript).publicKey);
  });

  // RFC 7748 §6.1: an all-zero shared secret must not be used
  test('refuses points of low order, keys of another length, offers of another length', () => {
    const [amber, blue] = pair(kind);
    const { offer } = blue.offer(amber.publicKey)!;
    const low = Uint8Array.from(blue.publicKey).fill(0, 0, 32);
    expect(amber.offer(low)).toBeUndefined();
    expect(amber.take(low, offer)).toBeUndefined();
    low[0] = 1;
    expect(amber.offer(low)).toBeUndefined();
    for (const key of [blue.publicKey.subarray(1), Buffer.concat([blue.publicKey, bytes(1)]), new Uint8Array(0)]) {
      expect(amber.offer(key)).toBeUndefined();
      expect(amber.take(key, offer)).toBeUndefined();
    }
    expect(amber.take(blue.publicKey, Buffer.concat([offer, bytes(1)]))).toBeUndefined();
  });
});

describe('X25519 with ML-KEM-768', () => {
  test('has no ML-KEM key whose coefficients are not below q (FIPS 203 §7.2)', () => {
    const [amber, blue] = pair(HYBRID);
    expect(amber.offer(Uint8Array.from(blue.publicKey).fill(0xff, 32, 35))).toBeUndefined();
  });

  test('needs both halves of an offer and of a key: with either changed the secrets differ', () => {
    const [amber, blue] = pair(HYBRID);
    const { offer, secret } = amber.offer(blue.publicKey)!;
    const bent = Uint8Array.from(offer);
    bent[500]! ^= 1;
    expect(blue.take(amber.publicKey, bent)).not.toEqual(secret); // ML-KEM rejects implicitly
    const [coral] = pair(HYBRID);
    const mixed = Buffer.concat([coral.publicKey.subarray(0, 32), amber.publicKey.subarray(32)]);
    expect(blue.take(mixed, offer)).not.toEqual(secret);
  });

  // node:crypto and the formula written out: HKDF(K ‖ X25519, salt: round, info: what was sent)
  test.runIf('decapsulate' in nodeCrypto)('agrees with OpenSSL’s ML-KEM and X25519, put together by hand', () => {
    for (let run = 0; run < 5; run++) {
      const seed = bytes(32);
      const taker = pairKey(seed, HYBRID, transcript);
      const [offerer] = pair(HYBRID);
      const { offer, secret } = offerer.offer(taker.publicKey)!;
      const derive = (label: string, length: number) =>
        Buffer.from(hkdfSync('sha256', seed, transcript, digest(label, transcript), length));
      const x25519 = createPrivateKey({
        key: Buffer.concat([
          Buffer.from('302e020100300506032b656e04220420', 'hex'),
          derive('parley/pair-key/x25519/v1', 32),
        ]),
        format: 'der',
        type: 'pkcs8',
      });
      const peer = nodeCrypto.createPublicKey({
        key: Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), offerer.publicKey.subarray(0, 32)]),
        format: 'der',
        type: 'spki',
      });
      const point = diffieHellman({ privateKey: x25519, publicKey: peer });
      // RFC 9935 §6: an ML-KEM private key as its 64-byte seed
      const kem = createPrivateKey({
        key: Buffer.concat([
          Buffer.from('3054020100300b060960864801650304040204428040', 'hex'),
          derive('parley/pair-key/ml-kem-768/v1', 64),
        ]),
        format: 'der',
        type: 'pkcs8',
      });
      const shared = decapsulate(kem, offer);
      const info = digest('parley/pair-key/secret/v1', transcript, HYBRID, offerer.publicKey, taker.publicKey, offer);
      const ours = hkdfSync('sha256', Buffer.concat([shared, point]), transcript, info, 32);
      expect(Buffer.from(secret).equals(Buffer.from(ours))).toBe(true);
    }
  });

  /*
   * Go's crypto/mlkem, TestAccumulated for ML-KEM-768 with n = 100 (src/crypto/mlkem/mlkem_test.go): one SHAKE128 stream
   * supplies d ‖ z, m and a random ciphertext each time; a second takes in ek, c, K and the implicit rejection's secret.
   */
  test('ML-KEM-768 as used here agrees with Go’s accumulated vectors', () => {
    const n = 100;
    const input = createHash('shake128', { outputLength: n * (64 + 32 + 1088) }).digest();
    const seen = createHash('shake128', { outputLength: 32 });
    for (let i = 0; i < n; i++) {
      const [seed, m, random] = [
        [0, 64],
        [64, 96],
        [96, 1184],
      ].map(([from, to]) => input.subarray(1184 * i + from!, 1184 * i + to!));
      const { publicKey, secretKey } = ml_kem768.keygen(seed!);
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, m!);
      seen.update(publicKey).update(cipherText).update(sharedSecret);
      expect(ml_kem768.decapsulate(cipherText, secretKey)).toEqual(sharedSecret);
      seen.update(ml_kem768.decapsulate(random!, secretKey));
    }
    expect(seen.digest('hex')).toBe('1114b1b6699ed191734fa339376afa7e285c9e6acf6ff0177d346696ce564415');
  });
});

/** Not there before Node 24.7. */
function decapsulate(key: nodeCrypto.KeyObject, ciphertext: Uint8Array): Uint8Array {
  return nodeCrypto.decapsulate(key, ciphertext);
}
