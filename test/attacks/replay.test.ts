import { beforeAll, describe, expect, test } from 'vitest';
import { protocolNamed } from '../../aggregation/protocols.ts';
import { PROTECTING_SUMS, type SecureSumName } from '../../aggregation/secure-sum.ts';
import type { FromCoordinator } from '../../aggregation/wire.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { startLying, type Victim } from '../support-client/lying-coordinator.ts';
import { type Ask, afterOneLie, asks, VICTIM } from '../support-client/one-lie.ts';
import { toySettings } from '../support-client/toy-task.ts';

/*
 * Everything that was ever said is with the coordinator, properly signed. It shows it again: in a later round, in another
 * task, under keys of another epoch. Signatures cover where they were made, so a tenant hears none of it and says no more.
 */
let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

type Hearing = Extract<FromCoordinator, { type: 'ask' | 'keyed' }>;
const isHearing = (message: FromCoordinator): message is Hearing => message.type === 'ask' || message.type === 'keyed';
/** The conversation and the stage, without the round or the epoch. */
const stageOf = (message: Hearing): string => (message.type === 'keyed' ? 'keyed' : message.stage);

interface Replay {
  readonly protocol: SecureSumName;
  /** tasks one after the other */
  readonly tasks?: number;
  /** dan forgets its keys in round 2, and everyone makes new ones */
  readonly forgetful?: boolean;
  /** whose statements are exchanged for those of `source` */
  readonly target: (message: Hearing) => boolean;
  readonly source: (message: Hearing) => boolean;
}

/** @returns what the victim did when it was shown old statements instead of new ones */
async function replayed({ protocol, tasks = 1, forgetful = false, target, source }: Replay) {
  let saidBefore: number | undefined;
  let restarted = false;
  const federation = await startLying({
    backend,
    lie: (to, message) => {
      if (forgetful && !restarted && to.name === 'dan' && asks('ready', 2)(message)) {
        restarted = true;
        setImmediate(() => to.restart().connect());
        return [];
      }
      if (to.name !== VICTIM || saidBefore !== undefined || !isHearing(message) || !target(message)) return undefined;
      const old = to.told.find((one): one is Hearing => isHearing(one) && source(one));
      if (old === undefined) throw new Error('there is nothing to replay');
      saidBefore = to.said.length;
      return [{ ...message, heard: old.heard }];
    },
  });
  const victim = (): Victim => federation.tenant(VICTIM);
  const refusal = () =>
    victim().events.find(({ type }) => type === 'declined' || type === 'left' || type === 'refused');
  try {
    for (let task = 0; task < tasks; task++) {
      const conductor = federation.run(toySettings({ name: `task-${task}`, protocol, rounds: 3 }));
      await federation.until(() => conductor.isOver || refusal() !== undefined, 'an end', 8000);
    }
    await victim().participant.idle();
    return {
      refusal: refusal(),
      after: victim()
        .said.slice(saidBefore)
        .map(({ type }) => type),
    };
  } finally {
    federation.close();
  }
}

const expectUnheard = ({ refusal, after }: Awaited<ReturnType<typeof replayed>>): void => {
  expect(refusal).toMatchObject({ type: 'declined', because: 'broken-promise' });
  expect(refusal).toMatchObject({ reason: expect.stringMatching(/was not made by it, here and now/) });
  for (const type of ['part', 'say']) expect(after).not.toContain(type);
};

describe.each(PROTECTING_SUMS)('under %s', (protocol) => {
  const { keying, summing } = protocolNamed(protocol);
  const later = summing.slice(1).map(({ name }) => name);
  const keyed = keying.length === 0 ? [] : [...keying.slice(1).map(({ name }) => name), 'keyed'];
  const at = (stage: string, epoch: number, round: number) => (message: Hearing) =>
    stageOf(message) === stage && message.epoch === epoch && (message.type === 'keyed' || message.round === round);

  test.each(later)('what was said before “%s” in round 1 is nothing in round 2', async (stage) => {
    expectUnheard(await replayed({ protocol, target: at(stage, 1, 2), source: at(stage, 1, 1) }));
  });

  test.each([...keyed, ...later])('what was said before “%s” in one task is nothing in another', async (stage) => {
    const round = keyed.includes(stage) ? 0 : 1;
    const here = at(stage, 1, round);
    let first: string | undefined;
    const target = (message: Hearing): boolean => {
      if (!here(message)) return false;
      first ??= message.task;
      return message.task !== first;
    };
    expectUnheard(await replayed({ protocol, tasks: 2, target, source: here }));
  });

  if (keyed.length > 0)
    test.each(keyed)(
      'what was said before “%s” for one epoch’s keys is nothing for those of the next',
      async (stage) => {
        const epochs = { target: at(stage, 2, 0), source: at(stage, 1, 0) };
        expectUnheard(await replayed({ protocol, forgetful: true, ...epochs }));
      },
    );

  test('the questions of round 1, word for word, get no answer in round 2', async () => {
    const [first] = summing;
    const outcome = await afterOneLie({
      backend,
      settings: toySettings({ protocol }),
      instead: asks(first!.name, 2),
      lie: (ask: Ask, { victim }) => {
        const old = victim.told.filter((m): m is Ask => m.type === 'ask' && m.round === 1);
        expect(old.map(({ stage }) => stage)).toEqual(summing.map(({ name }) => name));
        const nothing = { entries: [], note: ask.ledger.note };
        // the first of them last: it is what begins a round
        return [...old.slice(1), old[0]!].map((one, i) => ({ ...one, ledger: i === 0 ? ask.ledger : nothing }));
      },
    });
    const answers = outcome.after.filter(({ type }) => type !== 'cosign'); // of the ledger, whatever is asked
    expect(answers.map(({ type }) => type)).toEqual([...later.map(() => 'cannot'), 'decline']);
    expect(outcome.end.reason).toMatch(/round 1 starts from a model that this tenant did not compute/);
  });
});
