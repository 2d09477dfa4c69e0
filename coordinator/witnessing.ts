import { isSignedBy } from '../aggregation/identity.ts';
import type { Plan, Roster } from '../aggregation/plan.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';
import { logKey, quorumOf, witnessKey } from '../aggregation/witness.ts';
import { TransparencyRefused } from '../privacy/transparency/canonical-text.ts';
import { verifyCosigned } from '../privacy/transparency/cosignature.ts';
import { withSignature } from '../privacy/transparency/signed-note.ts';
import { verifyTrusted } from '../privacy/transparency/trusted-checkpoint.ts';
import type { EventStore } from './store/event-store.ts';

/**
 * Collects cosignatures over the ledger.
 *
 *   ask: the note over the head, to everybody there ──▶ hear: their lines ──▶ over: enough of a plan's roster?
 *
 * One note is open at a time. Asking again at another head begins a new one: cosignatures of different sizes do not add up. So
 * that a ledger which grows all the while, as two hundred tenants accept a plan, does not have everybody sign every entry, the
 * next one begins when all have answered, or had their time.
 */
export interface Witnessing {
  /** Who is to be asked to cosign the head now: those of `present` that were not asked yet; nobody while another note is open. */
  ask(size: number, note: string, present: Iterable<TenantId>): TenantId[];
  /** Takes in a line. @returns false when it is not over the open note, or not by this tenant */
  hear(tenant: Roster[number], size: number, line: string): boolean;
  /** The smallest note over entry `seq`, with the plan's quorum under it, on disk; undefined when there is none yet. */
  over(seq: number, plan: Plan): string | undefined;
  /** A connection is gone: what it was asked may be lost. */
  left(tenant: TenantId): void;
  /** Puts on disk what was heard since: now and then is often enough, a lost cosignature is asked for again. */
  keep(): void;
}

/** The note that is being cosigned. */
interface Open {
  readonly size: number;
  readonly asked: Set<TenantId>;
  /** those of them that have not answered and are still there */
  readonly awaited: Set<TenantId>;
  /** Unix milliseconds */
  readonly since: number;
  /** whose line is under it, by `nameOf`, each verified when it was heard */
  readonly by: Set<string>;
  /** as the coordinator signed it */
  readonly bare: string;
  note: string;
  kept: boolean;
}

/** How long a note waits for who was asked, milliseconds. */
const PATIENCE_MS = 1_000;

const nameOf = ({ tenant, key }: Roster[number]): string => `${tenant} ${key}`;

/** @param clock - Unix milliseconds */
export function openWitnessing(store: EventStore, coordinatorKey: Uint8Array, clock: () => number): Witnessing {
  let open: Open | undefined;
  const verified = { logKeys: [logKey(coordinatorKey)], verify: isSignedBy };

  const keep = (): void => {
    if (open === undefined || open.kept) return;
    store.putNote(open.size, open.note);
    open.kept = true;
  };
  const hasQuorum = (note: string, plan: Plan): boolean => {
    if (note.split('\n— ').length - 2 < plan.derived.threshold) return false; // not worth verifying
    try {
      verifyTrusted(note, quorumOf(plan, coordinatorKey), isSignedBy);
      return true;
    } catch (error) {
      if (error instanceof TransparencyRefused) return false;
      throw error;
    }
  };

  return {
    keep,
    ask(size, note, present) {
      if (open?.size !== size) {
        if (open !== undefined && open.awaited.size > 0 && clock() - open.since < PATIENCE_MS) return [];
        keep();
        const nobody = { asked: new Set<TenantId>(), awaited: new Set<TenantId>(), by: new Set<string>() };
        open = { size, ...nobody, since: clock(), bare: note, note, kept: true };
      }
      const { asked, awaited } = open;
      const others = [...present].filter((tenant) => !asked.has(tenant));
      for (const tenant of others) {
        asked.add(tenant);
        awaited.add(tenant);
      }
      return others;
    },
    hear(tenant, size, line) {
      if (open?.size !== size) return false; // late: the ledger has grown, and this tenant was asked again
      try {
        const { cosignedBy } = verifyCosigned(withSignature(open.bare, line), {
          ...verified,
          witnesses: [witnessKey(tenant)],
        });
        if (cosignedBy.length === 0) return false;
        // one line a tenant: whoever changes keys does not fill the note
        if ([...open.by].some((name) => name.startsWith(`${tenant.tenant} `))) return open.by.has(nameOf(tenant));
        open.note = withSignature(open.note, line);
      } catch (error) {
        if (error instanceof TransparencyRefused) return false;
        throw error;
      }
      open.by.add(nameOf(tenant));
      open.awaited.delete(tenant.tenant);
      open.kept = false;
      return true;
    },
    over(seq, plan) {
      const earlier = store.notes(seq).find(({ size, note }) => size !== open?.size && hasQuorum(note, plan));
      if (earlier !== undefined && earlier.size < (open?.size ?? Number.POSITIVE_INFINITY)) return earlier.note;
      if (open === undefined || open.size <= seq) return earlier?.note;
      const { by } = open;
      const cosigned = plan.roster.filter((each) => by.has(nameOf(each))).length;
      if (cosigned < plan.derived.threshold) return earlier?.note;
      keep();
      return open.note;
    },
    left(tenant) {
      open?.asked.delete(tenant);
      open?.awaited.delete(tenant);
    },
  };
}
