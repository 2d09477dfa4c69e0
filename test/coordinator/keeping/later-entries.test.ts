import { expect, test } from 'vitest';
import { createIdentity } from '../../../aggregation/identity.ts';
import { type LedgerCopy, laterEntries } from '../../../coordinator/keeping/later-entries.ts';

const note = (size: number, ...signers: string[]): string =>
  `parley:x\n${size}\nroot\n${signers.map((name) => `\n— ${name} aaaa`).join('')}\n`;
const copy = (name: string, ...notes: string[]): LedgerCopy => ({
  name,
  ledger: { format: 'parley-ledger-export-v1', log: 'log', head: 'head', notes, entries: [] },
});

test('of the notes over one ledger the one that more have cosigned is kept, whoever has it', () => {
  const backup = { entries: ['{}'], notes: [{ size: 4, note: note(4, 'hub', 'amber') }] };
  const copies = [
    copy('amber', note(4, 'hub'), note(9, 'hub', 'amber')),
    copy('blue', note(4, 'hub', 'amber', 'blue'), note(9, 'hub', 'amber', 'blue')),
    copy('coral', note(9, 'hub', 'coral')),
  ];
  for (const order of [copies, copies.toReversed()])
    expect(laterEntries(backup, order, createIdentity()).notes).toEqual([
      { size: 4, note: note(4, 'hub', 'amber', 'blue') },
      { size: 9, note: note(9, 'hub', 'amber', 'blue') },
    ]);
});
