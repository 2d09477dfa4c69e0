import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setDefaultCACertificates } from 'node:tls';
import { CommandError, EXIT } from './exit.ts';

/**
 * From now on this process trusts the CA in this file (PEM) with TLS, and no other: a command speaks to one federation, over
 * HTTP and WebSocket, and a private CA is meant instead of the public ones. Who the coordinator is does not hang on it: its
 * Ed25519 key is pinned, so a CA that misleads gets to see who takes part and when, and no more.
 *
 * @throws CommandError when the file holds no certificate
 */
export function trustOnly(file: string): void {
  const certificates = certificatesIn(file);
  // Node 22.19 and 24.5; there is no other way for fetch but to bring a second one
  if (setDefaultCACertificates === undefined)
    throw new CommandError(EXIT.usage, `a CA of one's own needs Node 22.19 or newer, this is ${process.version}`);
  setDefaultCACertificates(certificates);
}

function certificatesIn(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandError(EXIT.input, `${file}: ${code === 'ENOENT' ? 'no such file' : `not readable (${code})`}`);
  }
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    if (found.length > 0 && found.every((one) => new X509Certificate(one).ca)) return found;
  } catch {
    // said below
  }
  throw new CommandError(EXIT.input, `${file}: no certificate of a CA in PEM`);
}
