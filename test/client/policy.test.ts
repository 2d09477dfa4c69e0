import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createIdentity, fingerprint, type Identity } from '../../aggregation/identity.ts';
import { hex, makePlan, type Plan } from '../../aggregation/plan.ts';
import { objection, type Policy, PolicyUnreadable, pinnedTenants, readPolicy } from '../../client/policy.ts';
import { toyPolicy } from '../support-client/lying-coordinator.ts';
import { toyEvaluation, toyFeatures, toySettings } from '../support-client/toy-task.ts';

const names = ['ada', 'bob', 'cleo', 'dan'];
const identities = new Map<string, Identity>(names.map((name) => [name, createIdentity()]));
const roster = names.map((tenant) => ({ tenant, key: hex(identities.get(tenant)!.publicKey) }));
const policy = toyPolicy('ada', identities, fingerprint(createIdentity().publicKey));
const accepting = (accept: Partial<Policy['accept']>): Policy => ({
  ...policy,
  accept: { ...policy.accept, ...accept },
});
type InFile = Omit<Policy, 'schema'> & { schema: string };
const planned = (settings = toySettings({ colluders: 1, minCohort: 3 })): Plan =>
  makePlan(settings, roster, 'f'.repeat(64), 0);

describe('a plan', () => {
  test('within the policy has nothing against it', () => {
    expect(objection(policy, planned())).toBeUndefined();
    const exact = planned().derived.epsilon.coalition;
    const tight = accepting({ maxEpsilon: exact, maxDelta: 1e-5, minCohort: 3, minColluders: 1, work: ['train'] });
    expect(objection(tight, planned())).toBeUndefined();
  });

  test.each([
    ['kind of work', accepting({ work: ['segment', 'evaluate'] }), 'tasks of kind "train" are not accepted'],
    ['secure sum', accepting({ secureSum: ['plain'] }), 'the secure sum "threshold-he" is not accepted'],
    ['mode', accepting({ mode: ['record-local'] }), 'the mode "record-distributed" is not accepted'],
    ['ε', accepting({ maxEpsilon: 1.9 }), /^coalition ε (2\.000|1\.999) is above 1\.9$/],
    ['δ', accepting({ maxDelta: 1e-6 }), 'δ 0.00001 is above 0.000001'],
    ['cohort', accepting({ minCohort: 4 }), 'a cohort of 3 is below 4'],
    ['colluders', accepting({ minColluders: 2 }), 'the plan withstands 1 colluders, fewer than 2'],
    [
      'pace',
      accepting({ minUploadEveryMs: 10 }),
      'contributions would leave every 1 ms, the policy asks for 10 or more',
    ],
    ['customers', { ...policy, maxCustomers: 101 }, 'the plan provides for 100 customers, this tenant for up to 101'],
    [
      'data contract',
      { ...policy, schema: { ...toyFeatures, features: [{ ...toyFeatures.features[0]!, column: 'years' }] } },
      'column "months" is not in the data contract as the plan describes it',
    ],
    [
      'δ of the budget',
      { ...policy, budget: { ...policy.budget, training: { epsilon: 20, delta: 1e-6 } } },
      "δ 0.00001 is above the budget's 0.000001",
    ],
    [
      'peers',
      { ...policy, peers: { bob: policy.peers['bob']! } },
      '2 of the roster\'s tenants are pinned in "peers", the plan needs 3: compare fingerprints',
    ],
  ] as const)('beyond the policy’s %s is objected to, with the numbers', (_, by, reason) => {
    expect(objection(by as Policy, planned())).toMatch(reason as string);
  });

  test.each(['masking', 'lattice-mask', 'threshold-he'] as const)(
    'under %s is held to the ways of agreeing on keys that are accepted, where any are named',
    (protocol) => {
      const masked = (keyAgreement?: 'x25519' | 'x25519-ml-kem-768') => {
        const settings = toySettings({ protocol });
        return planned({ ...settings, secureSum: { ...settings.secureSum, ...(keyAgreement && { keyAgreement }) } });
      };
      const both = accepting({ secureSum: [protocol] });
      const lasting = accepting({ secureSum: [protocol, 'plain'], keyAgreement: ['x25519-ml-kem-768'] });
      for (const plan of [masked(), masked('x25519'), masked('x25519-ml-kem-768')])
        expect(objection(both, plan)).toBeUndefined();
      expect(objection(lasting, masked('x25519-ml-kem-768'))).toBeUndefined();
      for (const plan of [masked(), masked('x25519')])
        expect(objection(lasting, plan)).toBe('keys agreed by "x25519" are not accepted');
      const inTheClear = planned(toySettings({ protocol: 'plain' }));
      expect(objection(lasting, inTheClear)).toBeUndefined(); // it agrees on no keys
    },
  );

  test('of an evaluation is held to the budget of customers held out', () => {
    const plan = planned(toyEvaluation('a'.repeat(64), 'b'.repeat(64), 'threshold-he'));
    const tight: Policy = { ...policy, budget: { ...policy.budget, 'held-out': { epsilon: 20, delta: 1e-7 } } };
    expect(objection(policy, plan)).toBeUndefined();
    expect(objection(tight, plan)).toMatch(/above the budget's 1e-7/);
  });
});

describe('who counts', () => {
  test('is this tenant, and peers by name and key together', () => {
    expect([...pinnedTenants(policy, planned())]).toEqual(names);
    const { bob, cleo, dan } = policy.peers;
    // dan's key under bob's name, and a name that is no tenant's
    const mixed = { ...policy, peers: { bob: dan!, cleo: cleo!, zoe: bob! } };
    expect([...pinnedTenants(mixed, planned())]).toEqual(['ada', 'cleo']);
  });

  test('is nobody for names that every object has', () => {
    const odd = [
      ...roster.slice(0, 2),
      { tenant: 'constructor', key: 'a'.repeat(64) },
      { tenant: 'valueof', key: 'b'.repeat(64) },
    ];
    const plan = makePlan(toySettings(), odd, 'f'.repeat(64), 0);
    expect([...pinnedTenants(policy, plan)]).toEqual(['ada', 'bob']);
  });
});

describe('a policy file', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'parley-policy-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const inFile = { ...policy, schema: 'schema.json', data: 'customers.csv' };
  const write = (value: unknown): string => {
    writeFileSync(join(folder, 'schema.json'), JSON.stringify(toyFeatures));
    const file = join(folder, 'policy.json');
    writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
    return file;
  };
  const unreadable = (file: string): string => {
    try {
      readPolicy(file);
    } catch (error) {
      expect(error).toBeInstanceOf(PolicyUnreadable);
      return (error as Error).message;
    }
    throw new Error('the policy was read');
  };

  test('comes back as it was written, with its data and its contract beside it', () => {
    const read = readPolicy(write(inFile));
    expect(read).toEqual({ ...policy, data: join(folder, 'customers.csv') });
  });

  test('may name several addresses of its coordinator', () => {
    const url = ['https://one.example:7400', 'http://127.0.0.1:7401'];
    expect(readPolicy(write({ ...inFile, coordinator: { ...policy.coordinator, url } })).coordinator.url).toEqual(url);
  });

  test.each([
    ['a missing field', (p: InFile) => ({ ...p, tenant: undefined }), ': tenant: '],
    [
      'a missing inner field',
      (p: InFile) => ({ ...p, accept: { ...p.accept, maxEpsilon: undefined } }),
      ': accept.maxEpsilon: ',
    ],
    ['an unknown field', (p: InFile) => ({ ...p, allow: 'all' }), ': (top): Unrecognized key: "allow"'],
    [
      'an unknown inner field',
      (p: InFile) => ({ ...p, accept: { ...p.accept, maxEpsilom: 9 } }),
      ': accept: Unrecognized key: "maxEpsilom"',
    ],
    ['a wrong fingerprint', (p: InFile) => ({ ...p, peers: { bob: 'beef' } }), ': peers.bob: expected a fingerprint'],
    ['a wrong name', (p: InFile) => ({ ...p, tenant: 'Ada Inc.' }), ': tenant: use 1 to 32 of a-z, 0-9 and -'],
    [
      'a wrong URL',
      (p: InFile) => ({ ...p, coordinator: { ...p.coordinator, url: 'ftp://x' } }),
      ': coordinator.url: ',
    ],
    [
      'no URL',
      (p: InFile) => ({ ...p, coordinator: { ...p.coordinator, url: 7400 } }),
      ': coordinator.url: expected an address',
    ],
    [
      'an empty list of URLs',
      (p: InFile) => ({ ...p, coordinator: { ...p.coordinator, url: [] } }),
      ': coordinator.url: ',
    ],
    [
      'an ε of zero',
      (p: InFile) => ({ ...p, budget: { ...p.budget, training: { epsilon: 0, delta: 1e-5 } } }),
      ': budget.training.epsilon: ',
    ],
    ['no kind of work', (p: InFile) => ({ ...p, accept: { ...p.accept, work: [] } }), ': accept.work: '],
  ])('with %s is refused, naming file and field', (_, change, message) => {
    const file = write(change(inFile));
    expect(unreadable(file)).toContain(`${file}${message}`);
  });

  test('whose contract is not there, or says nothing sensible, is refused, naming that file and field', () => {
    const contract = join(folder, 'contract.json');
    const file = write({ ...inFile, schema: 'contract.json' });
    expect(unreadable(file)).toMatch(`${contract}: no such file; "schema" in the policy names the data contract`);
    writeFileSync(contract, JSON.stringify({ ...toyFeatures, holdout: { oneIn: 1 } }));
    expect(unreadable(file)).toMatch(`${contract}: holdout.oneIn: `);
    writeFileSync(contract, '[');
    expect(unreadable(file)).toMatch(`${contract}: not JSON: `);
  });

  test('with several mistakes names each on a line', () => {
    const file = write({ ...inFile, tenant: 'A', data: '' });
    expect(unreadable(file).split('\n')).toHaveLength(2);
  });

  test('that is no JSON, or not there, says so and what to do', () => {
    const file = write('{ "tenant": ');
    expect(unreadable(file)).toMatch(`${file}: not JSON: `);
    expect(unreadable(join(folder, 'none.json'))).toMatch(/no such file; `parley client init` writes one/);
  });
});
