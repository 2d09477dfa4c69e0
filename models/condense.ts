/** Points with weights > 0: a table of cell means and how many customers each stands for. */
export interface WeightedPoints {
  readonly width: number;
  /** points × width */
  readonly points: Float64Array;
  readonly weights: Float64Array;
}

/** Greedy starts tried, and rounds of Lloyd for each: bounds the work for 64 clusters of hundreds of inputs. */
const starts = 16;
const rounds = 50;

/**
 * The `clusters` centres that best stand for the weighted points: k-means on public numbers, so it may look at
 * them as often as it likes. From each of the 16 heaviest points, the next centre is the point whose weight times
 * squared distance to the nearest centre is largest; then Lloyd; the least total wins, the earliest of equals.
 *
 * Plain double arithmetic in a fixed order: the same bits on every machine.
 *
 * @returns clusters × width, heaviest centre first
 * @throws RangeError when there are fewer points than clusters
 */
export function condense(cells: WeightedPoints, clusters: number): Float64Array {
  if (cells.weights.length < clusters) throw new RangeError(`${clusters} clusters need as many points`);
  const heaviest = byWeight(cells.weights).slice(0, starts);
  let best: { total: number; centres: Float64Array } = { total: Number.POSITIVE_INFINITY, centres: new Float64Array() };
  for (const first of heaviest) {
    const centres = lloyd(cells, greedyCentres(cells, clusters, first));
    const { total } = assign(cells, centres);
    if (total < best.total) best = { total, centres };
  }
  return heaviestFirst(cells, best.centres);
}

function greedyCentres(cells: WeightedPoints, clusters: number, first: number): Float64Array {
  const { points, weights, width } = cells;
  const centres = new Float64Array(clusters * width);
  const nearest = new Float64Array(weights.length).fill(Number.POSITIVE_INFINITY);
  let next = first;
  for (let c = 0; c < clusters; c++) {
    centres.set(points.subarray(next * width, (next + 1) * width), c * width);
    for (let i = 0; i < weights.length; i++) {
      nearest[i] = Math.min(nearest[i]!, squaredDistance(points, i * width, centres, c * width, width));
    }
    next = byWeight(weights.map((weight, i) => weight * nearest[i]!))[0]!;
  }
  return centres;
}

function lloyd(cells: WeightedPoints, start: Float64Array): Float64Array {
  let centres = start;
  for (let round = 0; round < rounds; round++) {
    const next = means(cells, assign(cells, centres).cluster, centres);
    if (next.every((value, i) => value === centres[i])) return centres;
    centres = next;
  }
  return centres;
}

function means({ points, weights, width }: WeightedPoints, cluster: Int32Array, previous: Float64Array): Float64Array {
  const sums = new Float64Array(previous.length);
  const total = new Float64Array(previous.length / width);
  for (const [i, weight] of weights.entries()) {
    total[cluster[i]!]! += weight;
    for (let j = 0; j < width; j++) sums[cluster[i]! * width + j]! += weight * points[i * width + j]!;
  }
  return sums.map((sum, at) => {
    const weight = total[Math.floor(at / width)]!;
    return weight > 0 ? sum / weight : previous[at]!;
  });
}

function assign({ points, weights, width }: WeightedPoints, centres: Float64Array) {
  const cluster = new Int32Array(weights.length);
  let total = 0;
  for (const [i, weight] of weights.entries()) {
    const nearest = nearestCentre(centres, points, i * width, width);
    cluster[i] = nearest;
    total += weight * squaredDistance(points, i * width, centres, nearest * width, width);
  }
  return { cluster, total };
}

function heaviestFirst(cells: WeightedPoints, centres: Float64Array): Float64Array {
  const { width, weights } = cells;
  const total = new Float64Array(centres.length / width);
  for (const [i, c] of assign(cells, centres).cluster.entries()) total[c]! += weights[i]!;
  return Float64Array.from(byWeight(total).flatMap((c) => [...centres.subarray(c * width, (c + 1) * width)]));
}

/** Indices from the largest weight to the smallest, the lower index first among equals. */
function byWeight(weights: Float64Array): number[] {
  return [...weights.keys()].sort((a, b) => weights[b]! - weights[a]! || a - b);
}

/** Index of the centre nearest to the point at `at`, the lowest of equals. */
export function nearestCentre(
  centres: Float64Array,
  points: Float32Array | Float64Array,
  at: number,
  width: number,
): number {
  let nearest = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let c = 0; c * width < centres.length; c++) {
    const distance = squaredDistance(points, at, centres, c * width, width);
    if (distance < least) [nearest, least] = [c, distance];
  }
  return nearest;
}

function squaredDistance(
  a: Float32Array | Float64Array,
  aAt: number,
  b: Float64Array,
  bAt: number,
  width: number,
): number {
  let sum = 0;
  for (let j = 0; j < width; j++) {
    const difference = a[aAt + j]! - b[bAt + j]!;
    sum += difference * difference;
  }
  return sum;
}
