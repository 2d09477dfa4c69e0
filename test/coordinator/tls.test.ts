import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type SecureVersion, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { CommandError } from '../../aggregation/exit.ts';
import { trustOnly } from '../../aggregation/trusted-ca.ts';
import { stayConnected } from '../../client/connect.ts';
import { credentials } from '../../coordinator/tls.ts';
import { startBackend } from '../../models/backend.ts';
import { type TestCa, testCa } from '../support/certificates.ts';
import { enrol, tenantsFor } from '../support/federation-on-disk.ts';
import { temporaryFolder } from '../support/folder.ts';
import { type Server, startServer } from '../support/serving.ts';
import { parley } from '../support-client/processes.ts';

let folder: string;
let ours: TestCa;
let theirs: TestCa;
/** for 127.0.0.1, from our CA */
let first: { cert: string; key: string };
let second: { cert: string; key: string };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-'));
  ours = await testCa(folder, 'ours');
  theirs = await testCa(folder, 'theirs');
  first = await ours.issue('first', ['127.0.0.1']);
  second = await ours.issue('second', ['127.0.0.1']);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A handshake with this server. @returns the protocol spoken and whose certificate it has; or the error's code */
async function handshake(server: Server, { ca = ours, host = '127.0.0.1', ...rest }: Handshake = {}) {
  const socket: TLSSocket = connect({
    ...{ host: '127.0.0.1', port: Number(new URL(server.url).port), servername: '' },
    ...{ ca: readFileSync(ca.file), ...rest },
    checkServerIdentity: (_, cert) =>
      new X509Certificate(cert.raw).checkIP(host) === undefined ? new Error('ERR_TLS_CERT_ALTNAME_INVALID') : undefined,
  });
  try {
    await once(socket, 'secureConnect');
    return `${socket.getProtocol()} ${new X509Certificate(socket.getPeerCertificate().raw).subject}`;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code ?? message;
  } finally {
    socket.destroy();
  }
}
interface Handshake {
  readonly ca?: TestCa;
  readonly host?: string;
  readonly minVersion?: SecureVersion;
  readonly maxVersion?: SecureVersion;
  readonly ciphers?: string;
}

describe('a coordinator with a certificate', () => {
  test('speaks TLS 1.3, 1.2 to whoever cannot, and nothing older; to whoever trusts its CA and asked for its address', async () => {
    const server = await startServer(temporaryFolder(), { tls: first });
    expect(server.url).toMatch(/^https:/);
    expect(await handshake(server)).toBe('TLSv1.3 CN=first');
    expect(await handshake(server, { maxVersion: 'TLSv1.2' })).toBe('TLSv1.2 CN=first');
    // level 0: what this side would not offer by itself any more
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    expect(credentials(first)).toMatchObject({ minVersion: 'TLSv1.2' }); // though Node were run with --tls-min-v1.0
    expect(await handshake(server, old)).toMatch(/PROTOCOL_VERSION|NO_PROTOCOLS|ECONNRESET/);
    expect(await handshake(server, { ca: theirs })).toMatch(/SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(GET|VERIFY)/);
    expect(await handshake(server, { host: '127.0.0.2' })).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
  });

  test('takes a new one without a restart, and keeps the one it has while the files do not belong together', async () => {
    const [cert, key] = [join(folder, 'used.pem'), join(folder, 'used.key')];
    copyFileSync(first.cert, cert);
    copyFileSync(first.key, key);
    const server = await startServer(temporaryFolder(), { tls: { cert, key } });
    const inUse = async (): Promise<string> => {
      server.lookAtCertificate();
      return (await handshake(server)).slice(-'second'.length).trim();
    };
    expect(await inUse()).toBe('=first');
    copyFileSync(second.cert, cert);
    expect(await inUse()).toBe('=first');
    expect(await inUse()).toBe('=first');
    const complaints = server.log.filter((line) => line.includes('certificate not renewed'));
    expect(complaints).toHaveLength(1); // once for one reason
    expect(complaints[0]).not.toMatch(/PRIVATE|BEGIN/);
    copyFileSync(second.key, key);
    expect(await inUse()).toBe('second');
    for (const file of [cert, key]) {
      const whole = readFileSync(file);
      writeFileSync(file, '');
      expect(await inUse()).toBe('second');
      writeFileSync(file, whole);
    }
  });

  test('is reached by commands that are told of its CA, and by no others; nor in plaintext', async () => {
    const server = await startServer(temporaryFolder(), { tls: first });
    const status = (coordinator: string, ...more: string[]) =>
      parley(['task', 'check', 'simulation/tasks/churn.json', '--coordinator', coordinator, '--json', ...more]);
    const plain = server.url.replace('https', 'http');
    const byName = server.url.replace('127.0.0.1', 'localhost');
    const asked = await Promise.all([
      status(server.url, '--tls-ca', ours.file),
      status(server.url),
      status(server.url, '--tls-ca', theirs.file),
      status(byName, '--tls-ca', ours.file),
      status(plain, '--tls-ca', ours.file),
    ]);
    expect(asked.map(({ code }) => code)).toEqual([4, 5, 5, 5, 5]); // 4: the roster is empty, and no plan fits it
    for (const { stderr } of asked.slice(1, 4)) expect(stderr).toContain('does not verify');
    expect(asked[4]!.stderr).toContain('nobody answers');
    const nothing = await parley(['task', 'status', '--coordinator', server.url, '--tls-ca', first.key]);
    expect([nothing.code, nothing.stderr]).toEqual([3, expect.stringContaining('no certificate of a CA in PEM')]);
  });

  test('is reached by clients, and says in their logs why it is not', async () => {
    const server = await startServer(temporaryFolder(), { tls: first });
    const tenants = tenantsFor(server.coordinator.publicKey, await startBackend('cpu'), ['amber']);
    enrol(server.coordinator.enrolment, 'amber', tenants.identities.get('amber')!);
    const leaving = new AbortController();
    onTestFinished(() => leaving.abort());
    const reasons: string[] = [];
    trustOnly(theirs.file);
    const staying = stayConnected(tenants.participants.get('amber')!, server.url, {
      signal: leaving.signal,
      sleep: () => sleep(5),
      onRetry: (_, why) => reasons.push(why),
    });
    while (reasons.length < 2) await sleep(5);
    expect(reasons[0]).toMatch(/self-signed certificate|unable to (get|verify)/);
    expect(server.coordinator.present().size).toBe(0);
    trustOnly(ours.file);
    while (server.coordinator.present().size === 0) await sleep(5);
    leaving.abort();
    expect(await staying).toBeUndefined();
  });
});

