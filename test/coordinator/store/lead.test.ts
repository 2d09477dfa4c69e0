import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { lead } from '../../../coordinator/store/lead.ts';
import { startPostgres } from '../../support/postgres.ts';

const server = await startPostgres();

const FEDERATION = 'ab'.repeat(32);
const log = { info: () => {}, error: () => {} };
const unexpected = (error: Error): void => {
  throw error;
};

describe.skipIf(typeof server === 'string')('a coordinator that finds another one leading', () => {
  test('does not stand by where nobody can ask it: it ends, and says that its port is in use', {
    timeout: 30_000,
  }, async () => {
    if (typeof server === 'string') return;
    const options = {
      ...{ url: await server.newDatabase(), federation: FEDERATION, host: '127.0.0.1', log },
      onLost: unexpected,
    };
    const { store } = await lead({ ...options, port: 0 });
    onTestFinished(() => store.close());
    const other = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void other.close());
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const leaving = new AbortController();
    onTestFinished(() => leaving.abort());
    await expect(lead({ ...options, port, signal: leaving.signal })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test('keeps its port while it stands by, and leads on it', async () => {
    if (typeof server === 'string') return;
    const options = {
      ...{ url: await server.newDatabase(), federation: FEDERATION, host: '127.0.0.1', port: 0, log },
      onLost: unexpected,
    };
    const leads = async (more = {}) => {
      const leader = await lead({ ...options, ...more });
      onTestFinished(() => leader.store.close());
      return leader;
    };
    const first = await leads();
    const standing = Promise.withResolvers<string>();
    const second = leads({ onStandby: standing.resolve });
    const url = await Promise.race([standing.promise, second.then(() => 'nowhere: both lead')]);
    expect(url).toContain('http://127.0.0.1');
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    first.store.close();
    const { port } = await second;
    expect(port).toBe(Number(new URL(url).port));
  });
});
