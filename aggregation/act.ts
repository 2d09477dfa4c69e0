import canonicalize from 'canonicalize';
import { z } from 'zod';
import type { SensitiveAct } from '../privacy/ledger.ts';
import { hex, settingsSchema } from './plan.ts';
import { digest } from './transcript.ts';

/**
 * What a federation may ask more than one person for: starting a task, changing the roster, handing out a token, changing this
 * very rule. An act is approved by the hash of its canonical text, and an auditor makes the text of a roster change again from the
 * ledger alone: what was approved is exactly what was done.
 *
 * A tenant's budget is not among them. It is that tenant's own, and nobody else can change it.
 */
const tenant = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'use 1 to 32 of a-z, 0-9 and -');

/** Roles that tokens are made for. A tenant needs none: it has its key. */
export const ROLES = ['operator', 'auditor', 'consumer'] as const;
export type Role = (typeof ROLES)[number];

export const actSchema = z.discriminatedUnion('kind', [
  /** the plan is made when the last approves, for the roster as it is then */
  z.strictObject({ kind: z.literal('task'), settings: settingsSchema }),
  z.strictObject({ kind: z.literal('invitation'), tenant }),
  z.strictObject({ kind: z.literal('revocation'), tenant }),
  z.strictObject({
    kind: z.literal('token'),
    /** what it is known by, 16 hexadecimal digits */
    id: z.string().regex(/^[0-9a-f]{16}$/),
    /** SHA-256 of its secret, which whoever approves never sees */
    secretHash: z.string().regex(/^[0-9a-f]{64}$/),
    role: z.enum(ROLES),
    /** whose it is, as people say it */
    holder: z.string().trim().min(1).max(100),
    /** from when it is made */
    days: z.int().min(1).max(365),
  }),
  z.strictObject({ kind: z.literal('approval-rule'), approvals: z.union([z.literal(1), z.literal(2)]) }),
]);
export type Act = z.infer<typeof actSchema> & { readonly kind: SensitiveAct };

/** SHA-256, hexadecimal, of the canonical JSON (RFC 8785): what the ledger's `approved` holds. */
export const actHash = (act: Act): string => hex(digest('parley/act/v1', canonicalize(act)!));