describe('a coordinator does not start', () => {
  const refusal = async (run: () => Promise<unknown>): Promise<{ code: number; message: string }> => {
    const error = await run().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(CommandError);
    const { code, message } = error as CommandError;
    return { code, message };
  };
  const started = (options: Parameters<typeof startServer>[1]) =>
    refusal(() => startServer(temporaryFolder(), options));

  test('with a certificate and another one’s key, with a file that is not there, or none at all', async () => {
    const wrong = await started({ tls: { cert: first.cert, key: second.key } });
    expect(wrong).toEqual({ code: 3, message: expect.stringContaining('are no certificate and its key') });
    expect(wrong.message).not.toContain('BEGIN');
    const missing = await started({ tls: { ...first, cert: join(folder, 'nowhere.pem') } });
    expect(missing).toEqual({ code: 3, message: expect.stringContaining('nowhere.pem: no such certificate') });
    const swapped = await started({ tls: { cert: first.key, key: first.key } });
    expect(swapped.code).toBe(3);
  });

  test.skipIf(process.platform === 'win32')('with a key that others can read', async () => {
    const key = join(folder, 'open.key');
    copyFileSync(first.key, key);
    for (const mode of [0o644, 0o604, 0o620, 0o666]) {
      chmodSync(key, mode);
      expect(() => credentials({ cert: first.cert, key })).toThrow(`can be read by others (mode ${mode.toString(8)})`);
    }
    chmodSync(key, 0o400);
    expect(() => credentials({ cert: first.cert, key })).not.toThrow();
  });

  test('in plaintext where others could read, unless somebody says why', async () => {
    for (const host of ['0.0.0.0', '::', '10.1.2.3', 'parley.example']) {
      const { code, message } = await started({ host });
      expect(code).toBe(2);
      for (const way of ['--tls-cert', '--trust-proxy', '--host 127.0.0.1', '--insecure-plaintext'])
        expect(message).toContain(way);
    }
    for (const allowed of [{ insecurePlaintext: true }, { trustProxy: ['127.0.0.1/32'] }, { tls: first }])
      await (await startServer(temporaryFolder(), { host: '0.0.0.0', ...allowed })).close();
    expect((await started({ host: '0.0.0.0', trustProxy: ['my proxy'] })).message).toContain('CIDR');
  });
});
