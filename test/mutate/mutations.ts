import { access } from './mistakes/access.ts';
import { accounting } from './mistakes/accounting.ts';
import { audit } from './mistakes/audit.ts';
import { bounding } from './mistakes/bounding.ts';
import { budget } from './mistakes/budget.ts';
import { connection } from './mistakes/connection.ts';
import { keeping } from './mistakes/keeping.ts';
import { latticeMask } from './mistakes/lattice-mask.ts';
import { ledger } from './mistakes/ledger.ts';
import { masking } from './mistakes/masking.ts';
import { maskingGuards } from './mistakes/masking-guards.ts';
import { noise } from './mistakes/noise.ts';
import { plan } from './mistakes/plan.ts';
import { round } from './mistakes/round.ts';
import { secrets } from './mistakes/secrets.ts';
import { survival } from './mistakes/survival.ts';
import { thresholdHe } from './mistakes/threshold-he.ts';
import { thresholdHeGuards } from './mistakes/threshold-he-guards.ts';
import { uploads } from './mistakes/uploads.ts';
import type { Mutation } from './mutation.ts';

/**
 * Every mistake that must never go unnoticed.
 *
 * One that lists of this kind have is missing: "an adaptive clip norm whose bit is not paid for". There is no adaptive clip
 * norm here. The norm stands in the plan, so nothing about the data is asked to find it.
 */
export const mutations: readonly Mutation[] = [
  ...bounding,
  ...noise,
  ...accounting,
  ...plan,
  ...round,
  ...masking,
  ...maskingGuards,
  ...uploads,
  ...latticeMask,
  ...thresholdHe,
  ...thresholdHeGuards,
  ...budget,
  ...ledger,
  ...secrets,
  ...audit,
  ...access,
  ...connection,
  ...survival,
  ...keeping,
];
