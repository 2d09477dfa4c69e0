import { expect, test } from 'vitest';
import { actInWords, approvals } from '../../client/approvals-in-words.ts';
import { SENSITIVE_ACTS } from '../../privacy/ledger.ts';

test('every sensitive act has words of its own, and numbers of people read as such', () => {
  expect(new Set(SENSITIVE_ACTS.map(actInWords)).size).toBe(SENSITIVE_ACTS.length);
  expect([approvals(1), approvals(2)]).toEqual(["one person's approval", "2 people's approvals"]);
});
