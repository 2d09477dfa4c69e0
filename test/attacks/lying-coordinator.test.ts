import { beforeAll, describe, expect, test } from 'vitest';
import { rosterHash, taskId } from '../../aggregation/plan.ts';
import { begin, progressHash, takeIn } from '../../aggregation/progress.ts';
import { inMemory } from '../../aggregation/stored-vector.ts';
import { heardHash, type Relayed, relayTo, sha256, signStatement, transcriptOf } from '../../aggregation/transcript.ts';
import { type FromClient, type LedgerNews, vectorBytes, vectorFrom } from '../../aggregation/wire.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { EMPTY_LEDGER, entryText, type LedgerBody, type LedgerHead, positionOf } from '../../privacy/ledger.ts';
import { append } from '../../privacy/transparency/merkle.ts';
import { bodiesOf, forgedNews, headAfter, signedNews, startLying } from '../support-client/lying-coordinator.ts';
import {
  type Ask,
  afterOneLie,
  asks,
  expectRefused,
  type OneLie,
  type Opened,
  type Scene,
  VICTIM,
} from '../support-client/one-lie.ts';
import { toySettings } from '../support-client/toy-task.ts';

/*
 * The coordinator holds its own key, sees everything on its wires and says what it likes. Every lie below is told by
 * somebody who sits between a real coordinator and a real tenant and signs with the coordinator's key. What the tenant
 * must do is always the same: refuse, and send nothing but the refusal.
 */
let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

/** An `ask` with something else in it. */
const askInstead = (stage: string, change: (ask: Ask, scene: Scene) => Partial<Ask>, more: Partial<OneLie> = {}) =>
  afterOneLie({
    backend,
    instead: asks(stage, 1),
    lie: (ask: Ask, scene) => [{ ...ask, ...change(ask, scene) }],
    ...more,
  });
const askInRound2 = (stage: string, change: (ask: Ask, scene: Scene) => Partial<Ask>) =>
  askInstead(stage, change, { instead: asks(stage, 2) });

/** An `ask` this tenant was really sent before. */
const earlier = ({ victim }: Scene, stage: string, round: number): Ask =>
  victim.told.find((m) => m.type === 'ask' && m.stage === stage && m.round === round) as Ask;
const without = (heard: readonly Relayed[], ...names: string[]) => heard.filter(({ from }) => !names.includes(from));
const onlyOf = (heard: readonly Relayed[], ...names: string[]) => heard.filter(({ from }) => names.includes(from));

