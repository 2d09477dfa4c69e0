import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LineChart } from '../../aggregation/plot.ts';
import { textPlot } from '../../simulation/text-plot.ts';

const chart = (series: LineChart['series'], to = 3): LineChart => ({
  title: 'rise',
  x: { label: 'rounds', from: 0, to },
  y: { label: 'ε', from: 0, to: 3 },
  series,
});
const line = (label: string, ...ys: number[]) => ({ label, points: ys.map((y, x) => ({ x, y })) });

describe('in letters', () => {
  test('a curve is drawn from the lower left, its name beside its end', () => {
    const text = textPlot(chart([line('up', 0, 1, 2, 3), line('flat', 1, 1, 1, 1)]), {
      columns: 4,
      rows: 4,
      braille: false,
    });
    expect(text).toBe(`rise: ε
3 |   u up
  |  u
  |fuff flat
  |u
0 +----
   0  3 rounds`);
  });
  test('a steep curve has no gaps, and one that ends early ends there', () => {
    const text = textPlot(chart([line('steep', 0, 3)]), { columns: 4, rows: 4, braille: false });
    expect(text.split('\n').slice(1, 5)).toEqual(['3 | s   steep', '  | s', '  | s', '  |s']);
  });
  test('names of curves that end together stand together, the higher first', () => {
    const text = textPlot(chart([line('low', 0, 2.9), line('high', 0, 3)], 1), { columns: 2, rows: 2, braille: false });
    expect(text).toContain('high, low');
  });
  test('is ASCII but for what the labels say', () => {
    const plain = textPlot(
      { ...chart([line('a', 0, 3)]), y: { label: 'epsilon', from: 0, to: 3 } },
      { columns: 9, rows: 5, braille: false },
    );
    expect(plain).toMatch(/^[\n -~]+$/);
  });
});

describe('in Braille', () => {
  test('a diagonal is a dot in each of eight rows and columns (Unicode 16.0, §21.1: dots 7, 3, 5, 1 and so on)', () => {
    const ys = Array.from({ length: 4 }, (_, i) => i);
    const text = textPlot(chart([line('up', ...ys)]), { columns: 2, rows: 1, braille: true });
    // columns at 0, 1, 2, 3 and rows from below: dots 7, 6 of the first cell, 2, 4 of the second
    expect(text.split('\n')[1]).toBe(`3 ┤${String.fromCodePoint(0x2800 + 0x40 + 0x20, 0x2800 + 0x02 + 0x08)} up`);
  });
  test('each corner has its dot', () => {
    const corner = (y: number, column: 0 | 1) => {
      const points = [{ x: 3 * column, y }];
      const cell = textPlot(chart([{ label: 'p', points }]), { columns: 1, rows: 1, braille: true }).split('\n')[1]!;
      return cell.codePointAt(3)! - 0x2800;
    };
    expect([corner(3, 0), corner(3, 1), corner(0, 0), corner(0, 1)]).toEqual([0x01, 0x08, 0x40, 0x80]);
  });
});

test('every plot has its rows, columns and names, whatever the curve', () => {
  const ys = fc.array(fc.double({ min: 0, max: 3, noNaN: true }), { minLength: 4, maxLength: 4 });
  const size = {
    columns: fc.integer({ min: 1, max: 80 }),
    rows: fc.integer({ min: 1, max: 30 }),
    braille: fc.boolean(),
  };
  fc.assert(
    fc.property(ys, fc.record(size), (values, style) => {
      const lines = textPlot(chart([line('curve', ...values)]), style).split('\n');
      expect(lines).toHaveLength(style.rows + 3);
      const body = lines.slice(1, -2);
      expect(body.filter((row) => row.endsWith(' curve'))).toHaveLength(1);
      const cells = body.map((row) => row.slice(3, 3 + style.columns));
      for (let column = 0; column < style.columns; column++) {
        const used = cells.filter((row) => (row[column] ?? ' ') !== ' ' && (style.braille || row[column] === 'c'));
        expect(used.length).toBeGreaterThan(0);
      }
    }),
  );
});
