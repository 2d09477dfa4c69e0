import canonicalize from 'canonicalize';
import type { SensitiveAct } from '../privacy/ledger.ts';
import { hex } from './plan.ts';
import type { TenantId } from './secure-sum.ts';
import type { Settings } from './settings.ts';
import { digest } from './transcript.ts';

/**
 * What a federation may ask more than one person for: starting a task, changing the roster, a higher budget of a tenant, handing out
 * a token, changing this very rule. An act is approved by the hash of its canonical text, and an auditor makes the text of a change of
 * roster or budget again from the ledger alone: what was approved is exactly what was done.
 */
export type Act = { readonly kind: SensitiveAct } & (
  | {
      readonly kind: 'task';
      /** the plan is made when the last approves, for the roster as it is then */
      readonly settings: Settings;
    }
  | { readonly kind: 'invitation' | 'revocation'; readonly tenant: TenantId }
  | {
      /** a tenant's limit is its own: it raises it, or nobody does. What others approve is that it promises as much to new tasks */
      readonly kind: 'budget';
      readonly tenant: TenantId;
      readonly pool: string;
      /** the lifetime's limit as the tenant states it: the higher one */
      readonly epsilon: number;
      readonly delta: number;
    }
  | {
      readonly kind: 'token';
      /** what it is known by, 16 hexadecimal digits */
      readonly id: string;
      /** SHA-256 of its secret, hexadecimal: whoever approves never sees the secret */
      readonly secretHash: string;
      readonly role: Role;
      /** whose it is, as people say it */
      readonly holder: string;
      /** how long it counts from when it is made, 1 to 365 */
      readonly days: number;
    }
  | {
      readonly kind: 'approval-rule';
      /** people, 1 or 2 */
      readonly approvals: number;
    }
);

/** Roles that tokens are made for. A tenant needs none: it has its key. */
export const ROLES = ['operator', 'auditor', 'consumer'] as const;
export type Role = (typeof ROLES)[number];

/** SHA-256, hexadecimal, of the canonical JSON (RFC 8785): what the ledger's `approved` holds. */
export const actHash = (act: Act): string => hex(digest('parley/act/v1', canonicalize(act)!));
