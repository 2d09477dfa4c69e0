import crypto, { type KeyObject } from 'node:crypto';
import { writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { isMainThread } from 'node:worker_threads';

/**
 * `node --import spill-secrets.ts …`: whatever the program is, every key it makes, agrees on, derives or uses, and everything
 * random it draws, is written to descriptor 3 as it comes, a line of hexadecimal each. So a test knows from outside what must
 * not be found on the disk of a process that was killed.
 */
type Call = (...args: unknown[]) => unknown;
const calls = crypto as unknown as Record<string, Call>;

function spill(bytes: unknown): void {
  const view = ArrayBuffer.isView(bytes) ? bytes : bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : undefined;
  if (view === undefined || view.byteLength < 16) return;
  writeSync(3, `${Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('hex')}\n`);
}

const secretOf = (key: unknown): unknown =>
  key instanceof crypto.KeyObject && key.type === 'secret' ? key.export() : key;
const privateOf = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'pkcs8' }).subarray(-32);

/** In place of a function of node:crypto: the same, and what `secrets` takes from it is spilled. */
function watched(name: string, secrets: (args: readonly unknown[], result: unknown) => readonly unknown[]): void {
  const call = calls[name]!;
  calls[name] = (...args) => {
    const result = call(...args);
    for (const one of secrets(args, result)) spill(one);
    return result;
  };
}

watched('randomBytes', (_, drawn) => [drawn]);
watched('randomFillSync', ([buffer]) => [buffer]);
watched('hkdfSync', ([, secret], derived) => [secretOf(secret), derived]);
watched('diffieHellman', (_, shared) => [shared]);
watched('createCipheriv', ([, key]) => [secretOf(key)]);
watched('createDecipheriv', ([, key]) => [secretOf(key)]);
watched('createSecretKey', ([key]) => [key]);
watched('generateKeyPairSync', (_, pair) => [privateOf((pair as { privateKey: KeyObject }).privateKey)]);
watched('createPrivateKey', ([given], key) =>
  // of the identity, whose file is where it should be, the PEM is read
  typeof given === 'object' ? [privateOf(key as KeyObject)] : [],
);
syncBuiltinESMExports();

if (isMainThread) {
  const { startSeal } = await import('../../aggregation/threshold-he/seal.ts');
  const { CLASSICAL } = await import('../../aggregation/threshold-he/parameters.ts');
  const { loadKernels } = await import('../../aggregation/kernels/load-kernels.ts');
  const [seal, { heRing }] = await Promise.all([startSeal(CLASSICAL), loadKernels()]);
  const { secretKey } = seal;
  Object.assign(seal, {
    secretKey() {
      const secret = secretKey();
      const packed = new Uint8Array(53_760);
      heRing.pack(secret, packed, 0);
      spill(secret);
      spill(packed);
      return secret;
    },
  });
}
