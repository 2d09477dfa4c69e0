import { type Backend, startBackend } from '../../../models/backend.ts';
import { type AuditOptions, type AuditReport, audit } from '../../../simulation/audit/audit.ts';
import type { Contribute } from '../../../simulation/audit/contribute.ts';
import { type Subject, subjectOf } from '../../../simulation/audit/subject.ts';
import { churnSettings } from '../../../simulation/telco.ts';
import { replayRandom } from '../../privacy/replay-random.ts';

/** The example's churn task, of ten rounds. */
export const churn: Subject = subjectOf(churnSettings, 10);

export const backend: Backend = await startBackend('wasm');

/** An audit of a contribution path without a federation around it, all chance replayed: the same today and tomorrow. */
export function auditOf(
  contribute: Contribute,
  { seed = 'audit', subject = churn, canaries = 160 } = {},
): Promise<AuditReport> {
  return audit(subject, { ...options(seed), canaries, contribute });
}

export const options = (seed: string): Omit<AuditOptions, 'canaries'> => ({
  backend,
  confidence: 0.95,
  secureSum: 'plain',
  random: replayRandom(seed),
});
