import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { EXIT } from '../../aggregation/exit.ts';
import { get, post } from '../../coordinator/operator-http.ts';
import { temporaryFolder } from '../support/folder.ts';

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
