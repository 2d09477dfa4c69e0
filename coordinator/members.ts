import type { Roster } from '../aggregation/plan.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';
import { type LedgerBody, type LedgerEntry, NO_TASK } from '../privacy/ledger.ts';
import type { LedgerLog } from './ledger-log.ts';
import type { EventStore } from './store/event-store.ts';

/**
 * Who is in the federation, and with which key. The ledger says how it came to be so:
 *
 *   enrolled ──▶ re-keyed ──▶ … ──▶ left | revoked ──▶ enrolled again, under the same name
 *
 * A key that was replaced or revoked may be in anybody's hands: it is never anybody's key again. One whose tenant left is
 * still that tenant's.
 */
export interface Members {
  keyOf(tenant: TenantId): Uint8Array | undefined;
  roster(): Roster;
  /** The key a name had last, hexadecimal, be it gone or not. */
  lastKeyOf(tenant: TenantId): string | undefined;
  /** May this tenant have this key now? Not one that anybody has, or another ever had, or that was retired. */
  mayHave(tenant: TenantId, key: string): boolean;
  /** Roster, ledger, and what `also` writes: all of it is on disk when this returns, or nothing. */
  change(change: RosterChange, also?: () => void): void;
}

export type RosterChange = Omit<Extract<LedgerBody, { kind: 'roster' }>, 'kind'>;

/** @param changed - told after each change, when it is on disk */
export function openMembers(
  store: EventStore,
  clock: () => number,
  ledger: LedgerLog,
  changed: (tenant: TenantId) => void = () => {},
): Members {
  const keys = new Map<TenantId, Uint8Array>();
  const lastKeys = new Map<TenantId, string>();
  const owners = new Map<string, TenantId>();
  const retired = new Set<string>();
  for (const { tenant, key } of store.roster()) keys.set(tenant, Buffer.from(key, 'hex'));
  for (const entry of changesIn(store)) remember(entry);

  function remember({ tenant, change, key, replaces }: RosterChange): void {
    lastKeys.set(tenant, key);
    owners.set(key, tenant);
    if (replaces !== undefined) retired.add(replaces);
    if (change === 'revoked') retired.add(key);
  }

  function inRoster({ tenant, change, key }: RosterChange): void {
    if (change === 'enrolled') return store.enrol(tenant, key, clock());
    if (change === 're-keyed') return store.rekey(tenant, key);
    store.removeTenant(tenant);
    // a code from before would bring back a tenant that nobody asked back
    store.expireInvitations(tenant, clock());
  }

  return {
    keyOf: (tenant) => keys.get(tenant),
    roster: () => store.roster().map(({ tenant, key }) => ({ tenant, key })),
    lastKeyOf: (tenant) => lastKeys.get(tenant),
    mayHave: (tenant, key) =>
      !retired.has(key) && (owners.get(key) ?? tenant) === tenant && store.roster().every((one) => one.key !== key),
    change(change, also = () => {}) {
      const { tenant, key } = change;
      ledger.commit(() => {
        also();
        inRoster(change);
        ledger.append({ kind: 'roster', ...change }, NO_TASK, clock());
      });
      if (change.change === 'left' || change.change === 'revoked') keys.delete(tenant);
      else keys.set(tenant, Buffer.from(key, 'hex'));
      remember(change);
      changed(tenant);
    },
  };
}

function changesIn(store: EventStore): RosterChange[] {
  const entries = store.ledger(0).filter((text) => text.includes('"kind":"roster"'));
  return entries.map((text) => JSON.parse(text) as LedgerEntry).filter((entry) => entry.kind === 'roster');
}
