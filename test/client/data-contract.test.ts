import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkedSnapshot } from '../../client/data-contract.ts';
import type { Policy } from '../../client/policy.ts';
import { dyingPolicy } from '../support-client/killed.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-contract-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const policyWith = (text: string, more: Partial<Policy> = {}): Policy => {
  const data = join(folder, 'customers.csv');
  writeFileSync(data, text);
  return { ...dyingPolicy, data, ...more };
};

test('customers that fit the contract come back as they are in the file, other columns and all', async () => {
  const { table } = await checkedSnapshot(policyWith('months,left,note\n7,yes,x\n,no,\n'));
  expect(table.rows).toEqual([
    ['7', 'yes', 'x'],
    [null, 'no', null],
  ]);
});

test('a cell that does not fit is said before anybody is connected: file, line and column, not the cell', async () => {
  const policy = policyWith('months,left\n7,yes\nSECRET,no\n8,SECRET\n');
  const error = (await checkedSnapshot(policy).catch((reason: unknown) => reason)) as Error;
  expect(error.message).toContain(`${policy.data}:3: column "months" is not a number`);
  expect(error.message).toContain(`${policy.data}:4: column "left" is not a label`);
  expect(error.message).not.toContain('SECRET');
});

test('a column of the contract that is missing is said even when no plan asks for it', async () => {
  await expect(checkedSnapshot(policyWith('months\n7\n'))).rejects.toThrow('column "left" is not in the table');
});

test('more customers than the policy says may be known are not taken along in silence', async () => {
  const rows = Array.from({ length: 30 }, (_, i) => `${i},yes`).join('\n');
  const policy = policyWith(`months,left\n${rows}\n`, { maxCustomers: 10 });
  await expect(checkedSnapshot(policy)).rejects.toThrow(/more customers than "maxCustomers" in the policy \(10\)/);
  await expect(checkedSnapshot({ ...policy, maxCustomers: 30 })).resolves.toBeDefined();
});
