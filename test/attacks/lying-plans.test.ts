import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import canonicalize from 'canonicalize';
import { beforeAll, describe, expect, test } from 'vitest';
import { Channel } from '../../aggregation/channel.ts';
import { federationOf } from '../../aggregation/federation.ts';
import { createIdentity, type Identity } from '../../aggregation/identity.ts';
import { ephemeralKey } from '../../aggregation/key-agreement.ts';
import type { Frame } from '../../aggregation/link.ts';
import { hex, makePlan, type Plan, planDigest } from '../../aggregation/plan.ts';
import {
  decodeFromClient,
  encode,
  type FromClient,
  type FromCoordinator,
  PROTOCOL,
  vectorBytes,
} from '../../aggregation/wire.ts';
import { createParticipant } from '../../client/participant.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import type { Table } from '../../models/encode.ts';
import { parameterHash } from '../../models/model.ts';
import type { FeatureSchema } from '../../models/schema.ts';
import { inlineNoise } from '../../privacy/noise-supply.ts';
import { memoryLinks } from '../../simulation/memory-link.ts';
import { replayRandom } from '../privacy/replay-random.ts';
import { type Lie, startLying } from '../support-client/lying-coordinator.ts';
import { afterOneLie, expectRefused, type Outcome, VICTIM } from '../support-client/one-lie.ts';
import { toyEvaluation, toyFeatures, toySettings, toyTable } from '../support-client/toy-task.ts';

/*
 * Before anything is asked: who greets, and what is proposed. A plan may be signed by the right key and still promise what
 * its own settings do not give.
 */
let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

type Proposal = Extract<FromCoordinator, { type: 'plan' }>;

const proposalInstead = (change: (proposal: Proposal, outcome: Pick<Outcome, 'federation'>) => Proposal) =>
  afterOneLie({
    backend,
    instead: ({ type }) => type === 'plan',
    lie: (proposal: Proposal, scene) => [change(proposal, scene)],
  });

/** A plan changed and signed again: the coordinator means it. */
const planInstead = (change: (plan: Plan) => unknown) =>
  proposalInstead((proposal, { federation }) => {
    const plan = structuredClone(JSON.parse(proposal.plan)) as Plan;
    const text = canonicalize(change(plan) ?? plan)!;
    return { ...proposal, plan: text, signature: federation.identity.sign(planDigest(text)) };
  });

/** Sets a field that `Plan` has as read-only. */
const set = (object: object, field: string, value: unknown): void => {
  (object as Record<string, unknown>)[field] = value;
};

