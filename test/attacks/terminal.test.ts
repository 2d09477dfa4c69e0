import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { EXIT } from '../../aggregation/exit.ts';
import { main } from '../../cli.ts';

/** As a coordinator would be, or somebody on the way to it: it refuses everything, and its words move the cursor. */
async function refusing(detail: string): Promise<string> {
  const server = createServer((_, response) => response.writeHead(403).end(JSON.stringify({ detail })));
  server.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test.each([
  ['ledger', 'verify'],
  ['ledger', 'show'],
  ['task', 'status'],
])('what a coordinator refuses `parley %s %s` with is not obeyed by the terminal', async (...command) => {
  const said = vi.spyOn(console, 'error').mockImplementation(() => {});
  onTestFinished(() => said.mockRestore());
  const coordinator = await refusing('no\u001b[2K\u001b]0;mine\u0007');
  expect(await main([...command, '--coordinator', coordinator])).toBe(EXIT.refused);
  expect(said.mock.lastCall).toEqual(['parley: no\\u{1b}[2K\\u{1b}]0;mine\\u{7}']);
});
