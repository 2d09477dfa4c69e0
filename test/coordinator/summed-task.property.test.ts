import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { protocolNamed } from '../../aggregation/protocols.ts';
import {
  PROTECTING_SUMS,
  ProtocolBroken,
  type SecureSumName,
  type Stage,
  type TenantId,
} from '../../aggregation/secure-sum.ts';
import type { AbandonReason } from '../../coordinator/round.ts';
import type { TaskFact } from '../../coordinator/task.ts';
import { type Spoken, SummedTask, type Where } from '../support/summed-task.ts';

/*
 * Tenants that vanish, return, restart, repeat themselves or are late, in any order and at every boundary, against what must
 * hold whatever they do: a sum is opened over exactly those that contributed, they are n_min or more, and enough of them
 * helped; a round that keeps these numbers is opened, one that does not leaves nothing that anybody could open.
 */
const ROSTER: readonly TenantId[] = ['amber', 'blue', 'coral', 'dun', 'ebony', 'fawn'];

/** What the test itself knows: who was heard at each stage of each round. */
interface Model {
  readonly heard: Map<string, Set<TenantId>>;
}
interface Real {
  readonly task: SummedTask;
  /** on its way */
  readonly late: { readonly tenant: TenantId; readonly spoken: Spoken }[];
  opened: number;
  abandoned: number;
}
type Command = fc.AsyncCommand<Model, Real>;

const keyOf = ({ epoch, round, stage, attempt }: Where): string => `${epoch}/${round}/${stage}/${attempt}`;
const heardAt = ({ heard }: Model, where: Where): Set<TenantId> => {
  const key = keyOf(where);
  if (!heard.has(key)) heard.set(key, new Set());
  return heard.get(key)!;
};

async function deliver(model: Model, real: Real, tenant: TenantId, spoken: Spoken): Promise<string | undefined> {
  const why = real.task.hear(tenant, spoken);
  if (why === undefined) heardAt(model, spoken).add(tenant);
  await settle(model, real);
  return why;
}

/** Everything the coordinator has decided to open is opened, and is what it must be; what it gave up does not open. */
async function settle(model: Model, real: Real): Promise<void> {
  const { task } = real;
  await task.ready();
  const placed = [...task.placed()];
  const opened = placed.filter(({ fact }) => fact.type === 'opened').slice(real.opened);
  for (const { epoch, round, attempt } of opened) {
    real.opened++;
    const at = (stage: string, of = 1) => heardAt(model, { epoch, round, stage, attempt: of });
    const { minCohort, threshold } = task.shape;
    const contributors = [...at(task.stageAt('contribute'))];
    expect(contributors.length).toBeGreaterThanOrEqual(minCohort);
    if (task.stageAt('agree') !== 'none') expect(at(task.stageAt('agree')).size).toBeGreaterThanOrEqual(threshold);
    expect(at(task.stageAt('open'), attempt).size).toBeGreaterThanOrEqual(threshold);
    const sum = [0, 0, 0];
    for (const name of contributors) {
      const [mine, ...others] = task.tenants.get(name)!.contributed.get(`${epoch}/${round}`)!;
      expect(others).toEqual([]);
      for (const [k, value] of mine!.vector.entries()) sum[k]! += value;
    }
    const shares = task.said({ epoch, round, stage: task.stageAt('open'), attempt });
    expect(await task.combined(epoch, round, shares)).toEqual(sum);
  }
  const abandoned = placed
    .filter(({ fact, round }) => round > 0 && fact.type === 'in-round' && fact.fact.type === 'abandoned')
    .slice(real.abandoned);
  for (const { epoch, round } of abandoned) {
    real.abandoned++;
    const [first, second] = [1, 2].map((attempt) => task.said({ epoch, round, stage: task.stageAt('open'), attempt }));
    for (const shares of [first!, second!, new Map([...first!, ...second!]), new Map([...second!, ...first!])])
      await expect(task.combined(epoch, round, shares)).rejects.toThrow(ProtocolBroken);
  }
}

