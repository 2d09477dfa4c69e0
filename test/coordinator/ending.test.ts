import { connect } from 'node:net';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { SecureSumName } from '../../aggregation/secure-sum.ts';
import type { Conductor } from '../../coordinator/conductor.ts';
import type { TaskFact } from '../../coordinator/task.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { createFederation } from '../../simulation/federation.ts';
import { startServer } from '../support/serving.ts';
import { smallTables, smallTask } from '../support/small-task.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

/** Calls back when the last answer of the stage after which nothing is asked any more lies in the task's queue. */
function whenLastAnswerArrives(conductor: Conductor, call: () => void): void {
  const heard = new Map<string, number>();
  const receive = conductor.receive.bind(conductor);
  conductor.receive = (tenant, message) => {
    const done = receive(tenant, message);
    const { state, stages } = conductor;
    if (message.type !== 'say' || state.phase !== 'running' || state.conversation?.phase !== 'asking') return done;
    const { stage, asked } = state.conversation;
    const place = `${message.round}/${message.stage}/${message.attempt}`;
    heard.set(place, (heard.get(place) ?? 0) + 1);
    if (state.keyed && stage === stages.length - 1 && heard.get(place) === asked.length) call();
    return done;
  };
}

describe.each<SecureSumName>(['plain', 'masking', 'threshold-he'])('a coordinator with a task by %s', (protocol) => {
  test('that is about to end opens the sum whose last share has arrived, and writes nothing afterwards', async () => {
    const { tables, schema } = { tables: smallTables(), schema: smallTask(protocol).features };
    const federation = await createFederation({ tables, schema, backend, secureSum: [protocol] });
    onTestFinished(() => federation.close());
    const { coordinator } = federation;
    const conductor = coordinator.propose(smallTask(protocol, { rounds: 3 }));
    const facts = (): TaskFact[] => coordinator.store.facts(conductor.id);
    const { round, settled } = await new Promise<{ round: number; settled: Promise<void> }>((resolve) => {
      whenLastAnswerArrives(conductor, () => {
        const { round } = conductor.state as { round: number };
        resolve({ round, settled: coordinator.settle() });
      });
    });
    await settled;
    const story = facts().map((fact) => (fact.type === 'round-begun' ? `begun ${fact.round}` : fact.type));
    const ofRound = story.slice(story.indexOf(`begun ${round}`) + 1);
    expect(ofRound.filter((type) => type === 'opened' || type.startsWith('begun'))[0]).toBe('opened');
    const before = facts().length;
    await conductor.withdraw('amber', 'is not enrolled any more');
    await coordinator.tick();
    for (const tenant of federation.tenants) tenant.disconnect();
    for (const tenant of federation.tenants) tenant.connect();
    await coordinator.tick();
    expect(facts()).toHaveLength(before);
  });
});

test('whoever asks for a change, or to be let in, while a coordinator ends is told to come back', async () => {
  const server = await startServer();
  const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>();
  onTestFinished(() => goOn());
  const { promise: isEnding, resolve: ends } = Promise.withResolvers<void>();
  const settle = server.coordinator.settle;
  server.coordinator.settle = async () => {
    ends();
    await mayGoOn;
    return settle();
  };
  const closed = server.close();
  await isEnding;
  const refused = await server.post('/invitations', { tenant: 'amber' });
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toBe('5');
  expect(await refused.json()).toMatchObject({ title: 'Restarts', detail: expect.stringContaining('ask again') });
  expect((await server.get('/federation')).status).toBe(200);
  expect(await (await server.get('/readyz')).json()).toMatchObject({ detail: 'ending: it was told to end' });

  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  const answer = new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
  socket.write(
    'GET /federation HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  );
  expect(await answer).toMatch(/^HTTP\/1\.1 503 .*\r\nretry-after: \d+/);
  socket.destroy();
  goOn();
  await closed;
});
