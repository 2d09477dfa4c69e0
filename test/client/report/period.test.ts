import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dayOf, isIn, isoDay, periodInWords, periodNamed } from '../../../client/report/period.ts';
import { periodName } from '../../../privacy/budget.ts';

const at = (iso: string): number => Date.parse(iso);

test.each([
  ['2026', '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z'],
  ['2026-Q1', '2026-01-01T00:00:00Z', '2026-04-01T00:00:00Z'],
  ['2026-Q4', '2026-10-01T00:00:00Z', '2027-01-01T00:00:00Z'],
  ['2024-02', '2024-02-01T00:00:00Z', '2024-03-01T00:00:00Z'],
  ['2026-12', '2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'],
])('%s begins with its first instant in UTC and ends before the first of the next', (name, from, to) => {
  const period = periodNamed(name);
  expect(period).toEqual({ name, from: at(from), to: at(to) });
  expect([at(from) - 1, at(from), at(to) - 1, at(to)].map((one) => isIn(period, one))).toEqual([
    false,
    true,
    true,
    false,
  ]);
});

test('all is everything', () => {
  expect([-8.64e15, 0, 8.64e15].every((one) => isIn(periodNamed('all'), one))).toBe(true);
});

test('every time lies in the month, quarter and year that budgets count it under', () => {
  const times = fc.integer({ min: at('1970-01-01'), max: at('2999-12-31') });
  fc.assert(
    fc.property(times, fc.constantFrom('month', 'quarter', 'year'), (time, every) =>
      isIn(periodNamed(periodName(every, time)), time),
    ),
  );
});

test.each(['', '26', '2026-Q0', '2026-Q5', '2026-00', '2026-13', '2026-1', '2026-11-05', 'ALL', '2026-Q4 '])(
  '"%s" is refused, with what would do',
  (name) => {
    expect(() => periodNamed(name)).toThrow(`"${name}" is no period; write 2026, 2026-Q4, 2026-11 or all`);
  },
);

test('days are those of UTC, wherever the machine is', () => {
  const zone = process.env['TZ'];
  try {
    process.env['TZ'] = 'Pacific/Kiritimati'; // UTC+14
    expect(new Date(at('2026-12-31T23:59:59Z')).getDate()).toBe(1);
    expect(dayOf(at('2026-12-31T23:59:59Z'))).toBe('31 December 2026');
    expect(periodNamed('2026-01').from).toBe(at('2026-01-01T00:00:00Z'));
  } finally {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  }
});

test('a period is said with its first and its last day', () => {
  expect(periodInWords(periodNamed('2026-Q4'))).toBe('Between 1 October 2026 and 31 December 2026');
  expect(periodInWords(periodNamed('2024-02'))).toBe('Between 1 February 2024 and 29 February 2024');
  expect(periodInWords(periodNamed('all'))).toBe('Since the ledger began');
  expect(dayOf(at('2026-03-01T23:59:59.999Z'))).toBe('1 March 2026');
  expect(isoDay(at('2026-03-01T23:59:59.999Z'))).toBe('2026-03-01');
});
