import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import selfsigned from 'selfsigned';

/** A CA of a test's own, and certificates from it, on disk. */
export interface TestCa {
  /** PEM file */
  readonly file: string;
  /** For these addresses, and no names. @returns PEM files */
  issue(name: string, addresses: readonly string[]): Promise<{ cert: string; key: string }>;
}

const about = (commonName: string) => [{ name: 'commonName', value: commonName }];
const ec = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;

export async function testCa(folder: string, name: string): Promise<TestCa> {
  const write = (file: string, text: string, mode = 0o600): string => {
    const path = join(folder, file);
    writeFileSync(path, text, { mode });
    return path;
  };
  const ca = await selfsigned.generate(about(name), {
    ...ec,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ],
  });
  return {
    file: write(`${name}.pem`, ca.cert),
    async issue(of, addresses) {
      const made = await selfsigned.generate(about(of), {
        ...ec,
        ca: { key: ca.private, cert: ca.cert },
        extensions: [
          { name: 'basicConstraints', cA: false },
          { name: 'subjectAltName', altNames: addresses.map((ip) => ({ type: 7 as const, ip })) },
        ],
      });
      return { cert: write(`${of}.pem`, made.cert), key: write(`${of}.key`, made.private) };
    },
  };
}