/** Whatever happened: nobody contributed twice to a round or opened two sums in it, and no opening was free. */
function expectOnce({ task }: Real): void {
  for (const { contributed, opened } of task.tenants.values()) {
    for (const all of contributed.values()) expect(all).toHaveLength(1);
    for (const all of opened.values()) {
      expect(new Set(all.map(({ sum }) => sum)).size).toBe(1);
      expect(new Set(all.map(({ openers }) => openers)).size).toBe(all.length);
      expect(all.length).toBeLessThanOrEqual(2);
    }
  }
  const charged = [...task.placed()].filter(({ fact }) => fact.type === 'in-round' && fact.fact.type === 'charged');
  expect(charged.length).toBeLessThanOrEqual(task.play.rules.openings);
  expect(new Set(charged.map(({ epoch, round }) => `${epoch}/${round}`)).size).toBe(charged.length);
}

/** One of those asked answers, if it is there. */
async function answers(model: Model, real: Real, tenant: TenantId): Promise<void> {
  if (!real.task.play.present.has(tenant)) return;
  const answer = await real.task.tenants.get(tenant)!.answer();
  if (answer === undefined) return;
  if (answer === 'cannot') {
    const { epoch, round } = real.task.asking!;
    real.task.play.hear({ type: 'cannot', tenant, epoch, round });
    return settle(model, real);
  }
  expect(await deliver(model, real, tenant, answer)).toBeUndefined();
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
      const unheard = !heardAt(model, last).has(name);
      const why = await deliver(model, real, name, last);
      if (unheard) return; // it was delayed: this is the first time it arrives
      expect(why).toMatch(/^(already-said|wrong-stage|wrong-round)$/);
      expect(real.task.play.facts).toHaveLength(facts);
    }),
  ),
  tenant.map((name) =>
    command(`${name}’s answer is delayed`, async (_, real) => {
      if (!real.task.play.present.has(name)) return;
      const answer = await real.task.tenants.get(name)!.answer();
      if (answer !== undefined && answer !== 'cannot') real.late.push({ tenant: name, spoken: answer });
    }),
  ),
  fc.constant(
    command('what was delayed arrives', async (model, real) => {
      for (const { tenant: name, spoken } of real.late.splice(0)) await deliver(model, real, name, spoken);
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
      await real.task.restart();
      await settle(model, real);
    }),
  ),
];

const commandsOfAll = fc.commands(commands, { maxCommands: 30, size: 'max' });

/** n_min above the threshold, and at it; openings without end, and few. */
const tasks = PROTECTING_SUMS.flatMap((name) => [
  { name, roster: ROSTER, minCohort: 5, colluders: 1, openings: 1000 }, // t = 4
  { name, roster: ROSTER.slice(0, 5), minCohort: 4, colluders: 1, openings: 3 }, // t = 4
]);

