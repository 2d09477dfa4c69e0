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
}

export const pendingView = ({ id, approvals, ...pending }: PendingAct, needed: number): PendingView => ({
  ...{ pending: id, act: pending.act, hash: pending.hash },
  ...{ askedAt: pending.askedAt, expiresAt: pending.expiresAt },
  ...{ approvedBy: approvals.map(({ holder }) => holder), needed },
});

/** 200 with what came of it; 202 (RFC 9110 §15.3.3) while it waits for another person. */
export const sendOutcome = (reply: FastifyReply, approvals: Approvals, outcome: Outcome): FastifyReply =>
  'done' in outcome ? reply.send(outcome.done) : reply.code(202).send(pendingView(outcome.pending, approvals.needed()));
