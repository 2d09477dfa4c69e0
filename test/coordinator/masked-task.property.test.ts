import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import type { Statement } from '../../aggregation/transcript.ts';
import { MASKED, MaskedTask } from '../support/masked-task.ts';

/*
 * Tenants that vanish, return, restart, repeat themselves or are late, in any order, against what must hold whatever they
 * do: a sum is opened over exactly those that contributed, they are n_min or more, a quorum agreed and a quorum revealed;
 * and a round that keeps these numbers is opened.
 */
const ROSTER: readonly TenantId[] = ['amber', 'blue', 'coral', 'dun', 'ebony', 'fawn'];

/** What the test itself knows: who was heard at each stage of each round, and what is on its way. */
interface Model {
  readonly heard: Map<string, Set<TenantId>>;
}
interface Real {
  readonly task: MaskedTask;
  readonly late: { tenant: TenantId; epoch: number; round: number; stage: string; statement: Statement }[];
  opened: number;
}
type Command = fc.AsyncCommand<Model, Real>;

const heardAt = ({ heard }: Model, key: string): Set<TenantId> => {
  if (!heard.has(key)) heard.set(key, new Set());
  return heard.get(key)!;
};

async function deliver(model: Model, real: Real, one: Real['late'][number]): Promise<string | undefined> {
  const { tenant, epoch, round, stage, statement } = one;
  const why = real.task.hear(tenant, epoch, round, stage, statement);
  if (why === undefined) heardAt(model, `${epoch}/${round}/${stage}`).add(tenant);
  await settle(model, real);
  return why;
}

/** Everything the coordinator has decided to open is opened, and is what it must be. */
async function settle(model: Model, real: Real): Promise<void> {
  await real.task.ready();
  const opened = [...real.task.rounds()].filter(({ fact }) => fact.type === 'opened').slice(real.opened);
  for (const { epoch, round } of opened) {
    real.opened++;
    const at = (stage: string) => heardAt(model, `${epoch}/${round}/${stage}`);
    const { minCohort, threshold } = real.task.shape;
    const contributors = [...at('contribute')];
    expect(contributors.length).toBeGreaterThanOrEqual(minCohort);
    expect(at('agree').size).toBeGreaterThanOrEqual(threshold);
    expect(at('reveal').size).toBeGreaterThanOrEqual(threshold);
    const sum = [0, 0, 0];
    for (const name of contributors)
      for (const [k, value] of real.task.vectors.get(`${epoch}/${round}/${name}`)!.entries()) sum[k]! += value;
    expect(await real.task.open(epoch, round)).toEqual(sum);
  }
}

/** One of those asked answers, if it is there. */
async function answers(model: Model, real: Real, tenant: TenantId): Promise<void> {
  if (!real.task.play.present.has(tenant)) return;
  const answer = await real.task.tenants.get(tenant)!.answer();
  if (answer === undefined) return;
  if (answer === 'cannot') {
    const { epoch, round } = real.task.asking!.state;
    real.task.play.hear({ type: 'cannot', tenant, epoch, round });
    return settle(model, real);
  }
  expect(await deliver(model, real, { tenant, ...answer })).toBeUndefined();
}

const command = (name: string, run: (model: Model, real: Real) => Promise<void> | void): Command => ({
  check: () => true,
  run: async (model, real) => void (await run(model, real)),
  toString: () => name,
});

const tenant = fc.constantFrom(...ROSTER);

/** A stage that loses some: the others answer, and the grace passes. */
const losing = fc.subarray([...ROSTER], { maxLength: 2 }).map((some) =>
  command(`all but ${some} answer in time`, async (model, real) => {
    for (const name of some) real.task.play.present.delete(name);
    for (const name of ROSTER) await answers(model, real, name);
    real.task.play.tick(101);
    await settle(model, real);
  }),
);

const commands = [
  ...[losing, losing, losing, losing],
  fc.constant(
    command('all answer', async (model, real) => {
      for (const name of ROSTER) await answers(model, real, name);
    }),
  ),
  fc.constant(
    command('all answer twice', async (model, real) => {
      for (const name of [...ROSTER, ...ROSTER]) await answers(model, real, name);
    }),
  ),
  fc.subarray([...ROSTER], { minLength: 1 }).map((some) =>
    command(`${some} answer`, async (model, real) => {
      for (const name of some) await answers(model, real, name);
    }),
  ),
  fc.subarray([...ROSTER], { minLength: 1, maxLength: 3 }).map((some) =>
    command(`${some} vanish`, (_, real) => {
      for (const name of some) real.task.play.present.delete(name);
    }),
  ),
  fc.subarray([...ROSTER], { minLength: 1 }).map((some) =>
    command(`${some} return`, async (model, real) => {
      for (const name of some) if (real.task.tenants.has(name)) real.task.play.present.add(name);
      real.task.play.settle();
      await settle(model, real);
    }),
  ),
  tenant.map((name) => command(`${name} restarts`, (_, real) => real.task.tenants.get(name)?.restart())),
  tenant.map((name) =>
    command(`${name} repeats itself`, async (model, real) => {
      const last = real.task.tenants.get(name)?.last;
      if (last === undefined) return;
      const facts = real.task.play.facts.length;
      const unheard = !heardAt(model, `${last.epoch}/${last.round}/${last.stage}`).has(name);
      const why = await deliver(model, real, { tenant: name, ...last });
      if (unheard) return; // it was delayed: this is the first time it arrives
      expect(why).toMatch(/^(already-said|wrong-stage|wrong-round)$/);
      expect(real.task.play.facts).toHaveLength(facts);
    }),
  ),
  tenant.map((name) =>
    command(`${name}’s answer is delayed`, async (_, real) => {
      if (!real.task.play.present.has(name)) return;
      const answer = await real.task.tenants.get(name)!.answer();
      if (answer !== undefined && answer !== 'cannot') real.late.push({ tenant: name, ...answer });
    }),
  ),
  fc.constant(
    command('what was delayed arrives', async (model, real) => {
      for (const one of real.late.splice(0)) await deliver(model, real, one);
    }),
  ),
  fc.constantFrom(1, 101, 1001).map((ms) =>
    command(`${ms} ms pass`, async (model, real) => {
      real.task.play.tick(ms);
      await settle(model, real);
    }),
  ),
  fc.constant(
    command('the coordinator restarts', async (model, real) => {
      real.task.play.restart();
      await settle(model, real);
    }),
  ),
];