describe('a signed plan that promises what its settings do not give is declined', () => {
  test.each([
    ['less noise', 'shareStdDev', (plan: Plan) => Math.floor(plan.derived.shareStdDev / 2)],
    ['a smaller ε', 'epsilon', (plan: Plan) => ({ ...plan.derived.epsilon, coalition: 0.1 })],
    ['fewer openers', 'threshold', (plan: Plan) => plan.derived.threshold - 1],
    ['more openings', 'openings', (plan: Plan) => plan.derived.openings + 10],
    ['a smaller sensitivity', 'sensitivity', (plan: Plan) => plan.derived.sensitivity / 2],
    ['a rarer sampling', 'rate', (plan: Plan) => plan.derived.rate / 2],
    ['another clip norm', 'clipNorm', () => 100],
    ['the other path', 'path', () => 'ghost'],
    ['another dimension', 'dimension', (plan: Plan) => plan.derived.dimension + 1],
    ['another lane', 'maxMagnitude', (plan: Plan) => plan.derived.maxMagnitude * 2],
  ])('%s', async (_, field, value) => {
    const outcome = await planInstead((plan) => set(plan.derived, field, value(plan)));
    expectRefused(outcome, new RegExp(`derived\\.${field}: the plan says`));
    expect(outcome.end).toMatchObject({ type: 'declined', because: 'policy' });
  });

  test('another noise multiplier, and everything that follows from it', async () => {
    const outcome = await planInstead((plan) => {
      const { epsilon } = plan.settings.privacy;
      const less = { ...plan.settings, privacy: { ...plan.settings.privacy, epsilon: epsilon * 1.01 } };
      set(plan, 'derived', makePlan(less, plan.roster, plan.federation, plan.createdAt).derived);
    });
    expectRefused(outcome, /derived\.noiseMultiplier: with this noise ε is/);
  });

  test('a roster in which this tenant has another key', async () => {
    const outcome = await planInstead((plan) => {
      set(plan.roster.find(({ tenant }) => tenant === VICTIM)!, 'key', hex(createIdentity().publicKey));
    });
    expectRefused(outcome, /the roster does not list this tenant with its key/);
  });
  test('a roster without this tenant', async () => {
    const outcome = await planInstead((plan) =>
      set(
        plan,
        'roster',
        plan.roster.filter(({ tenant }) => tenant !== VICTIM),
      ),
    );
    expectRefused(outcome, /the roster does not list this tenant/);
  });
  test('a roster in which one tenant counts twice: its name, its key, or its key written otherwise', async () => {
    const name = await planInstead((plan) => set(plan, 'roster', [...plan.roster, plan.roster.at(-1)]));
    expectRefused(name, /a tenant is listed twice/);
    const doubled = (key: (key: string) => string) => (plan: Plan) => {
      const [bob, cleo] = ['bob', 'cleo'].map((who) => plan.roster.find(({ tenant }) => tenant === who)!);
      set(cleo!, 'key', key(bob!.key));
    };
    expectRefused(await planInstead(doubled((key) => key)), /two tenants share one key/);
    const written = await planInstead(doubled((key) => key.toUpperCase()));
    expect(written.end).toMatchObject({ type: 'left', reason: expect.stringMatching(/not a plan .*roster/) });
  });
  test('a plan of another federation', async () => {
    expectRefused(await planInstead((plan) => set(plan, 'federation', 'a'.repeat(64))), /another federation/);
  });
  test('start parameters of the coordinator’s choosing', async () => {
    const elsewhere = await proposalInstead((plan) => ({ ...plan, parameters: vectorBytes(Float64Array.of(0, 1e-9)) }));
    expectRefused(elsewhere, /says itself what it starts from/);
  });
  test.each([
    ['others than the plan’s', vectorBytes(Float64Array.of(1, 2.5)), /not those of the plan/],
    ['no numbers', new Uint8Array(7), /not those of the plan|expected 0 doubles/],
    ['not finite', vectorBytes(Float64Array.of(0, Number.NaN)), /must be finite/],
    ['none', new Uint8Array(0), /not those of the plan/],
  ])('parameters to evaluate that are %s', async (_, parameters, reason) => {
    const lie: Lie = (_to, message) => (message.type === 'plan' ? [{ ...message, parameters }] : undefined);
    const federation = await startLying({ backend, lie });
    const promised = Float64Array.of(1, 2);
    federation.coordinator.store.putParameters(parameterHash(promised), vectorBytes(promised));
    const conductor = federation.run(toyEvaluation('a'.repeat(64), parameterHash(promised), 'plain'));
    await federation.over(conductor);
    federation.close();
    const { said, events } = federation.tenant(VICTIM);
    expect(said.filter(({ type }) => type === 'say' || type === 'part')).toEqual([]);
    expect(events.find(({ type }) => type === 'declined')).toMatchObject({ reason: expect.stringMatching(reason) });
  });
  test.each([
    ['held out by another rule', { ...toyFeatures, holdout: { oneIn: 3 } }, /holds customers out by another rule/],
    [
      'told apart by another rule',
      { ...toyFeatures, customer: { column: 'id', maxRows: 1 } },
      /tells customers apart by/,
    ],
    [
      'with another label',
      { ...toyFeatures, label: { column: 'sick', positive: 'yes', negative: 'no' } },
      /the label is/,
    ],
    [
      'by a column of other bounds',
      { ...toyFeatures, features: [{ ...toyFeatures.features[0]!, maximum: 8 }] },
      /column "months" is not in the data contract as the plan describes it/,
    ],
  ] as const)('customers %s than in the data contract', async (_, features, reason) => {
    const outcome = await planInstead((plan) => set(plan.settings, 'features', features));
    expectRefused(outcome, reason);
    expect(outcome.end).toMatchObject({ because: 'policy' });
  });
});

