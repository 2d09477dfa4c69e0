import { CommandError, EXIT } from '../../aggregation/exit.ts';

/** The span of time a report is about: whole days, quarters or years of the calendar in UTC, or everything. */
export interface Period {
  /** `2026`, `2026-Q4`, `2026-11` or `all` */
  readonly name: string;
  /** its first instant, Unix ms; −Infinity for `all` */
  readonly from: number;
  /** the first instant after it, Unix ms; Infinity for `all` */
  readonly to: number;
}

/** @throws CommandError when `name` is no period */
export function periodNamed(name: string): Period {
  if (name === 'all') return { name, from: -Infinity, to: Infinity };
  const [, year, quarter, month] = /^(\d{4})(?:-Q([1-4])|-(0[1-9]|1[0-2]))?$/.exec(name) ?? [];
  if (year === undefined)
    throw new CommandError(EXIT.usage, `"${name}" is no period; write 2026, 2026-Q4, 2026-11 or all`);
  if (quarter !== undefined) return months(name, Number(year), 3 * (Number(quarter) - 1), 3);
  if (month !== undefined) return months(name, Number(year), Number(month) - 1, 1);
  return months(name, Number(year), 0, 12);
}

/** @param at - Unix ms */
export const isIn = ({ from, to }: Period, at: number): boolean => at >= from && at < to;

/** In words, for the beginning of a sentence. */
export function periodInWords({ from, to }: Period): string {
  return Number.isFinite(from) ? `Between ${dayOf(from)} and ${dayOf(to - 1)}` : 'Since the ledger began';
}

/** Such as 1 October 2026, in UTC. @param at - Unix ms */
export const dayOf = (at: number): string =>
  new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' }).format(at);

/** Such as 2026-10-01. @param at - Unix ms */
export const isoDay = (at: number): string => new Date(at).toISOString().slice(0, 10);

function months(name: string, year: number, first: number, count: number): Period {
  const start = (month: number): number => {
    const date = new Date(0);
    date.setUTCFullYear(year, month, 1); // Date.UTC would read years below 100 as 19xx
    return date.getTime();
  };
  return { name, from: start(first), to: start(first + count) };
}