/** n_min above the threshold, and at it. */
const tasks = MASKED.flatMap((under) => [
  { under, roster: ROSTER, minCohort: 5, colluders: 1 }, // t = 4
  { under, roster: ROSTER.slice(0, 5), minCohort: 4, colluders: 1 }, // t = 4
]);

describe.each(tasks)(
  'under $under.protocol.name, with $minCohort of $roster.length tenants needed',
  ({ under, roster, minCohort, colluders }) => {
    const setup = async () => {
      const real: Real = { task: new MaskedTask(roster, minCohort, colluders, under), late: [], opened: 0 };
      await real.task.ready();
      return { model: { heard: new Map() } as Model, real };
    };

    test('whatever tenants do, only exact sums over enough of them are opened', async () => {
      await fc.assert(
        fc.asyncProperty(fc.commands(commands, { maxCommands: 40, size: 'max' }), async (run) => {
          const started = await setup();
          await fc.asyncModelRun(() => started, run);
          const { model, real } = started;
          // and when they all come back, the task goes on, or has been stopped
          for (const name of roster) real.task.play.present.add(name);
          for (let turns = 0; turns < 60 && real.task.play.state.phase === 'running'; turns++) {
            const before = real.opened;
            real.task.play.settle();
            await settle(model, real);
            for (const name of roster) await answers(model, real, name);
            if (real.opened > before) return;
            if (turns % 10 === 9) real.task.play.tick(1001);
            await settle(model, real);
          }
          expect(real.task.play.state.phase).toBe('stopped');
        }),
        { numRuns: 40 },
      );
    }, 120_000);

    const { threshold } = new MaskedTask(roster, minCohort, colluders, under).shape;
    const needed = [minCohort, minCohort, minCohort, threshold, threshold];

    const some = fc.subarray([...roster], { maxLength: 2 });
    const losses = fc.array(fc.record({ vanish: some, comeBack: some }), { minLength: 5, maxLength: 5 });
    test('any may vanish at any boundary, and come back too late: the round opens while enough are left, and not else', async () => {
      await fc.assert(
        fc.asyncProperty(losses, async (boundaries) => {
          const { model, real } = await setup();
          const { present } = real.task.play;
          let asked = [...roster];
          let reached = 0;
          for (const { vanish, comeBack } of boundaries) {
            for (const name of comeBack) present.add(name); // who was left out is not asked again
            for (const name of vanish) present.delete(name);
            const { stage } = real.task.asking!;
            for (const name of roster) await answers(model, real, name);
            asked = asked.filter((name) => present.has(name));
            if (real.task.asking?.stage === stage) real.task.play.tick(1001);
            await settle(model, real);
            if (asked.length < needed[reached]!) break;
            reached++;
          }
          expect(real.opened).toBe(reached === 5 ? 1 : 0);
        }),
        { numRuns: 60 },
      );
    }, 120_000);

    /** How many are heard at each stage, and what comes of it. */
    test.each([
      ['everyone stays', [6, 6, 6, 6, 6], 'opened'],
      ['n_min announce keys', [minCohort, 6, 6, 6, 6], 'opened'],
      ['n_min − 1 announce keys', [minCohort - 1, 6, 6, 6, 6], 'too-few-tenants'],
      ['n_min deal', [6, minCohort, 6, 6, 6], 'opened'],
      ['n_min − 1 deal', [6, minCohort - 1, 6, 6, 6], 'too-few-tenants'],
      ['n_min contribute', [6, 6, minCohort, 6, 6], 'opened'],
      ['n_min − 1 contribute', [6, 6, minCohort - 1, 6, 6], 'too-few-tenants'],
      ['t agree', [6, 6, 6, threshold, 6], 'opened'],
      ['t − 1 agree', [6, 6, 6, threshold - 1, 6], 'too-few-tenants'],
      ['t reveal', [6, 6, 6, 6, threshold], 'opened'],
      ['t − 1 reveal', [6, 6, 6, 6, threshold - 1], 'openers-lost'],
      ['it is as few as it may be at every stage', [minCohort, minCohort, minCohort, threshold, threshold], 'opened'],
    ] as const)('%s', async (_, counts, outcome) => {
      const { model, real } = await setup();
      for (const count of counts) {
        for (const name of roster.slice(0, count)) await answers(model, real, name);
        for (const name of roster.slice(count)) real.task.play.present.delete(name);
        real.task.play.tick(101); // the grace of those whose connection is gone
        await settle(model, real);
        if (real.task.asking === undefined) break;
      }
      const ended = [...real.task.rounds()].find(
        ({ fact }) => fact.type === 'opened' || (fact.type === 'in-round' && fact.fact.type === 'abandoned'),
      )!;
      expect(ended.fact).toMatchObject(
        outcome === 'opened' ? { type: 'opened' } : { fact: { type: 'abandoned', reason: outcome } },
      );
      expect(real.opened).toBe(outcome === 'opened' ? 1 : 0);
    });
  },
);
