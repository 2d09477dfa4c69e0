import type { PendingView } from './http/outcome.ts';

/** The answer to a sensitive act, where the federation asks more people than one. */
export const isPending = (answer: object): answer is PendingView => 'pending' in answer;

/** For whoever asked: what happens next. */
export function pendingText(pending: PendingView, { json }: { readonly json?: boolean }): string {
  if (json) return JSON.stringify(pending);
  const left = pending.needed - pending.approvedBy.length;
  return `Not done yet: ${left === 1 ? 'another person' : `${left} others`} must approve it within a day.
  parley approvals approve ${pending.pending}`;
}
