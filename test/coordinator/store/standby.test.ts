import { once } from 'node:events';
import { connect } from 'node:net';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Standby, standBy } from '../../../coordinator/store/standby.ts';

const log = { info: () => {}, error: () => {} };
let standby: Standby;
beforeAll(async () => {
  standby = await standBy({ host: '127.0.0.1', port: 0, log });
  return () => standby.close();
});

test('a coordinator that stands by is alive', async () => {
  const response = await fetch(`${standby.url}/healthz`);
  expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }]);
});

test('it tells Prometheus that it does not lead, so that nobody takes it for gone', async () => {
  const response = await fetch(`${standby.url}/metrics`);
  expect([response.status, await response.text()]).toEqual([200, '# TYPE parley_leads gauge\nparley_leads 0\n']);
});

test.each([
  ['GET', '/readyz'],
  ['GET', '/federation'],
  ['POST', '/healthz'],
  ['POST', '/tasks'],
  ['DELETE', '/'],
])('and answers %s %s with 503, a problem, and when to ask again', async (method, path) => {
  const body = method === 'POST' ? JSON.stringify({ tenant: 'amber' }) : null;
  const response = await fetch(`${standby.url}${path}`, { method, body });
  expect(response.status).toBe(503);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(response.headers.get('retry-after')).toBe('1');
  expect(await response.json()).toMatchObject({ status: 503, detail: expect.stringContaining('stands by') });
});

test('it takes in no client: the upgrade is refused with 503', async () => {
  const socket = new WebSocket(`${standby.url.replace('http', 'ws')}/federation`);
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  expect(response.statusCode).toBe(503);
  socket.on('error', () => {});
  socket.terminate();
});

test('its port is free when it has ended, even while somebody is connected', async () => {
  const other = await standBy({ host: '127.0.0.1', port: 0, log });
  const silent = connect(other.port, '127.0.0.1');
  onTestFinished(() => void silent.destroy());
  silent.on('error', () => {});
  await once(silent, 'connect');
  await other.close();
  const again = await standBy({ host: '127.0.0.1', port: other.port, log });
  await again.close();
});

test('a port in use is an error', async () => {
  await expect(standBy({ host: '127.0.0.1', port: standby.port, log })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
