import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Channel } from '../../aggregation/channel.ts';
import { createIdentity } from '../../aggregation/identity.ts';
import { encode, type FromClient, type FromCoordinator } from '../../aggregation/wire.ts';
import { stayConnected } from '../../client/connect.ts';
import { type Serving, serve } from '../../coordinator/serve.ts';
import { startBackend } from '../../models/backend.ts';
import { enrol, type Tenants, tenantsFor } from '../support/federation-on-disk.ts';
import { type Meddling, type Middle, type Passing, type Seen, startMiddle } from '../support/man-in-the-middle.ts';
import { FIVE, smallTask } from '../support/small-task.ts';
import { bytesOf } from '../support/tapped-tenant.ts';

/*
 * Somebody sits between amber and the coordinator, on plaintext. Whatever he does to a frame ends the connection, and nothing
 * else: amber comes back by itself, and the task goes on to its end, with amber.
 */
let folder: string;
let server: Serving;
let tenants: Tenants;
let middle: Middle;
const leaving = new AbortController();
/** what the coordinator noted: each connection that it ended, and why */
const endings: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-'));
  const log = pino(
    { level: 'warn' },
    {
      write: (line: string) => void (line.includes('"refused-connection"') && endings.push(line)),
    },
  );
  server = await serve({ folder, host: '127.0.0.1', port: 0, version: 'test', log, onFailure: () => {} });
  tenants = tenantsFor(server.coordinator.publicKey, await startBackend('cpu'), FIVE);
  middle = await startMiddle(server.url);
  for (const [tenant, participant] of tenants.participants) {
    enrol(server.coordinator.enrolment, tenant, tenants.identities.get(tenant)!);
    const options = { signal: leaving.signal, sleep: () => sleep(5), onRetry: () => {} };
    void stayConnected(participant, tenant === 'amber' ? middle.url : server.url, options);
  }
  await until(() => server.coordinator.present().size === 5, 'five tenants');
});

afterAll(async () => {
  leaving.abort();
  middle.close();
  await server.close();
  tenants.forget();
  rmSync(folder, { recursive: true });
});

async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 30_000; !isTrue(); await sleep(5))
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
}

const heard = (type: string) => tenants.events.filter((event) => event.tenant === 'amber' && event.type === type);
type Type = FromClient['type'] | FromCoordinator['type'];
const is = (seen: Seen, type: Type): boolean => seen.message.type === type;
const unsigned = (message: FromClient | FromCoordinator): Uint8Array =>
  bytesOf({ seal: new Uint8Array(64), body: encode(message).bytes });
const flipped = (bytes: Uint8Array, bit: number): Uint8Array => {
  const damaged = Uint8Array.from(bytes);
  damaged[bit >> 3]! ^= 1 << (bit & 7);
  return damaged;
};
/** Of the connection before this one, what went the same way. */
const before = (passing: Passing): Passing => middle.connections[middle.connections.indexOf(passing) - 1]!;

let held: Buffer | undefined;
const attacks: readonly [what: string, who: 'amber' | 'the coordinator', meddle: Meddling][] = [
  ['doubles a question', 'amber', (seen) => (is(seen, 'ask') ? [seen.bytes, seen.bytes] : undefined)],
  ['swallows a sum, and lets pass what follows', 'amber', (seen) => (is(seen, 'opened') ? [] : undefined)],
  [
    'exchanges two messages',
    'amber',
    (seen) => {
      if (seen.to !== 'client' || (held === undefined && !is(seen, 'opened'))) return undefined;
      if (held === undefined) {
        held = seen.bytes;
        return [];
      }
      return [seen.bytes, held];
    },
  ],
  [
    'shows what was said on the connection before',
    'amber',
    (seen, passing) => (is(seen, 'plan') ? [before(passing).toClient.at(2)!] : undefined),
  ],
  ['changes a bit of a question', 'amber', (seen) => (is(seen, 'ask') ? [flipped(seen.bytes, 2000)] : undefined)],
  [
    'says a refusal that nobody signed',
    'amber',
    (seen) =>
      is(seen, 'welcome')
        ? [unsigned({ type: 'refused', about: 'message', reason: 'not an enrolled tenant, or not its key' })]
        : undefined,
  ],
  [
    'greets with a key of his own',
    'amber',
    (seen) => {
      if (seen.to !== 'client' || seen.message.type !== 'hello') return undefined;
      const his = createIdentity();
      return [bytesOf(new Channel('coordinator').seal(encode({ ...seen.message, key: his.publicKey }), his))];
    },
  ],
  [
    'says in amber’s name that it cannot answer',
    'the coordinator',
    (seen) =>
      seen.to === 'client' || seen.message.type !== 'accept'
        ? undefined
        : [seen.bytes, unsigned({ type: 'cannot', task: seen.message.task, epoch: 1, round: 1 })],
  ],
  ['doubles what amber says', 'the coordinator', (seen) => (is(seen, 'say') ? [seen.bytes, seen.bytes] : undefined)],
  ['swallows a part of amber’s vector', 'the coordinator', (seen) => (is(seen, 'part') ? [] : undefined)],
  [
    'shows what amber said on the connection before',
    'the coordinator',
    (seen, passing) => (is(seen, 'accept') ? [before(passing).toCoordinator.at(2)!] : undefined),
  ],
  [
    'shows amber’s greeting of the connection before',
    'the coordinator',
    (seen, passing) => (is(seen, 'identify') ? [before(passing).toCoordinator[0]!] : undefined),
  ],
  [
    'changes a bit of amber’s greeting, so that the coordinator refuses it',
    'the coordinator',
    (seen) => (is(seen, 'identify') ? [flipped(seen.bytes, 5)] : undefined),
  ],
];

test.each(attacks)('who %s ends the connection, by %s, and no more', async (_, who, attack) => {
  held = undefined;
  let struck: Passing | undefined;
  const noted = { coordinator: endings.length, amber: heard('interrupted').length };
  const count = middle.connections.length;
  middle.meddle = (seen, passing) => {
    if (passing.closed || (struck !== undefined && struck !== passing)) return undefined; // on one connection
    const instead = attack(seen, passing);
    if (instead !== undefined) struck = passing;
    return instead;
  };
  middle.cut(); // begins with a greeting
  await until(() => middle.connections.slice(0, count).every(({ closed }) => closed), 'a new beginning');
  const settings = smallTask('plain', { timing: { stageTimeoutMs: 1_000 } });
  // nothing goes on without amber
  const conductor = server.coordinator.propose({ ...settings, secureSum: { ...settings.secureSum, minCohort: 5 } });
  await until(() => struck?.closed === true, 'the end of the connection');
  await until(() => conductor.isOver, 'the end of the task');
  expect(conductor.state.phase).toBe('finished');
  await until(() => heard('finished').some((event) => 'task' in event && event.task === conductor.id), 'word of it');
  expect([...heard('left'), ...heard('declined')]).toEqual([]);
  if (who === 'amber') expect(heard('interrupted').length).toBe(noted.amber + 1);
  else expect(endings.length).toBe(noted.coordinator + 1);
  expect(middle.connections.at(-1)).not.toBe(struck);
});
