/**
 * A table as numbers: what a tenant's training, evaluation and segmentation read. Never leaves the tenant.
 *
 * Rows keep the table's order. Customers are numbered in the order of their first row.
 */
export interface Encoded {
  /** rows of the table */
  readonly rows: number;
  /** inputs of a row */
  readonly width: number;
  /** most rows a customer may have, from the schema */
  readonly maxRows: number;
  /** rows × width, row by row, each in [−1, 1] */
  readonly inputs: Float32Array;
  /** 0 or 1 per row; null when the schema has no label or the table is only to be scored */
  readonly labels: Float32Array | null;
  /** how many customers the table holds */
  readonly customers: number;
  /** the customer of each row, 0 … customers − 1 */
  readonly customerOfRow: Int32Array;
  /** all rows, customer by customer; see `rowsOfCustomer` */
  readonly rowsByCustomer: Int32Array;
  /** where each customer's rows begin in `rowsByCustomer`; length customers + 1 */
  readonly firstRow: Int32Array;
  /** 1 for a customer that is kept from training */
  readonly heldOut: Uint8Array;
}

/** The rows of one customer, ascending. A view, not a copy. */
export function rowsOfCustomer(encoded: Encoded, customer: number): Int32Array {
  return encoded.rowsByCustomer.subarray(encoded.firstRow[customer], encoded.firstRow[customer + 1]);
}

/** Customers to train on. */
export function trainingCustomers(encoded: Encoded): Int32Array {
  return customersWhere(encoded, 0);
}

/** Customers to evaluate on. */
export function heldOutCustomers(encoded: Encoded): Int32Array {
  return customersWhere(encoded, 1);
}

/** Only these customers, renumbered in the order given. */
export function subset(encoded: Encoded, customers: Int32Array): Encoded {
  const rows = Int32Array.from([...customers].flatMap((customer) => [...rowsOfCustomer(encoded, customer)]));
  const inputs = new Float32Array(rows.length * encoded.width);
  for (const [at, row] of rows.entries()) {
    inputs.set(encoded.inputs.subarray(row * encoded.width, (row + 1) * encoded.width), at * encoded.width);
  }
  const counts = customers.map((customer) => rowsOfCustomer(encoded, customer).length);
  const { labels } = encoded;
  return {
    ...groupRows(repeat(counts), customers.length),
    width: encoded.width,
    maxRows: encoded.maxRows,
    inputs,
    labels: labels === null ? null : Float32Array.from(rows, (row) => labels[row]!),
    heldOut: Uint8Array.from(customers, (customer) => encoded.heldOut[customer]!),
  };
}

/**
 * Several tables as one, customers of different tables kept apart. For references that do see all rows.
 *
 * @throws RangeError when they were not encoded with the same schema
 */
export function pool(tables: readonly Encoded[]): Encoded {
  const [first] = tables;
  if (first === undefined) throw new RangeError('nothing to pool: give at least one table');
  if (tables.some((table) => table.width !== first.width || (table.labels === null) !== (first.labels === null))) {
    throw new RangeError('tables encoded with different schemas cannot be pooled');
  }
  const customers = tables.reduce((sum, table) => sum + table.customers, 0);
  return {
    ...groupRows(joinCustomers(tables), customers),
    width: first.width,
    maxRows: Math.max(...tables.map((table) => table.maxRows)),
    inputs: joinFloats(tables.map((table) => table.inputs)),
    labels: first.labels === null ? null : joinFloats(tables.map((table) => table.labels!)),
    heldOut: Uint8Array.from(tables.flatMap((table) => [...table.heldOut])),
  };
}

/** The index of rows by customer. */
export function groupRows(
  customerOfRow: Int32Array,
  customers: number,
): Pick<Encoded, 'rows' | 'customers' | 'customerOfRow' | 'rowsByCustomer' | 'firstRow'> {
  const firstRow = new Int32Array(customers + 1);
  for (const customer of customerOfRow) firstRow[customer + 1]! += 1;
  for (let c = 0; c < customers; c++) firstRow[c + 1]! += firstRow[c]!;
  const rowsByCustomer = new Int32Array(customerOfRow.length);
  const next = firstRow.slice();
  for (const [row, customer] of customerOfRow.entries()) rowsByCustomer[next[customer]!++] = row;
  return { rows: customerOfRow.length, customers, customerOfRow, rowsByCustomer, firstRow };
}

function customersWhere(encoded: Encoded, heldOut: 0 | 1): Int32Array {
  return Int32Array.from(encoded.heldOut.keys()).filter((customer) => encoded.heldOut[customer] === heldOut);
}

function repeat(counts: Int32Array): Int32Array {
  const customerOfRow = new Int32Array(counts.reduce((sum, count) => sum + count, 0));
  let row = 0;
  for (const [customer, count] of counts.entries()) {
    customerOfRow.fill(customer, row, row + count);
    row += count;
  }
  return customerOfRow;
}

function joinCustomers(tables: readonly Encoded[]): Int32Array {
  let before = 0;
  const parts = tables.map((table) => {
    const shifted = table.customerOfRow.map((customer) => customer + before);
    before += table.customers;
    return shifted;
  });
  return Int32Array.from(parts.flatMap((part) => [...part]));
}

function joinFloats(parts: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
