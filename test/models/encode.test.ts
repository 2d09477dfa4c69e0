import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { customerOfEachRow, encode, isHeldOut } from '../../models/encode.ts';
import { heldOutCustomers, pool, rowsOfCustomer, subset, trainingCustomers } from '../../models/encoded.ts';
import type { FeatureSchema } from '../../models/schema.ts';
import { TableRefused } from '../../models/table-errors.ts';
import { schema, tableOf } from './tables.ts';

const columns = ['left', 'months', 'bill', 'contract'];
const good = ['no', '20', '35', 'year'];

function refusal(of: FeatureSchema, table: ReturnType<typeof tableOf>): TableRefused {
  try {
    encode(of, table);
  } catch (error) {
    if (error instanceof TableRefused) return error;
    throw error;
  }
  throw new Error('the table was not refused');
}

describe('encode', () => {
  test('numbers are scaled on their bounds, categories are one-hot, labels are 0 and 1', () => {
    const { inputs, labels, customers, width } = encode(schema, tableOf(columns, [good, ['yes', '80', '10', 'month']]));
    expect([...inputs]).toEqual([-0.5, -0.5, 0, 1, 1, -1, 1, 0]);
    expect([...labels!]).toEqual([0, 1]);
    expect([customers, width]).toEqual([2, 4]);
  });

  test('numbers outside the bounds are clamped to them', () => {
    const { inputs } = encode(schema, tableOf(columns, [['no', '-5', '1e6', 'year']]));
    expect([...inputs]).toEqual([-1, 1, 0, 1]);
  });

  test('an empty cell takes its replacement, or all zeros', () => {
    const { inputs } = encode(schema, tableOf(columns, [['no', '40', null, ' ']]));
    expect([...inputs]).toEqual([0, 0, 0, 0]);
  });

  test('every input lies in [-1, 1] whatever the numbers are', () => {
    const decimals = fc.double({ noNaN: true, noDefaultInfinity: true }).map(String);
    fc.assert(
      fc.property(fc.array(fc.tuple(decimals, decimals), { minLength: 1 }), (cells) => {
        const { inputs } = encode(
          schema,
          tableOf(
            columns,
            cells.map(([a, b]) => ['no', a, b, 'year']),
          ),
        );
        return inputs.every((value) => value >= -1 && value <= 1);
      }),
    );
  });

  test('bounds as wide as doubles go do not overflow', () => {
    const features = [{ kind: 'number', column: 'a', minimum: -1.7e308, maximum: 1.7e308, missing: 'refuse' }] as const;
    const { inputs } = encode({ customer: 'row', features, holdout: null }, tableOf(['a'], [['1.7e308'], ['0']]));
    expect([...inputs]).toEqual([1, 0]);
  });

  test.each([
    ['months', ['no', '', '35', 'year'], 'is empty'],
    ['months', ['no', 'secret', '35', 'year'], 'is not a number'],
    ['months', ['no', '0x10', '35', 'year'], 'is not a number'],
    ['bill', ['no', '20', 'Infinity', 'year'], 'is not a number'],
    ['contract', ['no', '20', '35', 'secret'], 'holds an unknown category'],
    ['left', ['secret', '20', '35', 'year'], 'write "yes" or "no"'],
    ['left', [null, '20', '35', 'year'], 'write "yes" or "no"'],
  ])('a bad cell in %s is named by file, line and column, and its value is not told', (column, row, problem) => {
    const error = refusal(schema, tableOf(columns, [good, row]));
    expect(error.problems).toMatchObject([{ file: 'customers.csv', line: 3, column }]);
    expect(error.message).toContain(`customers.csv:3: column "${column}"`);
    expect(error.message).toContain(problem);
    for (const cell of row.filter((cell) => cell !== null && cell.length > 2 && cell !== 'year')) {
      expect(error.message).not.toContain(cell);
    }
  });

  test('all bad cells are told together, at most twenty', () => {
    const two = refusal(schema, tableOf(columns, [['no', 'x', '35', 'year'], good, ['no', '20', 'x', 'year']]));
    expect(two.problems.map(({ line }) => line)).toEqual([2, 4]);
    const many = refusal(
      schema,
      tableOf(
        columns,
        Array.from({ length: 50 }, () => ['?', 'x', 'x', 'x']),
      ),
    );
    expect(many.problems).toHaveLength(20);
  });

  test('a column that is not there is named beside those that are', () => {
    const error = refusal(schema, tableOf(['left', 'months', 'contract'], []));
    expect(error.message).toContain('column "bill" is not in the table: it has "left", "months", "contract"');
  });

  test('a table to be scored needs neither label nor customer, and each row is its own', () => {
    const keyed: FeatureSchema = { ...schema, customer: { column: 'id', maxRows: 1 }, holdout: { oneIn: 2 } };
    const encoded = encode(
      keyed,
      tableOf(['months', 'bill', 'contract'], Array(9).fill(['1', '20', 'year'])),
      'scoring',
    );
    expect(encoded.labels).toBeNull();
    expect([encoded.customers, encoded.maxRows, heldOutCustomers(encoded).length]).toEqual([9, 1, 0]);
  });
});

