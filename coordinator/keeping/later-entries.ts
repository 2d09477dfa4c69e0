import { CommandError, EXIT } from '../../aggregation/exit.ts';
import { fingerprint, type Identity } from '../../aggregation/identity.ts';
import type { LedgerExport } from '../../aggregation/ledger-export.ts';
import { verifyLedgerExport } from '../../aggregation/verify-ledger.ts';
import { logKey } from '../../aggregation/witness.ts';
import { entryText, readEntry } from '../../privacy/ledger.ts';
import { formatVerifierKey } from '../../privacy/transparency/verifier-key.ts';

/**
 * What the ledger came to hold after a backup, from copies that others have.
 *
 *   copies ──all the beginning of the longest?──▶ chain, our own signature, cosignatures, every ε ──▶ what the backup lacks
 *
 * One copy holds the cosignatures that its tenant was shown, so those of all copies count together.
 */
export interface LaterEntries {
  /** canonical texts, those of the backup first */
  readonly entries: readonly string[];
  readonly notes: readonly { readonly size: number; readonly note: string }[];
}

export interface LedgerCopy {
  /** what it is called in a message */
  readonly name: string;
  readonly ledger: LedgerExport;
}

/**
 * @param backup - its entries and notes, verified
 * @throws CommandError with the code for what does not verify: two ledgers, or one that its notes say is longer
 */
export function laterEntries(
  backup: { readonly entries: readonly string[]; readonly notes: LaterEntries['notes'] },
  copies: readonly LedgerCopy[],
  identity: Identity,
): LaterEntries {
  const read = copies.map(({ name, ledger }) => ({ name, ledger, entries: textsIn(name, ledger) }));
  const longest = read.reduce((best, each) => (each.entries.length > best.entries.length ? each : best), read[0]!);
  const entries = longest.entries.length > backup.entries.length ? longest.entries : backup.entries;
  for (const each of [{ name: 'the backup', entries: backup.entries }, ...read]) {
    const fork = each.entries.findIndex((text, at) => text !== entries[at]);
    if (fork >= 0)
      throw new CommandError(
        EXIT.broken,
        `${each.name} and ${longest.name} hold different ledgers from entry ${fork} on: somebody with this key wrote two`,
      );
  }
  const notes = union([...backup.notes, ...read.flatMap(({ ledger }) => ledger.notes.map(sized))]);
  if (entries === longest.entries) verify(longest, notes, identity);
  return { entries, notes };
}

function textsIn(name: string, { entries }: LedgerExport): string[] {
  return entries.map((candidate, seq) => {
    const entry = readEntry(candidate);
    if (typeof entry === 'string') throw new CommandError(EXIT.broken, `${name}: entry ${seq}: ${entry}`);
    return entryText(entry);
  });
}

function verify({ name, ledger }: LedgerCopy, notes: LaterEntries['notes'], identity: Identity): void {
  const { findings } = verifyLedgerExport(
    { ...ledger, log: formatVerifierKey(logKey(identity.publicKey)), notes: notes.map(({ note }) => note) },
    { coordinator: fingerprint(identity.publicKey) },
  );
  if (findings.length === 0) return;
  const said = findings.slice(0, 10).map(({ seq, problem }) => `  entry ${seq}: ${problem}`);
  throw new CommandError(
    EXIT.broken,
    `${name} does not verify:\n${said.join('\n')}\nWhere cosignatures are missing, or it is cut off: give the copies of all tenants that took part`,
  );
}

/** One for each size; of two, the one with more signatures. */
function union(notes: LaterEntries['notes']): LaterEntries['notes'] {
  const found = new Map<number, string>();
  for (const { size, note } of notes) {
    const before = found.get(size);
    if (before === undefined || signatures(note) > signatures(before)) found.set(size, note);
  }
  return [...found].map(([size, note]) => ({ size, note })).sort((a, b) => a.size - b.size);
}

const signatures = (note: string): number => note.split('\n— ').length;
const sized = (note: string): LaterEntries['notes'][number] => ({ size: Number(note.split('\n')[1]), note });
