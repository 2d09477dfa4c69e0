import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { stayConnected } from '../../client/connect.ts';
import type { Participant } from '../../client/participant.ts';
import { standBy } from '../../coordinator/store/standby.ts';

const log = { info: () => {}, error: () => {} };

test('of several addresses each is tried, and nobody waits before all were; who is let in once looks everywhere again', async () => {
  const standby = await standBy({ host: '127.0.0.1', port: 0, log });
  onTestFinished(() => standby.close());
  const leader = new WebSocketServer({ host: '127.0.0.1', port: 0, path: '/federation' });
  onTestFinished(() => void leader.close());
  await once(leader, 'listening');
  const story: string[] = [];
  let visits = 0;
  let isWelcomed = false;
  leader.on('connection', (socket) => {
    story.push('let in');
    visits += 1;
    socket.close(visits === 4 ? 4000 : 1001);
  });
  const stop = new AbortController();
  /** Says nothing; is welcomed at its second visit. */
  const participant = {
    take: (link, welcomed) =>
      new Promise((resolve) => {
        link.onClose(() => {
          if (visits === 2 && !isWelcomed) welcomed?.();
          isWelcomed = visits >= 2;
          resolve(visits === 4 ? 'the end' : undefined);
        });
      }),
  } as Pick<Participant, 'take'> as Participant;
  const addresses = [standby.url, `http://127.0.0.1:${(leader.address() as AddressInfo).port}/`];
  const reason = await stayConnected(participant, addresses, {
    signal: stop.signal,
    sleep: async (ms) => void story.push(`waits ${ms}`),
    onRetry: () => {},
    random: (below) => below / 2,
  });
  expect(reason).toBe('the end');
  expect(story).toEqual(['let in', 'waits 100', 'let in', 'waits 100', 'let in', 'waits 200', 'let in']);
});

test('a coordinator that restarts is given a second, and every client comes back at another moment of it', async () => {
  const leader = new WebSocketServer({ host: '127.0.0.1', port: 0, path: '/federation' });
  onTestFinished(() => void leader.close());
  await once(leader, 'listening');
  leader.on('connection', (socket) => socket.close(1012, 'restarts'));
  const waits = async (random?: (below: number) => number): Promise<number> => {
    const stop = new AbortController();
    let waited = 0;
    const participant = {
      take: (link) => new Promise((resolve) => link.onClose(() => resolve(undefined))),
    } as Pick<Participant, 'take'> as Participant;
    await stayConnected(participant, `http://127.0.0.1:${(leader.address() as AddressInfo).port}/`, {
      signal: stop.signal,
      sleep: async (ms) => {
        waited = ms;
        stop.abort();
      },
      onRetry: () => {},
      ...(random === undefined ? {} : { random }),
    });
    return waited;
  };
  expect(await waits(() => 0)).toBe(500);
  expect(await waits((below) => below - 1)).toBe(1499);
  const drawn = await Promise.all(Array.from({ length: 8 }, () => waits()));
  expect(new Set(drawn).size).toBeGreaterThan(1);
});
