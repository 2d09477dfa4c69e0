import { hash } from 'node:crypto';
import { type Encoded, groupRows } from './encoded.ts';
import {
  type CategoryFeature,
  type Feature,
  type FeatureSchema,
  featureWidth,
  inputWidth,
  type NumberFeature,
} from './schema.ts';
import { Problems, RowError, TableRefused } from './table-errors.ts';

/** Rows as text, as a reader of files or databases gives them. A cell is missing when null or blank. */
export interface Table {
  /** what messages call it */
  readonly file: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
  /** where row `row` stands in the file, 1 is the first line */
  line(row: number): number;
}

/**
 * Reads a table as the schema says.
 *
 * `training` needs the label and the customer column. `scoring` needs only the features: labels are null, and each
 * row is a customer that is not held out.
 *
 * @throws TableRefused naming file, line and column of up to 20 cells; never a cell's value
 */
export function encode(schema: FeatureSchema, table: Table, purpose: 'training' | 'scoring' = 'training'): Encoded {
  const training = purpose === 'training';
  const places = findColumns(schema, table, training);
  const problems = new Problems();
  const inputs = encodeInputs(schema, table, places, problems);
  const labels = training ? encodeLabels(schema, table, places, problems) : null;
  const { identities, customerOfRow, maxRows } = training
    ? findCustomers(schema, table, places, problems)
    : eachRow(table.rows.map(() => ''));
  problems.throwIfAny();
  return {
    ...groupRows(customerOfRow, identities.length),
    width: inputWidth(schema),
    maxRows,
    inputs,
    labels,
    heldOut: Uint8Array.from(identities, (identity) => Number(training && isHeldOut(schema, identity))),
  };
}

/**
 * Is this customer kept from training? Fixed by the customer alone: the same in every task and order of rows.
 *
 * SHA-256 of `parley/holdout/v1\n` and the customer's identity (its key; the row's cells where a row is a customer); its first 4 bytes, big-endian, are divisible by `oneIn`.
 */
export function isHeldOut(schema: FeatureSchema, identity: string): boolean {
  if (schema.holdout === null) return false;
  const digest = hash('sha256', `parley/holdout/v1\n${identity}`, 'buffer');
  return digest.readUInt32BE(0) % schema.holdout.oneIn === 0;
}

/**
 * Who each row is about: what stands in the customer column, or the row itself where a row is a customer. Null where the column is
 * empty.
 *
 * @throws TableRefused when the table has no such column
 */
export function customerOfEachRow({ customer }: Pick<FeatureSchema, 'customer'>, table: Table): (string | null)[] {
  if (customer === 'row') return rowIdentities(table);
  const place = table.columns.indexOf(customer.column);
  if (place < 0) throw new TableRefused([new RowError({ file: table.file, column: customer.column }, 'is not there')]);
  return table.rows.map((_, row) => cellAt(table, row, place));
}

type Places = ReadonlyMap<string, number>;

function findColumns(schema: FeatureSchema, table: Table, training: boolean): Places {
  const needed = schema.features.map((feature) => feature.column);
  if (training && schema.label !== undefined) needed.push(schema.label.column);
  if (training && schema.customer !== 'row') needed.push(schema.customer.column);
  const missing = needed.filter((column) => !table.columns.includes(column));
  if (missing.length > 0) {
    const problem = `is not in the table: it has ${table.columns.map((column) => `"${column}"`).join(', ')}`;
    throw new TableRefused(missing.map((column) => new RowError({ file: table.file, column }, problem)));
  }
  return new Map(table.columns.map((column, place) => [column, place]));
}

function encodeInputs(schema: FeatureSchema, table: Table, places: Places, problems: Problems): Float32Array {
  const width = inputWidth(schema);
  const inputs = new Float32Array(table.rows.length * width);
  const readers = schema.features.map((feature) => ({
    feature,
    place: places.get(feature.column)!,
    read: reader(feature),
  }));
  for (let row = 0; row < table.rows.length; row++) {
    let at = row * width;
    for (const { feature, place, read } of readers) {
      const problem = read(cellAt(table, row, place), inputs, at);
      if (problem !== undefined) problems.add(rowError(table, row, feature.column, problem));
      at += featureWidth(feature);
    }
  }
  return inputs;
}