describe('what was accepted once', () => {
  test('binds the data contract: another rule for who is held out takes no part any more', async () => {
    const federation = await startLying({ backend });
    const first = federation.run(toySettings({ protocol: 'plain', rounds: 1 }));
    await federation.over(first);
    expect(first.state.phase).toBe('finished');
    const features = { ...toyFeatures, holdout: { oneIn: 3 } };
    for (const name of [VICTIM, 'bob', 'cleo', 'dan'])
      federation
        .tenant(name)
        .restart((world) => ({ ...world, policy: { ...world.policy, schema: features } }))
        .connect();
    await federation.until(() => federation.coordinator.present().size === 4, 'everybody');
    const second = federation.run(toySettings({ protocol: 'plain', rounds: 1, features }));
    await federation.over(second);
    federation.close();
    const { events, said } = federation.tenant(VICTIM);
    // who had not heard the end of the first before it was restarted declines that one too
    expect(events.find((event) => event.type === 'declined' && event.task === second.id)).toMatchObject({
      because: 'policy',
      reason: 'customers are told apart, or held out, by another rule than in earlier tasks',
    });
    expect(said.filter(({ type }) => type === 'say' || type === 'part')).toEqual([]);
  });

  test('is not accepted after all when it was declined, by a restart for instance', async () => {
    const federation = await startLying({
      backend,
      policy: (policy) =>
        policy.tenant === VICTIM ? { ...policy, accept: { ...policy.accept, maxEpsilon: 1 } } : policy,
    });
    federation.run(toySettings({ rounds: 200 }));
    await federation.until(() => federation.tenant(VICTIM).said.some(({ type }) => type === 'decline'), 'a decline');
    const again = federation.tenant(VICTIM).restart((world) => ({
      ...world,
      policy: { ...world.policy, accept: { ...world.policy.accept, maxEpsilon: 8 } },
    }));
    again.connect();
    await federation.until(() => again.events.some(({ type }) => type === 'connected'), 'a connection');
    await sleep(100);
    federation.close();
    expect(again.said.map(({ type }) => type)).toEqual(['identify', 'standing', 'standing']);
  });
});

describe('what is no plan of this coordinator ends the conversation', () => {
  test('an unsigned plan', async () => {
    const outcome = await proposalInstead((proposal) => ({ ...proposal, signature: new Uint8Array(64) }));
    expectRefused(outcome, /a plan without the signature of the coordinator/);
    expect(outcome.end.type).toBe('left');
  });
  test('a plan with another’s signature', async () => {
    const outcome = await proposalInstead((proposal, { federation }) => ({
      ...proposal,
      signature: federation.tenant('bob').identity.sign(planDigest(proposal.plan)),
    }));
    expectRefused(outcome, /a plan without the signature/);
  });
  test('a plan whose bytes are not canonical: it would have two hashes', async () => {
    const outcome = await proposalInstead((proposal, { federation }) => {
      const plan = ` ${proposal.plan}`;
      return { ...proposal, plan, signature: federation.identity.sign(planDigest(plan)) };
    });
    expectRefused(outcome, /not canonical JSON/);
  });
  test('a plan with a field this version does not know, and one that is no JSON', async () => {
    const extra = await planInstead((plan) => set(plan.settings.privacy, 'shuffled', true));
    expectRefused(extra, /not a plan this version understands: settings\.privacy/);
    const none = await proposalInstead((proposal, { federation }) => ({
      ...proposal,
      plan: 'no plan',
      signature: federation.identity.sign(planDigest('no plan')),
    }));
    expectRefused(none, /a plan that is not JSON/);
  });
});

