/** What one process takes, at a moment of a long run. */
export interface Sample {
  /** seconds since the run began */
  readonly at: number;
  /** MiB of objects, buffers and WebAssembly that it needs: garbage is collected first */
  readonly held: number;
  /** MiB in memory (VmRSS): what it holds, its code, and what V8 and malloc keep for later */
  readonly resident: number;
  /** open files and sockets */
  readonly handles: number;
}

/** How fast something grows in the second half of a run, by least squares: a minute. The first half is for warming up. */
export function growth(samples: readonly Sample[], of: Exclude<keyof Sample, 'at'>): number {
  const half = (samples.at(-1)?.at ?? 0) / 2;
  const late = samples.filter(({ at }) => at >= half);
  const mean = (values: readonly number[]): number => values.reduce((sum, each) => sum + each, 0) / values.length;
  const [x, y] = [mean(late.map(({ at }) => at)), mean(late.map((each) => each[of]))];
  const spread = late.reduce((sum, { at }) => sum + (at - x) ** 2, 0);
  if (spread === 0) throw new RangeError(`${late.length} samples in the second half say nothing of growth`);
  return (60 * late.reduce((sum, each) => sum + (each.at - x) * (each[of] - y), 0)) / spread;
}
