import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashFile, RowsUnreadable, readSnapshot } from '../../client/rows.ts';
import { encode } from '../../models/encode.ts';
import type { FeatureSchema } from '../../models/schema.ts';
import { TableRefused } from '../../models/table-errors.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-rows-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function csv(text: string | Buffer): string {
  const file = join(folder, `customers-${++files}.csv`);
  writeFileSync(file, text);
  return file;
}

/** What `readSnapshot` has against a file. */
async function refusal(file: string): Promise<string> {
  const error = await readSnapshot(file).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error, 'the file was read').toBeInstanceOf(RowsUnreadable);
  return (error as Error).message;
}

describe('a CSV file', () => {
  test('comes back cell by cell: quotes, commas, line breaks inside cells, empty cells, NA, a byte order mark', async () => {
    const file = csv('\ufeffname,months,note\r\n"Mayer, Ada",7,"says ""hm"""\r\n"two\r\nlines",,NA\r\n');
    const { table, hash } = await readSnapshot(file);
    expect(table.columns).toEqual(['name', 'months', 'note']);
    expect(table.rows).toEqual([
      ['Mayer, Ada', '7', 'says "hm"'],
      ['two\r\nlines', null, null],
    ]);
    expect(hash).toBe(await hashFile(file));
  });

  test('keeps numbers as they are written: no cell is reinterpreted', async () => {
    const { table } = await readSnapshot(csv('id,day\n007,2024-01-02\n1e3,true\n'));
    expect(table.rows).toEqual([
      ['007', '2024-01-02'],
      ['1e3', 'true'],
    ]);
  });

  test.each([
    ['fewer cells than the header', 'a,b,c\n1,2,3\n4,5\n6,7,8\n', ':3 (column c): the line has fewer cells'],
    ['more cells than the header', 'a,b\n1,2\n3,4,SECRET\n', ':3: the line has more cells'],
    ['a quote that never closes', 'a,b\n1,2\n3,"SECRET\n5,6\n', ':3: the line has a quote that is not closed'],
    ['text after a closing quote', 'a,b\n1,2\n\n3,"SEC"RET\n5,6\n', ':4: the line has a quote that is not closed'],
    ['bytes that are not UTF-8', Buffer.from('a,b\n1,2\n\xe9,SECRET\n', 'latin1'), ':3'],
  ])('with %s is refused, naming the line and no cell', async (_, text, place) => {
    const file = csv(text);
    const message = await refusal(file);
    expect(message).toContain(`${file}${place}`);
    expect(message).not.toMatch(/SEC/);
  });

  test('with broken lines far down is refused by their numbers, at most twenty of them', async () => {
    const good = Array.from({ length: 5000 }, (_, i) => `${i},x\n`).join('');
    const message = await refusal(csv(`a,b\n${good}${'SECRET\n'.repeat(30)}`));
    expect(message).toContain(':5002 (column b)');
    expect(message.match(/the line has fewer cells/g)).toHaveLength(20);
    expect(message).not.toContain('SECRET');
  });

  test('in which two columns have one name is refused: which of them would be meant?', async () => {
    const file = csv('months,bill,months\n1,2,3\n');
    expect(await refusal(file)).toBe(`${file}:1: column "months" is there twice`);
  });

  test('that is empty is refused; one that holds only a header has no customers', async () => {
    const file = csv('');
    expect(await refusal(file)).toBe(`${file}: the file is empty; a header line is needed`);
    expect((await readSnapshot(csv('a,b\n'))).table).toMatchObject({ columns: ['a', 'b'], rows: [] });
  });

  test('is read from its first line on: no line passes for a comment', async () => {
    expect(await refusal(csv('# made by hand\na,b\n1,2\n'))).toContain(':2: the line has more cells');
    expect(await refusal(csv('a,b\n1,2\n#SECRET\n3,4\n'))).toContain(':3 (column b): the line has fewer cells');
    const { table } = await readSnapshot(csv('a,b\n#1,2\n'));
    expect(table.rows).toEqual([['#1', '2']]);
  });

  test('whose name holds a star or a bracket is that file alone', async () => {
    for (const name of ['its', 'it[s]']) {
      const there = join(folder, name);
      mkdirSync(there);
      writeFileSync(join(there, "a'*.csv"), 'a\n1\n');
      writeFileSync(join(there, "a'b.csv"), 'a\n2\n');
      expect((await readSnapshot(join(there, "a'*.csv"))).table.rows).toEqual([['1']]);
    }
  });

  test('that is not there is refused with what to set', async () => {
    expect(await refusal(join(folder, 'nowhere.csv'))).toMatch(/nowhere\.csv: no such file; set "data" in the policy/);
  });

  test('that changes while it is read is refused', async () => {
    const file = csv(`a,b\n${'1,2\n'.repeat(400_000)}`);
    const reading = refusal(file);
    let writing = true;
    const writer = (async () => {
      while (writing) {
        await appendFile(file, '1,2\n');
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    const message = await reading;
    writing = false;
    await writer;
    expect(message).toContain('changed while it was read; try again');
  });
});

test('a snapshot’s hash changes with a single byte of the file', async () => {
  const before = await readSnapshot(csv('a,b\n1,2\n'));
  const after = await readSnapshot(csv('a,b\n1,3\n'));
  expect(before.hash).toMatch(/^[0-9a-f]{64}$/);
  expect(after.hash).not.toBe(before.hash);
});

describe('a Parquet file', () => {
  test('gives the cells of the CSV file it was made from', async () => {
    const source = csv('name,months,bill,left\nada,7,29.85,yes\n"b, c",,70.5,no\n');
    const file = join(folder, 'it’s.parquet');
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    await connection.run(`copy (select * from read_csv('${source}')) to '${file}' (format parquet)`);
    connection.closeSync();
    instance.closeSync();
    const { table } = await readSnapshot(file);
    expect(table.columns).toEqual(['name', 'months', 'bill', 'left']);
    expect(table.rows).toHaveLength(2);
    expect(table.rows[0]!.slice(0, 3)).toEqual(['ada', '7', '29.85']);
    expect(table.rows[1]!.slice(0, 3)).toEqual(['b, c', null, '70.5']);
  });

  test('that is none is refused without a word of what it holds', async () => {
    const file = join(folder, 'fake.parquet');
    writeFileSync(file, 'SECRET,1\n');
    expect(await refusal(file)).toBe(`${file}: not a Parquet file that can be read`);
  });
});

describe('rows that do not fit the plan’s schema', () => {
  const schema: FeatureSchema = {
    customer: 'row',
    label: { column: 'left', positive: 'yes', negative: 'no' },
    features: [
      { kind: 'number', column: 'months', minimum: 0, maximum: 80, missing: 'refuse' },
      {
        kind: 'category',
        column: 'contract',
        categories: ['month', 'year'],
        missing: 'refuse',
        unknown: 'refuse',
      },
    ],
    holdout: null,
  };

  async function problems(text: string): Promise<string> {
    const { table } = await readSnapshot(csv(text));
    try {
      encode(schema, table);
    } catch (error) {
      expect(error).toBeInstanceOf(TableRefused);
      return (error as Error).message;
    }
    throw new Error('the rows were accepted');
  }

  test.each([
    ['a missing column', 'months,left\n7,yes\n', /customers-\d+\.csv: column "contract" is not in the table/],
    ['a label that is neither', 'months,contract,left\n7,year,yes\n7,year,SECRET\n', /csv:3: column "left"/],
    ['an unknown category', 'months,contract,left\n7,SECRET,yes\n', /csv:2: column "contract" holds an unknown/],
    ['no number', 'months,contract,left\n\n\nSECRET,year,yes\n', /csv:4: column "months" is not a number/],
    ['an empty cell', 'months,contract,left\n"7",year,no\n,year,yes\n', /csv:3: column "months" is empty/],
    [
      'a cell after one that spans lines',
      'months,contract,left,note\n7,year,no,"a\nb\n"\nSECRET,year,yes,\n',
      /csv:5: column "months" is not a number/,
    ],
  ])('%s: named by file, line and column, never by value', async (_, text, place) => {
    const message = await problems(text);
    expect(message).toMatch(place);
    expect(message).not.toContain('SECRET');
  });
});