describe('who takes part', () => {
  test('an honest coordinator gets the task done (control)', async () => {
    const federation = await startLying({ backend });
    const conductor = federation.run(toySettings());
    await federation.over(conductor);
    expect(conductor.state.phase).toBe('finished');
    expect(federation.tenant(VICTIM).events.map(({ type }) => type)).not.toContain('declined');
    federation.close();
  });

  test('a statement of the round before does not join the cohort', async () => {
    const outcome = await askInRound2('contribute', ({ heard }, scene) => ({
      heard: [...without(heard, 'bob'), ...onlyOf(earlier(scene, 'contribute', 1).heard, 'bob')],
    }));
    expectRefused(outcome, /in the name of bob was not made by it, here and now/);
  });

  test('a statement with one bit changed does not join the cohort', async () => {
    const outcome = await askInstead('contribute', ({ heard }) => ({
      heard: heard.map((one) => (one.from === 'bob' ? { ...one, open: one.open.map((byte) => byte ^ 1) } : one)),
    }));
    expectRefused(outcome, /in the name of bob was not made by it/);
  });

  test('a statement under another name does not join the cohort, nor does a stranger, nor anyone twice', async () => {
    const renamed = await askInstead('contribute', ({ heard }) => ({
      heard: heard.map((one) => (one.from === 'bob' ? { ...one, from: 'cleo' } : one)),
    }));
    expectRefused(renamed, /in the name of cleo was not made by it/);
    const stranger = await askInstead('contribute', ({ heard }) => ({
      heard: [...heard, { ...heard[0]!, from: 'ghost' }],
    }));
    expectRefused(stranger, /in the name of ghost was not made by it/);
    const twice = await askInstead('contribute', ({ heard }) => ({
      heard: [...heard, heard.find(({ from }) => from === 'bob')!],
    }));
    expectRefused(twice, /in the name of bob was not made by it/);
  });

  test('a cohort below n_min gets no contribution', async () => {
    const outcome = await askInstead('contribute', ({ heard }) => ({ heard: onlyOf(heard, VICTIM, 'bob') }));
    expectRefused(outcome, /the cohort holds 2 pinned tenants, the plan promises 3/);
  });

  test('a cohort of itself alone gets no contribution', async () => {
    const outcome = await askInstead('contribute', ({ heard }) => ({ heard: onlyOf(heard, VICTIM) }));
    expectRefused(outcome, /the cohort holds 1 pinned tenants, the plan promises 3/);
  });

  test('a cohort without this tenant gets no contribution of it', async () => {
    const outcome = await askInstead('contribute', ({ heard }) => ({ heard: without(heard, VICTIM) }));
    expectRefused(outcome, /a cohort without this tenant/);
  });

  test('keys are not made with fewer than n_min', async () => {
    const outcome = await askInstead('announce', () => ({ members: [VICTIM, 'bob'] }), {
      instead: asks('announce', 0),
    });
    expectRefused(outcome, /the cohort holds 2 pinned tenants, the plan promises 3/);
  });

  test('ghosts do not count: enrolled, in the roster, in the cohort, but pinned by nobody', async () => {
    // five tenants, of which ada pins only bob and cleo; a cohort of four holds too few of them
    const outcome = await afterOneLie({
      backend,
      options: {
        tenants: [VICTIM, 'bob', 'cleo', 'dan', 'eve'],
        policy: (policy) => {
          const { bob, cleo } = policy.peers;
          return policy.tenant === VICTIM ? { ...policy, peers: { bob: bob!, cleo: cleo! } } : policy;
        },
      },
      instead: asks('contribute', 1),
      lie: (ask: Ask) => [{ ...ask, heard: onlyOf(ask.heard, VICTIM, 'bob', 'dan', 'eve') }],
    });
    expectRefused(outcome, /the cohort holds 2 pinned tenants, the plan promises 3/);
  });

  test('a roster of ghosts is declined before anything is asked', async () => {
    const outcome = await afterOneLie({
      backend,
      options: { policy: (policy) => (policy.tenant === VICTIM ? { ...policy, peers: {} } : policy) },
      instead: ({ type }) => type === 'plan',
      lie: (plan: never) => [plan],
    });
    expectRefused(outcome, /1 of the roster's tenants are pinned in "peers", the plan needs 3/);
  });

  test('a peer whose key is not the one that was compared is a ghost', async () => {
    const outcome = await afterOneLie({
      backend,
      options: {
        policy: (policy) =>
          policy.tenant === VICTIM
            ? { ...policy, peers: { ...policy.peers, bob: policy.peers['cleo']!, dan: policy.peers['bob']! } }
            : policy,
      },
      instead: ({ type }) => type === 'plan',
      lie: (plan: never) => [plan],
    });
    expectRefused(outcome, /2 of the roster's tenants are pinned/);
  });
});

describe('the round', () => {
  test('asked twice to contribute in one round, to two cohorts, a tenant contributes once', async () => {
    const outcome = await afterOneLie({
      backend,
      instead: asks('contribute', 1),
      lie: (ask: Ask, _scene) => [
        ask,
        { ...ask, attempt: 2, heard: without(ask.heard, 'dan'), ledger: noNewsAfter(ask.ledger) },
      ],
    });
    expect(outcome.end.type).toBe('declined');
    expect(outcome.after.map(({ type }) => type)).toEqual(['part', 'say', 'decline']);
    for (const said of outcome.after.slice(0, 2)) expect(said).toMatchObject({ stage: 'contribute', attempt: 1 });
    expect(outcome.end).toMatchObject({ because: 'broken-promise', reason: expect.stringMatching(/answered before/) });
  });

  test('asked the same again, a tenant says the same again, byte for byte', async () => {
    const outcome = await afterOneLie({
      backend,
      instead: asks('contribute', 1),
      lie: (ask: Ask, _scene) => {
        const again = { ...ask, ledger: noNewsAfter(ask.ledger) };
        return [ask, again, { ...again, stage: 'nonsense' }];
      },
    });
    expect(outcome.after.map(({ type }) => type)).toEqual(['part', 'say', 'part', 'say', 'decline']);
    expect(outcome.after[1]).toMatchObject({ stage: 'contribute' });
    expect(outcome.after.slice(2, 4)).toEqual(outcome.after.slice(0, 2));
    expect(outcome.end.reason).toMatch(/there is no stage "nonsense"/);
  });

  test('a round number that was answered is not answered again under another model', async () => {
    const outcome = await afterOneLie({
      backend,
      instead: asks('ready', 2),
      lie: (ask: Ask) => [{ ...ask, round: 1 }],
    });
    expectRefused(outcome, /round 1 was answered before; a retry must be a new round/);
  });

  test('a round from a model this tenant did not compute is not joined', async () => {
    const outcome = await askInRound2('ready', () => ({ model: 'a'.repeat(64) }));
    expectRefused(outcome, /starts from a model that this tenant did not compute/);
  });

  test('asked to contribute without having been asked whether it is ready, it does not', async () => {
    const outcome = await afterOneLie({
      backend,
      instead: asks('ready', 2),
      lie: (ask: Ask, scene) => [
        { ...ask, stage: 'contribute', heard: earlier(scene, 'contribute', 1).heard },
        { ...ask, stage: 'share', heard: earlier(scene, 'share', 1).heard },
        { ...ask, model: 'a'.repeat(64) },
      ],
    });
    // it is told of a round that began without it: it cannot, and says no more than that. The end of the task it may cosign
    const about = outcome.after.map(({ type }) => type).filter((type) => type !== 'cosign');
    expect(about).toEqual(['cannot', 'cannot', 'decline']);
  });

  test('statements before anyone was asked are refused', async () => {
    const outcome = await askInRound2('ready', (_, scene) => ({ heard: earlier(scene, 'contribute', 1).heard }));
    expectRefused(outcome, /statements before anyone was asked/);
  });

  test('keys of an epoch that was begun before are not made again', async () => {
    const outcome = await afterOneLie({
      backend,
      instead: asks('ready', 1),
      lie: (_: Ask, scene) => {
        const again = { ...earlier(scene, 'announce', 0), ledger: noNews(scene) };
        return [again, { ...again, attempt: 2 }];
      },
    });
    expect(outcome.after.map(({ type }) => type)).toEqual(['say', 'decline']); // what it said before, then no
    expect(outcome.after[0]).toEqual(outcome.victim.said.find((m) => m.type === 'say' && m.stage === 'announce'));
    expect(outcome.end.reason).toMatch(/epoch 1 was begun before/);
  });
});

describe('different models to different tenants', () => {
  test('a sum that leads to another model than the one named is refused', async () => {
    const outcome = await afterOneLie({
      backend,
      instead: ({ type }) => type === 'opened',
      lie: (opened: Opened) => [{ ...opened, sum: withFirst(opened.sum, 2 ** 20) }],
    });
    expectRefused(outcome, /the sum leads to another model than the coordinator names/);
  });

  test('a model hash that does not follow from the sum is refused', async () => {
    const outcome = await afterOneLie({
      backend,
      instead: ({ type }) => type === 'opened',
      lie: (opened: Opened) => [{ ...opened, model: 'b'.repeat(64) }],
    });
    expectRefused(outcome, /the sum leads to another model/);
  });

  test('a sum and its own model, where the ledger releases another, is refused', async () => {
    const outcome = await afterOneLie({
      backend,
      instead: ({ type }) => type === 'opened',
      lie: (opened: Opened, { conductor: { plan } }) => {
        const sum = withFirst(opened.sum, 2 ** 20);
        return [{ ...opened, sum, model: modelAfter(plan, sum) }];
      },
    });
    expectRefused(outcome, /the ledger does not release this model/);
  });

  test('a sum without a release in the ledger is refused', async () => {
    const outcome = await afterOneLie({
      backend,
      instead: ({ type }) => type === 'opened',
      lie: (opened: Opened, scene) => [{ ...opened, ledger: noNews(scene) }],
    });
    expectRefused(outcome, /the ledger does not release this model/);
  });

  test('a sum that the ledger releases and never charged is refused', async () => {
    const outcome = await afterOneLie({
      backend,
      instead: ({ type }) => type === 'opened',
      lie: (opened: Opened, scene) => {
        const bodies = bodiesOf(opened.ledger).map((body) =>
          body.kind === 'release' ? { ...body, sumHash: '4'.repeat(64) } : body,
        );
        const { federation, victim } = scene;
        return [
          { ...opened, ledger: forgedNews(victim.store.ledgerHead(), bodies, contextOf(scene), federation.identity) },
        ];
      },
    });
    expectRefused(outcome, /the ledger does not charge the sum it releases/);
  });

  test('a model of its own for one tenant, ledger and all, ends when it meets the others’ statements', async () => {
    let forged = '';
    const outcome = await afterOneLie({
      backend,
      options: {
        // the victim's branch: everything it hears in round 2 comes from the liar below
        lie: (to, message) => (to.name === VICTIM && message.type === 'ask' && message.round === 2 ? [] : undefined),
      },
      instead: ({ type }) => type === 'opened',
      lie: (opened: Opened, scene) => {
        const { conductor, federation, victim } = scene;
        const sum = withFirst(opened.sum, 2 ** 20);
        forged = modelAfter(conductor.plan, sum);
        const bodies = bodiesOf(opened.ledger).map((body) =>
          body.kind === 'release' ? { ...body, modelHash: forged } : body,
        );
        const ledger = forgedNews(victim.store.ledgerHead(), bodies, contextOf(scene), federation.identity);
        const head = positionOf(headAfter(victim.store.ledgerHead(), ledger));
        const next = (stage: string, heard: Relayed[]): Ask => ({
          ...earlier(scene, 'ready', 1),
          round: 2,
          stage,
          model: forged,
          heard,
          head,
          ledger: noNewsAfter(ledger),
        });
        void readyInRound2(scene).then((heard) => {
          victim.tell(next('contribute', heard));
        });
        return [{ ...opened, sum, model: forged, ledger }, next('ready', [])];
      },
    });
    expect(outcome.after.map(({ type }) => type)).toEqual(['say', 'decline']); // it was ready; it contributed nothing
    expect(outcome.after[0]).toMatchObject({ stage: 'ready', round: 2 });
    expect(outcome.end.reason).toMatch(/in the name of (bob|cleo|dan) was not made by it, here and now/);
  });
});

describe('opening', () => {
  const charged = (change: (body: Extract<LedgerBody, { kind: 'charge' }>) => LedgerBody[]) =>
    askInstead('share', ({ ledger }, scene) => ({
      ledger: forgedNews(
        scene.victim.store.ledgerHead(),
        bodiesOf(ledger).flatMap((body) => (body.kind === 'charge' ? change(body) : [body])),
        contextOf(scene),
        scene.federation.identity,
      ),
    }));

  test('without a charge in the ledger gets no share', async () => {
    expectRefused(await charged(() => []), /asked to open before the ledger charges it/);
  });
  test('with a charge for another round gets no share', async () => {
    expectRefused(await charged((body) => [{ ...body, round: 2 }]), /before the ledger charges it/);
  });
  test('with a charge for another task gets no share', async () => {
    const outcome = await askInstead('share', ({ ledger }, scene) => ({
      ledger: forgedNews(
        scene.victim.store.ledgerHead(),
        bodiesOf(ledger),
        { ...contextOf(scene), task: 'c'.repeat(64) },
        scene.federation.identity,
      ),
    }));
    expectRefused(outcome, /before the ledger charges it/);
  });
  test('with a charge for another sum gets no share', async () => {
    expectRefused(await charged((body) => [{ ...body, sumHash: 'd'.repeat(64) }]), /charges another sum/);
  });
  test('with a charge for another number of contributions gets no share', async () => {
    expectRefused(await charged((body) => [{ ...body, contributions: 3 }]), /charges another sum/);
  });
  test('with a charge for a cheaper event gets no share', async () => {
    const outcome = await charged((body) => {
      if (body.event.type !== 'DiscreteGaussian') throw new Error('the toy draws everybody');
      return [{ ...body, event: { ...body.event, noiseVariance: 4 * body.event.noiseVariance } }];
    });
    expectRefused(outcome, /or another event, than is to be opened/);
  });
  test('of a round that the ledger aborted gets no share, and is paid for when it is charged after all', async () => {
    const outcome = await charged((body) => [{ kind: 'abort', round: 1, reason: 'tenant-lost' }, body]);
    expectRefused(outcome, /the ledger aborted this round/);
    const pool = outcome.victim.store.budget()!.pools.find(({ name }) => name === 'training')!;
    expect(pool.held).toMatchObject([{ task: outcome.conductor.id, committed: 1 }]);
  });

  test.each([
    ['too few', (openers: string[]) => openers.slice(0, 2)],
    ['too many', () => ['ada', 'bob', 'cleo', 'dan']],
    ['a set this tenant is not in', () => ['bob', 'cleo', 'dan']],
    ['nobody', () => []],
  ])('by %s gets no share', async (_, change) => {
    const outcome = await askInstead('share', ({ openers }) => ({ openers: change(openers) }));
    expectRefused(outcome, /the set of openers is not the plan's/);
  });

  test.each([
    ['one tenant twice', ['ada', 'bob', 'bob']],
    ['a stranger', ['ada', 'bob', 'ghost']],
  ])('by a set with %s gets no share', async (_, openers) => {
    const outcome = await afterOneLie({
      backend,
      instead: asks('share', 1),
      lie: (ask: Ask, _scene) => [
        { ...ask, openers },
        { ...ask, stage: 'nonsense', ledger: noNewsAfter(ask.ledger) },
      ],
    });
    for (const type of ['part', 'say']) expect(outcome.after.map((said) => said.type)).not.toContain(type);
  });

  test('by the same set again, or a third set, gets no further share', async () => {
    const sets = (...more: string[][]) =>
      afterOneLie({
        backend,
        instead: asks('share', 1),
        lie: (ask: Ask, _scene) => [
          ask,
          ...more.map((openers, i) => ({ ...ask, attempt: i + 2, openers, ledger: noNewsAfter(ask.ledger) })),
        ],
      });
    const same = await sets(['ada', 'bob', 'cleo']);
    expect(same.after.map(({ type }) => type)).toEqual(['part', 'say', 'decline']);
    expect(same.end.reason).toMatch(/asked to open the same sum too often/);
    const third = await sets(['ada', 'bob', 'dan'], ['ada', 'cleo', 'dan']);
    // a lost opener may be replaced once
    expect(third.after.map(({ type }) => type)).toEqual(['part', 'say', 'part', 'say', 'decline']);
    expect(third.end.reason).toMatch(/asked to open the same sum too often/);
    expect(third.victim.store.round(third.conductor.id, 1)?.openerSets).toEqual(['ada,bob,cleo', 'ada,bob,dan']);
  });

  test('the victim’s contribution offered as the sum gets no share', async () => {
    const alone = await askInstead('share', ({ heard }) => ({ heard: onlyOf(heard, VICTIM) }));
    expectRefused(alone, /another cohort than the one joined/);
    const three = await askInstead('share', ({ heard }) => ({ heard: without(heard, 'dan') }));
    expectRefused(three, /another cohort than the one joined/);
  });

  test('after a cohort of its own for one tenant gets no share of it: the others’ contributions do not verify', async () => {
    const told: { ask?: Ask } = {};
    const outcome = await afterOneLie({
      backend,
      options: { lie: (to, message) => (to.name === VICTIM && asks('share', 1)(message) ? [] : undefined) },
      instead: asks('contribute', 1),
      lie: (ask: Ask, scene) => {
        told.ask = { ...ask, heard: without(ask.heard, 'dan') };
        void contributionsIn(scene, 1).then((heard) => {
          const share = { ...told.ask!, stage: 'share', heard, openers: ['ada', 'bob', 'cleo'] };
          const ledger = noNews(scene);
          scene.victim.tell({ ...share, ledger });
        });
        return [told.ask];
      },
    });
    expect(outcome.after.map((said) => ('stage' in said ? `${said.type} ${said.stage}` : said.type))).toEqual([
      'part contribute',
      'say contribute',
      'decline',
    ]);
    expect(outcome.end.reason).toMatch(/in the name of (bob|cleo|dan) was not made by it, here and now/);
  });

  test('last round’s contributions get no share', async () => {
    const outcome = await askInRound2('share', (_, scene) => ({ heard: earlier(scene, 'share', 1).heard }));
    expectRefused(outcome, /in the name of ada was not made by it, here and now/);
  });

  test('a second sum in one round gets no share, not even with a colluder that signs two contributions', async () => {
    const outcome = await afterOneLie({
      backend,
      instead: asks('share', 1),
      lie: (ask: Ask, scene) => {
        const heard = ask.heard.map((one) => (one.from === 'dan' ? equivocated(one, scene) : one));
        return [ask, { ...ask, attempt: 2, openers: ['ada', 'bob', 'dan'], heard, ledger: noNewsAfter(ask.ledger) }];
      },
    });
    expect(outcome.after.map(({ type }) => type)).toEqual(['part', 'say', 'decline']);
    expect(outcome.end.reason).toMatch(/charges another sum|asked to open a second sum/);
  });

  test('a sum in which its own contribution was changed gets no share', async () => {
    const outcome = await askInstead('share', ({ heard }) => ({
      heard: heard.map((one) => (one.from === VICTIM ? { ...one, open: onlyOf(heard, 'bob')[0]!.open } : one)),
    }));
    expectRefused(outcome, /in the name of ada was not made by it/);
  });
});

describe('the ledger', () => {
  const ledgerInstead = (change: (news: LedgerNews, scene: Scene) => LedgerNews) =>
    askInRound2('ready', ({ ledger }, scene) => ({ ledger: change(ledger, scene) }));

  test('that forks, a second branch from an older head, ends it', async () => {
    const outcome = await ledgerInstead((_, scene) => {
      const [first] = scene.victim.store.ledger();
      const head = headAfter(EMPTY_LEDGER, { entries: [entryText(first!)], note: '' });
      return forgedNews(
        head,
        [{ kind: 'stop', reason: 'stopped-by-operator' }],
        contextOf(scene),
        scene.federation.identity,
      );
    });
    expectRefused(outcome, /the ledger does not continue at entry \d+/);
  });
  test('whose signed head is another one of the same size ends it', async () => {
    const outcome = await ledgerInstead((_, { victim, federation }) =>
      signedNews([], { ...victim.store.ledgerHead(), ...elsewhere(victim.store.ledgerHead()) }, federation.identity),
    );
    expectRefused(outcome, /two ledgers are being shown/);
  });
  test('that shrinks ends it', async () => {
    const outcome = await ledgerInstead((_, { federation }) => signedNews([], EMPTY_LEDGER, federation.identity));
    expectRefused(outcome, /the signed head says 0 entries, this tenant has verified \d+/);
  });
  test('that skips an entry ends it', async () => {
    const outcome = await ledgerInstead((_, scene) => {
      const head = { ...append(scene.victim.store.ledgerHead(), new Uint8Array(32)), hash: '1'.repeat(64) };
      return forgedNews(
        head,
        [{ kind: 'stop', reason: 'stopped-by-operator' }],
        contextOf(scene),
        scene.federation.identity,
      );
    });
    expectRefused(outcome, /the ledger does not continue/);
  });
  test('whose head is unsigned, or signed by somebody else, ends it', async () => {
    const unsigned = await ledgerInstead((news) => ({
      ...news,
      note: forgedSignature(news.note),
    }));
    expectRefused(unsigned, /the signature by parley:\S+ does not verify/);
    const bobs = await ledgerInstead((_, { victim, federation }) =>
      signedNews([], victim.store.ledgerHead(), federation.tenant('bob').identity),
    );
    expectRefused(bobs, /not signed by a known key/);
  });
  test('with an entry of another form ends it', async () => {
    const outcome = await askInstead('share', ({ ledger }) => ({
      ledger: { ...ledger, entries: ledger.entries.map((text) => text.replace('"contributions"', '"batchSize"')) },
    }));
    expectRefused(outcome, /the ledger does not continue at entry \d+: not a ledger entry/);
  });
  test('that ends the task ends the contributions to it', async () => {
    for (const body of [
      { kind: 'stop', reason: 'stopped-by-operator' },
      { kind: 'finish', rounds: 1, modelHash: '2'.repeat(64) },
    ] as const) {
      const outcome = await afterOneLie({
        backend,
        instead: asks('contribute', 2),
        lie: (ask: Ask, scene) => [
          {
            ...ask,
            ledger: forgedNews(scene.victim.store.ledgerHead(), [body], contextOf(scene), scene.federation.identity),
          },
        ],
      });
      expectRefused(outcome, /the ledger has ended this task/);
      expect(outcome.victim.store.round(outcome.conductor.id, 2)).toBeUndefined();
    }
  });

  test('of its own for one tenant, consistent and signed, ends when it meets the others’ statements', async () => {
    // the branch differs by one harmless entry; the model, the cohort and the round are everybody's
    const outcome = await afterOneLie({
      backend,
      options: { lie: (to, message) => (to.name === VICTIM && asks('contribute', 2)(message) ? [] : undefined) },
      instead: asks('ready', 2),
      lie: (ask: Ask, scene) => {
        const { federation, victim } = scene;
        const before = federation.coordinator.ledger.head;
        const branch: LedgerBody = { kind: 'abort', round: 77, reason: 'tenant-lost' };
        const forged = forgedNews(before, [branch], contextOf(scene), federation.identity);
        const ledger = { ...forged, entries: [...ask.ledger.entries, ...forged.entries] };
        const head = positionOf(headAfter(before, forged));
        void readyInRound2(scene).then((heard) => {
          const next = { ...ask, stage: 'contribute', heard, head, ledger: noNewsAfter(ledger) };
          victim.tell(next);
        });
        return [{ ...ask, head, ledger }];
      },
    });
    expect(outcome.after.map(({ type }) => type)).toEqual(['say', 'decline']);
    expect(outcome.end.reason).toMatch(/in the name of (bob|cleo|dan) was not made by it, here and now/);
  });
  test('that a conversation claims to begin with must be the one this tenant was shown', async () => {
    const another = await askInRound2('ready', ({ head }) => ({ head: { ...head, hash: '3'.repeat(64) } }));
    expectRefused(another, /begins with another ledger than this tenant was shown/);
    const later = await askInRound2('ready', ({ head }) => ({ head: { ...head, size: head.size + 1 } }));
    expectRefused(later, /begins with another ledger/);
    const keys = await askInstead('announce', () => ({ head: { size: 0, hash: '3'.repeat(64) } }), {
      instead: asks('announce', 0),
    });
    expectRefused(keys, /begins with another ledger/);
  });

  test('after a broken ledger not even frames that had already arrived are dealt with', async () => {
    const outcome = await afterOneLie({
      backend,
      instead: asks('contribute', 1),
      // the first takes its time; by then the others are there
      lie: (ask: Ask, scene) => [
        ask,
        { ...ask, ledger: signedNews([], EMPTY_LEDGER, scene.federation.identity) },
        { ...ask, stage: 'nonsense', ledger: noNewsAfter(ask.ledger) },
      ],
    });
    expect(outcome.end).toMatchObject({
      type: 'left',
      reason: expect.stringMatching(/the signed head says 0 entries/),
    });
    expect(outcome.victim.events.filter(({ type }) => type === 'left' || type === 'declined')).toHaveLength(1);
  });
});

/** Everybody's own word that it is ready for round 2, as it would be relayed. */
async function readyInRound2({ federation }: Scene): Promise<Relayed[]> {
  const names = [VICTIM, 'bob', 'cleo', 'dan'];
  const ready = (name: string) =>
    federation.tenant(name).said.find((m) => m.type === 'say' && m.stage === 'ready' && m.round === 2);
  await federation.until(() => names.every((name) => ready(name) !== undefined), 'everybody’s ready');
  return names.map((from) => {
    const { open, signature } = ready(from) as Extract<ReturnType<typeof ready>, { type: 'say' }>;
    return { from, open, sealedHashes: [], signature };
  });
}

/** What everybody contributed in a round, as it would be relayed. */
async function contributionsIn({ federation }: Scene, round: number): Promise<Relayed[]> {
  const names = [VICTIM, 'bob', 'cleo', 'dan'];
  const saidBy = (name: string, type: 'say' | 'part') =>
    federation.tenant(name).said.find((m) => m.type === type && m.stage === 'contribute' && m.round === round);
  await federation.until(() => names.every((name) => saidBy(name, 'say')), 'everybody’s contribution');
  return names.map((from) => {
    const { open, signature } = saidBy(from, 'say') as Extract<FromClient, { type: 'say' }>;
    const { bytes } = saidBy(from, 'part') as Extract<FromClient, { type: 'part' }>; // all of it: the task is small
    return { from, open, vectorHash: sha256(bytes), sealedHashes: [], signature };
  });
}

function withFirst(sum: Uint8Array, more: number): Uint8Array {
  const values = vectorFrom(sum, sum.length / 8);
  values[0]! += more;
  return vectorBytes(values);
}

function modelAfter(plan: Scene['conductor']['plan'], sum: Uint8Array): string {
  const start = new Float64Array(plan.derived.dimension); // logistic regression starts from zeros
  return progressHash(plan, takeIn(plan, begin(start), vectorFrom(sum, plan.derived.dimension)), 2);
}

const contextOf = ({ conductor }: Scene) => ({
  federation: conductor.plan.federation,
  task: taskId(conductor.plan),
  time: Date.now(),
});

/** A ledger in which nothing happened since the victim looked last. */
const noNews = ({ victim, federation }: Scene): LedgerNews =>
  signedNews([], victim.store.ledgerHead(), federation.identity);
const noNewsAfter = ({ note }: LedgerNews): LedgerNews => ({ entries: [], note });

/** The note with another signature of the same length. */
const forgedSignature = (note: string): string =>
  `${note.slice(0, -20)}${note.at(-20) === 'A' ? 'B' : 'A'}${note.slice(-19)}`;

/** As many entries, but others. */
const elsewhere = ({ subtrees }: LedgerHead): Pick<LedgerHead, 'subtrees'> => ({
  subtrees: subtrees.map(() => 'e'.repeat(64)),
});

/** Another contribution of the same tenant in the same place, properly signed: its owner works with the coordinator. */
function equivocated(relayed: Relayed, scene: Scene): Relayed {
  const { conductor, federation } = scene;
  const { federation: name, roster } = conductor.plan;
  const ask = earlier(scene, 'contribute', 1);
  const { epoch, round, model } = ask;
  const place = {
    transcript: transcriptOf({
      federation: name,
      roster: rosterHash(roster),
      task: ask.task,
      epoch,
      round,
      model,
      ledger: ask.head.hash,
    }),
    stage: 'contribute',
    attempt: 1,
    heard: heardHash(ask.heard),
  };
  const said = { open: relayed.open, sealed: new Map(), vector: Uint8Array.of(1) };
  const signature = signStatement(federation.tenant('dan').identity, 'dan', place, said);
  return relayTo(VICTIM, { ...said, from: 'dan', vector: inMemory(said.vector), signature });
}
