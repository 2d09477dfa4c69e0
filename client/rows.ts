import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
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

/** A path as DuckDB takes it: literally, or `customers*.csv` would be read as several files, of which one was hashed. */
const quoted = (path: string): string => `'${path.replaceAll(/[*?[]/g, '[$&]').replaceAll("'", "''")}'`;

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

const DIALECT = `all_varchar = true, delim = ',', quote = '"', escape = '"', comment = '', skip = 0,
  null_padding = false, strict_mode = true, allow_quoted_nulls = false, parallel = false`;

/**
 * Strict CSV (RFC 4180): a header, the same number of cells in every line, quotes that close.
 * DuckDB keeps the lines it cannot read in a table of its own; their numbers are reported, not their text.
 */
function readCsv(file: string): Promise<Table> {
  return withDatabase(async (query) => {
    let table: { columns: string[]; rows: (string | null)[][] };
    let header: (string | null)[] | undefined;
    try {
      const names = `select * from read_csv(${quoted(file)}, ${DIALECT}, header = false, nullstr = '', ignore_errors = true)`;
      header = (await query(`${names} limit 1`)).rows[0];
      const rows = `read_csv(${quoted(file)}, ${DIALECT}, header = true, nullstr = ['', 'NA'], store_rejects = true, rejects_limit = 0)`;
      table = await query(`select * from ${rows}`);
    } catch {
      throw new RowsUnreadable(
        `${file}${placeOfBrokenQuote(file)}; a header line and comma-separated cells are needed, lines ending alike`,
      );
    }
    const { rows: rejected } = await query(
      'select distinct line, column_name, error_type from reject_errors order by line limit 20',
    );
    if (rejected.length > 0) throw new RowsUnreadable(describeRejects(file, rejected));
    const columns = columnNames(file, header, table.columns);
    let lines: readonly number[] | undefined;
    const line = (row: number): number => {
      lines ??= scan(readFileSync(file, 'utf8'), columns.length > 1).records;
      return lines[row + 1]!;
    };
    return { file, columns, rows: table.rows, line };
  });
}

/** The header as it is written: DuckDB would give the second of two equal names another one. */
function columnNames(file: string, header: (string | null)[] | undefined, given: readonly string[]): string[] {
  if (header === undefined) throw new RowsUnreadable(`${file}: the file is empty; a header line is needed`);
  const columns = header.map((name, i) => name ?? given[i]!);
  const twice = columns.find((name, i) => columns.indexOf(name) !== i);
  if (twice !== undefined) throw new RowsUnreadable(`${file}:1: column "${twice}" is there twice`);
  return columns;
}

interface Scan {
  /** the line each record starts on, the header's first; a quoted cell may span lines */
  readonly records: readonly number[];
  /** where a quote was opened that never closes, or closes before its cell ends */
  readonly brokenQuote: number | undefined;
}

/** Where records start. Only for messages: the cells themselves are DuckDB's to read. */
function scan(text: string, skipsBlank: boolean): Scan {
  const records: number[] = [];
  let brokenQuote: number | undefined;
  let line = 1;
  const record = /(?:"[^"]*(?:""[^"]*)*"(?=[,\r\n]|$)|[^"\r\n,][^\r\n,]*|,)*(\r\n|\n|\r)?/y;
  for (let at = text.startsWith('\ufeff') ? 1 : 0; at < text.length; at = record.lastIndex) {
    record.lastIndex = at;
    const found = record.exec(text)!;
    if (found[1] === undefined && record.lastIndex < text.length) {
      brokenQuote = line + newlines(found[0]);
      break;
    }
    if (!skipsBlank || found[0] !== found[1]) records.push(line);
    line += newlines(found[0]);
  }
  return { records, brokenQuote };
}

const newlines = (text: string): number => text.match(/\r\n|\n|\r/g)?.length ?? 0;

function placeOfBrokenQuote(file: string): string {
  const { brokenQuote } = scan(readFileSync(file, 'utf8'), true);
  return brokenQuote === undefined ? ': not a CSV file' : `:${brokenQuote}: the line has a quote that is not closed`;
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
