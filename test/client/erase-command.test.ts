import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { openClientStore } from '../../client/client-store.ts';
import { erase } from '../../client/erase-command.ts';
import { withoutErased } from '../../client/erased.ts';
import { storeFile } from '../../client/folder.ts';
import { leave } from '../../client/leave-command.ts';
import { readSnapshot } from '../../client/rows.ts';
import type { FeatureSchema } from '../../models/schema.ts';
import { enrolledFolder, saying, type TenantFolder } from '../support-client/tenant-folder.ts';
import { toyFeatures } from '../support-client/toy-task.ts';

const byColumn: FeatureSchema = { ...toyFeatures, customer: { column: 'name', maxRows: 3 }, holdout: null };
const NAMED = 'name,months,left\nmayer,7,yes\nokoro,8,no\nmayer,9,no\n';

/** Rows that a task would read. */
async function rowsLeft(folder: string, schema: FeatureSchema): Promise<readonly (readonly (string | null)[])[]> {
  const store = openClientStore(storeFile(folder));
  const { table } = withoutErased(store, schema, await readSnapshot(join(folder, 'customers.csv')));
  store.close();
  return table.rows;
}
const erasures = ({ server }: TenantFolder): number =>
  server.coordinator.store.ledger(0).filter((text) => text.includes('"kind":"erasure"')).length;

/** The coordinator is asked, and hears; this side never hears back from these paths. */
async function cutOff(path: string, work: () => Promise<void>, reaches = true): Promise<void> {
  const ask = globalThis.fetch;
  const cut = vi.spyOn(globalThis, 'fetch').mockImplementation(async (url, init) => {
    const isCut = String(url).endsWith(path);
    const answer = isCut && !reaches ? undefined : await ask(url, init);
    if (isCut || answer === undefined) throw new TypeError('connection lost');
    return answer;
  });
  await work().finally(() => cut.mockRestore());
}

describe('a row that is a customer', () => {
  const ROWS = 'months,left\n7,yes\n8,no\n7,yes\n9,no\n';

  test('is erased by its line in the file, and every row of the same cells with it', async () => {
    const begun = await enrolledFolder({ csv: ROWS });
    const said = await saying(() => erase({ folder: begun.folder, row: [2], json: true }));
    expect(JSON.parse(said)).toMatchObject({ erased: 1 });
    expect(await rowsLeft(begun.folder, toyFeatures)).toEqual([
      ['8', 'no'],
      ['9', 'no'],
    ]);
    expect(erasures(begun)).toBe(1);
  });

  test('is not meant by the header’s line, a line after the end, or a name', async () => {
    const begun = await enrolledFolder({ csv: ROWS });
    const { folder } = begun;
    for (const line of [0, 1, 6])
      await expect(erase({ folder, row: [2, line] })).rejects.toThrow(`no customer begins at line ${line}`);
    await expect(erase({ folder, customer: ['7'] })).rejects.toThrow('name the line of the data file, with --row');
    await expect(erase({ folder })).rejects.toThrow('name who is to be erased, with --row');
    expect(await rowsLeft(folder, toyFeatures)).toHaveLength(4);
    expect(erasures(begun)).toBe(0);
  });
});

describe('the ledger is told of an erasure', () => {
  test('once for each time, in one word for several customers', async () => {
    const begun = await enrolledFolder({ csv: NAMED, schema: byColumn });
    await saying(() => erase({ folder: begun.folder, customer: ['mayer', ' okoro '] }));
    expect(await rowsLeft(begun.folder, byColumn)).toEqual([]);
    expect(erasures(begun)).toBe(1);
    await expect(erase({ folder: begun.folder })).rejects.toThrow('name who is to be erased, with --customer');
  });

  test('once, when the answer was lost; and again for who is erased since', async () => {
    const begun = await enrolledFolder({ csv: NAMED, schema: byColumn });
    const { folder } = begun;
    await cutOff('/notices', async () => {
      await expect(erase({ folder, customer: ['mayer'] })).rejects.toThrow('the ledger does not say so yet');
    });
    expect(erasures(begun)).toBe(1); // it was heard
    expect(await rowsLeft(folder, byColumn)).toEqual([['okoro', '8', 'no']]);
    await saying(() => erase({ folder, customer: ['okoro'] }));
    expect(erasures(begun)).toBe(2);
  });

  test.each(['/federation', '/notices'])(
    'later, when it could not be reached at %s, without naming anybody again',
    async (path) => {
      const begun = await enrolledFolder({ csv: NAMED, schema: byColumn });
      const { folder } = begun;
      await cutOff(
        path,
        async () => {
          await expect(erase({ folder, customer: ['mayer'] })).rejects.toThrow('without a customer tells it');
        },
        false,
      );
      expect(erasures(begun)).toBe(0);
      expect(await rowsLeft(folder, byColumn)).toEqual([['okoro', '8', 'no']]);
      await saying(() => erase({ folder }));
      expect(erasures(begun)).toBe(1);
      await expect(erase({ folder })).rejects.toThrow('name who is to be erased');
    },
  );

  test('not at all when the customers’ file cannot be read', async () => {
    const begun = await enrolledFolder({ csv: NAMED, schema: byColumn });
    writeFileSync(join(begun.folder, 'customers.csv'), 'name,months\nmayer,7\n');
    await expect(erase({ folder: begun.folder, customer: ['mayer'] })).rejects.toThrow('column "left"');
    expect(erasures(begun)).toBe(0);
  });
});

test('leaving is said once, also when the answer was lost, and says what stays', async () => {
  const { server, folder } = await enrolledFolder();
  await cutOff('/notices', async () => {
    await expect(leave({ folder })).rejects.toThrow('nobody answers');
  });
  const said = await saying(() => leave({ folder }));
  expect(said).toContain('Models that were released stay released');
  expect(server.coordinator.enrolment.roster()).toEqual([]);
  const changes = server.coordinator.store.ledger(0).filter((text) => text.includes('"change":"left"'));
  expect(changes).toHaveLength(1);
  await expect(leave({ folder })).rejects.toThrow('not an enrolled tenant, or not its key');
});
