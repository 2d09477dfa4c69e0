import { beforeAll, describe, expect, test } from 'vitest';
import { protocolNamed } from '../../aggregation/protocols.ts';
import { PROTECTING_SUMS, type SecureSumName } from '../../aggregation/secure-sum.ts';
import type { FromClient } from '../../aggregation/wire.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { signedNews, startLying, type Victim } from '../support-client/lying-coordinator.ts';
import { type Ask, asks, VICTIM } from '../support-client/one-lie.ts';
import { toySettings } from '../support-client/toy-task.ts';

/*
 * A tenant's process ends in the middle of a round and starts again on the same disk. What it knew of the round in memory is
 * gone, so a coordinator hopes to be told a second thing: a contribution to other tenants, the other share of one tenant, a
 * share for another sum. What was answered is on disk, the secrets are not: there is no second thing.
 */
let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

type Say = Extract<FromClient, { type: 'say' }>;

/** Of an ask of round 1, everything that a liar might ask instead: fewer tenants, other openers, one more attempt. */
const variations = (ask: Ask): Ask[] => {
  const fewer = ask.heard.filter(({ from }) => from !== 'dan');
  return [
    ask,
    { ...ask, heard: fewer },
    { ...ask, heard: fewer, attempt: ask.attempt + 1 },
    { ...ask, attempt: ask.attempt + 1, openers: [VICTIM, 'bob', 'dan'] },
    { ...ask, attempt: ask.attempt + 1, openers: [VICTIM, 'cleo', 'dan'] },
  ];
};

/** @returns the tenant in its second life, after it was asked all of round 1 again, and how much it had said by then */
async function secondLife(protocol: SecureSumName, stage: string) {
  const federation = await startLying({
    backend,
    // dan is not asked, so the round stays where it is
    lie: (to, message) => (to.name === 'dan' && asks(stage)(message) ? [] : undefined),
  });
  try {
    const conductor = federation.run(toySettings({ protocol, timing: { stageTimeoutMs: 60_000 } }));
    const first = federation.tenant(VICTIM);
    const has = (victim: Victim, word: string) => victim.said.some((m) => m.type === 'say' && m.stage === word);
    await federation.until(() => has(first, stage), `its ${stage}`);
    const answered = first.store.round(conductor.id, 1);
    const told = first.told.filter((m): m is Ask => m.type === 'ask');
    const again = first.restart();
    again.connect();
    await federation.until(() => again.events.some(({ type }) => type === 'accepted'), 'its second life');
    const inRound = told.filter(({ round }) => round === 1);
    // the first of them last: it is what would begin the round anew
    const lies = [...inRound.slice(1).flatMap(variations), ...variations(inRound[0]!).slice(0, 1)];
    const ledger = signedNews([], again.store.ledgerHead(), federation.identity);
    for (const ask of lies) again.tell({ ...ask, ledger });
    const words = () => again.said.flatMap(({ type }) => (type === 'cannot' || type === 'decline' ? [type] : []));
    await federation.until(() => words().includes('decline') || words().length >= lies.length, 'its refusals');
    await again.participant.idle();
    return { again, words: words(), answered, now: again.store.round(conductor.id, 1) };
  } finally {
    federation.close();
  }
}

describe.each(PROTECTING_SUMS)('a tenant under %s that starts again', (protocol) => {
  const { keying, summing } = protocolNamed(protocol);
  const from = summing.findIndex(({ gate }) => gate === 'contribute');

  test.each(summing.slice(from).map(({ name }) => name))(
    'after it said “%s” says nothing more in that round, however it is asked',
    async (stage) => {
      const { again, words, answered, now } = await secondLife(protocol, stage);
      expect(again.said.filter((m) => m.type === 'say')).toEqual([]);
      // without the epoch's keys it cannot even begin the round; where there are none it knows that it did
      const last = keying.length > 0 ? 'cannot' : 'decline';
      expect(words).toEqual([...words.slice(1).map(() => 'cannot'), last]);
      if (last === 'decline')
        expect(again.events.find(({ type }) => type === 'declined')).toMatchObject({
          reason: 'round 1 was answered before; a retry must be a new round',
        });
      expect(answered).toBeDefined();
      expect(now).toEqual(answered);
    },
  );
});

test('a tenant under threshold-he that starts again cannot be talked into the old epoch with new keys', async () => {
  const federation = await startLying({
    backend,
    lie: (to, message) => (to.name === 'dan' && asks('contribute')(message) ? [] : undefined),
  });
  const conductor = federation.run(toySettings({ timing: { stageTimeoutMs: 60_000 } }));
  const first = federation.tenant(VICTIM);
  await federation.until(() => first.said.some((m) => m.type === 'say' && m.stage === 'contribute'), 'a contribution');
  const keying = first.told.filter((m): m is Ask => m.type === 'ask' && m.round === 0);
  const again = first.restart();
  again.connect();
  await federation.until(() => again.told.some(({ type }) => type === 'keyed'), 'its second life');
  const ledger = signedNews([], again.store.ledgerHead(), federation.identity);
  const ask = (stage: string, change: (heard: Ask['heard']) => Ask['heard'] = (heard) => heard): void => {
    const old = keying.find((one) => one.stage === stage)!;
    again.tell({ ...old, heard: change(old.heard), ledger });
  };
  const said = (victim: Victim, stage: string) =>
    victim.said.find((m): m is Say => m.type === 'say' && m.stage === stage);
  ask('announce');
  await federation.until(() => said(again, 'announce') !== undefined, 'a new key');
  const { open, signature } = said(again, 'announce')!;
  expect(open).not.toEqual(said(first, 'announce')!.open);
  // the others' old keys beside its new one: nothing was signed over a list with that in it
  ask('deal', (heard) => heard.map((one) => (one.from === VICTIM ? { ...one, open, signature } : one)));
  await federation.until(() => said(again, 'deal') !== undefined, 'shares of a new key');
  ask('confirm');
  await federation.until(() => again.said.some(({ type }) => type === 'decline'), 'a refusal');
  expect(again.events.find(({ type }) => type === 'declined')).toMatchObject({
    reason: expect.stringMatching(/was not made by it, here and now/),
  });
  expect(said(again, 'confirm')).toBeUndefined();
  expect(conductor.state).toMatchObject({ steps: 0, charges: 0 });
  federation.close();
});