describe.each(tasks)(
  'under $name, with $minCohort of $roster.length tenants needed',
  ({ name, roster, minCohort, colluders, openings }) => {
    const protocol = protocolNamed(name);
    const setup = async () => {
      const task = new SummedTask({ protocol, roster, minCohort, colluders, openings });
      const real: Real = { task, late: [], opened: 0, abandoned: 0 };
      await real.task.ready();
      return { model: { heard: new Map() } as Model, real };
    };

    const boundaries = protocol.keying.length + protocol.summing.length + 1; // and a second attempt to open
    const seen = new Set<string>();
    // half of them where openers are lost, which is rare else
    const depths = fc.oneof(fc.nat(boundaries - 2), fc.constant(boundaries - 2));
    test('whatever tenants do, only exact sums over enough of them are opened', async () => {
      await fc.assert(
        fc.asyncProperty(depths, commandsOfAll, async (depth, run) => {
          const started = await setup();
          const { model, real } = started;
          // any stage may be the one in which it begins
          for (let stage = 0; stage < depth; stage++) for (const one of roster) await answers(model, real, one);
          await fc.asyncModelRun(() => started, run);
          // and when they all come back, the task goes on, or has been stopped
          for (const name of roster) real.task.play.present.add(name);
          const before = real.opened;
          for (let turns = 0; turns < 90 && real.opened === before && real.task.state.phase === 'running'; turns++) {
            real.task.play.settle();
            await settle(model, real);
            for (const name of roster) await answers(model, real, name);
            if (turns % 10 === 9) real.task.play.tick(1001);
            await settle(model, real);
          }
          expectOnce(real);
          if (real.opened === before) expect(real.task.state.phase).toBe('stopped');
          for (const { fact } of real.task.placed()) seen.add(wordOf(fact));
        }),
        { numRuns: 40 },
      );
      const reached = ['opened', 'resumed', 'abandoned: too-few-tenants'];
      const all = protocol.summing.some(({ attempts }) => attempts > 1) ? ['abandoned: tenant-lost', 'lapsed'] : [];
      expect([...reached, ...all].filter((fact) => !seen.has(fact))).toEqual([]); // or the above is about nothing
    }, 120_000);

    const { threshold } = new SummedTask({ protocol, roster, minCohort, colluders }).shape;
    const some = fc.subarray([...roster], { maxLength: 2 });
    const losses = fc.array(fc.record({ vanish: some, comeBack: some }), {
      ...{ minLength: boundaries, maxLength: boundaries },
    });
    test('any may vanish at any boundary, and come back too late: the round opens while enough are left, and not else', async () => {
      await fc.assert(
        fc.asyncProperty(losses, async (lost) => {
          const { model, real } = await setup();
          const { present } = real.task.play;
          let goesOn = true;
          for (const { vanish, comeBack } of lost) {
            if (!goesOn || real.opened > 0) break;
            const now = real.task.asking!;
            // who was left out is not asked again; while keys are made it would have them made anew
            if (now.state.keyed) for (const one of comeBack) present.add(one);
            for (const one of vanish) present.delete(one);
            const { asked } = now.asking;
            const answering = asked.filter((one) => present.has(one));
            for (const one of roster) await answers(model, real, one);
            if (real.task.asking?.stage === now.stage && real.task.asking.attempt === now.attempt)
              real.task.play.tick(1001);
            await settle(model, real);
            goesOn = isEnough(now.stages[now.index]!, answering.length, asked.length, { minCohort, threshold });
            if (!goesOn && now.attempt < now.stages[now.index]!.attempts) {
              const contributed = heardAt(model, { ...now, stage: real.task.stageAt('contribute'), attempt: 1 });
              const silent = asked.filter((one) => !answering.includes(one));
              goesOn = contributed.size - silent.length >= threshold; // others are asked to open
            }
          }
          expect(real.opened).toBe(goesOn ? 1 : 0);
          expectOnce(real);
        }),
        { numRuns: 60 },
      );
    }, 120_000);

    test.runIf(protocol.keying.length > 0)(
      'who comes back while keys are made has them made anew, with it',
      async () => {
        const { model, real } = await setup();
        const [first, ...others] = roster as readonly [TenantId, ...TenantId[]];
        real.task.play.present.delete(first);
        for (let stage = 0; stage < protocol.keying.length; stage++) {
          for (const one of others) await answers(model, real, one);
          real.task.play.tick(101);
          real.task.play.present.add(first);
          await settle(model, real);
        }
        expect(real.task.asking).toMatchObject({ epoch: 2, stage: protocol.keying[0]!.name });
        for (let asked = 0; real.opened === 0 && asked < 10; asked++)
          for (const one of roster) await answers(model, real, one);
        expect(real.task.tenants.get(first)!.contributed.size).toBe(1);
        expect(real.opened).toBe(1);
      },
    );

    test.each(endings(name, roster, { minCohort, threshold }))('%s', async (_, lost, outcome) => {
      const { model, real } = await setup();
      while (real.task.asking !== undefined) {
        const { stage, attempt } = real.task.asking;
        const gone = lost[attempt > 1 ? `${stage} again` : stage] ?? [];
        for (const one of roster.filter((name) => !gone.includes(name))) await answers(model, real, one);
        for (const one of gone) real.task.play.present.delete(one);
        real.task.play.tick(101); // the grace of those whose connection is gone
        await settle(model, real);
        if (real.opened + real.abandoned > 0 || keyingAbandoned(real)) break;
      }
      const ended = [...real.task.placed()].find(
        ({ fact }) => fact.type === 'opened' || (fact.type === 'in-round' && fact.fact.type === 'abandoned'),
      )!;
      expect(ended.fact).toMatchObject(
        outcome === 'opened' ? { type: 'opened' } : { fact: { type: 'abandoned', reason: outcome } },
      );
      expect(real.opened).toBe(outcome === 'opened' ? 1 : 0);
    });
  },
);