describe('who greets', () => {
  type Hello = Extract<FromCoordinator, { type: 'hello' }>;
  const sealed = (identity: Identity, ...messages: readonly FromCoordinator[]): Frame[] => {
    const channel = new Channel('coordinator');
    return messages.map((message) => channel.seal(encode(message), identity));
  };
  const helloInstead = (change: (hello: Hello) => object) =>
    greeted((hello, identity) => sealed(identity, { ...hello, ...change(hello) } as FromCoordinator));

  /** A tenant that is sent these frames. @returns why it gave the connection up, whether for good, and what it said */
  async function greeted(
    frames: (hello: Hello, identity: Identity) => readonly Frame[],
    after: (frame: Frame, identity: Identity) => readonly Frame[] = () => [],
  ) {
    const federation = await startLying({ backend, tenants: [VICTIM, 'bob', 'cleo'] });
    const given = federation.tenant(VICTIM).world;
    const reasons: string[] = [];
    const world: typeof given = {
      ...given,
      onEvent: (event) => void ('reason' in event && reasons.push(`${event.type}: ${event.reason}`)),
    };
    const [here, there] = memoryLinks();
    const said: FromClient[] = [];
    there.onFrame((frame) => {
      said.push(decodeFromClient(frame.body));
      for (const one of after(frame, federation.identity)) there.send(one);
    });
    const participant = createParticipant(world);
    const left = participant.take(here);
    const key = federation.coordinator.publicKey;
    const named = federationOf(key);
    const { publicKey: exchange } = ephemeralKey();
    const hello = { type: 'hello', protocol: PROTOCOL, federation: named, key, exchange } as const;
    for (const frame of frames(hello, federation.identity)) there.send(frame);
    // whatever is said in answer to each other has been said
    for (let turn = 0; turn < 10; turn++) {
      await setImmediate();
      await participant.idle();
    }
    there.close();
    const final = await left;
    federation.close();
    return { reason: reasons.join(), final, said: said.map(({ type }) => type) };
  }

  test('the pinned coordinator is told who this is (control)', async () => {
    expect(await helloInstead(() => ({}))).toEqual({ reason: '', final: undefined, said: ['identify'] });
  });
  test('a coordinator with another key is told nothing', async () => {
    const other = createIdentity();
    const { publicKey: key } = other;
    const named = federationOf(key);
    const { reason, final, said } = await greeted((hello) => sealed(other, { ...hello, key, federation: named }));
    expect(reason).toMatch(/interrupted: the coordinator's key has fingerprint .*, the policy pins/);
    expect([final, said]).toEqual([undefined, []]); // anybody on the wire can cause it: it is tried again
  });
  test('the pinned key in a greeting signed by another is told nothing', async () => {
    const { reason, final, said } = await greeted((hello) => sealed(createIdentity(), hello));
    expect(reason).toMatch(/interrupted: the coordinator's greeting is not signed by its key/);
    expect([final, said]).toEqual([undefined, []]);
  });
  test('a federation that is not named after its key is told nothing', async () => {
    const { reason, said } = await helloInstead(() => ({ federation: 'a'.repeat(64) }));
    expect(reason).toMatch(/not named after its key/);
    expect(said).toEqual([]);
  });
  test('another protocol is believed when the coordinator confirms it here and now, and the person is told what to do', async () => {
    const other = (hello: Hello): Hello => ({ ...hello, protocol: PROTOCOL + 1 });
    const old = await greeted((hello, identity) => sealed(identity, other(hello)));
    expect(old).toEqual({ reason: '', final: undefined, said: ['identify'] }); // a recorded greeting stops nobody
    const confirmed = await confirming(other, { type: 'welcome', tenant: VICTIM, version: '9.9.9' });
    expect(confirmed.final).toMatch(/\(9\.9\.9\) speaks protocol 3, this client \(test\) 2: install the same version/);
    const refused = await confirming(other, { type: 'refused', about: 'message', reason: 'install the same version' });
    expect(refused.final).toBe('the coordinator refuses this client: install the same version');
  });
  /** The coordinator greets so, and answers so. */
  const confirming = (change: (hello: Hello) => Hello, answer: FromCoordinator) => {
    const bound = new Channel('coordinator');
    return greeted(
      (hello, identity) => [bound.seal(encode(change(hello)), identity)],
      (identify, identity) => {
        bound.takes(identify, undefined);
        return [bound.seal(encode(answer), identity)];
      },
    );
  };
  test('whoever does not greet, or sends bytes, is told nothing', async () => {
    const early = await greeted((_, identity) => sealed(identity, { type: 'welcome', tenant: VICTIM, version: '1' }));
    expect(early).toMatchObject({ reason: expect.stringContaining('no greeting'), final: undefined, said: [] });
    for (const body of [new Uint8Array(), Buffer.from('GET / HTTP/1.1\r\n'), new Uint8Array(1000).fill(0x93)]) {
      const { reason, said } = await greeted(() => [{ seal: new Uint8Array(64), body }]);
      expect(reason).toContain('interrupted: no greeting');
      expect(said).toEqual([]);
    }
  });
});

describe('the tenant’s own side', () => {
  test('replayed randomness is not accepted: it would protect nobody', async () => {
    const federation = await startLying({ backend, tenants: [VICTIM, 'bob', 'cleo'] });
    const { world } = federation.tenant(VICTIM);
    federation.close();
    expect(() => createParticipant({ ...world, random: replayRandom('a') })).toThrow(/needs secure randomness/);
    const noise = inlineNoise(replayRandom('a'));
    expect(() => createParticipant({ ...world, noise })).toThrow(/needs secure randomness/);
  });

  const byColumn: FeatureSchema = { ...toyFeatures, customer: { column: 'id', maxRows: 1 } };
  const withIds = (tenant: string): Table => {
    const { columns, rows, ...rest } = toyTable(tenant);
    return { ...rest, columns: [...columns, 'id'], rows: rows.map((row, i) => [...row, `${i}`]) };
  };

  test.each([
    [
      'each row a customer',
      toyFeatures,
      toyTable,
      /one row is one customer here, and the rows are not those of earlier/,
    ],
    ['a customer column', byColumn, withIds, /the data file is not the one this task was accepted with/],
  ] as const)(
    'a data file that changed after acceptance ends the task for this tenant: %s',
    async (_, features, table, reason) => {
      const federation = await startLying({
        backend,
        policy: (policy) => ({ ...policy, schema: features }),
        table: (tenant) => table(tenant),
      });
      federation.run(toySettings({ rounds: 50, features }));
      const spoken = () => federation.tenant(VICTIM).events.filter(({ type }) => type === 'round-opened').length > 1;
      await federation.until(spoken, 'a round');
      const again = federation.tenant(VICTIM).restart((world) => ({
        ...world,
        snapshot: async () => ({ ...(await world.snapshot()), hash: 'e'.repeat(64) }),
      }));
      again.connect();
      await federation.until(() => again.said.length > 1, 'an objection');
      federation.close();
      expect(again.events.find(({ type }) => type === 'declined')).toMatchObject({
        because: 'data',
        reason: expect.stringMatching(reason),
      });
      expect(again.said.map(({ type }) => type)).toEqual(['identify', 'standing', 'standing', 'decline']);
    },
  );

  test('data that does not fit is declined without a word about it', async () => {
    const federation = await startLying({
      backend,
      table: (tenant) => ({
        file: tenant,
        columns: ['months', 'left'],
        rows: tenant === VICTIM ? [['SECRET', 'yes']] : [['1', 'yes']],
        line: () => 2,
      }),
    });
    const conductor = federation.run(toySettings({ protocol: 'plain', rounds: 1 }));
    await federation.over(conductor);
    federation.close();
    const { events, said } = federation.tenant(VICTIM);
    expect(said.find(({ type }) => type === 'decline')).toMatchObject({ reason: 'the client met an error' });
    expect(events.find(({ type }) => type === 'declined')).toMatchObject({
      reason: expect.stringMatching(/ada:2: column "months"/),
    });
    expect(JSON.stringify([said, events])).not.toContain('SECRET');
    expect(conductor.state.phase).toBe('finished'); // the others go on
  });

  test('an evaluation of parameters that fit no model of the plan leaves nothing', async () => {
    const federation = await startLying({ backend });
    const wrong = vectorBytes(Float64Array.of(1, 2, 3, 4, 5));
    const hash = parameterHash(Float64Array.of(1, 2, 3, 4, 5));
    federation.coordinator.store.putParameters(hash, wrong);
    const conductor = federation.run(toyEvaluation('a'.repeat(64), hash, 'plain'));
    await federation.over(conductor);
    federation.close();
    expect(conductor.state.phase).toBe('stopped');
    expect(federation.tenant(VICTIM).said.filter(({ type }) => type === 'say' || type === 'part')).toEqual([]);
  });
});
