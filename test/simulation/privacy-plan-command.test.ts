import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { main } from '../../cli.ts';
import type { PrivacyPlan } from '../../simulation/plan-figures.ts';
import { churnSettings, evaluationSettings } from '../../simulation/telco.ts';
import { type Ended, parley } from '../support-client/processes.ts';

let folder: string;
let churn: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-plan-'));
  churn = file('churn.json', churnSettings);
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, settings: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(settings));
  return path;
}

const plan = (...args: string[]): Promise<Ended> => parley(['privacy', 'plan', ...args]);
const figures = async (...args: string[]): Promise<PrivacyPlan> => {
  const { code, stdout, stderr } = await plan(...args, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as PrivacyPlan;
};
/** The command line in this process: its code, and what it said. */
async function refused(...args: string[]): Promise<{ code: number; stderr: string }> {
  const said = vi.spyOn(console, 'error').mockImplementation(() => {});
  try {
    const code = await main(['privacy', 'plan', ...args]);
    return { code, stderr: said.mock.calls.flat().join('\n') };
  } finally {
    said.mockRestore();
  }
}
const MANY = ['--tenants', '60', '--min-cohort', '55', '--colluders', '3', '--rounds', '10', '--unit', 'tenant'];

describe('parley privacy plan', () => {
  test('tells people who is protected, from whom, by what, at what price, and draws it', async () => {
    const svg = join(folder, 'plan.svg');
    const { code, stdout, stderr } = await plan(churn, '--sizes', '1526,1223,1198,2128,968', '--svg', svg);
    expect(code, stderr).toBe(0);
    for (const text of [
      'one customer (one row is one customer), add-or-remove-one, known to 1 tenant at most',
      'release 1.6638 · coalition 2.0000 · floor 4.4160   at δ 0.00001',
      'coalition against the coordinator and 1 tenant together',
      'z = 2.2916; Rényi accounting would need 7.76 % more, or call this noise ε 2.2036',
      'at 1 % wrong    release 2.78 % (μ 0.412) · coalition 3.26 % (μ 0.482) · floor 7.87 % (μ 0.913)',
      '560 expected (q times the customers: 563.4); at most 400 of a tenant, 2000 in all',
      '100, and 5 spare openings',
      '3.62 % per round, 0.528 % per coordinate',
      '31.99 needed of 48.00',
      '107584 per tenant and round',
      'of 3 shares that the plan counts: n_min − c = 4 − 1',
      '106 openings: ε release 1.6721 · coalition 2.0098 · floor 4.4368; 0.376 % more noise keeps it',
      '1, 2, 3 tenants: coalition ε 2.0000, 4.4025, 7.0979',
    ])
      expect(stdout).toContain(text);
    expect(stdout).not.toMatch(/[\u2800-\u28ff]/); // this is no terminal: letters
    expect(stdout).toMatch(/f+ floor 4\.42/);
    const picture = readFileSync(svg, 'utf8');
    expect(picture).toContain('coalition (2.00): the coordinator and 1 tenant together');
    expect(picture).toContain('churn: ε after each round · churn: who took part? The best attack');
  });

  test('says the same to programs, and takes ε, δ, rounds and copies from the command line instead', async () => {
    const same = await figures(churn, '--tenants', '5');
    expect(same.epsilon.coalition).toBeCloseTo(1.99996, 5);
    expect(same.noise.multiplier).toBeCloseTo(2.2916, 4);
    const other = await figures(
      churn,
      '--tenants',
      '5',
      '--epsilon',
      '1',
      '--delta',
      '1e-6',
      '--rounds',
      '20',
      '--copies',
      '2',
    );
    expect(other).toMatchObject({ target: 1, rounds: 20, openings: 21, tenantsPerCustomer: 2, delta: { total: 1e-6 } });
    expect(other.epsilonByCopies[1]).toBeCloseTo(other.epsilon.coalition, 9);
    expect(other.epsilon.coalition).toBeLessThanOrEqual(1);
    const cohort = await figures(churn, '--tenants', '20', '--min-cohort', '16', '--colluders', '2');
    expect(cohort.secureSum).toMatchObject({ minCohort: 16, colluders: 2, threshold: 12 });
  });

  test('plans for whole tenants, and says that such tasks are not yet run', async () => {
    const { code, stdout, stderr } = await plan(churn, ...MANY, '--epsilon', '8', '--delta', '0.011');
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('one tenant (all its customers together, by the update they give), add-or-remove-one');
    expect(stdout).toContain('15.7 % per round');
    expect(stdout).toContain('Tasks in the mode "tenant-distributed" are planned here and not yet run.');
    expect(stdout).toContain('10, and 0 spare openings');
  });

  test('4: refuses what cannot be, with the field and the number that says why', async () => {
    const { privacy } = churnSettings;
    const small = file('small.json', { ...churnSettings, privacy: { ...privacy, maxBatch: 300 } });
    for (const [args, said] of [
      [[churn, '--tenants', '20'], 'secureSum: 20 tenants with 1 colluders need 11 openers'],
      [[small, '--tenants', '5'], 'privacy.maxBatch: 300 is too small for 2500 customers'],
      [[churn, '--tenants', '5', '--unit', 'tenant'], 'unit: tenant: in every round the noise is 35.29 times as long'],
      [[churn, '--sizes', '9,9,9,9,4000'], 'privacy.maxCustomers: is 2500, but tenant 5 has some 3200'],
    ] as const) {
      const { code, stderr } = await refused(...args);
      expect(code, stderr).toBe(4);
      expect(stderr).toContain(said);
    }
  });

  test('2: says what is wrong with the command line', async () => {
    const evaluation = file('evaluation.json', evaluationSettings('0'.repeat(64), '0'.repeat(64)));
    for (const [args, said] of [
      [[churn], 'give --tenants with a number, or --sizes'],
      [[churn, '--tenants', '4', '--sizes', '1,2,3'], '--tenants says 4, --sizes lists 3'],
      [[churn, '--sizes', '1,,3'], '"?" is not a whole number'],
      [[churn, '--sizes', '5,0,3'], '"5,0,3" lists a tenant without customers'],
      [[churn, '--tenants', '201'], 'a roster has 1 to 200 tenants, not 201'],
      [[churn, '--tenants', '5', '--epsilon', '9'], 'privacy.epsilon: ε above 8 protects nobody'],
      [[churn, '--tenants', '5', '--epsilon', '-1'], '"-1" is not a positive number'],
      [[churn, '--tenants', '5', '--delta', '1'], '"1" is not below 1'],
      [[churn, '--tenants', '5', '--unit', 'planet'], 'there is no unit "planet"'],
      [[churn, '--tenants', '5', '--unit', 'tenant', '--copies', '2'], '--copies counts tenants of one customer'],
      [[evaluation, '--tenants', '5', '--rounds', '3'], 'an evaluation has one round'],
    ] as const) {
      const { code, stderr } = await refused(...args);
      expect(code, stderr).toBe(2);
      expect(stderr).toContain(said);
      expect(stderr).not.toContain('    at ');
    }
  });

  test('7: says that a picture cannot be written where there is no folder', async () => {
    const { code, stderr } = await refused(churn, '--tenants', '5', '--svg', join(folder, 'none', 'plan.svg'));
    expect(code, stderr).toBe(7);
    expect(stderr).toContain('plan.svg: cannot be written (ENOENT); is its folder there?');
  });
});
