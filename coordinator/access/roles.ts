import type { Role } from '../../aggregation/act.ts';
import type { TenantId } from '../../aggregation/secure-sum.ts';

/**
 * Who may do what over HTTP. Each route names one kind of access, and has none without (`http/access-rule.ts`).
 *
 *              anyone  released  evidence  readable  watched  operator
 *   nobody       ✓        (✓)       (✓)                                   (✓) with --open-reading
 *   consumer     ✓         ✓
 *   auditor      ✓         ✓         ✓         ✓         ✓
 *   tenant       ✓         ✓         ✓         ✓
 *   operator     ✓         ✓         ✓         ✓         ✓        ✓
 */
export type Access =
  /** health, the coordinator's key, and what proves itself: enrolments and notices */
  | 'anyone'
  /** results of finished tasks */
  | 'released'
  /** the ledger, and its pieces */
  | 'evidence'
  /** everything else that is public within the federation */
  | 'readable'
  /** how the coordinator is doing */
  | 'watched'
  /** what changes something, and who holds tokens */
  | 'operator';

/** A person, or a program, that shows a token. */
export interface Bearer {
  readonly role: Role;
  /** as people say it; never in the ledger */
  readonly holder: string;
  /** what the token is known by, 16 hexadecimal digits; of people who sign in elsewhere, a pseudonym */
  readonly id: string;
  /** where they sign in, when it is elsewhere */
  readonly issuer?: string;
}

/** Who makes a request. */
export type Caller = Bearer | { readonly role: 'tenant'; readonly tenant: TenantId } | { readonly role: 'nobody' };

export const NOBODY: Caller = { role: 'nobody' };

const READERS: readonly Caller['role'][] = ['auditor', 'tenant', 'operator'];

const REACH: Readonly<Record<Access, readonly Caller['role'][]>> = {
  anyone: ['nobody', 'consumer', ...READERS],
  released: ['consumer', ...READERS],
  evidence: READERS,
  readable: READERS,
  watched: ['auditor', 'operator'],
  operator: ['operator'],
};

/** Those who may reach it. @param openReading - the ledger and what was released are for everybody */
export function mayReach(access: Access, openReading: boolean): readonly Caller['role'][] {
  const isOpened = openReading && (access === 'released' || access === 'evidence');
  return REACH[isOpened ? 'anyone' : access];
}

/** May see all tasks, not only what was released of them, and who is in the federation. */
export const isReader = ({ role }: Caller): boolean => READERS.includes(role);
