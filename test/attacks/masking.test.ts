import { beforeAll, describe, expect, test } from 'vitest';
import { rosterHash } from '../../aggregation/plan.ts';
import type { Settings } from '../../aggregation/settings.ts';
import { inMemory } from '../../aggregation/stored-vector.ts';
import { heardHash, type Relayed, relayTo, sha256, signStatement, transcriptOf } from '../../aggregation/transcript.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import {
  type Lie,
  type LyingCoordinator,
  type LyingOptions,
  signedNews,
  startLying,
  type Victim,
} from '../support-client/lying-coordinator.ts';
import { type Ask, afterOneLie, asks, expectRefused, type Scene, VICTIM } from '../support-client/one-lie.ts';
import { toySettings } from '../support-client/toy-task.ts';

/*
 * Under pairwise masks the coordinator may leave tenants out of what is opened, and learns who was lost. So its best lies are
 * about who survived: told differently to different tenants, both shares of one tenant come together and its vector lies
 * open. Every lie here is told by somebody between a real coordinator and a real tenant, with the coordinator's key.
 */
let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

describe.each(['masking', 'lattice-mask'] as const)('under %s', (protocol) => {
  const masked = (more: Partial<Settings['secureSum']> = {}, timing: Partial<Settings['timing']> = {}): Settings => {
    const settings = toySettings({ protocol, timing });
    return { ...settings, secureSum: { ...settings.secureSum, ...more } };
  };
  const askInstead = (stage: string, round: number, change: (ask: Ask, scene: Scene) => Partial<Ask>) =>
    afterOneLie({
      backend,
      settings: masked(),
      instead: asks(stage, round),
      lie: (ask: Ask, scene) => [{ ...ask, ...change(ask, scene) }],
    });
  const earlier = ({ victim }: Scene, stage: string, round: number): Ask =>
    victim.told.find((m) => m.type === 'ask' && m.stage === stage && m.round === round) as Ask;
  const without = (heard: Ask['heard'], ...names: string[]) => heard.filter(({ from }) => !names.includes(from));
  const said = (victim: Victim, stage: string) => victim.said.filter((m) => m.type === 'say' && m.stage === stage);
  /** Why the victim took no further part, in the task or in the round. */
  const ended = ({ events }: Victim) =>
    events.flatMap((e) => (e.type === 'declined' || e.type === 'left' || e.type === 'refused' ? [e.reason] : []))[0];

  interface Lied extends Partial<Omit<LyingOptions, 'lie'>> {
    readonly settings?: Settings;
    /** what the victim is asked in round 1 instead */
    readonly lie: (ask: Ask, federation: LyingCoordinator) => Ask;
    /** dan never hears of this stage */
    readonly lost?: string;
    /** what bob is asked in this stage is asked of the victim too, in place of its own */
    readonly forward?: string;
  }

  /** A round in which the victim is lied to at several stages. @returns it, when it has had enough */
  async function lied({
    settings = masked({}, { stageTimeoutMs: 800 }),
    lie,
    forward,
    lost,
    ...options
  }: Lied): Promise<Victim> {
    const liar = { federation: undefined as LyingCoordinator | undefined };
    const federation = await startLying({
      backend,
      ...options,
      lie: (to, message) => {
        // that its statements are turned away the victim would hear of an honest coordinator
        if (to.name === VICTIM && message.type === 'refused') return [];
        if (message.type !== 'ask' || message.round !== 1) return undefined;
        const { federation } = liar;
        if (to.name === 'bob' && message.stage === forward)
          setImmediate(() => federation!.tenant(VICTIM).tell(message));
        if (to.name === 'dan' && message.stage === lost) return [];
        if (to.name !== VICTIM) return undefined;
        return message.stage === forward ? [] : [lie(message, federation!)];
      },
    });
    liar.federation = federation;
    try {
      federation.run(settings);
      await federation.until(() => ended(federation.tenant(VICTIM)) !== undefined, 'a refusal');
      await federation.tenant(VICTIM).participant.idle();
      return federation.tenant(VICTIM);
    } finally {
      federation.close();
    }
  }

  /** A contribution of dan's to the round of `ask`, properly signed: dan works with the coordinator. */
  function ofDan(ask: Ask, federation: LyingCoordinator): Ask['heard'][number] {
    const { plan } = federation.coordinator.task(ask.task)!;
    const { task, epoch, round, model, head } = ask;
    const place = { federation: plan.federation, roster: rosterHash(plan.roster), task, epoch, round, model };
    const { told } = federation.tenant(VICTIM);
    const deals = told.find((m) => m.type === 'ask' && m.stage === 'contribute' && m.round === round) as Ask;
    const here = {
      transcript: transcriptOf({ ...place, ledger: head.hash }),
      ...{ stage: 'contribute', attempt: 1, heard: heardHash(deals.heard as Relayed[]) },
    };
    const vector = new Uint8Array(40);
    const said = { open: new Uint8Array(0), sealed: new Map() };
    const signature = signStatement(federation.tenant('dan').identity, 'dan', here, { ...said, vector });
    return relayTo(VICTIM, { ...said, from: 'dan', vector: inMemory(vector), signature });
  }

  describe('masks', () => {
    test.each([undefined, 'x25519-ml-kem-768'] as const)(
      'carry a task to its end (control, %s)',
      async (keyAgreement) => {
        const federation = await startLying({ backend });
        const conductor = federation.run(masked(keyAgreement && { keyAgreement }));
        await federation.over(conductor);
        expect(conductor.state).toMatchObject({ phase: 'finished', charges: 2, rounds: 2 });
        federation.close();
      },
    );
  });

  describe('who survived', () => {
    test('must have joined: who was left out of the cohort this tenant was told of is nobody to it', async () => {
      const victim = await lied({
        lie: (ask) => (ask.stage === 'contribute' ? { ...ask, heard: without(ask.heard, 'dan') } : ask),
        forward: 'agree', // all four, as the others are shown them
      });
      expect(ended(victim)).toMatch(/was not made by it, here and now/);
      expect(said(victim, 'agree')).toEqual([]);
    });

    test('must have dealt: a colluder that did not, and signs the right words, has not joined', async () => {
      const victim = await lied({
        lost: 'deal',
        lie: (ask, federation) =>
          ask.stage === 'agree' ? { ...ask, heard: [...ask.heard, ofDan(ask, federation)] } : ask,
      });
      expect(ended(victim)).toMatch(/asked to agree to tenants that never joined it/);
      expect(said(victim, 'agree')).toEqual([]);
    });

    test('are n_min or more, and this tenant is one of them', async () => {
      const two = await askInstead('agree', 1, ({ heard }) => ({ heard: without(heard, 'bob', 'dan') }));
      expectRefused(two, /the cohort holds 2 pinned tenants, the plan promises 3/);
      const others = await askInstead('agree', 1, ({ heard }) => ({ heard: without(heard, VICTIM) }));
      expectRefused(others, /a cohort without this tenant/);
    });

    test('are agreed to once in a round: no second set, however it is asked for', async () => {
      const outcome = await afterOneLie({
        backend,
        settings: masked(),
        instead: asks('agree', 1),
        lie: (ask: Ask) => {
          const nothing = { entries: [], note: ask.ledger.note };
          return [ask, { ...ask, attempt: 2, heard: without(ask.heard, 'dan'), ledger: nothing }];
        },
      });
      expect(outcome.end.reason).toMatch(/asked to agree to a second set of tenants/);
      expect(outcome.after.map((said) => ('stage' in said ? said.stage : said.type))).toEqual(['agree', 'decline']);
    });

    test('told differently to one tenant, get no share of it: the others’ word does not verify', async () => {
      const victim = await lied({
        lie: (ask) => (ask.stage === 'agree' ? { ...ask, heard: without(ask.heard, 'dan') } : ask),
        forward: 'reveal',
      });
      expect(said(victim, 'agree')).toHaveLength(1); // three are enough, and it joined with them
      expect(ended(victim)).toMatch(/was not made by it, here and now/);
      expect(said(victim, 'reveal')).toEqual([]);
    });

    test('with another contribution of a colluder for one tenant, get no share of it either', async () => {
      const victim = await lied({
        lie: (ask, federation) =>
          ask.stage === 'agree' ? { ...ask, heard: [...without(ask.heard, 'dan'), ofDan(ask, federation)] } : ask,
        forward: 'reveal',
      });
      expect(said(victim, 'agree')).toHaveLength(1);
      expect(ended(victim)).toMatch(/was not made by it, here and now/);
      expect(said(victim, 'reveal')).toEqual([]);
    });

    test('of another round are none of this one', async () => {
      const outcome = await askInstead('agree', 2, (_, scene) => ({ heard: earlier(scene, 'agree', 1).heard }));
      expectRefused(outcome, /was not made by it, here and now/);
    });

    test('are shown with the hash of what each contributed: with another, or none, it is not what was said', async () => {
      const shown = (change: (bob: Ask['heard'][number]) => Ask['heard'][number]) => (ask: Ask) => ({
        heard: ask.heard.map((one) => (one.from === 'bob' ? change(one) : one)),
      });
      const not = /in the name of bob was not made by it/;
      expectRefused(
        await askInstead(
          'agree',
          1,
          shown((bob) => ({ ...bob, vectorHash: sha256('other') })),
        ),
        not,
      );
      expectRefused(
        await askInstead(
          'agree',
          1,
          shown(({ vectorHash: _, ...bob }) => bob),
        ),
        not,
      );
      expectRefused(
        await askInstead(
          'deal',
          1,
          shown((bob) => ({ ...bob, vectorHash: sha256(bob.open) })),
        ),
        not,
      );
    });

    test('must include what this tenant contributed, unchanged', async () => {
      const outcome = await askInstead('agree', 1, ({ heard }) => ({
        heard: heard.map((one) => (one.from === VICTIM ? { ...one, vectorHash: sha256('other') } : one)),
      }));
      expectRefused(outcome, /in the name of ada was not made by it/);
    });
  });

  describe('a share is refused', () => {
    test('before the ledger charges the sum', async () => {
      const victim = await lied({
        lie: (ask, { identity, tenant }) =>
          ask.stage === 'agree' || ask.stage === 'reveal'
            ? { ...ask, ledger: signedNews([], tenant(VICTIM).store.ledgerHead(), identity) }
            : ask,
      });
      expect(ended(victim)).toMatch(/asked to open before the ledger charges it/);
      expect(said(victim, 'reveal')).toEqual([]);
    });

    test('when fewer than a quorum agree', async () => {
      const victim = await lied({
        lie: (ask) => (ask.stage === 'reveal' ? { ...ask, heard: without(ask.heard, 'bob', 'dan') } : ask),
      });
      expect(ended(victim)).toMatch(/2 pinned tenants agree, 3 are needed/);
      expect(said(victim, 'reveal')).toEqual([]);
    });

    test('when tenants nobody compared fingerprints with make up the quorum', async () => {
      const victim = await lied({
        tenants: [VICTIM, 'bob', 'cleo', 'dan', 'eve'],
        settings: masked({ minCohort: 4, colluders: 1 }),
        policy: (policy) => {
          const { eve: _, ...peers } = policy.peers;
          return policy.tenant === VICTIM ? { ...policy, peers } : policy;
        },
        lie: (ask) => (ask.stage === 'reveal' ? { ...ask, heard: without(ask.heard, 'bob') } : ask),
      });
      expect(ended(victim)).toMatch(/3 pinned tenants agree, 4 are needed/);
      expect(said(victim, 'reveal')).toEqual([]);
    });

    test('when asked for once more, whoever agrees by then: the answer is the one already given, or none', async () => {
      const outcome = await afterOneLie({
        backend,
        settings: masked(),
        instead: asks('reveal', 1),
        lie: (ask: Ask) => [ask, ask, { ...ask, attempt: 2 }],
      });
      expect(outcome.end.reason).toMatch(/asked to open the same sum too often/);
      const answers = said(outcome.victim, 'reveal');
      expect(answers).toHaveLength(2);
      expect(answers[1]).toEqual(answers[0]);
    });
  });

  describe('tenants that are lost in round 1', () => {
    // who is gone when it is asked leaves a sum of three; who has contributed is in the sum of four
    test.each([
      ['keys', 3],
      ['deal', 3],
      ['contribute', 3],
      ['agree', 4],
      ['reveal', 4],
    ])('when they are asked for %s cost no round: the sum is over %i', async (stage, contributions) => {
      const lie: Lie = (to, message) => {
        if (to.name !== 'dan' || !asks(stage, 1)(message)) return undefined;
        to.disconnect();
        return [];
      };
      const federation = await startLying({ backend, lie });
      const conductor = federation.run(masked());
      // it comes back when the round is over, and takes part in the next
      await federation.until(() => conductor.progress.steps >= 1, 'the first sum');
      federation.tenant('dan').connect();
      await federation.over(conductor);
      expect(conductor.state).toMatchObject({ phase: 'finished', charges: 2, rounds: 2 });
      const { store } = federation.tenant(VICTIM);
      expect(store.ledgerEntry(conductor.id, 1, 'charge')).toMatchObject({ contributions });
      const isTold = (name: string): boolean => federation.tenant(name).events.at(-1)?.type === 'finished';
      await federation.until(() => [VICTIM, 'bob', 'cleo'].every(isTold), 'the end, told to everybody');
      federation.close();
    });

    test('when they restart have forgotten the round, and reveal nothing in it', async () => {
      let restarted = false;
      const lie: Lie = (to, message) => {
        if (to.name !== 'dan' || restarted || !asks('agree', 1)(message)) return undefined;
        restarted = true;
        setImmediate(() => to.restart().connect());
        return [];
      };
      const federation = await startLying({ backend, lie });
      const conductor = federation.run(masked());
      await federation.over(conductor);
      expect(conductor.state).toMatchObject({ phase: 'finished', charges: 2 });
      expect(federation.tenant('dan').said.some((m) => m.type === 'say' && m.stage === 'reveal' && m.round === 1)).toBe(
        false,
      );
      federation.close();
    });
  });
});