const keyingAbandoned = ({ task }: Real): boolean =>
  [...task.placed()].some(({ fact }) => fact.type === 'in-round' && fact.fact.type === 'abandoned');

/** What happened, in a word. */
const wordOf = (fact: TaskFact): string => {
  const { type, ...more } = fact.type === 'in-round' ? fact.fact : fact;
  return 'reason' in more ? `${type}: ${more.reason}` : type;
};

const isEnough = (
  { answers }: Stage,
  answering: number,
  asked: number,
  { minCohort, threshold }: { minCohort: number; threshold: number },
): boolean => answering >= (answers === 'all' ? asked : answers === 'enough' ? minCohort : threshold);

type Ending = readonly [
  what: string,
  /** by stage: who is lost when it is asked */
  lost: Readonly<Record<string, readonly TenantId[]>>,
  outcome: 'opened' | AbandonReason,
];

/** Who is lost at which stage, exactly at n_min and t and one below, and what comes of it. */
function endings(
  name: SecureSumName,
  roster: readonly TenantId[],
  { minCohort, threshold }: { minCohort: number; threshold: number },
): Ending[] {
  const [first, second] = roster as readonly [TenantId, TenantId];
  const last = (count: number): readonly TenantId[] => roster.slice(roster.length - count);
  const downTo = (left: number) => last(roster.length - left);
  const control: Ending = ['everyone stays', {}, 'opened'];
  if (name !== 'threshold-he')
    return [
      control,
      ['n_min announce keys', { keys: downTo(minCohort) }, 'opened'],
      ['n_min − 1 announce keys', { keys: downTo(minCohort - 1) }, 'too-few-tenants'],
      ['n_min deal', { deal: downTo(minCohort) }, 'opened'],
      ['n_min − 1 deal', { deal: downTo(minCohort - 1) }, 'too-few-tenants'],
      ['n_min contribute', { contribute: downTo(minCohort) }, 'opened'],
      ['n_min − 1 contribute', { contribute: downTo(minCohort - 1) }, 'too-few-tenants'],
      ['t agree', { agree: downTo(threshold) }, 'opened'],
      ['t − 1 agree', { agree: downTo(threshold - 1) }, 'too-few-tenants'],
      ['t reveal', { reveal: downTo(threshold) }, 'opened'],
      ['t − 1 reveal', { reveal: downTo(threshold - 1) }, 'openers-lost'],
      ['n_min are left from the start, and t to open', { keys: downTo(minCohort), agree: downTo(threshold) }, 'opened'],
    ];
  // the first t that are there are asked to open; when one of them is lost, others are asked, once
  const spare = roster.slice(0, roster.length - threshold);
  return [
    control,
    ['n_min announce keys', { announce: downTo(minCohort) }, 'opened'],
    ['n_min − 1 announce keys', { announce: downTo(minCohort - 1) }, 'too-few-tenants'],
    ['one that announced does not deal', { deal: last(1) }, 'tenant-lost'],
    ['one that dealt does not confirm', { confirm: last(1) }, 'tenant-lost'],
    ['n_min are ready', { ready: downTo(minCohort) }, 'opened'],
    ['n_min − 1 are ready', { ready: downTo(minCohort - 1) }, 'too-few-tenants'],
    ['one that was ready does not contribute', { contribute: last(1) }, 'tenant-lost'],
    ['one that is not asked to open is lost', { share: last(1) }, 'opened'],
    ['an opener is lost, and another asked', { share: [first] }, 'opened'],
    ['openers are lost, and t are left', { share: spare }, 'opened'],
    ['openers are lost, and t − 1 are left', { share: roster.slice(0, spare.length + 1) }, 'openers-lost'],
    ['an opener is lost, and of the others one', { share: [first], 'share again': [second] }, 'openers-lost'],
    ['n_min are left from the start', { announce: downTo(minCohort), share: last(1) }, 'opened'],
  ];
}
