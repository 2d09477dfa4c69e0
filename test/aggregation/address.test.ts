import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { answerFrom, isLoopback, readyAt } from '../../aggregation/address.ts';
import { EXIT } from '../../aggregation/exit.ts';

const NOBODY = 'http://127.0.0.1:9';

/** Says this of itself at /readyz. */
async function coordinator(status: number, location?: string): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, reply) => {
    asked.push(request.url!);
    reply.writeHead(status, location === undefined ? {} : { location }).end();
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

test('of several coordinators the one that is ready is taken', async () => {
  const [standby, leader, other] = [await coordinator(503), await coordinator(200), await coordinator(200)];
  expect(await readyAt([NOBODY, standby.url, leader.url, other.url])).toBe(leader.url);
  expect([standby.asked, leader.asked, other.asked]).toEqual([['/readyz'], ['/readyz'], []]);
});

test('one that is alone is taken without being asked', async () => {
  const standby = await coordinator(503);
  expect(await readyAt([standby.url])).toBe(standby.url);
  expect(standby.asked).toEqual([]);
});

test('where none is ready that is an error of the network, with every address', async () => {
  const [standby, ready] = [await coordinator(503), await coordinator(200)];
  const elsewhere = await coordinator(302, ready.url); // where nobody has said that a coordinator is
  await expect(readyAt([standby.url, NOBODY, elsewhere.url])).rejects.toMatchObject({
    code: EXIT.network,
    message: `no coordinator is ready at ${standby.url} or ${NOBODY} or ${elsewhere.url}; is one running?`,
  });
});

test('a token is not sent in plaintext to another machine, whichever command shows it; a signature may be seen', async () => {
  const shown = (authorization: string) =>
    answerFrom('http://parley.invalid:7400/ledger', { headers: { authorization } });
  for (const token of ['Bearer plt_x', 'bearer a.b.c'])
    await expect(shown(token)).rejects.toMatchObject({
      code: EXIT.usage,
      message: expect.stringContaining('https://'),
    });
  await expect(shown('Parley key="x"')).rejects.toMatchObject({ code: EXIT.network });
});

test.each(['localhost', '127.0.0.1', '127.8.9.10', '::1', '[::1]'])('%s is this machine', (host) => {
  expect(isLoopback(host)).toBe(true);
});

test.each([
  '',
  '0.0.0.0',
  '10.0.0.1',
  '127.example.org',
  '127.0.0.1.example.org',
  'localhost.example.org',
  '::',
  '2001:db8::1',
])('"%s" is not, or not only', (host) => {
  expect(isLoopback(host)).toBe(false);
});
