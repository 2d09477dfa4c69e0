import { expect, onTestFinished, test } from 'vitest';
import { Channel } from '../../aggregation/channel.ts';
import { createIdentity } from '../../aggregation/identity.ts';
import type { Frame, Link } from '../../aggregation/link.ts';
import { decodeFromCoordinator } from '../../aggregation/wire.ts';
import { openLedgerLog } from '../../coordinator/ledger-log.ts';
import { openOutgoing } from '../../coordinator/outgoing.ts';
import { openSession } from '../../coordinator/session.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import type { Unsent } from '../../coordinator/world.ts';

const TASK = 'a'.repeat(64);
const statement = { from: 'amber', open: new Uint8Array(0), sealedHashes: [], signature: new Uint8Array(64) };
const ask = {
  type: 'ask',
  ...{ task: TASK, epoch: 1, round: 0, stage: 'confirm', attempt: 1, model: '', members: [], openers: [], have: 0 },
  ...{ head: { size: 0, hash: TASK }, heard: [statement] },
} satisfies Unsent;
const over: Unsent = { type: 'over', task: TASK, outcome: 'stopped', reason: 'operator' };
const keyed: Unsent = { type: 'keyed', task: TASK, epoch: 1, heard: [] };
const have: Unsent = { type: 'have', task: TASK, epoch: 1, round: 1, stage: 'contribute', attempt: 1, length: 7 };

function outgoing() {
  const store = openSqliteStore(':memory:');
  onTestFinished(() => store.close());
  const identity = createIdentity();
  const ledger = openLedgerLog(store, identity, 'b'.repeat(64));
  const append = (): void =>
    ledger.commit(() =>
      ledger.append({ kind: 'roster', tenant: 'amber', change: 'revoked', key: 'c'.repeat(64) }, TASK, 0),
    );
  append();
  const send = openOutgoing(ledger, identity);
  /** One that has greeted, and has seen so many entries. */
  const session = (seen: number) => {
    const frames: Frame[] = [];
    const link: Link = { send: (frame) => frames.push(frame), close() {}, onFrame() {}, onClose() {} };
    const greeted = openSession(link, 0);
    send(greeted, have);
    greeted.channel.agree(new Channel('client').exchange);
    greeted.ledger = seen;
    frames.splice(0);
    return { frames, session: greeted };
  };
  return { send, append, session };
}

test('what goes to many is one array of bytes for all who know the ledger as far', () => {
  const { send, session } = outgoing();
  const [amber, blue, coral] = [session(0), session(0), session(1)];
  for (const each of [amber, blue, coral]) send(each.session, ask);
  const [first, second, third] = [amber, blue, coral].map(({ frames }) => frames[0]!);
  expect(second!.body).toBe(first!.body);
  expect(third!.body).not.toBe(first!.body);
  const entries = ({ body }: Frame): number => {
    const message = decodeFromCoordinator(body);
    return message.type === 'ask' ? message.ledger.entries.length : Number.NaN;
  };
  expect([first!, second!, third!].map(entries)).toEqual([1, 1, 0]);
});

test('whoever was sent the news is not sent them again, and what came since it is', () => {
  const { send, append, session } = outgoing();
  const [amber, blue] = [session(0), session(0)];
  for (const each of [amber, blue]) send(each.session, ask);
  send(blue.session, over);
  append();
  for (const each of [amber, blue]) send(each.session, ask);
  const heard = [amber, blue].map(({ frames }) =>
    frames.map(({ body }) => (decodeFromCoordinator(body) as { ledger: { entries: string[] } }).ledger.entries.length),
  );
  expect(heard).toEqual([
    [1, 1],
    [1, 0, 1],
  ]);
});

test('what does not speak of the ledger is the same for all, and tells nobody of it', () => {
  const { send, session } = outgoing();
  const [amber, blue] = [session(0), session(1)];
  for (const each of [amber, blue]) send(each.session, keyed);
  expect(blue.frames[0]!.body).toBe(amber.frames[0]!.body);
  expect(amber.session.ledger).toBe(0);
  send(amber.session, over);
  expect(decodeFromCoordinator(amber.frames[1]!.body)).toMatchObject({ ledger: { entries: [expect.any(String)] } });
});

test('what is for one alone is not kept for others', () => {
  const { send, session } = outgoing();
  const letters: Unsent = { ...ask, heard: [{ ...statement, sealed: new Uint8Array(40) }] };
  for (const message of [letters, over, have]) {
    const [amber, blue] = [session(0), session(0)];
    for (const each of [amber, blue]) send(each.session, message);
    expect(blue.frames[0]!.body).toEqual(amber.frames[0]!.body);
    expect(blue.frames[0]!.body).not.toBe(amber.frames[0]!.body);
  }
});
