/** Upper bounds as people read them: always rounded up. What is infinite is shown as ∞. */

/** ε with three decimals. */
export const epsilonText = (epsilon: number): string =>
  Number.isFinite(epsilon) ? (Math.ceil(epsilon * 1000 - 1e-9) / 1000).toFixed(3) : '∞';

/** Of so many in a hundred: 5.4 for 0.0531; with more digits below 1. */
export function ofHundred(part: number): string {
  const percent = 100 * part;
  const unit = 10 ** Math.min(-1, Math.floor(Math.log10(percent)) - 1);
  const rounded = Math.min(100, Math.ceil(percent / unit - 1e-9) * unit);
  return String(Number(rounded.toPrecision(6)));
}

/** Numbers that are exact, or no bounds: whole ones in full, others to six digits. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '∞';
  return String(Number.isInteger(value) ? value : Number(value.toPrecision(6)));
}