/** Writes one feature of one row at `at`; returns what is wrong with the cell, if anything. */
type Reader = (cell: string | null, inputs: Float32Array, at: number) => string | undefined;

function reader(feature: Feature): Reader {
  return feature.kind === 'number' ? numberReader(feature) : categoryReader(feature);
}

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

function numberReader({ minimum, maximum, missing }: NumberFeature): Reader {
  return (cell, inputs, at) => {
    if (cell === null && missing === 'refuse') return 'is empty: fill it, or set "missing" in the schema to a number';
    if (cell !== null && !decimal.test(cell)) return 'is not a number: write a plain decimal such as 29.85';
    const value = cell === null ? Number(missing) : Number(cell);
    const clamped = Math.min(maximum, Math.max(minimum, value));
    // halved before subtracting: bounds near ±1.8e308 must not overflow
    inputs[at] = 2 * ((clamped / 2 - minimum / 2) / (maximum / 2 - minimum / 2)) - 1;
    return undefined;
  };
}

function categoryReader({ categories, missing, unknown }: CategoryFeature): Reader {
  const offsets = new Map(categories.map((category, offset) => [category, offset]));
  return (cell, inputs, at) => {
    if (cell === null) {
      return missing === 'zero' ? undefined : 'is empty: fill it, or set "missing" in the schema to "zero"';
    }
    const offset = offsets.get(cell);
    if (offset !== undefined) inputs[at + offset] = 1;
    else if (unknown === 'refuse')
      return 'holds an unknown category: list it, or set "unknown" in the schema to "zero"';
    return undefined;
  };
}

function encodeLabels(schema: FeatureSchema, table: Table, places: Places, problems: Problems): Float32Array | null {
  const { label } = schema;
  if (label === undefined) return null;
  const place = places.get(label.column)!;
  return Float32Array.from(table.rows, (_, row) => {
    const cell = cellAt(table, row, place);
    if (cell === label.positive) return 1;
    if (cell === label.negative) return 0;
    const problem = `is not a label: write "${label.positive}" or "${label.negative}"`;
    problems.add(rowError(table, row, label.column, problem));
    return 0;
  });
}

interface Customers {
  /** what each customer is known by, in the order of their first rows */
  readonly identities: readonly string[];
  readonly customerOfRow: Int32Array;
  readonly maxRows: number;
}

function findCustomers(schema: FeatureSchema, table: Table, places: Places, problems: Problems): Customers {
  if (schema.customer === 'row') return eachRow(rowIdentities(table));
  const { column, maxRows } = schema.customer;
  const place = places.get(column)!;
  const numbers = new Map<string, number>();
  const counts: number[] = [];
  const customerOfRow = Int32Array.from(table.rows, (_, row) => {
    const key = cellAt(table, row, place);
    if (key === null) problems.add(rowError(table, row, column, 'is empty: every row must name its customer'));
    const customer = numbers.get(key ?? '') ?? numbers.size;
    numbers.set(key ?? '', customer);
    counts[customer] = (counts[customer] ?? 0) + 1;
    // told once for each customer, at the first row too many
    if (counts[customer] === maxRows + 1) problems.add(rowError(table, row, column, tooManyRows(maxRows)));
    return customer;
  });
  return { identities: [...numbers.keys()], customerOfRow, maxRows };
}

function tooManyRows(maxRows: number): string {
  return `names a customer with more than ${maxRows} rows: choose which to keep, or agree on a larger "maxRows"`;
}

function eachRow(identities: readonly string[]): Customers {
  return { identities, customerOfRow: Int32Array.from(identities.keys()), maxRows: 1 };
}

/** What stands for the customer where a row is one: its cells in the order of the columns' names, as JSON. */
function rowIdentities(table: Table): string[] {
  const order = [...table.columns.keys()].sort((a, b) => (table.columns[a]! < table.columns[b]! ? -1 : 1));
  return table.rows.map((_, row) => JSON.stringify(order.map((place) => cellAt(table, row, place))));
}

function cellAt(table: Table, row: number, place: number): string | null {
  const cell = table.rows[row]?.[place]?.trim();
  return cell === undefined || cell === '' ? null : cell;
}

function rowError(table: Table, row: number, column: string, problem: string): RowError {
  return new RowError({ file: table.file, line: table.line(row), column }, problem);
}
