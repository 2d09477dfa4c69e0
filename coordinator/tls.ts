import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions, type Server } from 'node:tls';
import { CommandError, EXIT } from '../aggregation/exit.ts';

/** PEM files: the certificate with those between it and its CA, and its private key. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** Told when a certificate was put in the place of another, or could not be. */
export interface CertificateLog {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** @throws CommandError when a file is not there, the key can be read by others, or the two do not belong together */
export function credentials(files: TlsFiles): SecureContextOptions {
  const cert = contents(files.cert, 'certificate');
  const key = contents(files.key, 'key');
  refuseReadable(files.key);
  const options = { cert, key, minVersion: 'TLSv1.2' } as const;
  try {
    createSecureContext(options); // which takes an empty file for none, and refuses whoever connects
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return options;
    throw new Error('the key is another certificate’s');
  } catch (error) {
    // what OpenSSL says about a key could hold a part of it; its code does not
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandError(
      EXIT.input,
      `${files.cert} and ${files.key} are no certificate and its key, in PEM${code === undefined ? '' : ` (${code})`}: take both from the same issuance`,
    );
  }
}

/** How often the files are looked at. Certificates are renewed days before they end. */
const LOOK_EVERY_MS = 10_000;

/**
 * Keeps a server's certificate what the files hold, for connections to come. Files that do not belong together, because one of them
 * is not written yet, change nothing: they are looked at again.
 *
 * @returns look: looks now; stop: looks no more
 */
export function followCertificate(server: Pick<Server, 'setSecureContext'>, files: TlsFiles, log: CertificateLog) {
  let used = credentials(files);
  let complaint = '';
  const look = (): void => {
    try {
      const now = credentials(files);
      complaint = '';
      if (now.cert === used.cert && now.key === used.key) return;
      server.setSecureContext(now);
      used = now;
      log.info({ cert: files.cert, validTo: validTo(now) }, 'certificate renewed');
    } catch (error) {
      const { message } = error as Error;
      if (message !== complaint) log.error({ reason: message }, 'certificate not renewed; the one before stays in use');
      complaint = message;
    }
  };
  const timer = setInterval(look, LOOK_EVERY_MS).unref();
  return { look, stop: () => clearInterval(timer) };
}

/** When the certificate ends. */
export const validTo = ({ cert }: SecureContextOptions): string => new X509Certificate(cert as string).validTo;

function contents(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandError(EXIT.input, `${file}: ${code === 'ENOENT' ? `no such ${what}` : `not readable (${code})`}`);
  }
}

/** As PostgreSQL asks of its `ssl_key_file`: nobody else, or a group when the file is root's. */
function refuseReadable(file: string): void {
  if (process.platform === 'win32') return; // its modes say nothing
  const { mode, uid } = statSync(file);
  if ((mode & (uid === 0 ? 0o027 : 0o077)) !== 0)
    throw new CommandError(
      EXIT.refused,
      `${file} can be read by others (mode ${(mode & 0o777).toString(8)}): \`chmod 600 ${file}\``,
    );
}
