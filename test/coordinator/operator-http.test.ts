import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { EXIT } from '../../aggregation/exit.ts';
import { get, patiently, post } from '../../coordinator/operator-http.ts';
import { temporaryFolder } from '../support/folder.ts';
import { startServer } from '../support/serving.ts';

const TOKEN = `plt_0123456789abcdef_${'s'.repeat(43)}`;

function tokenFile(): string {
  const file = join(temporaryFolder(), 'token');
  writeFileSync(file, `${TOKEN}\n`);
  return file;
}

test.each(['http://parley.example:7400', 'http://10.0.0.1:7400', 'http://[2001:db8::1]:7400'])(
  'a token does not travel in plaintext to another machine: %s',
  async (coordinator) => {
    const refused = { code: EXIT.usage, message: expect.stringContaining('https://') };
    const options = { coordinator, tokenFile: tokenFile() };
    await expect(get('/tasks', options)).rejects.toMatchObject(refused);
    await expect(post('/tasks', {}, options)).rejects.toMatchObject(refused);
  },
);

test('to this machine it does', async () => {
  const shown: (string | undefined)[] = [];
  const server = createServer(({ headers }, response) => {
    shown.push(headers.authorization);
    response.end('[]');
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await get('/tasks', { coordinator: `http://127.0.0.1:${port}`, tokenFile: tokenFile() });
  expect(shown).toEqual([`Bearer ${TOKEN}`]);
});

test('nothing follows a redirection: it could lead from TLS to plaintext, or to somebody else', async () => {
  const asked: string[] = [];
  const server = createServer(({ url }, response) => {
    asked.push(url!);
    response.writeHead(307, { location: '/elsewhere' }).end();
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const options = { coordinator: `http://127.0.0.1:${port}`, tokenFile: tokenFile() };
  await expect(post('/tasks', {}, options)).rejects.toMatchObject({ code: EXIT.network });
  expect(asked).toEqual(['/tasks']);
});

test('what others wrote is shown as text, and not obeyed by the terminal', async () => {
  const evil = 'no\u001b[2K\u001b[1Ayes\r\nsouth declined';
  const server = createServer((_, response) => response.end(JSON.stringify([{ reason: evil }])));
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const [task] = (await get('/tasks', { coordinator: `http://127.0.0.1:${port}` })) as { reason: string }[];
  expect(task!.reason).toBe('no\\u{1b}[2K\\u{1b}[1Ayes\\u{d} south declined');
});

test('who watches a task goes on with the coordinator that takes over, and with one that starts again', async () => {
  const folder = temporaryFolder();
  const ports = [await freePort(), await freePort()];
  const coordinators = ports.map((port) => `http://127.0.0.1:${port}`);
  let server = await startServer(folder, { port: ports[0]! });
  const ask = patiently({ coordinator: coordinators[0]!, coordinators, folder });
  const federation = (await ask('/federation')) as { federation: string };
  for (const port of [ports[1]!, ports[1]!, ports[0]!]) {
    await server.close();
    const answer = ask('/federation');
    server = await startServer(folder, { port });
    expect(await answer).toEqual(federation);
  }
  await expect(ask('/tasks/0')).rejects.toMatchObject({ code: EXIT.refused }); // an answer is not waited for again
});

test('who stands by is asked again for a minute, and not longer', async () => {
  let asked = 0;
  const server = createServer((_, response) => {
    asked += 1;
    response.writeHead(503).end();
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const { port } = server.address() as AddressInfo;
  const answer = patiently({ coordinator: `http://127.0.0.1:${port}` })('/tasks');
  answer.catch(() => {});
  vi.advanceTimersByTime(59_000);
  await vi.waitUntil(() => asked > 1, { timeout: 60_000 });
  vi.advanceTimersByTime(2_000);
  await expect(answer).rejects.toMatchObject({ code: EXIT.failed });
});

test('an answer that breaks off is none', async () => {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-length': '1000' }).write('{"phase":');
    setImmediate(() => response.destroy());
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const answer = get('/tasks', { coordinator: `http://127.0.0.1:${port}` });
  await expect(answer).rejects.toMatchObject({ code: EXIT.network });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