describe('customers', () => {
  const keyed: FeatureSchema = { ...schema, customer: { column: 'id', maxRows: 2 } };
  const rows = (...ids: (string | null)[]) =>
    tableOf(
      [...columns, 'id'],
      ids.map((id) => [...good, id]),
    );

  test('rows with the same key are one customer, numbered by first row', () => {
    const encoded = encode(keyed, rows('b', 'a', 'b'));
    expect([...encoded.customerOfRow]).toEqual([0, 1, 0]);
    expect([...rowsOfCustomer(encoded, 0)]).toEqual([0, 2]);
    expect([...rowsOfCustomer(encoded, 1)]).toEqual([1]);
  });

  test('a customer with more rows than agreed is refused once, at the first row too many', () => {
    expect(refusal(keyed, rows('a', 'b', 'a', 'a', 'a')).problems.map(({ line, column }) => [line, column])).toEqual([
      [5, 'id'],
    ]);
  });

  test('a row that names no customer is refused', () => {
    expect(refusal(keyed, rows('a', null)).problems).toMatchObject([{ line: 3, column: 'id' }]);
  });

  test('a subset keeps whole customers, their labels and their place in the hold-out', () => {
    const held: FeatureSchema = { ...keyed, holdout: { oneIn: 2 } };
    const encoded = encode(held, rows('a', 'b', 'c', 'a', 'd'));
    const [inside, outside] = [encoded.heldOut.indexOf(1), encoded.heldOut.indexOf(0)];
    expect([...subset(encoded, Int32Array.of(outside, inside, outside)).heldOut]).toEqual([0, 1, 0]);
    const part = subset(encoded, Int32Array.of(3, 0));
    expect([...part.customerOfRow]).toEqual([0, 1, 1]);
    expect([...part.inputs]).toEqual([4, 0, 3].flatMap((row) => [...encoded.inputs.subarray(row * 4, row * 4 + 4)]));
  });

  test('pooled tables keep their customers apart, even under the same key', () => {
    const both = pool([encode(keyed, rows('a', 'b', 'a')), encode(keyed, rows('a'))]);
    expect([...both.customerOfRow]).toEqual([0, 1, 0, 2]);
    expect([both.rows, both.customers, both.inputs.length]).toEqual([4, 3, 16]);
  });
});

describe('hold-out', () => {
  const held: FeatureSchema = { ...schema, holdout: { oneIn: 5 } };
  const many = Array.from({ length: 2000 }, (_, i) => ['no', `${i % 80}.${i}`, '35', 'year']);

  test('one customer in oneIn is held out, and the rest are trained on', () => {
    const encoded = encode(held, tableOf(columns, many));
    const share = heldOutCustomers(encoded).length / 2000;
    expect(Math.abs(share - 0.2)).toBeLessThan(0.04);
    expect(heldOutCustomers(encoded).length + trainingCustomers(encoded).length).toBe(2000);
  });

  test('who is held out depends neither on the order of rows nor on the order of columns', () => {
    const before = encode(held, tableOf(columns, many)).heldOut;
    const turned = encode(held, tableOf([...columns].reverse(), many.map((row) => [...row].reverse()).reverse()));
    expect([...turned.heldOut].reverse()).toEqual([...before]);
  });

  test('a keyed customer is held out by its key alone, whatever its rows hold', () => {
    // not 5: bytes in either order have the same remainder by 5
    const keyed: FeatureSchema = { ...schema, customer: { column: 'id', maxRows: 1 }, holdout: { oneIn: 7 } };
    const ids = Array.from({ length: 300 }, (_, i) => `id-${i}`);
    const encodeWith = (bill: string) =>
      encode(
        keyed,
        tableOf(
          [...columns, 'id'],
          ids.map((id) => ['no', '20', bill, 'year', id]),
        ),
      ).heldOut;
    expect([...encodeWith('35')]).toEqual([...encodeWith('99')]);
    const expected = ids.map((id) =>
      Number(hash('sha256', `parley/holdout/v1\n${id}`, 'buffer').readUInt32BE() % 7 === 0),
    );
    expect([...encodeWith('35')]).toEqual(expected);
  });

  test('a row that is a customer is held out by its cells in the order of the columns names', () => {
    const row = ['no', '20', '35', 'year'];
    const digest = hash('sha256', 'parley/holdout/v1\n["35","year","no","20"]', 'buffer').readUInt32BE();
    for (const oneIn of [2, 3, 5, 7]) {
      const encoded = encode({ ...schema, holdout: { oneIn } }, tableOf(columns, [row]));
      expect([oneIn, encoded.heldOut[0]]).toEqual([oneIn, Number(digest % oneIn === 0)]);
    }
  });
});

describe('who each row is about', () => {
  const rows = [
    ['no', '20', '35', 'year', 'mayer'],
    ['yes', '21', '35', 'year', ' okoro '],
    ['no', '22', '35', 'year', 'mayer'],
    ['no', '23', '35', 'year', ''],
  ];
  const table = tableOf([...columns, 'id'], rows);
  const byId: FeatureSchema = { ...schema, customer: { column: 'id', maxRows: 3 }, holdout: { oneIn: 2 } };

  test('is what stands in the customer column, without the blanks around it', () => {
    expect(customerOfEachRow(byId, table)).toEqual(['mayer', 'okoro', 'mayer', null]);
  });

  test('is the identity by which a customer is held out, with a column and without', () => {
    for (const of of [byId, { ...byId, customer: 'row' as const }]) {
      const whole = tableOf([...columns, 'id'], rows.slice(0, 3));
      const { heldOut, customerOfRow } = encode(of, whole);
      const found = customerOfEachRow(of, whole).map((customer) => Number(isHeldOut(of, customer!)));
      expect(found).toEqual([...customerOfRow].map((customer) => heldOut[customer]));
    }
  });

  test('cannot be said without the column', () => {
    expect(() => customerOfEachRow(byId, tableOf(columns, [good]))).toThrow(TableRefused);
  });
});
