import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createIdentity } from '../../aggregation/identity.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import { enrolmentRequest } from '../support/federation-on-disk.ts';
import {
  type Ended,
  parley,
  policyIn,
  startWorld,
  type World,
  writePolicy,
  writeUnits,
} from '../support-client/processes.ts';
import { toyFeatures, toyTable } from '../support-client/toy-task.ts';

/*
 * Anna, who has the coordinator's folder, makes tokens for Ben, an auditor and an application; the two of them agree that two must
 * approve what changes the federation. The coordinator is killed and started between asking and approving. A unit joins, and
 * somebody there raises its budget.
 */
let folder: string;
let world: World;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-two-people-'));
  world = await startWorld(folder);
});
afterAll(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const at = (): string[] => ['--coordinator', world.url];
const anna = (...args: string[]): Promise<Ended> => parley([...args, ...at(), '--folder', world.coordinatorFolder]);
const files = new Map<string, string>();
/** As whom a token was made for. */
const as = (name: string, ...args: string[]): Promise<Ended> =>
  parley([...args, ...at(), '--token-file', files.get(name)!]);

async function said(ended: Promise<Ended>): Promise<string> {
  const { code, stdout, stderr } = await ended;
  expect(code, stderr).toBe(0);
  return stdout;
}

async function refused(ended: Promise<Ended>): Promise<string> {
  const { code, stderr } = await ended;
  expect(code, stderr).toBe(4);
  expect(stderr).not.toContain('    at ');
  return stderr;
}

async function give(role: string, name: string): Promise<void> {
  const text = await said(anna('token', 'create', '--role', role, '--name', name, '--days', '7'));
  const file = join(folder, `${name}.token`);
  writeFileSync(file, text.match(/plt_\S+/)![0]);
  files.set(name, file);
}

const entries = async (): Promise<LedgerEntry[]> =>
  ((await world.get('/ledger')) as { entries: LedgerEntry[] }).entries;

test('what two people must approve waits for the second, survives a crash, and is done once', {
  timeout: 180_000,
}, async () => {
  for (const [role, name] of [
    ['operator', 'Ben'],
    ['auditor', 'Cleo'],
    ['consumer', 'shop'],
  ] as const)
    await give(role, name);
  expect(await said(as('Cleo', 'approvals', 'rule'))).toContain("one person's");
  expect(await said(anna('approvals', 'rule', '2'))).toContain("2 people's approvals");

  const asked = await said(anna('tenant', 'invite', 'north'));
  expect(asked).toMatch(
    /^Not done yet: another person must approve it within a day\.\n {2}parley approvals approve ([0-9a-f]{16})\n$/,
  );
  const id = asked.match(/[0-9a-f]{16}/)![0];
  await world.killCoordinator();
  await world.restartCoordinator();
  expect(await said(as('Ben', 'approvals', 'list'))).toMatch(
    new RegExp(`^${id}  invite north\\n {4}approved by operator \\(1 of 2\\)`),
  );
  expect(await refused(anna('approvals', 'approve', id))).toContain('another person must');
  expect(await refused(as('Cleo', 'approvals', 'approve', id))).toContain('yours is the token of an auditor');

  const done = await said(as('Ben', 'approvals', 'approve', id.slice(0, 6)));
  const code = done.match(/\b(?:[0-9a-f]{4}-){7}[0-9a-f]{4}\b/)![0];
  expect(await refused(as('Ben', 'approvals', 'approve', id))).toContain('nothing waits for approval');
  const { signature, ...request } = enrolmentRequest('north', code, createIdentity());
  const body = JSON.stringify({ ...request, signature: Buffer.from(signature).toString('hex') });
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
  expect((await fetch(`${world.url}/enrolments`, init)).status).toBe(200);
  expect((await entries()).map(({ kind }) => kind)).toEqual(['approval-rule', 'approved', 'roster']);
});

test('an auditor reads and verifies all of it, in words; an application reads what was released, and no more', {
  timeout: 120_000,
}, async () => {
  expect(await said(as('Cleo', 'ledger', 'verify', '--fingerprint', world.fingerprint))).toContain(
    'ledger verified: 3 entries',
  );
  const shown = await said(as('Cleo', 'ledger', 'show'));
  expect(shown).toContain("sensitive acts need 2 people's approvals from here on");
  expect(shown).toMatch(/the invitation of a tenant, act [0-9a-f]{12}, by [0-9a-f]{16} and [0-9a-f]{16}\n/);
  expect(shown).not.toMatch(/Ben|operator/);
  expect(await said(as('shop', 'task', 'status'))).toBe('no tasks yet\n');
  expect(await refused(as('shop', 'ledger', 'show'))).toContain('yours is the token of a consumer');
  const nobody = await parley(['ledger', 'show', ...at()]);
  expect(nobody).toMatchObject({ code: 4, stderr: expect.stringContaining('PARLEY_TOKEN') });
});

test('a unit that raises its budget waits for both of them, and is in the ledger with who approved', {
  timeout: 180_000,
}, async () => {
  const idIn = (text: string): string => text.match(/approve ([0-9a-f]{16})/)![1]!;
  writeUnits(world, new Map([['south', toyTable('south')]]), toyFeatures);
  const invited = await said(as('Ben', 'approvals', 'approve', idIn(await said(anna('tenant', 'invite', 'south')))));
  await world.startUnit('south', invited.match(/\b(?:[0-9a-f]{4}-){7}[0-9a-f]{4}\b/)![0]);
  const budgets = async (): Promise<string[]> =>
    (await entries()).flatMap((entry) => (entry.kind === 'budget' ? [`${entry.pool} ${entry.epsilon}`] : []));
  await expect.poll(budgets, { timeout: 20_000 }).toEqual(['training 20', 'held-out 20']);
  expect(await refused(anna('tenant', 'raise', 'south'))).toContain('asks for no higher budget');

  await world.end('south');
  const policy = policyIn(world, 'south');
  writePolicy(world, { ...policy, budget: { ...policy.budget, training: { epsilon: 40, delta: 1e-5 } } });
  await world.startUnit('south');
  const listed = (): Promise<string> => said(anna('tenant', 'list'));
  await expect.poll(listed, { timeout: 20_000 }).toContain('asks for a higher budget: training from ε 20');
  expect(world.log('coordinator')).toContain('parley tenant raise south');

  const asked = await said(as('Ben', 'tenant', 'raise', 'south'));
  expect(asked).toMatch(/^south: training from ε 20, δ 0.00001 to ε 40, δ 0.00001\nNot done yet: another person/);
  expect(await budgets()).toHaveLength(2);
  expect(await said(anna('approvals', 'approve', idIn(asked)))).toContain(
    'let south have a training budget of ε 40, δ 0.00001',
  );
  expect((await entries()).slice(-2)).toMatchObject([
    { kind: 'approved', act: 'budget' },
    { kind: 'budget', tenant: 'south', pool: 'training', epsilon: 40 },
  ]);
  expect(await listed()).not.toContain('higher budget');
  expect(await said(as('Cleo', 'ledger', 'show'))).toContain('a higher budget of a tenant, act ');
  expect(await said(as('Cleo', 'ledger', 'verify', '--fingerprint', world.fingerprint))).toContain('ledger verified');
});

test('a token is revoked by its id, at once; the rule holds for new ones', { timeout: 120_000 }, async () => {
  const list = await said(anna('token', 'list'));
  const cleo = list.split('\n').find((line) => line.endsWith('Cleo'))!;
  expect(await said(anna('token', 'revoke', cleo.slice(0, 16)))).toContain('revoked');
  expect(await refused(as('Cleo', 'ledger', 'show'))).toContain('opens nothing here');
  const text = await said(anna('token', 'create', '--role', 'operator', '--name', 'Dan'));
  expect(text).toContain('Not done yet');
  const { code } = await parley(['token', 'list', ...at()], { PARLEY_TOKEN: text.match(/plt_\S+/)![0] });
  expect(code).toBe(4);
});
