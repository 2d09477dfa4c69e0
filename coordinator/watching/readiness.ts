import { statfs } from 'node:fs/promises';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import type { EventStore } from '../store/event-store.ts';

/**
 * Can this coordinator do its work? Each check is made, not assumed: a fact is written, the disk asked, the clock compared with
 * the ledger's last entry, whose time nobody can have signed in the future.
 */
export interface Check {
  readonly name: 'store' | 'disk' | 'clock' | 'ending';
  readonly ok: boolean;
  /** what is wrong and what to do; how it stands where nothing is */
  readonly detail: string;
}

export interface ReadinessWorld {
  readonly store: Pick<EventStore, 'commit' | 'probe' | 'ledger'>;
  /** entries of the ledger, now */
  readonly ledgerSize: () => number;
  /** the coordinator's folder */
  readonly folder: string;
  /** Unix milliseconds */
  readonly clock: () => number;
  readonly isEnding: () => boolean;
  /** bytes that may still be written under a folder */
  readonly freeIn?: (folder: string) => Promise<number>;
}

/** Contributions of a round lie on disk: below this the next one may not fit. */
export const LEAST_FREE = 256 * 2 ** 20;
/** Clocks of machines that keep time differ by less. */
const MOST_BEHIND_MS = 60_000;
/** Who asks more often is told what was found last: a strange asker costs no more than one write in this time. */
const FRESH_MS = 1_000;

/** @returns what makes the checks; never rejects */
export function openReadiness(world: ReadinessWorld): () => Promise<readonly Check[]> {
  let last: { readonly at: number; readonly checks: Promise<readonly Check[]> } | undefined;
  return () => {
    const at = performance.now();
    if (last === undefined || at - last.at >= FRESH_MS || world.isEnding()) last = { at, checks: checksOf(world) };
    return last.checks;
  };
}

async function checksOf(world: ReadinessWorld): Promise<readonly Check[]> {
  const ending: Check[] = world.isEnding() ? [{ name: 'ending', ok: false, detail: 'it was told to end' }] : [];
  return [...ending, storeCheck(world), await diskCheck(world), clockCheck(world)];
}

function storeCheck({ store, clock }: ReadinessWorld): Check {
  try {
    store.commit(() => store.probe(clock()));
    return { name: 'store', ok: true, detail: 'takes what is written' };
  } catch (error) {
    const code = (error as { code?: string }).code ?? 'no code';
    return { name: 'store', ok: false, detail: `cannot be written (${code}): see its disk, or its database` };
  }
}

async function diskCheck({ folder, freeIn = freeUnder }: ReadinessWorld): Promise<Check> {
  try {
    const free = await freeIn(folder);
    const detail = `${Math.floor(free / 2 ** 20)} MiB are free`;
    if (free >= LEAST_FREE) return { name: 'disk', ok: true, detail };
    return { name: 'disk', ok: false, detail: `${detail}, ${LEAST_FREE / 2 ** 20} MiB are needed: make room` };
  } catch (error) {
    const code = (error as { code?: string }).code ?? 'no code';
    return { name: 'disk', ok: false, detail: `the coordinator's folder cannot be looked at (${code})` };
  }
}

function clockCheck(world: ReadinessWorld): Check {
  let behindMs: number;
  try {
    behindMs = lastEntryAt(world) - world.clock();
  } catch {
    return { name: 'clock', ok: false, detail: 'not known: the ledger cannot be read, see the store' };
  }
  if (behindMs <= MOST_BEHIND_MS) return { name: 'clock', ok: true, detail: "not behind the ledger's last entry" };
  const seconds = Math.ceil(behindMs / 1000);
  return { name: 'clock', ok: false, detail: `${seconds} s behind the ledger's last entry: set it (NTP)` };
}

/** Unix milliseconds; 0 before the first. */
function lastEntryAt({ store, ledgerSize }: ReadinessWorld): number {
  const [last] = store.ledger(Math.max(0, ledgerSize() - 1), 1);
  return last === undefined ? 0 : (JSON.parse(last) as LedgerEntry).time;
}

/** Bytes that a process without privileges may still write. */
export async function freeUnder(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
