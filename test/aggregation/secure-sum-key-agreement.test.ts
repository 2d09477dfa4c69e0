import { randomBytes } from 'node:crypto';
import { x25519 } from '@noble/curves/ed25519.js';
import { hkdf as nobleHkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { describe, expect, test } from 'vitest';
import { agreementKey, ephemeralKey, hkdf, SEAL_BYTES, sealWith, unsealWith } from '../../aggregation/key-agreement.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
const bytes = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

describe('X25519', () => {
  test('agrees with RFC 7748 §6.1', () => {
    const alice = agreementKey(hex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'));
    const bob = agreementKey(hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'));
    expect(alice.publicKey).toEqual(hex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a'));
    expect(bob.publicKey).toEqual(hex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f'));
    const shared = hex('4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742');
    expect(alice.agree(bob.publicKey)).toEqual(Buffer.from(shared));
    expect(bob.agree(alice.publicKey)).toEqual(Buffer.from(shared));
  });

  test('agrees with RFC 7748 §5.2, both vectors', () => {
    const first = agreementKey(hex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4'));
    const u = hex('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c');
    expect(first.agree(u)).toEqual(
      Buffer.from(hex('c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552')),
    );
    const second = agreementKey(hex('4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d'));
    const v = hex('e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493');
    expect(second.agree(v)).toEqual(
      Buffer.from(hex('95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957')),
    );
  });

  test('agrees with RFC 7748 §5.2 after 1000 iterations', () => {
    let [k, u] = [hex(`09${'00'.repeat(31)}`), hex(`09${'00'.repeat(31)}`)];
    for (let i = 0; i < 1000; i++) [k, u] = [Uint8Array.from(agreementKey(k).agree(u)!), k];
    expect(k).toEqual(hex('684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51'));
  });

  test('agrees with noble on random keys', () => {
    for (let run = 0; run < 20; run++) {
      const [mine, theirs] = [bytes(32), bytes(32)];
      const publicKey = x25519.getPublicKey(theirs);
      expect(agreementKey(theirs).publicKey).toEqual(publicKey);
      expect(Uint8Array.from(agreementKey(mine).agree(publicKey)!)).toEqual(x25519.getSharedSecret(mine, publicKey));
    }
  });

  // Every u of small order (Bernstein, cr.yp.to/ecdh.html, "validate"): 0, 1, two of order 8, −1; 0 and 1 not reduced
  // modulo p. Its other five need more than 255 bits, of which X25519 masks the top one (RFC 7748 §5): what is left of
  // them is of large order, and these seven with that bit set are these seven again.
  const LOW_ORDER = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ];
  test.each(LOW_ORDER)('refuses the low-order point %s, and with its top bit set', (point) => {
    const [u, masked] = [hex(point), hex(point)];
    masked[31]! |= 0x80;
    for (const peer of [u, masked]) expect(ephemeralKey().agree(peer)).toBeUndefined();
    expect(() => x25519.getSharedSecret(bytes(32), u)).toThrow(); // and so does noble
  });

  test('takes what only looks like one: a masked top bit is not there', () => {
    for (const point of ['d9', 'da', 'db'].map((low) => `${low}${'ff'.repeat(31)}`)) {
      const [me, u] = [bytes(32), hex(point)]; // 2p − 1, 2p, 2p + 1 where nothing is masked
      expect(Uint8Array.from(agreementKey(me).agree(u)!)).toEqual(x25519.getSharedSecret(me, u));
    }
  });

  test('refuses what is not 32 bytes', () => {
    for (const length of [0, 31, 33, 44]) expect(ephemeralKey().agree(bytes(length))).toBeUndefined();
  });

  test('makes a new key each time', () => {
    expect(ephemeralKey().publicKey).not.toEqual(ephemeralKey().publicKey);
    expect(ephemeralKey().publicKey).toHaveLength(32);
  });
});

describe('HKDF-SHA256', () => {
  test.each([
    // RFC 5869 A.1, A.2 (first 32 octets of input lists written out by range), A.3
    {
      ikm: '0b'.repeat(22),
      salt: '000102030405060708090a0b0c',
      info: 'f0f1f2f3f4f5f6f7f8f9',
      okm: '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    },
    {
      ikm: range(0x00, 0x4f),
      salt: range(0x60, 0xaf),
      info: range(0xb0, 0xff),
      okm: 'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
    },
    {
      ikm: '0b'.repeat(22),
      salt: '',
      info: '',
      okm: '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    },
  ])('agrees with RFC 5869, appendix A', ({ ikm, salt, info, okm }) => {
    expect(hkdf(hex(ikm), hex(salt), hex(info), okm.length / 2)).toEqual(hex(okm));
  });

  test('agrees with noble', () => {
    for (const length of [1, 16, 32, 33, 64, 255]) {
      const [ikm, salt, info] = [bytes(32), bytes(length), bytes(length)];
      expect(hkdf(ikm, salt, info, length)).toEqual(nobleHkdf(sha256, ikm, salt, info, length));
    }
  });
});

function range(from: number, to: number): string {
  return Array.from({ length: to - from + 1 }, (_, i) => (from + i).toString(16).padStart(2, '0')).join('');
}

describe('sealing', () => {
  const key = bytes(32);
  const message = bytes(1000);
  const associated = bytes(40);

  test('opens with the same key and words, to the same bytes', () => {
    const sealed = sealWith(key, message, associated);
    expect(sealed).toHaveLength(message.length + SEAL_BYTES);
    expect(unsealWith(key, sealed, associated)).toEqual(Buffer.from(message));
    expect(unsealWith(key, sealWith(key, new Uint8Array(0), associated), associated)).toHaveLength(0);
  });

  test('never looks the same twice', () => {
    expect(sealWith(key, message, associated)).not.toEqual(sealWith(key, message, associated));
  });

  test('opens with nothing else', () => {
    const sealed = sealWith(key, message, associated);
    for (const at of [0, 11, 12, 500, sealed.length - 17, sealed.length - 16, sealed.length - 1]) {
      const other = Uint8Array.from(sealed);
      other[at]! ^= 0x80;
      expect(unsealWith(key, other, associated)).toBeUndefined();
    }
    for (const length of [0, 5, SEAL_BYTES - 1, sealed.length - 1]) {
      expect(unsealWith(key, sealed.subarray(0, length), associated)).toBeUndefined();
    }
    expect(unsealWith(bytes(32), sealed, associated)).toBeUndefined();
    expect(unsealWith(key, sealed, associated.subarray(1))).toBeUndefined();
  });

  test('agrees with AES-256-GCM test case 14 (McGrew and Viega, appendix B; NIST SP 800-38D)', () => {
    const zeroKey = new Uint8Array(32);
    const sealed = hex(`${'00'.repeat(12)}cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919`);
    expect(unsealWith(zeroKey, sealed, new Uint8Array(0))).toEqual(Buffer.alloc(16));
  });
});
