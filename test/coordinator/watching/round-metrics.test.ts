import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import type { RoundFact } from '../../../coordinator/round.ts';
import { inRound, type TaskFact } from '../../../coordinator/task.ts';
import { roundMetrics } from '../../../coordinator/watching/round-metrics.ts';

const TASK = 'f'.repeat(64);
const HEAD = { size: 1, hash: '00' };

/** Metrics of one task whose stages are prepare, contribute, open; time passes by `at`. */
function counted() {
  const registry = new Registry();
  let now = 1000;
  const stages = (['prepare', 'contribute', 'open'] as const).map((gate) => ({ gate }));
  const metrics = roundMetrics(
    registry,
    (id) => (id === TASK ? { name: 'churn', stages } : undefined),
    () => now,
  );
  const tell = (...facts: (TaskFact | RoundFact)[]): void =>
    metrics.follow({
      type: 'task-changed',
      task: TASK,
      round: 1,
      facts: facts.map((fact) => (ROUND.has(fact.type) ? inRound(fact as RoundFact) : (fact as TaskFact))),
    });
  return {
    metrics,
    tell,
    at: (ms: number) => {
      now = ms;
    },
    lines: async () =>
      (await registry.metrics()).split('\n').filter((line) => /^parley/.test(line) && !/_bucket/.test(line)),
  };
}
const ROUND = new Set(['asked', 'said', 'withdrew', 'closed', 'lapsed', 'charged', 'concluded', 'abandoned']);
const asked = (stage: number, names: string[], at: number): RoundFact => ({
  type: 'asked',
  stage,
  attempt: 1,
  asked: names,
  at,
});
const said = (tenant: string): RoundFact => ({ type: 'said', tenant, hash: 'aa' });
const begun: TaskFact = { type: 'round-begun', round: 1, present: ['a', 'b'], head: HEAD };
const opened: TaskFact = { type: 'opened', sumHash: '11', model: '22' };

test('a round that opens is counted once, and each of its phases is as long as the tenants took', async () => {
  const { tell, at, lines } = counted();
  at(1000);
  tell(begun);
  tell(asked(0, ['a', 'b'], 1000));
  tell(said('a'));
  at(1500);
  tell(said('b'), { type: 'closed' });
  tell(asked(1, ['a', 'b'], 2000));
  at(4000);
  tell(said('a'), said('b'), { type: 'closed' });
  at(6000);
  tell({ type: 'concluded' }, opened);
  expect(await lines()).toEqual([
    'parley_rounds_total{task="churn-ffffffff",outcome="opened"} 1',
    'parley_phase_seconds_sum{phase="prepare"} 0.5',
    'parley_phase_seconds_count{phase="prepare"} 1',
    'parley_phase_seconds_sum{phase="contribute"} 2',
    'parley_phase_seconds_count{phase="contribute"} 1',
    'parley_phase_seconds_sum{phase="round"} 5',
    'parley_phase_seconds_count{phase="round"} 1',
  ]);
});

test('who was asked and did not answer has dropped out, in the phase it was asked in; keying is no round', async () => {
  const { tell, lines } = counted();
  tell({ type: 'epoch-begun', epoch: 1, members: ['a', 'b'], head: HEAD });
  tell(asked(0, ['a', 'b', 'c'], 1000));
  tell(said('a'));
  tell({ type: 'abandoned', reason: 'tenant-lost' });
  tell(begun);
  tell(asked(1, ['a', 'b', 'c'], 1000), said('a'), said('b'));
  tell({ type: 'withdrew', tenant: 'c' }, { type: 'closed' });
  tell(asked(2, ['a', 'b'], 1000), said('b'), { type: 'lapsed' });
  tell({ type: 'abandoned', reason: 'openers-lost' });
  const found = await lines();
  expect(found.filter((line) => /dropouts|rounds/.test(line))).toEqual([
    'parley_rounds_total{task="churn-ffffffff",outcome="abandoned"} 1',
    'parley_dropouts_total{phase="keying"} 2',
    'parley_dropouts_total{phase="contribute"} 1',
    'parley_dropouts_total{phase="open"} 1',
  ]);
});

test('what began before this process did is not measured, and a clock that was set back gives no negative time', async () => {
  const { tell, at, lines } = counted();
  tell(said('a'), { type: 'closed' });
  tell({ type: 'concluded' }, opened);
  tell(begun, asked(0, ['a'], 9_000_000));
  at(10);
  tell(said('a'), { type: 'closed' });
  expect(await lines()).toEqual([
    'parley_rounds_total{task="churn-ffffffff",outcome="opened"} 1',
    'parley_phase_seconds_sum{phase="prepare"} 0',
    'parley_phase_seconds_count{phase="prepare"} 1',
  ]);
});

test('whoever is refused cannot make up a label', async () => {
  const { metrics, lines } = counted();
  for (let i = 0; i < 100; i++) {
    metrics.follow({ type: 'refused-message', tenant: 'a', about: `about-${i}`, reason: `reason ${i}` });
    metrics.follow({ type: 'refused-connection', reason: `garbage ${i}` });
  }
  metrics.follow({ type: 'refused-message', tenant: 'a', about: 'say', reason: 'round-over' });
  metrics.follow({ type: 'refused-connection', reason: 'not an enrolled tenant, or not its key' });
  metrics.follow({
    type: 'refused-connection',
    reason: 'protocol 1 is spoken there, 2 here; install the same version',
  });
  metrics.follow({ type: 'refused-connection', reason: 'a greeting of 9999 bytes, at most 4096 are read' });
  metrics.turnedAway('full');
  expect((await lines()).sort()).toEqual([
    'parley_refused_total{what="connection",reason="full"} 1',
    'parley_refused_total{what="connection",reason="malformed"} 100',
    'parley_refused_total{what="connection",reason="not-proven"} 1',
    'parley_refused_total{what="connection",reason="other-version"} 1',
    'parley_refused_total{what="connection",reason="too-much"} 1',
    'parley_refused_total{what="message",reason="malformed"} 100',
    'parley_refused_total{what="message",reason="round-over"} 1',
  ]);
});
