import type { SensitiveAct } from '../privacy/ledger.ts';

/** What was approved, for people. */
export const actInWords = (act: SensitiveAct): string =>
  ({
    task: 'the start of a task',
    invitation: 'the invitation of a tenant',
    revocation: "the revocation of a tenant's key",
    budget: 'a higher budget of a tenant',
    token: 'a new token',
    'approval-rule': 'another rule of approval',
  })[act];

export const approvals = (needed: number): string =>
  needed === 1 ? "one person's approval" : `${needed} people's approvals`;
