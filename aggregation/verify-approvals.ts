import type { Finding } from '../privacy/audit.ts';
import { isHigher, type Limit } from '../privacy/budget.ts';
import type { LedgerEntry } from '../privacy/ledger.ts';
import { type Act, actHash } from './act.ts';

/**
 * Was every sensitive act approved by as many as the rule of its day asked for?
 *
 *   approval-rule 2 ─▶ approved (invitation of north) ─▶ … ─▶ north enrolled ─▶ approved (task) ─▶ plan ─▶ …
 *
 * Entries of one transaction stand next to each other, so a plan follows its approval at once; an invitation is approved, and
 * used later. What a tenant says of itself, that it leaves, has another key, or a budget that is its first or a lower one, needs
 * nobody's approval. Who approved is the coordinator's word: this finds an operator who acted alone, not a coordinator that invents
 * approvals.
 */
export function approvalProblems(entries: readonly LedgerEntry[]): Finding[] {
  let needed = 1;
  const unused = new Map<string, number>();
  const limits = new Map<string, Limit>();
  const take = (act: Act): boolean => {
    const hash = actHash(act);
    const left = unused.get(hash) ?? 0;
    if (left > 0) unused.set(hash, left - 1);
    return left > 0;
  };
  return entries.flatMap((entry, i) => {
    const alone = (what: string): Finding[] => [
      { seq: entry.seq, problem: `${what} without the ${needed} approvals that the rule asks for` },
    ];
    switch (entry.kind) {
      case 'approval-rule': {
        const isApproved = needed === 1 || take({ kind: 'approval-rule', approvals: entry.approvals });
        const problems = isApproved ? [] : alone('the rule was changed');
        needed = entry.approvals;
        return problems;
      }
      case 'approved': {
        const people = new Set(entry.by).size;
        if (people < needed) return alone(`approved by ${people}`);
        unused.set(entry.hash, (unused.get(entry.hash) ?? 0) + 1);
        return [];
      }
      case 'plan': {
        const before = entries[i - 1];
        return needed === 1 || (before?.kind === 'approved' && before.act === 'task') ? [] : alone('a task was begun');
      }
      case 'budget': {
        const { tenant, pool, epsilon, delta } = entry;
        const before = limits.get(`${tenant}/${pool}`);
        limits.set(`${tenant}/${pool}`, entry);
        if (before === undefined || !isHigher(entry, before)) return [];
        return take({ kind: 'budget', tenant, pool, epsilon, delta }) || needed === 1
          ? []
          : alone(`the ${pool} budget of ${tenant} was raised`);
      }
      case 'roster': {
        const { tenant } = entry;
        if (entry.change === 'enrolled')
          return take({ kind: 'invitation', tenant }) || needed === 1 ? [] : alone(`${tenant} was enrolled`);
        if (entry.change === 'revoked')
          return take({ kind: 'revocation', tenant }) || needed === 1 ? [] : alone(`${tenant} was revoked`);
        return [];
      }
      default:
        return [];
    }
  });
}
