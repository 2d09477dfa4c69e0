import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Table } from '../models/encode.ts';

/**
 * A tenant's customers, read from a CSV or Parquet file by DuckDB, every cell as text.
 *
 * Nothing here leaves the process, messages included: they name the file, the line and the column, never a value.
 */
export class RowsUnreadable extends Error {
  override readonly name = 'RowsUnreadable';
}

export interface Snapshot {
  readonly table: Table;
  /** SHA-256 of the file's bytes, hexadecimal: what a task was trained on can be told apart, not read */
  readonly hash: string;
}

/** @throws RowsUnreadable naming file, line and column */
export async function readSnapshot(file: string): Promise<Snapshot> {
  if (!existsSync(file))
    throw new RowsUnreadable(`${file}: no such file; set "data" in the policy to your CSV or Parquet file`);
  const hash = await hashFile(file);
  const table = /\.parquet$/i.test(file) ? await readParquet(file) : await readCsv(file);
  if ((await hashFile(file)) !== hash) throw new RowsUnreadable(`${file} changed while it was read; try again`);
  return { table, hash };
}

export async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
}

type Query = (sql: string) => Promise<{ columns: string[]; rows: (string | null)[][] }>;

async function withDatabase<T>(work: (query: Query) => Promise<T>): Promise<T> {
  // One thread keeps the rows in file order, and leaves the machine to the model.
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  try {
    return await work(async (sql) => {
      const reader = await connection.runAndReadAll(sql);
      const rows = reader.getRows().map((row) => row.map((cell) => (cell === null ? null : String(cell))));
      return { columns: reader.columnNames(), rows };
    });
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

function readParquet(file: string): Promise<Table> {
  return withDatabase(async (query) => {
    try {
      const { columns, rows } = await query(`select columns(*)::varchar from read_parquet(${quoted(file)})`);
      return { file, columns, rows, line: (row) => row + 1 };
    } catch {
      throw new RowsUnreadable(`${file}: not a Parquet file that can be read`);
    }
  });
}

/**
 * Strict CSV (RFC 4180): a header, the same number of cells in every line, quotes that close.
 * DuckDB keeps the lines it cannot read in a table of its own; their numbers are reported, not their text.
 */
function readCsv(file: string): Promise<Table> {
  return withDatabase(async (query) => {
    const source = `read_csv(${quoted(file)}, all_varchar = true, header = true, delim = ',', quote = '"', escape = '"',
      null_padding = false, strict_mode = true, nullstr = ['', 'NA'], allow_quoted_nulls = false, store_rejects = true,
      rejects_limit = 0, parallel = false)`;
    let table: { columns: string[]; rows: (string | null)[][] };
    try {
      table = await query(`select * from ${source}`);
    } catch {
      throw new RowsUnreadable(`${file}: not a CSV file with a header line and comma-separated cells`);
    }
    const { rows: rejected } = await query(
      'select line, column_name, error_type from reject_errors order by line limit 20',
    );
    if (rejected.length > 0) throw new RowsUnreadable(describeRejects(file, rejected));
    return { file, ...table, line: (row) => 2 + row + newlinesBefore(table.rows, row) };
  });
}

/** A quoted cell may span lines; the rows after it start that much further down. */
function newlinesBefore(rows: (string | null)[][], row: number): number {
  let count = 0;
  for (const cells of rows.slice(0, row)) for (const cell of cells) count += cell?.match(/\n/g)?.length ?? 0;
  return count;
}

const REJECTS: Readonly<Record<string, string>> = {
  'MISSING COLUMNS': 'has fewer cells than the header',
  'TOO MANY COLUMNS': 'has more cells than the header',
  'UNQUOTED VALUE': 'has a quote that is not closed',
  'LINE SIZE OVER MAXIMUM': 'is too long',
  'INVALID ENCODING': 'is not UTF-8',
};

function describeRejects(file: string, rejected: (string | null)[][]): string {
  const lines = rejected.map(([line, column, type]) => {
    const near = column === null || column === undefined || column === '' ? '' : ` (column ${column})`;
    return `${file}:${line}${near}: the line ${REJECTS[type ?? ''] ?? 'cannot be read'}`;
  });
  return `${lines.join('\n')}\nCorrect these lines; nothing of the file was used.`;
}
