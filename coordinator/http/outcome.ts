import type { FastifyReply } from 'fastify';
import type { Approvals, Outcome, PendingAct } from '../access/approvals.ts';

/** What waits, as it is shown: all of it, since what is approved must be seen. */
export interface PendingView {
  readonly pending: string;
  readonly act: PendingAct['act'];
  readonly hash: string;
  readonly askedAt: number;
  readonly expiresAt: number;
  readonly approvedBy: readonly string[];
  /** people */
  readonly needed: number;
  /** it makes one more person who may approve */
  readonly addsApprover: boolean;
}

export const pendingView = (
  { id, act, hash, askedAt, expiresAt, approvals: approvedBy }: PendingAct,
  approvals: Approvals,
): PendingView => ({
  ...{ pending: id, act, hash, askedAt, expiresAt, approvedBy: approvedBy.map(({ holder }) => holder) },
  ...{ needed: approvals.needed(), addsApprover: approvals.addsApprover(act) },
});

/** 200 with what came of it; 202 (RFC 9110 §15.3.3) while it waits for another person. */
export const sendOutcome = (reply: FastifyReply, approvals: Approvals, outcome: Outcome): FastifyReply =>
  'done' in outcome ? reply.send(outcome.done) : reply.code(202).send(pendingView(outcome.pending, approvals));
